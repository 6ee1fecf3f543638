"""Join people's labels, of the one label file, with the rows of a model; make the queue of what to label next."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo.data.labels import Label, current, votes
from zoo.errors import UserError, unknown
from zoo.inference.rows import MIX
from zoo.learning.labelling import label_file
from zoo.learning.labelling.commands import check_clip, most
from zoo.learning.labelling.queue import NEED_VECTORS
from zoo.learning.strategies import STRATEGIES, Pool, choose
from zoo.web.project import Project

Row = dict[str, Any]
SAME_SECONDS = 0.05  # by which the times of a segment may differ between models
QUEUE_STRATEGIES = tuple(name for name in STRATEGIES if name not in NEED_VECTORS)


def ignore(_notice: str) -> None:
    """Leave an unfinished last line out, as the label file's reader does; the next label cuts it off."""


def read(project: Project) -> list[Label]:
    return label_file.read(project.labels, ignore) if project.labels.exists() else []


def name_of(file: str) -> str:
    """Return what the label file calls a recording."""
    return f"audio/{file}"


def add(project: Project, file: str, said: Mapping[str, Any], classes: Sequence[str]) -> Label:
    """Append a label, or with an empty one take back what the rater said before. It is on the disk on return.

    `said` has start, end, channel, label and rater. Raises UserError for what cannot be.
    """
    if said["label"] and said["label"] not in classes:
        raise unknown("label", said["label"], classes)
    channel = None if said["channel"] == MIX else said["channel"]
    place = {"start": said["start"], "end": said["end"], "channel": channel}
    row = Label(name_of(file), said["label"], said["rater"], **place)
    check_clip(project.path(file), row)
    label_file.append(project.labels, [row], on_notice=ignore)
    return row


def joined(file: str, rows: Sequence[Row], labels: Sequence[Label], rater: str) -> list[Row]:
    """Return a recording's rows with "label", the rater's own, "votes" of all people, and the label's own times.

    Labelled segments that the model has no row for, as it cuts otherwise, follow in the order of time.
    """
    counted = {segment: found for segment, found in votes(labels).items() if segment.file == name_of(file)}
    own = {row.segment: row.label for row in current(labels) if row.rater == rater and row.source == "human"}
    joined_rows, left = [], dict(counted)
    for row in rows:
        near = next((one for one in left if _same(row, one)), None)
        found = left.pop(near) if near else {}
        times = {} if near is None or near.end is None else {"start": near.start, "end": near.end}
        joined_rows.append({**row, **times, "label": own.get(near, "") if near else "", "votes": dict(found)})
    for segment, found in left.items():
        place = {"channel": MIX if segment.channel is None else segment.channel, "start": segment.start}
        empty: Row = {"emotion": None, "probabilities": {}, "confidence": None, "abstained": None}
        rest = {"reason": "labelled, and not cut so by this model", "speech_seconds": None, "quality": None}
        more = {"label": own.get(segment, ""), "votes": dict(found)}
        joined_rows.append({"file": file, **place, "end": segment.end, **empty, **rest, **more})
    return sorted(joined_rows, key=lambda row: (row["start"], str(row["channel"])))


def _same(row: Row, segment: Any) -> bool:
    channel = None if row["channel"] == MIX else row["channel"]
    if channel != segment.channel or abs(row["start"] - segment.start) > SAME_SECONDS:
        return False
    return segment.end is None or abs(row["end"] - segment.end) <= SAME_SECONDS


def queue(rows: Sequence[Row], labels: Sequence[Label], strategy: str, count: int, classes: Sequence[str]) -> list[Row]:
    """Return the segments to label next, the most wanted first: those with an emotion that nobody has labelled.

    `rows` are joined rows of all recordings. Raises UserError for an unknown strategy.
    """
    if strategy not in QUEUE_STRATEGIES:
        raise unknown("strategy", strategy, QUEUE_STRATEGIES)
    if not 1 <= count <= 1000:
        raise UserError(f"count is {count}, expected 1 to 1000")
    usable = [row for row in rows if row["emotion"] is not None and not row["votes"]]
    if not usable:
        return []
    shares = np.array([[row["probabilities"][name] for name in classes] for row in usable], float)
    shares /= shares.sum(axis=1, keepdims=True)  # they are kept to six decimals
    held = [label for found in votes(labels).values() if (label := most(found)) in classes and label]
    known = np.array([list(classes).index(label) for label in held], dtype=int)
    pool = Pool(shares, np.zeros((len(usable), 1)), np.zeros((len(known), 1)), known, classes)
    chosen = choose(strategy, pool, min(count, len(usable)), np.random.default_rng(0))
    return [{"rank": rank, **usable[number]} for rank, number in enumerate(chosen.tolist(), 1)]


def flat(row: Row, classes: Sequence[str]) -> Row:
    """Return a row for CSV: probabilities and quality in columns of their own."""
    quality = row["quality"] or {"level_dbfs": None, "clipped_share": None, "bandwidth_hz": None, "notes": []}
    shares = row["probabilities"] or {}
    keys = ("file", "channel", "start", "end", "emotion", "confidence", "abstained", "reason", "speech_seconds")
    named = {key: "" if row[key] is None else row[key] for key in keys}
    named |= {f"p_{name}": shares.get(name, "") for name in classes}
    named |= {key: "" if value is None else value for key, value in quality.items() if key != "notes"}
    said = "; ".join(f"{label}: {count}" for label, count in sorted(row["votes"].items()))
    return {**named, "notes": " ".join(quality["notes"]), "labels": said}
