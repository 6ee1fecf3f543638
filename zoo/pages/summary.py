"""Sum the segments of a recording up: seconds of speech, and their share of each emotion, by minute and by channel."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

ABSTAINED, NONE = "abstained", "no emotion"
MINUTE = 60.0

Row = Mapping[str, Any]
Line = dict[str, Any]


def answer(row: Row) -> str:
    """Return what a segment counts as: its emotion, `ABSTAINED`, or `NONE`."""
    if row["emotion"] is None:
        return NONE
    return ABSTAINED if row["abstained"] else row["emotion"]


def answers(rows: Iterable[Row], emotions: Sequence[str]) -> list[str]:
    """Return the columns of a summary: all emotions, and what else segments with speech count as."""
    found = {answer(row) for row in rows if row["speech_seconds"]}
    return [*emotions, *(name for name in (ABSTAINED, NONE) if name in found)]


def by_minute(rows: Sequence[Row], seconds: float, names: Sequence[str]) -> list[Line]:
    """Return a line for each minute of a recording.

    A segment counts in every minute by the share of it that lies there.
    A line is {"name", "speech_seconds", "shares": {answer: 0..1, or None without speech}}.
    """
    lines = []
    for number in range(max(1, int(np.ceil(seconds / MINUTE - 1e-9)))):
        start, end = number * MINUTE, (number + 1) * MINUTE
        inside = [(row, _overlap(row, start, end)) for row in rows if row["end"] > start and row["start"] < end]
        lines.append(_line(f"{number + 1}", inside, names))
    return lines


def by_group(rows: Sequence[Row], group_of: Callable[[Row], str], names: Sequence[str]) -> list[Line]:
    """Return a line, as of `by_minute`, for each group of segments in order of appearance, and for all together."""
    groups: dict[str, list[tuple[Row, float]]] = {}
    for row in rows:
        groups.setdefault(group_of(row), []).append((row, 1.0))
    lines = [_line(name, inside, names) for name, inside in groups.items()]
    return lines if len(lines) == 1 else [*lines, _line("all", [(row, 1.0) for row in rows], names)]


def ratings_by_minute(time: np.ndarray, values: np.ndarray) -> list[Line]:
    """Return {"name", "values": (mean, lowest, highest) of each dimension} for each minute that has ratings.

    `time` is (n,) in seconds, `values` (n, dimensions).
    """
    minute = (time // MINUTE).astype(int)
    lines = []
    for number in np.unique(minute):
        inside = values[minute == number]
        ranges = zip(inside.mean(axis=0), inside.min(axis=0), inside.max(axis=0), strict=True)
        lines.append({"name": f"{number + 1}", "values": [tuple(map(float, one)) for one in ranges]})
    return lines


def in_steps(time: np.ndarray, values: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the starts (m,) of steps of `step` seconds that have ratings, and the mean of each (m, dimensions)."""
    places, inverse = np.unique((time / step + 1e-6).astype(int), return_inverse=True)
    counts = np.bincount(inverse)
    means = np.stack([np.bincount(inverse, values[:, n]) / counts for n in range(values.shape[1])], axis=1)
    return places * step, means


def _overlap(row: Row, start: float, end: float) -> float:
    length = row["end"] - row["start"]
    return (min(row["end"], end) - max(row["start"], start)) / length if length else 1.0


def _line(name: str, inside: Sequence[tuple[Row, float]], names: Sequence[str]) -> Line:
    seconds = dict.fromkeys(names, 0.0)
    for row, share in inside:
        if row["speech_seconds"]:
            seconds[answer(row)] += share * row["speech_seconds"]
    total = sum(seconds.values())
    shares = {one: value / total if total else None for one, value in seconds.items()}
    return {"name": name, "speech_seconds": total, "shares": shares}


def plain(values: np.ndarray) -> list[float | None]:
    """Return values (n,) as JSON has them, to four decimals; NaN becomes null."""
    return [None if np.isnan(one) else round(float(one), 4) for one in values]
