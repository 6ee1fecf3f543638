"""Score any model on any labelled data, apart from the clips that it was trained or validated on.

A model's classes and the data's labels meet by common names (zoo.data.corpora.label_maps.to_classes). Clips of labels
that the model has no class for are predicted, and left out of the figures.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zoo.data.audio.read import read
from zoo.data.audio.recording import WITHOUT_SPEECH, BadClip
from zoo.data.audio.scan import audio_sha256
from zoo.data.corpora.alignment import frame_labels
from zoo.data.schema import Clip
from zoo.errors import UserError, shortened
from zoo.inference.predictor import Predictor, in_turn, raise_bad
from zoo.metrics import classification, regression
from zoo.metrics.bootstrap import Parts, bootstrap_interval
from zoo.metrics.undefined import number
from zoo.runs.labelled import Part
from zoo.studies.known_clips import Known

UNSEEN, VALIDATION, TRAINING = GROUPS = ("not_trained_on", "validation", "training")  # that have figures of their own
NO_CLASS, NO_ANSWER = "no_class", "no_answer"
LEFT_OUT = "(left out by a label map)"
_OF_SIDE = {"": UNSEEN, "validation": VALIDATION, "train": TRAINING}

Row = dict[str, Any]
Advance = Callable[[int], None]


@dataclass
class Scored:
    """Rows of predictions.csv, by clip or frame, and what was left out: clips that cannot be used, by name."""

    rows: list[Row] = field(default_factory=list)
    bad: list[dict[str, str]] = field(default_factory=list)


def score(
    predictor: Predictor,
    parts: Sequence[Part],
    labels: Mapping[str, Mapping[str, str]],
    known: Known,
    on_bad_clip: str = "fail",
    advance: Advance = lambda done: None,
) -> tuple[dict[str, Any], list[Row]]:
    """Predict every clip and return the figures, a dictionary for strict JSON, and the rows of predictions.csv.

    `labels` are the classes of each part's labels, by its name. Raises BadClip for a clip that cannot be used unless
    `on_bad_clip` is "skip", and UserError for data without what the model predicts.
    """
    continuous = bool(predictor.frame_seconds)
    clips = [(part, clip) for part in parts for clip in part.clips if (clip.trace is not None) == continuous]
    _check(predictor, parts, clips, labels, continuous)
    scored = Scored()
    done = 0
    for some in in_turn(clips, 1 if continuous else 64):
        read_clips = list(_read(predictor, some, scored, on_bad_clip))
        rows = _rate(predictor, read_clips, known) if continuous else _classify(predictor, read_clips, labels, known)
        scored.rows += rows
        advance(done := done + len(some))
    figures = _ratings if continuous else _classes
    counted = [row for row in scored.rows if not continuous or row["first"]]
    counts = Counter(row["group"] for row in counted)
    absent = Counter(row["truth"] or LEFT_OUT for row in counted if row["group"] == NO_CLASS)
    found: dict[str, Any] = {
        "clips": {"all": len(clips), **{name: counts[name] for name in (*GROUPS, NO_CLASS, NO_ANSWER)}},
        "labels_without_class": dict(sorted(absent.items())),
        "bad_clips": scored.bad,
        **{name: figures(predictor, [row for row in scored.rows if row["group"] == name]) for name in GROUPS},
    }
    found["same_speakers"] = _same_speakers(counted)
    # A recording without an answer has other columns than the rows of one that is rated.
    columns = [name for name in dict.fromkeys(key for row in scored.rows for key in row) if name != "first"]
    return found, [{name: row.get(name, "") for name in columns} for row in scored.rows]


def _check(
    predictor: Predictor,
    parts: Sequence[Part],
    clips: Sequence[tuple[Part, Clip]],
    labels: Mapping[str, Mapping[str, str]],
    continuous: bool,
) -> None:
    """Raise UserError for data without a clip that the model could be scored on."""
    where, outputs = ", ".join(part.name for part in parts), ", ".join(predictor.outputs)
    if not clips:
        kinds = ("ratings all along recordings", "labels") if continuous else ("labels", "ratings or none")
        raise UserError(f"{where}: expected {kinds[0]}, as the model predicts {outputs}, found {kinds[1]}. Give others")
    if continuous:
        rated = {name for _, clip in clips if clip.trace is not None for name in clip.trace.dimensions}
        if not rated & set(predictor.outputs):
            found = f"found {', '.join(sorted(rated))}"
            raise UserError(f"{where}: expected ratings of {outputs}, {found}. Name columns by --column, --target")
    elif not {name for names in labels.values() for name in names.values()} & set(predictor.outputs):
        found = shortened(sorted({label for names in labels.values() for label in names}))
        raise UserError(
            f"{where}: expected some of the model's classes, {outputs}, found the labels {found}. Say which label is "
            "which class by --label-map"
        )


def _read(
    predictor: Predictor, some: Sequence[tuple[Part, Clip]], scored: Scored, on_bad_clip: str
) -> Iterator[tuple[Part, Clip, np.ndarray | None]]:
    """Yield clips with their waveforms, None without speech; those that cannot be used are noted, or raised."""

    def waveform(pair: tuple[Part, Clip]) -> np.ndarray | BadClip:
        _, clip = pair
        limits = predictor.min_seconds, predictor.max_seconds
        try:
            return read(clip.path, predictor.rate_hz, *limits, segment=clip.segment)
        except BadClip as error:
            return error

    with ThreadPoolExecutor(max_workers=2) as pool:
        for (part, clip), result in zip(some, pool.map(waveform, some), strict=True):
            if isinstance(result, BadClip) and result.kind not in WITHOUT_SPEECH:
                _note(scored, clip, result, on_bad_clip)
            else:
                yield part, clip, None if isinstance(result, BadClip) else result


def _note(scored: Scored, clip: Clip, error: BadClip, on_bad_clip: str) -> None:
    if on_bad_clip != "skip":
        raise UserError(f"{error.message} Or add --on-bad-clip skip, which leaves it out and counts it") from error
    scored.bad.append({"clip": clip.name, "reason": error.message})


def _classify(
    predictor: Predictor,
    clips: Sequence[tuple[Part, Clip, np.ndarray | None]],
    labels: Mapping[str, Mapping[str, str]],
    known: Known,
) -> list[Row]:
    heard = [waveform for _, _, waveform in clips if waveform is not None]
    answers = iter(list(predictor.predict(heard, raise_bad)))
    rows = []
    for part, clip, waveform in clips:
        answer = next(answers) if waveform is not None else None
        truth = labels[part.name][clip.label]
        group = NO_ANSWER if waveform is None else NO_CLASS
        if waveform is not None and truth in predictor.outputs:
            group = _OF_SIDE[known.side_of(part.name, clip.name, audio_sha256(waveform))]
        row: Row = {"corpus": part.name, "clip": clip.name, "speaker": clip.speaker, "group": group}
        row |= {"label": clip.label, "truth": truth, "prediction": answer["emotion"] if answer else ""}
        given = answer["probabilities"] if answer else dict.fromkeys(predictor.outputs, "")
        rows.append(row | {f"p_{name}": value for name, value in given.items()})
    return rows


def _rate(predictor: Predictor, clips: Sequence[tuple[Part, Clip, np.ndarray | None]], known: Known) -> list[Row]:
    rows: list[Row] = []
    for part, clip, waveform in clips:
        assert clip.trace is not None
        shared = [name for name in predictor.outputs if name in clip.trace.dimensions]
        facts: Row = {"corpus": part.name, "clip": clip.name, "speaker": clip.speaker}
        if waveform is None or not shared:
            group = NO_ANSWER if waveform is None else NO_CLASS
            rows.append({**facts, "group": group, "time": "", "truth": "", "first": True})
            continue
        facts["group"] = _OF_SIDE[known.side_of(part.name, clip.name, audio_sha256(waveform))]
        ratings = list(predictor.predict([waveform], raise_bad))
        truth, rated = frame_labels(clip.trace, len(ratings), predictor.frame_seconds, 0.0, clip.name)
        columns = [clip.trace.dimensions.index(name) for name in shared]
        for frame, (answer, values) in enumerate(zip(ratings, truth[:, columns], strict=True)):
            row = {**facts, "time": answer["time"], "first": frame == 0}
            for name, value in zip(shared, values, strict=True):
                row |= {f"truth_{name}": round(float(value), 6) if rated[frame] else "", name: answer[name]}
            rows.append(row)
    return rows


def _classes(predictor: Predictor, rows: Sequence[Row]) -> dict[str, Any] | None:
    """Return the figures of `classification.evaluate`, and the interval of each class's recall; None without clips."""
    if not rows:
        return None
    truth, prediction, speakers = ([row[name] for row in rows] for name in ("truth", "prediction", "speaker"))
    found = classification.evaluate(truth, prediction, predictor.outputs, speakers)
    true, predicted = (classification.class_indices(names, predictor.outputs) for names in (truth, prediction))
    _, by_speaker = classification.speaker_confusions(true, predicted, speakers, len(predictor.outputs))
    low, high = bootstrap_interval([list(by_speaker)], _recalls)
    for row, least, most in zip(found["per_class"].values(), low, high, strict=True):
        row |= {"recall_low": number(least), "recall_high": number(most)}
    return found


def _recalls(parts: Parts, counts: np.ndarray) -> np.ndarray:
    """Pool confusion matrices, each `counts` (n, parts) times: recalls (n, classes)."""
    stacked = np.stack(parts).astype(np.float64)
    return classification.recalls((counts @ stacked.reshape(len(stacked), -1)).reshape(-1, *stacked.shape[1:]))


def _ratings(predictor: Predictor, rows: Sequence[Row]) -> dict[str, Any] | None:
    """Return the figures of `regression.evaluate` for the dimensions that all recordings are rated in; None without."""
    if not rows:
        return None
    names = [name for name in predictor.outputs if all(f"truth_{name}" in row for row in rows)]
    if not names:
        return None
    by_clip: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        by_clip.setdefault((row["corpus"], row["clip"]), []).append(row)
    rated = [[row for row in some if row[f"truth_{names[0]}"] != ""] for some in by_clip.values()]
    truth, prediction = (
        [np.array([[float(row[prefix + name]) for name in names] for row in some]) for some in rated]
        for prefix in ("truth_", "")
    )
    return regression.evaluate(truth, prediction, names, [some[0]["speaker"] for some in rated])


def _same_speakers(rows: Sequence[Row]) -> int:
    """Count the clips it was not trained on whose speaker has others, in the same corpus, that it was trained on."""
    speakers = {(row["corpus"], row["speaker"]) for row in rows if row["group"] in (TRAINING, VALIDATION)}
    return sum((row["corpus"], row["speaker"]) in speakers for row in rows if row["group"] == UNSEEN)
