"""Make a queue of clips to label next: predict a pool, and let a strategy choose.

Predictions are kept in JSON lines, so that an interrupted command goes on; their file is named after the state of the
model, so that a model trained anew does not take those of the one before.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from zoo.config import saved
from zoo.data.audio.find import audio_files
from zoo.data.audio.read import read
from zoo.data.audio.recording import WHOLE, BadClip
from zoo.data.labels import Label, current, votes
from zoo.data.schema import Clip
from zoo.data.tables import table
from zoo.errors import UserError
from zoo.inference.open_predictor import is_continuous, open_predictor
from zoo.inference.predictions_file import Answers, Failure, Sheet
from zoo.inference.predictor import READ_AHEAD, Predictor, in_turn
from zoo.learning.labelling.commands import most
from zoo.learning.labelling.label_file import file_name
from zoo.learning.strategies import NEED_PROBABILITIES, Pool, choose
from zoo.utils.progress import Progress

NEED_VECTORS = ("novelty", "expected-change", "diversity")
_MODEL_FILES = (".keras", ".json", ".pb", ".npz", ".index", ".joblib")

OnProgress = Callable[[int], None]
Place = tuple[str, float, float | None]  # file, start and end in seconds


@dataclass(frozen=True)
class Model:
    """The folder of a run, or of an export."""

    place: Path
    exported: bool

    def state(self) -> str:
        """Return a short hash of the sizes and times of its files."""
        files = sorted(path for path in self.place.rglob("*") if path.suffix in _MODEL_FILES and path.is_file())
        facts = [(str(path.relative_to(self.place)), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
        return hashlib.sha256(json.dumps([str(self.place.resolve()), facts]).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Wanted:
    """What queue is wanted: of which pool, by which strategy, how long; `labels` is the label file, there or not."""

    pool: Path
    strategy: str
    count: int
    seed: int
    labels: Path


def make(
    model: Model,
    wanted: Wanted,
    present: Sequence[Label],
    beside: Path,
    progress: Progress,
    on_notice: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Return the queue (`queue`), leaving out what people have labelled in `present`.

    Predictions are kept in a file whose name begins with that of `beside`.
    """
    every, failed = pool(wanted.pool)
    clips = without_labels(every, wanted.labels, present)
    for failure in failed:
        on_notice(f"notice: {failure.error}")
    with progress.task("predictions", len(clips)) as advance:
        kept = beside.with_name(f"{beside.name}.predictions-{model.state()}.jsonl")
        rows = predictions(model, clips, kept, advance)
    labelled = labelled_clips(every, wanted.labels, present)
    with progress.task("features", len(clips) + len(labelled)) as advance:
        found = queue(clips, rows, wanted, labelled, partial(vectors, model, progress=advance))
    silent = sum(row["emotion"] is None for row in rows.values())
    left = f"{len(every) - len(clips)} labelled already, {silent} without speech, {len(clips) - len(rows)} unusable"
    on_notice(f"{len(found)} of {len(clips)} clips to label; left out: {left}")
    return found


def pool(place: Path) -> tuple[list[Clip], list[Failure]]:
    """Return the clips of a folder or a table, and what of it cannot be used. Raises UserError where there is none."""
    failed: list[Failure] = []
    if place.is_dir():
        files = audio_files([str(place)], lambda name, message: failed.append(Failure(name, "missing", message)))
        clips = [Clip(path, str(path), "", "") for path in files]
    else:
        loaded = table.load(place)
        clips = list(loaded.clips)
        failed = [Failure(name, "missing", f"{place}: {name}: no such file") for name in loaded.missing]
    if not clips:
        raise UserError(failed[0].error if failed else f"--pool {place}: expected audio, found none")
    return clips, failed


def without_labels(clips: Sequence[Clip], labels: Path, present: Sequence[Label]) -> list[Clip]:
    """Return the clips on which no person has put a label that holds."""
    done = {(row.file, row.start, row.end) for row in current(present) if row.source == "human"}
    return [clip for clip in clips if _place(clip, labels) not in done]


def predictions(model: Model, clips: Sequence[Clip], kept: Path, progress: OnProgress) -> dict[str, dict[str, Any]]:
    """Return the rows of `predict.py` by clip name. `kept` is the file that holds them, begun or not.

    Recordings without speech have no emotion; those that cannot be used are in a file beside `kept` and have no row.
    Raises UserError for a model of ratings.
    """
    if is_continuous(model.place, model.exported):
        raise UserError(f"--model {model.place}: expected a model that gives classes, found one of continuous ratings")
    with Sheet(kept, "json", resume=True) as sheet:
        todo = [clip for clip in clips if not sheet.answered(clip.name)]
        progress(len(clips) - len(todo))
        predictor = open_predictor(model.place, model.exported) if todo else None
        for number, some in enumerate(in_turn(todo), 1):
            assert predictor is not None
            sheet.add(_answers(predictor, some))
            progress(len(clips) - len(todo) + min(number * READ_AHEAD, len(todo)))
    wanted = {clip.name for clip in clips}
    rows = (json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines())
    return {row["file"]: row for row in rows if row["file"] in wanted}


def _answers(predictor: Predictor, clips: Sequence[Clip]) -> Answers:
    failed: list[Failure] = []

    def on_bad(error: BadClip) -> None:
        failed.append(Failure(str(error.path), error.kind, str(error)))

    names, inputs = [], []
    for clip in clips:
        try:
            inputs.append(_input(clip, predictor))
            names.append(clip.name)
        except BadClip as error:
            on_bad(error)
    rows = list(predictor.predict(inputs, on_bad, names)) if inputs else []
    return Answers(rows, failed)


def _input(clip: Clip, predictor: Predictor) -> Path | np.ndarray:
    """Return a clip's file, or the samples of a segment. Raises BadClip."""
    segment = (clip.start_seconds, clip.end_seconds)
    if segment == WHOLE:
        return clip.path
    return read(clip.path, predictor.rate_hz, predictor.min_seconds, predictor.max_seconds, segment=segment)


def queue(
    clips: Sequence[Clip],
    rows: Mapping[str, Mapping[str, Any]],
    wanted: Wanted,
    labelled: Sequence[tuple[Clip, str]],
    vectors_of: Callable[[Sequence[Clip]], np.ndarray],
) -> list[dict[str, Any]]:
    """Return the clips to label next, the most wanted first, with what the model predicts of them.

    `rows` are those of `predictions`; clips without probabilities are left out. `labelled` are clips that people have
    labelled; `vectors_of` gives their features and those of the pool, standardised, where the strategy needs them.
    Raises UserError as `zoo.learning.strategies.choose`.
    """
    usable = [clip for clip in clips if rows.get(clip.name, {}).get("emotion") is not None]
    if not usable:
        raise UserError("expected clips with speech in the pool that nobody has labelled, found none")
    classes = list(rows[usable[0].name]["probabilities"])
    shares = np.array([list(rows[clip.name]["probabilities"].values()) for clip in usable])
    shares = shares / shares.sum(axis=1, keepdims=True)  # they are kept to six decimals
    known = [(clip, classes.index(label)) for clip, label in labelled if label in classes]
    features = np.zeros((len(usable) + len(known), 1))
    if wanted.strategy in NEED_VECTORS:
        features = vectors_of([*usable, *(clip for clip, _ in known)])
    indices = np.array([label for _, label in known], int)
    known_so_far = Pool(shares, features[: len(usable)], features[len(usable) :], indices, classes)
    count, rng = min(wanted.count, len(usable)), np.random.default_rng(wanted.seed)
    chosen = choose(wanted.strategy, known_so_far, count, rng)
    return [_row(rank, usable[clip], classes, shares[clip]) for rank, clip in enumerate(chosen, 1)]


def _row(rank: int, clip: Clip, classes: Sequence[str], shares: np.ndarray) -> dict[str, Any]:
    ordered = np.sort(shares)[::-1]
    scores = {"confidence": ordered[0], "margin": ordered[0] - ordered[1] if len(ordered) > 1 else 1.0}
    scores |= {f"p_{name}": share for name, share in zip(classes, shares, strict=True)}
    place = {"file": str(clip.path), "start": clip.start_seconds or "", "end": clip.end_seconds or ""}
    rounded = {name: round(float(score), 6) for name, score in scores.items()}
    return {"rank": rank, **place, "label": classes[int(shares.argmax())], **rounded}


def labelled_clips(clips: Sequence[Clip], labels: Path, present: Sequence[Label]) -> list[tuple[Clip, str]]:
    """Return the clips of the pool that people have labelled, each with its label of most votes, without ties."""
    by_place = {_place(clip, labels): clip for clip in clips}
    found = []
    for segment, counted in votes(present).items():
        clip = by_place.get((segment.file, segment.start, segment.end))
        if clip is not None and (label := most(counted)):
            found.append((clip, label))
    return found


def _place(clip: Clip, labels: Path) -> Place:
    return file_name(labels, clip.path), clip.start_seconds, clip.end_seconds


def vectors(model: Model, clips: Sequence[Clip], progress: OnProgress) -> np.ndarray:
    """Return mean and deviation over time of a run's features of each clip, standardised, (clips, features).

    Features are kept in the cache. Raises UserError for an export, whose features are inside its graph.
    """
    from zoo.features import from_config  # imports Keras

    if model.exported:
        raise UserError(
            f"--model {model.place}: strategies {', '.join(NEED_VECTORS)} need the features of a run, and this is an "
            f"export. Give its run, or choose {', '.join(n for n in NEED_PROBABILITIES if n not in NEED_VECTORS)}"
        )
    settings = saved.load(model.place / "config.json")
    made = from_config.extractor(settings)
    found, _ = from_config.features_of(settings, made, clips, progress)
    frames = (found[clip.name].read() for clip in clips)
    moments = np.array([np.concatenate([values.mean(axis=0), values.std(axis=0)]) for values in frames])
    deviation = moments.std(axis=0)
    return np.asarray((moments - moments.mean(axis=0)) / np.where(deviation < 1e-7, 1.0, deviation))
