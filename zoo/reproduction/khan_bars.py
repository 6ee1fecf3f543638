"""Draw the accuracy of every emotion as bars: Figure 7 of Khan, Butt, Ali 2020."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from zoo.reports import style
from zoo.reproduction import published
from zoo.reproduction.job import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@style.styled
def figure(rows: Sequence[Row], with_published: bool) -> Figure:
    """Draw recalls with their 95 % intervals, grouped by emotion, beside the published ones of Table 6.

    `rows` are a table's cells: named by the emotion, their variant by the protocol. An emotion
    without clips has no bar.
    """
    from matplotlib.figure import Figure

    emotions = list(dict.fromkeys(row.row for row in rows))
    theirs = {row: cell.value for (row, _), cell in published.tables()["khan-table-6"].figures.items()}
    groups: dict[str, list[tuple[float, float, float]]] = {}
    if with_published:
        groups["published"] = [_percent({"value": theirs.get(name), "low": None, "high": None}) for name in emotions]
    for variant in dict.fromkeys(row.variant for row in rows):
        scores = [row.ours for row in rows if row.variant == variant]
        groups[f"ours, {variant}"] = [_percent(score) for score in scores if isinstance(score, Mapping)]
    drawn = Figure(figsize=(style.PAGE_INCHES, 2.8))
    axes, width = drawn.add_subplot(), 0.8 / len(groups)
    for index, (label, values) in enumerate(groups.items()):
        middles = np.arange(len(emotions)) + (index - (len(groups) - 1) / 2) * width
        heights, lows, highs = np.array(values).T
        axes.bar(
            middles, heights, width, label=style.wrapped(label, 2.2, style.SMALL_POINTS), color=style.COLOURS[index]
        )
        axes.vlines(middles, lows, highs, color=style.BLACK, linewidth=0.8)
    axes.set_xticks(range(len(emotions)), [style.name(name) for name in emotions])
    axes.set(ylabel="Recall (%)", ylim=(0, 100))
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(groups), frameon=False)
    return drawn


def _percent(score: Mapping[str, float | None]) -> tuple[float, float, float]:
    """Return a figure and its interval in percent, NaN for what is not known."""
    value, low, high = (
        np.nan if score[key] is None else 100 * float(score[key] or 0.0) for key in ("value", "low", "high")
    )
    return value, low, high
