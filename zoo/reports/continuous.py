"""Show the results of a run for continuous ratings: traces, learning curves, table of figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.text import Text

from zoo.reports import latex, style
from zoo.reports.figures import column, learning_curves, save
from zoo.reports.tables import decimal, print_record, table, with_interval
from zoo.utils.text import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN = 3  # recordings in the figure of traces
_PREFIX = "validation_ccc_"


def plot(record: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], folder: Path, title: str) -> None:
    """Draw traces.png, .svg and .pdf, as `traces_figure` does."""
    save(traces_figure(record, rows), folder / "traces.png", "Ratings and predictions of test recordings", title)


@style.styled
def traces_figure(record: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw ratings and predictions of the first recordings, an axis for each recording and dimension.

    `rows` are those of predictions.csv: clip, time, and for each dimension D truth_D, D and postprocessed_D.
    """
    from matplotlib.figure import Figure

    clips = [(name, list(group)) for name, group in groupby(rows, key=lambda row: row["clip"])][:_SHOWN]
    shown = list(product(clips, record["dimensions"]))
    figure = Figure(figsize=(style.PAGE_INCHES, 1.2 * len(shown) + 0.8))
    every = figure.subplots(len(shown), squeeze=False)[:, 0]
    for axes, ((clip, frames), name) in zip(every, shown, strict=True):
        seconds = [float(row["time"]) for row in frames]
        for key, look, label in (
            (f"truth_{name}", f"{style.BLACK} -", "raters"),
            (name, f"{style.BLUE} -", "prediction"),
            (f"postprocessed_{name}", f"{style.ORANGE} --", "prediction, post-processed"),
        ):
            values = [float(row[key]) if row[key] != "" else np.nan for row in frames]
            colour, line = look.split()
            axes.plot(seconds, values, color=colour, linestyle=line, linewidth=1, label=label)
        axes.set_ylabel(f"{style.name(clip)}\n{style.name(name)}")
        axes.margins(x=0)
        axes.grid()
    every[0].legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)
    every[-1].set_xlabel("Time (s)")
    return figure


def tex(record: Mapping[str, Any], title: str) -> str:
    """Return the table of a run for LaTeX: figures of each dimension."""
    return "\n".join([latex.NEEDS, latex.ratings(record, title)])


def epoch_line(row: Mapping[str, float]) -> str:
    """Return the validation figures of an epoch as progress shows them."""
    names = [key for key in row if key.startswith(_PREFIX)]
    return "validation CCC " + "  ".join(f"{key.removeprefix(_PREFIX)} {row[key]:.3f}" for key in names)


def plot_curves(history: Sequence[Mapping[str, Any]], path: Path, title: str, kept: int | None = None) -> None:
    """Draw curves.png, .svg and .pdf, as `curves_figure` does."""
    save(curves_figure(history, kept), path, "Learning curves", title)


def curves_figure(history: Sequence[Mapping[str, Any]], kept: int | None = None) -> Figure:
    """Draw the loss above, validation CCC for each dimension and their mean below.

    `kept` is the number of the epoch whose weights are kept, from 1; without it that of the highest mean.
    """
    score = column(history, "validation_ccc")
    names = [key for key in history[0] if key.startswith(_PREFIX)]
    scores = {"mean": (f"{style.BLACK} -", score)}
    for number, key in enumerate(names):
        scores[key.removeprefix(_PREFIX)] = (f"{style.COLOURS[number % 6]} --", column(history, key))
    losses = {"training": (f"{style.BLACK} -", column(history, "loss"))}
    panels = {"Loss": losses, "CCC, validation recordings": scores}
    return learning_curves(panels, score, "epoch {epoch}, kept: mean {score:.3f}", kept)


def print_metrics(metrics: Mapping[str, Any], title: str, console: Console | None = None) -> None:
    """Print the figures of a continuous run: a row per dimension, before and after post-processing."""
    counts = f"{metrics['n_recordings']} recordings of {metrics['n_speakers']} speakers, {metrics['n_frames']:,} frames"
    shown = table("Dimension", "", numbers=("CCC", "mean CCC", "Pearson", "RMSE", "MAE", "Kendall"))
    for figures, name in ((metrics, "as predicted"), (metrics.get("postprocessed"), "post-processed")):
        for dimension, row in (figures or {"dimensions": {}})["dimensions"].items():
            values = (decimal(row[key]) for key in ("mean_ccc", "pearson", "rmse", "mae", "kendall"))
            shown.add_row(Text(printable(dimension)), name, with_interval(row["ccc"]), *values)
    print_record(metrics, title, [f"{counts}; in brackets the 95 % interval over speakers"], shown, console)
