"""Draw CCC by the length of segments and the batch size: Figure 2 of Bakhshi et al. 2020, and Table 1 alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from zoo.reports import style
from zoo.reproduction.job import Row
from zoo.reproduction.published import Figure as Published

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Points = dict[str, list[tuple[float, float]]]  # (seconds, CCC) by column


@style.styled
def figure(rows: Sequence[Row], published: Sequence[Published]) -> Figure:
    """Draw ours as lines with 95 % intervals and the published figures as dotted lines, arousal above valence.

    `rows` and `published` are cells of a table: named by the length, as in "8 s", and by a column that ends with the
    dimension, as in "batch 25, arousal". Colours stand for batch sizes.
    """
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(style.COLUMN_INCHES, 4.6))
    ours = _points((row.row, row.column, _value(row)) for row in rows)
    theirs = _points((cell.row, cell.column, cell.value) for cell in published)
    panels = drawn.subplots(2, sharex=True)
    for axes, dimension in zip(panels, ("arousal", "valence"), strict=True):
        columns = [name for name in dict.fromkeys([*ours, *theirs]) if name.endswith(dimension)]
        for colour, column in zip(style.COLOURS, columns, strict=False):
            of = column.removesuffix(dimension).strip(" ,")
            _draw(axes, ours.get(column, []), colour, "-", ", ".join(filter(None, ("ours", of))))
            _draw(axes, theirs.get(column, []), colour, ":", ", ".join(filter(None, ("published", of))))
            _draw_intervals(axes, [row for row in rows if row.column == column], colour)
        axes.set_ylabel(f"CCC, {dimension}")
        axes.grid()
    panels[0].legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
    panels[1].set_xlabel("Length of segments (s)")
    return drawn


def _value(row: Row) -> float | None:
    return row.ours["value"] if isinstance(row.ours, Mapping) else row.ours


def _points(cells: Iterable[tuple[str, str, float | None]]) -> Points:
    """Return the cells that have a value, column by column in the order of their lengths."""
    found: Points = {}
    for row, column, value in cells:
        if value is not None:
            found.setdefault(column, []).append((_seconds(row), value))
    return {column: sorted(points) for column, points in found.items()}


def _seconds(row: str) -> float:
    return float(row.removesuffix(" s"))


def _draw(axes: Axes, points: Sequence[tuple[float, float]], colour: str, line: str, label: str) -> None:
    if points:
        axes.plot(*zip(*points, strict=True), color=colour, linestyle=line, marker=".", label=label)


def _draw_intervals(axes: Axes, rows: Sequence[Row], colour: str) -> None:
    for row in rows:
        if isinstance(row.ours, Mapping) and row.ours["low"] is not None:
            axes.vlines(_seconds(row.row), row.ours["low"], row.ours["high"], color=colour, linewidth=0.6)
