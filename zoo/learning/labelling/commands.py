"""Work on the labels of a label file: check clips, take over or take back machine labels, count, model the raters."""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.audio.read import open_audio, open_file
from zoo.data.audio.recording import BadClip
from zoo.data.labels import Label, Segment, alike, current, votes
from zoo.errors import UserError
from zoo.learning.labelling.label_file import clip_path, file_name
from zoo.learning.raters.how_many import reached
from zoo.learning.raters.model import RaterModel, Votes, fit, whom_to_ask
from zoo.metrics.agreement import krippendorff_alpha
from zoo.metrics.undefined import number

_ROUNDED_SECONDS = 0.01  # by which tables round the end of a file


def check_clip(path: Path, label: Label) -> None:
    """Raise UserError unless a label's clip is there, is audio, and has the label's times and channel."""
    try:
        with open_file(path) as stream, open_audio(stream, path) as audio:
            seconds, channels = audio.frames / audio.samplerate, audio.channels
    except BadClip as error:
        raise UserError(str(error)) from error
    last = label.start if label.end is None else label.end - _ROUNDED_SECONDS
    if label.start >= seconds or last > seconds:
        times = f"{label.start:g} s to {'its end' if label.end is None else f'{label.end:g} s'}"
        raise UserError(f"{path}: expected times within its {seconds:.2f} s, found {times}. Correct --start or --end")
    if label.channel is not None and label.channel >= channels:
        raise UserError(f"{path}: expected a channel from 0 to {channels - 1}, found {label.channel}")


def notices(labels: Sequence[Label], new: Sequence[Label] = ()) -> list[str]:
    """Return what may be a mistake: raters whose names differ in case only, a new label that is nearly a known one."""
    found = [
        f"raters {' and '.join(map(repr, names))} are counted as {len(names)}; if they are one, use one name"
        for names in alike([*labels, *new])
        if not new or {row.rater for row in new} & set(names)
    ]
    known = {row.label for row in labels} - {""}
    for label in sorted({row.label for row in new} - known - {""}):
        if near := get_close_matches(label, known, n=1):
            found.append(f"label {label!r} is new; if {near[0]!r} is meant, add it again, which replaces this one")
    return found


def accepted(
    labels: Path, present: Sequence[Label], rows: Iterable[Mapping[str, Any]], above: float, rater: str
) -> list[Label]:
    """Return the labels of a model that are to be added: those of rows whose confidence is `above` or more.

    `rows` have "file" (as seen from the working folder), "start", "end", "label" and "confidence". Left out are
    segments that a person has labelled, and what the model has said before.
    """
    now = current(present)
    of_people = {row.segment for row in now if row.source == "human"}
    said = {(row.segment, row.rater): (row.label, row.confidence) for row in now if row.source == "model"}
    found = []
    for row in rows:
        if row["confidence"] < above:
            continue
        place = {"start": row["start"] or 0.0, "end": row["end"]}
        file = file_name(labels, Path(row["file"]))
        label = Label(file, row["label"], rater, "model", **place, confidence=row["confidence"])
        if label.segment not in of_people and said.get((label.segment, rater)) != (label.label, label.confidence):
            found.append(label)
    return found


def taken_back(
    present: Sequence[Label],
    source: str,
    rater: str | None = None,
    below: float | None = None,
    file: str | None = None,
) -> list[Label]:
    """Return lines that take back the labels of a source: of a rater, below a confidence, of a file, where given."""
    return [
        row.taken_back()
        for row in current(present)
        if row.source == source
        and rater in (None, row.rater)
        and file in (None, row.file)
        and (below is None or (row.confidence is not None and row.confidence < below))
    ]


def summary(present: Sequence[Label]) -> dict[str, Any]:
    """Count what holds: segments by label of most votes, labels by rater and source, and how well people agree."""
    now = current(present)
    of_people = votes(present)
    classes = sorted({row.label for row in now})
    counts = np.array([[found[name] for name in classes] for found in of_people.values()]).reshape(-1, len(classes))
    by_rater: dict[tuple[str, str], Counter[str]] = {}
    for row in now:
        by_rater.setdefault((row.source, row.rater), Counter())[row.label] += 1
    return {
        "lines": len(present),
        "segments": len({row.segment for row in now}),
        "segments_by_people": len(of_people),
        "segments_by_several": int((counts.sum(axis=1) > 1).sum()),
        "classes": {name: sum(most(found) == name for found in of_people.values()) for name in classes},
        "ties": sum(most(found) is None for found in of_people.values()),
        "raters": [
            {"rater": rater, "source": source, "labels": sum(found.values()), **_with_others(rater, now, of_people)}
            if source == "human"
            else {"rater": rater, "source": source, "labels": sum(found.values()), "agrees": None}
            for (source, rater), found in sorted(by_rater.items())
        ],
        "krippendorff_alpha": number(krippendorff_alpha(counts)) if len(classes) else None,
    }


def most(found: Mapping[str, int]) -> str | None:
    """Return the label of the most votes, None for a tie or without a vote."""
    first = [label for label, count in found.items() if count == max(found.values())]
    return first[0] if len(first) == 1 else None


def _with_others(
    rater: str, now: Sequence[Label], of_people: Mapping[Segment, Counter[str]]
) -> dict[str, float | None]:
    """Return the share of other people's votes, on the rater's segments, that are the rater's own label."""
    own = [row for row in now if row.rater == rater and row.source == "human"]
    others = sum(sum(of_people[row.segment].values()) - 1 for row in own)
    same = sum(of_people[row.segment][row.label] - 1 for row in own)
    return {"agrees": same / others if others else None}


def table(present: Sequence[Label], with_machine: bool = False, by_model: bool = False) -> list[dict[str, Any]]:
    """Return a table that `--corpus table` reads, a row for each segment: file, start, end, channel, emotion, votes.

    The emotion is that of the most votes, empty for a tie; the votes are in columns emotion.CLASS. `by_model` gives the
    likeliest one by the rater model instead, and its probability as emotion.confidence. `with_machine` adds the labels
    of models, a vote each, for segments on which no person has voted; `source` tells them apart.
    """
    of_people = votes(present)
    rows = [(segment, found, "human") for segment, found in of_people.items()]
    if with_machine:
        machine = votes(present, "model")
        rows += [(segment, found, "model") for segment, found in machine.items() if segment not in of_people]
    classes = sorted({label for _, found, _ in rows for label in found})
    made: list[dict[str, Any]] = []
    for segment, found, source in rows:
        given = {name: "" if value is None else value for name, value in segment._asdict().items()}
        made.append({**given, "emotion": most(found) or "", "source": source})
        if not by_model:
            made[-1] |= {f"emotion.{name}": found[name] for name in classes}
    if by_model and of_people:
        rated = Rated.of(present)
        posterior = rated.model.posterior(rated.votes)
        for row, shares in zip(made, posterior, strict=False):  # people's segments come first, in the same order
            best = int(shares.argmax())
            row |= {"emotion": rated.classes[best], "emotion.confidence": round(float(shares[best]), 6)}
    return made


@dataclass(frozen=True, eq=False)
class Rated:
    """People's labels as votes by position, and the rater model fitted to them."""

    segments: Sequence[Segment]
    raters: Sequence[str]
    classes: Sequence[str]
    votes: Votes
    model: RaterModel

    @classmethod
    def of(cls, present: Sequence[Label]) -> "Rated":
        """Fit the model to what holds of people's labels. Raises UserError where there is none."""
        rows = [row for row in current(present) if row.source == "human"]
        if not rows:
            raise UserError("expected labels by people, found none; add some with label.py add")
        segments = list(dict.fromkeys(row.segment for row in rows))
        raters, classes = sorted({row.rater for row in rows}), sorted({row.label for row in rows})
        found = Votes(
            _positions(segments, [row.segment for row in rows]),
            _positions(raters, [row.rater for row in rows]),
            _positions(classes, [row.label for row in rows]),
            len(segments),
            len(raters),
            len(classes),
        )
        return cls(segments, raters, classes, found, fit(found))

    def to_ask(self, rule: str, level: float, most_votes: int) -> list[dict[str, Any]]:
        """Return the segments that need more votes, most bits first, and whose, by a rule of `raters.how_many`.

        Left out are those with `most_votes` votes, and those on which all raters have voted.
        """
        posterior, counts = self.model.posterior(self.votes), self.votes.counts()
        ended = reached(rule, level, counts, posterior) | (counts.sum(axis=1) >= most_votes)
        asked = np.where(ended[:, None], 1, self.votes.asked())
        return [
            {
                **{name: "" if v is None else v for name, v in self.segments[clip]._asdict().items()},
                "votes": int(counts[clip].sum()),
                "label": self.classes[int(posterior[clip].argmax())],
                "probability": round(float(posterior[clip].max()), 4),
                "rater": self.raters[rater],
                "bits": round(bits, 4),
            }
            for clip, rater, bits in whom_to_ask(self.model, posterior, asked)
        ]


def _positions(names: Sequence[Hashable], found: Sequence[Hashable]) -> np.ndarray:
    place = {name: number for number, name in enumerate(names)}
    return np.array([place[name] for name in found])


def missing(labels: Path, present: Sequence[Label]) -> list[str]:
    """Return the files of labels that hold and are not there."""
    files = dict.fromkeys(row.file for row in current(present))
    return [file for file in files if not clip_path(labels, file).is_file()]
