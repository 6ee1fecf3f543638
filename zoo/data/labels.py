"""Keep labels of people and machines: one rater's label of a segment, and the label that holds among all.

What holds is the last word of each rater on a segment (`current`); a label that is empty takes back the one before it.
`zoo.learning.labelling.label_file` keeps labels in a file that only grows.
"""

import posixpath
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from math import isfinite
from pathlib import PurePath
from typing import Any, NamedTuple

from zoo.errors import UserError
from zoo.utils.text import cell, original

COLUMNS = ("file", "start", "end", "channel", "label", "rater", "source", "confidence", "time")
SOURCES = ("human", "model")
_LONGEST = 4096  # characters of a cell
_EXAMPLE = "2026-11-30T19:25:37Z"


def now() -> str:
    """Return the time in UTC, to the second: 2026-11-30T19:25:37Z."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Segment(NamedTuple):
    """What a label is about: from `start` to `end` seconds (None: the file's end) of a channel (None: all, mixed)."""

    file: str
    start: float = 0.0
    end: float | None = None
    channel: int | None = None


@dataclass(frozen=True)
class Label:
    """What one rater said of one segment, and when; an empty `label` takes back what the rater said of it before.

    `rater` names a person (source "human") or a model (source "model"); spaces around it do not count. Seconds are kept
    to microseconds; `channel` counts from 0; `confidence` is 0..1. Raises UserError for values that cannot be.
    """

    file: str
    label: str
    rater: str
    source: str = "human"
    start: float = 0.0
    end: float | None = None
    channel: int | None = None
    confidence: float | None = None
    time: str = field(default_factory=now)

    def __post_init__(self) -> None:
        _check(self)
        tidy = {"file": posixpath.normpath(self.file), "label": self.label.strip(), "rater": self.rater.strip()}
        for name, text in tidy.items():
            object.__setattr__(self, name, text)
        for name in ("start", "end", "confidence"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, round(value, 6) + 0.0)  # no -0

    @property
    def segment(self) -> Segment:
        return Segment(self.file, self.start, self.end, self.channel)

    def taken_back(self) -> "Label":
        """Return the line that takes this label back, now."""
        return replace(self, label="", confidence=None, time=now())


def current(labels: Iterable[Label]) -> list[Label]:
    """Return the last word of each rater on each segment, without what was taken back. Lines count in their order."""
    last = {(row.segment, row.source, row.rater): row for row in labels}
    return [row for row in last.values() if row.label]


def votes(labels: Iterable[Label], source: str = "human") -> dict[Segment, Counter[str]]:
    """Count the raters of a source by segment and label, in the order of the segments' first lines."""
    counts: dict[Segment, Counter[str]] = {}
    for row in current(labels):
        if row.source == source:
            counts.setdefault(row.segment, Counter())[row.label] += 1
    return counts


def alike(labels: Iterable[Label]) -> list[list[str]]:
    """Return the names of raters that differ in case or spaces only, which may be one rater each."""
    named: dict[str, set[str]] = {}
    for row in labels:
        named.setdefault("".join(row.rater.casefold().split()), set()).add(row.rater)
    return [sorted(names) for names in named.values() if len(names) > 1]


def cells_of(row: Label) -> list[str]:
    """Return a label as the cells of a line, of which none acts in a spreadsheet or holds a line break."""
    place = [cell(row.file), _short(row.start), _short(row.end), "" if row.channel is None else str(row.channel)]
    return [*place, cell(row.label), cell(row.rater), row.source, _short(row.confidence), row.time]


def label_of(cells: Sequence[str]) -> Label:
    """Return the label of a line's cells, in the order of `COLUMNS`. Raises UserError for what cannot be."""
    if len(cells) != len(COLUMNS):
        raise UserError(f"expected {len(COLUMNS)} cells ({','.join(COLUMNS)}), found {len(cells)}")
    file, start, end, channel, label, rater, source, confidence, time = cells
    numbers = {"start": start or "0", "end": end, "confidence": confidence}
    values = {name: _value(name, text) for name, text in numbers.items() if text}
    if channel:
        values["channel"] = _value("channel", channel, int)
    return Label(original(file), original(label), original(rater), source, **values, time=time)


def _value(name: str, text: str, kind: type = float) -> Any:
    try:
        return kind(text)
    except ValueError as error:
        wanted = "a whole number" if kind is int else "a number, such as 0.5,"
        raise UserError(f"{name}: expected {wanted} or nothing, found {text[:60]!r}") from error


def _check(row: Label) -> None:
    """Raise UserError for the first value that cannot be."""
    for name in ("file", "label", "rater"):
        value = getattr(row, name)
        if not isinstance(value, str) or len(value) > _LONGEST or (name != "label" and not value.strip()):
            raise UserError(f"{name}: expected a text of 1 to {_LONGEST} characters, found {str(value)[:60]!r}")
    if "\0" in row.file or ".." in PurePath(row.file.replace("\\", "/")).parts:
        raise UserError(f"file: expected a name below the label file's folder, or an absolute one, found {row.file!r}")
    if row.source not in SOURCES:
        raise UserError(f"source: expected {' or '.join(SOURCES)}, found {row.source!r}")
    if not _number(row.start) or (row.end is not None and not _number(row.end)):
        raise UserError(f"start, end: expected seconds from 0, found {row.start!r} and {row.end!r}")
    if row.end is not None and round(row.end, 6) <= round(row.start, 6):
        raise UserError(f"end: expected more than the start, {row.start:g} s, found {row.end:g} s")
    if row.channel is not None and (type(row.channel) is not int or row.channel < 0):
        raise UserError(f"channel: expected a whole number from 0, or nothing, found {row.channel!r}")
    if row.confidence is not None and not (_number(row.confidence) and row.confidence <= 1):
        raise UserError(f"confidence: expected 0 to 1, or nothing, found {row.confidence!r}")
    try:
        datetime.fromisoformat(row.time.replace("Z", "+00:00"))
    except ValueError as error:
        raise UserError(f"time: expected one such as {_EXAMPLE}, found {row.time[:60]!r}") from error


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value) and value >= 0


def _short(number: float | None) -> str:
    return "" if number is None else f"{number:.6f}".rstrip("0").rstrip(".")
