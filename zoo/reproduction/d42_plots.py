"""Draw scores with their intervals beside published ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from zoo.reports import style
from zoo.reproduction import published
from zoo.reproduction.job import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@style.styled
def scores(table: str, rows: Sequence[Row], label: str) -> Figure | None:
    """Draw a panel for each column and in it a line for each row: ours with its interval, and the published figure.

    None without rows. `label` is what the scores are.
    """
    from matplotlib.figure import Figure

    if not rows:
        return None
    columns = list(dict.fromkeys(row.column for row in rows))
    names = list(dict.fromkeys(", ".join(filter(None, (row.row, row.variant))) for row in rows))
    figure = Figure(figsize=(style.PAGE_INCHES, 0.9 + 0.22 * len(names)))
    every = np.atleast_1d(figure.subplots(1, len(columns), sharey=True))
    for axes, column in zip(every, columns, strict=True):
        for row in (row for row in rows if row.column == column):
            place = names.index(", ".join(filter(None, (row.row, row.variant))))
            score = row.ours if isinstance(row.ours, dict) else {"value": row.ours, "low": None, "high": None}
            if score.get("low") is not None:
                axes.plot([score["low"], score["high"]], [place, place], color=style.BLUE)
            if score["value"] is not None:
                axes.plot(score["value"], place, "o", color=style.BLUE)
            known = published.find(table, row.row, column)
            if known and known.value is not None:
                axes.plot(known.value, place, "x", color=style.BLACK)
        axes.set(title=column, xlabel=label)
        axes.grid(axis="x")
    every[0].set_yticks(range(len(names)), names)
    every[0].invert_yaxis()
    handles = [axes.plot([], [], mark, color=color, label=words)[0] for mark, color, words in _KEY]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(_KEY), frameon=False)
    return figure


_KEY = (("o-", style.BLUE, "ours, with its interval"), ("x", style.BLACK, "published"))
