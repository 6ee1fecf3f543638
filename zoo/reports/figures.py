"""Draw learning curves, and save figures as PNG, SVG and PDF files.

Figures are made without pyplot: it keeps global state and may ask for a screen. Matplotlib takes half a second to
import, so it is imported by the functions that draw.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from zoo.reports import style
from zoo.utils.atomic_files import written_aside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 200
LAYOUT: Literal["constrained", "none"] = "constrained"
# For the screen, for pages and editing, for papers. The two others take 0.2 s more than the first alone.
FORMATS: tuple[str, ...] = ("png", "svg", "pdf")
_UNDATED: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}  # the same file each time


def save(figure: Figure, path: Path, title: str = "", about: str = "") -> None:
    """Save a figure beside each other as PNG, SVG and PDF, named as `path` with another suffix.

    `title` says in words what is drawn, `about` of what, in smaller letters below it. Raises UserError where a file
    cannot be written.
    """
    finish(figure, title, about)
    with style.look():
        for form in FORMATS:
            with written_aside(path.with_suffix(f".{form}")) as aside:
                figure.savefig(aside, format=form, dpi=DPI, metadata=_metadata(form, title))


def svg(figure: Figure, title: str = "", about: str = "") -> str:
    """Return a figure as SVG to embed in a page: the element alone, without an XML declaration."""
    finish(figure, title, about)
    with style.look(), io.StringIO() as file:
        figure.savefig(file, format="svg", metadata=_metadata("svg", title))
        text = file.getvalue()
    return text[text.index("<svg") :]


def _metadata(form: str, title: str) -> dict[str, Any]:
    """Return what a file says of itself: programs that read pages aloud name a figure by its title."""
    return {**_UNDATED.get(form, {}), **({"Title": title} if title else {})}


def finish(figure: Figure, title: str = "", about: str = "") -> None:
    """Put a title above a figure and lay it out, once for all formats."""
    width = 0.94 * figure.get_figwidth()
    with style.look():
        if title or about:
            lines = [style.wrapped(title, width, style.TITLE_POINTS)] if title else []
            lines += [style.wrapped(about, width, style.TITLE_POINTS)] if about else []
            figure.suptitle("\n".join(lines))
        figure.set_layout_engine(LAYOUT)
        if LAYOUT != "none":
            figure.draw_without_rendering()
            figure.set_layout_engine("none")


def column(history: Sequence[Mapping[str, Any]], key: str) -> np.ndarray:
    """Return a column of a training's history, float64 (epochs,); NaN for None."""
    return np.array([row[key] for row in history], dtype=float)


@style.styled
def learning_curves(
    panels: Mapping[str, Mapping[str, tuple[str, np.ndarray]]],
    score: np.ndarray,
    label: str = "epoch {epoch}, kept",
    kept: int | None = None,
) -> Figure:
    """Draw a training's curves, panels one below the other, each with a line at the epoch whose weights are kept.

    `panels` are the curves by the label of their y axis: Matplotlib's format and values (epochs,) by label. `score` is
    (epochs,), NaN without one. `kept` is the number of the epoch, from 1 as in history.csv and metrics.json; without it
    the first of the highest score. `label` is of the line, from `epoch` and `score`.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(style.COLUMN_INCHES, 0.9 + 1.55 * len(panels)))
    epochs = np.arange(1, len(score) + 1)
    if kept is None and not np.isnan(score).all():
        kept = int(np.nanargmax(score)) + 1
    marker = {"marker": "."} if len(epochs) < 30 else {"marker": ""}
    every = figure.subplots(len(panels), sharex=True, squeeze=False).flat
    for axes, (ylabel, curves) in zip(every, panels.items(), strict=True):
        for name, (look, values) in curves.items():
            colour, line = look.split()
            axes.plot(epochs, values, color=colour, linestyle=line, label=name, **marker)
        if kept is not None:
            text = label if not np.isnan(score[kept - 1]) else "epoch {epoch}, kept"
            text = text.format(epoch=kept, score=score[kept - 1])
            # Named once, in the last panel.
            shown = {"label": text} if ylabel == list(panels)[-1] else {}
            axes.axvline(kept, color=style.GREY, linewidth=1, linestyle="-.", zorder=0, **shown)
        axes.set_ylabel(ylabel)
        axes.grid()
        axes.legend()
    axes.set(xlabel="Epoch", xlim=(0.5, len(epochs) + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure
