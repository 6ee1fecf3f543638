"""Draw the figures of Zhao et al. 2019, and figures of its tables: bars, lines over a setting, spectrograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.reports import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW_INCHES, _PANEL_INCHES = 0.27, 2.2


@dataclass(frozen=True)
class Measure:
    """A figure of a row in 0..1: ours with its interval, and the published one; None where there is none."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    published: float | None = None


Panels = Mapping[str, Mapping[Any, Measure]]  # by corpus, then by row


@style.styled
def bars(panels: Panels, label: str) -> Figure:
    """Draw a bar with its interval for each row, one panel for a corpus; published figures are diamonds.

    `label` names the figure and its unit, percent.
    """
    from matplotlib.figure import Figure

    rows = list(dict.fromkeys(name for panel in panels.values() for name in panel))
    size = (style.PAGE_INCHES, 1.3 + _ROW_INCHES * len(rows))
    figure = Figure(figsize=size)
    for axes, (title, panel) in zip(_axes(figure, len(panels), sharey=True), panels.items(), strict=True):
        found = [panel.get(name, Measure()) for name in rows]
        places = np.arange(len(rows))
        axes.barh(places, _percent(found, "value"), color=style.SKY, label="ours, 95 % interval")
        _with_intervals(axes, places, found, across=True)
        axes.plot(_percent(found, "published"), places, "D", color=style.ORANGE, label="published")
        axes.set_yticks(places, [style.name(str(name)) for name in rows])
        axes.set(xlabel=label, title=title, xlim=(0, 100), ylim=(len(rows) - 0.4, -0.6))
        axes.grid(axis="x")
    _legend(figure, axes)
    return figure


@style.styled
def lines(panels: Panels, label: str, setting: str) -> Figure:
    """Draw ours with intervals, and published figures, over the values of a `setting`, one panel for a corpus."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(style.COLUMN_INCHES, 2.6 * len(panels)), _PANEL_INCHES))
    for axes, (title, panel) in zip(_axes(figure, len(panels)), panels.items(), strict=True):
        places, found = np.array(list(panel), float), list(panel.values())
        axes.plot(places, _percent(found, "value"), "o-", color=style.BLUE, label="ours, 95 % interval")
        _with_intervals(axes, places, found)
        if any(item.published is not None for item in found):
            axes.plot(places, _percent(found, "published"), "D--", color=style.ORANGE, label="published")
        axes.set(xlabel=setting, ylabel=label, title=title)
        axes.set_xticks(places, [f"{place:g}" for place in places])
        axes.grid()
    _legend(figure, axes)
    return figure


@style.styled
def grouped_bars(panels: Mapping[str, Panels], label: str, setting: str) -> Figure:
    """Draw a group of bars for each value of a `setting`, one bar for each network, one panel for a corpus.

    `panels` are measures by corpus, network and value.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(style.PAGE_INCHES, _PANEL_INCHES * len(panels)))
    for axes, (title, networks) in zip(_axes(figure, len(panels), rows=True), panels.items(), strict=True):
        values = list(dict.fromkeys(value for panel in networks.values() for value in panel))
        width = 0.8 / len(networks)
        for index, (name, panel) in enumerate(networks.items()):
            found = [panel.get(value, Measure()) for value in values]
            places = np.arange(len(values)) + width * (index - (len(networks) - 1) / 2)
            colour = style.COLOURS[index % len(style.COLOURS)]
            axes.bar(places, _percent(found, "value"), width, color=colour, label=style.name(name))
            _with_intervals(axes, places, found)
        axes.set_xticks(range(len(values)), [str(value) for value in values])
        axes.set(xlabel=setting, ylabel=label, title=title, ylim=(0, 100))
        axes.grid(axis="y")
    _legend(figure, axes)
    return figure


@style.styled
def spectrograms(pictures: Mapping[tuple[int, float], np.ndarray], seconds: float) -> Figure:
    """Draw log-mel spectrograms (frames, bands) of one fragment by (bands, window in ms).

    Each row has one number of bands, each column one window.
    """
    from matplotlib.figure import Figure

    bands, windows = sorted({bands for bands, _ in pictures}), sorted({window for _, window in pictures})
    size = (style.PAGE_INCHES, 0.9 + 1.1 * len(bands))
    figure = Figure(figsize=size)
    grid = figure.subplots(len(bands), len(windows), sharex=True, squeeze=False)
    for row, n_bands in enumerate(bands):
        for column, window_ms in enumerate(windows):
            axes, picture = grid[row][column], pictures[n_bands, window_ms]
            axes.imshow(
                picture.T, origin="lower", aspect="auto", cmap="viridis", extent=(0, seconds, 0.5, n_bands + 0.5)
            )
            axes.set_yticks([1, n_bands])
            if row == 0:
                axes.set_title(f"{window_ms:g} ms")
            if column == 0:
                axes.set_ylabel(f"{n_bands} mel bands")
    figure.supxlabel("Time (s)", fontsize=style.POINTS)
    return figure


def _axes(figure: Figure, n: int, sharey: bool = False, rows: bool = False) -> Sequence[Axes]:
    shape = (n, 1) if rows else (1, n)
    return list(figure.subplots(*shape, sharey=sharey, squeeze=False).flat)


def _legend(figure: Figure, axes: Axes) -> None:
    """Put the names of one panel's parts below all panels, where they hide nothing."""
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))


def _percent(found: Sequence[Measure], name: str) -> np.ndarray:
    return 100 * np.array([getattr(item, name) for item in found], dtype=float)


def _with_intervals(axes: Axes, places: np.ndarray, found: Sequence[Measure], across: bool = False) -> None:
    """Draw the intervals that are known; with one speaker there is none."""
    value, low, high = (_percent(found, name) for name in ("value", "low", "high"))
    known = ~np.isnan(low) & ~np.isnan(high)
    spread = np.stack([value - low, high - value])[:, known].clip(min=0)
    look: dict[str, Any] = {"fmt": "none", "ecolor": style.BLACK, "elinewidth": 0.8, "capsize": 2}
    if across:
        axes.errorbar(value[known], places[known], xerr=spread, **look)
    else:
        axes.errorbar(places[known], value[known], yerr=spread, **look)
