"""Draw learning curves, and save figures as PNG files.

Figures are made without pyplot: it keeps global state and may ask for a screen. Matplotlib takes half a second to
import, so it is imported by the functions that draw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from zoo.utils.atomic_files import written_aside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 120
LAYOUT: Literal["constrained", "none"] = "constrained"


def save_png(figure: Figure, path: Path, title: str = "") -> None:
    """Save a figure under a title that wraps. Raises UserError where the file cannot be written."""
    if title:
        figure.suptitle(title, wrap=True)
    figure.set_layout_engine(LAYOUT)
    with written_aside(path) as aside:
        figure.savefig(aside, format="png", dpi=DPI)


def column(history: Sequence[Mapping[str, Any]], key: str) -> np.ndarray:
    """Return a column of a training's history, float64 (epochs,); NaN for None."""
    return np.array([row[key] for row in history], dtype=float)


def learning_curves(
    panels: Mapping[str, Mapping[str, tuple[str, np.ndarray]]], score: np.ndarray, label: str = "best epoch {epoch}"
) -> Figure:
    """Draw a training's curves, panels one below the other, each with a line at the first epoch of the highest score.

    `panels` are the curves by the label of their y axis: Matplotlib's format and values (epochs,) by label. `score` is
    (epochs,), NaN without one. `label` is of the line, from `epoch` and `score`.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 2 + 2 * len(panels)))
    epochs = np.arange(1, len(score) + 1)
    every = figure.subplots(len(panels), sharex=True, squeeze=False).flat
    for axes, (ylabel, curves) in zip(every, panels.items(), strict=True):
        for name, (style, values) in curves.items():
            axes.plot(epochs, values, style, label=name)
        if not np.isnan(score).all():
            best = int(np.nanargmax(score))
            text = label.format(epoch=epochs[best], score=score[best])
            axes.axvline(epochs[best], color="tab:red", linewidth=0.8, linestyle="-.", zorder=0, label=text)
        axes.set_ylabel(ylabel)
        axes.grid(alpha=0.3)
        axes.legend()
    axes.set(xlabel="Epoch", xlim=(0.5, len(epochs) + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure
