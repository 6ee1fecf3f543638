"""Show the results of a run for continuous ratings: traces, learning curves, table of figures."""

from collections.abc import Mapping, Sequence
from itertools import groupby, product
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text

from zoo.reports.figures import column, learning_curves, save_png
from zoo.reports.tables import decimal, print_record, table, with_interval
from zoo.utils.text import printable

_SHOWN = 3  # recordings in the figure of traces
_PREFIX = "validation_ccc_"


def plot(record: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], folder: Path, title: str) -> None:
    """Draw traces.png: ratings and predictions of the first recordings, an axis for each recording and dimension.

    `rows` are those of predictions.csv: clip, time, and for each dimension D truth_D, D and postprocessed_D.
    """
    from matplotlib.figure import Figure

    clips = [(name, list(group)) for name, group in groupby(rows, key=lambda row: row["clip"])][:_SHOWN]
    shown = list(product(clips, record["dimensions"]))
    figure = Figure(figsize=(9, 1.7 * len(shown) + 1))
    every = figure.subplots(len(shown), squeeze=False)[:, 0]
    for axes, ((clip, frames), name) in zip(every, shown, strict=True):
        seconds = [float(row["time"]) for row in frames]
        for key, style, label in (
            (f"truth_{name}", "k-", "raters"),
            (name, "-", "prediction"),
            (f"postprocessed_{name}", "--", "post-processed"),
        ):
            values = [float(row[key]) if row[key] != "" else np.nan for row in frames]
            axes.plot(seconds, values, style, linewidth=1, label=label)
        axes.set_ylabel(f"{clip}\n{name}")
        axes.grid(alpha=0.3)
    every[0].legend(loc="upper right", ncols=3, fontsize=8)
    every[-1].set_xlabel("Time (s)")
    save_png(figure, folder / "traces.png", title)


def epoch_line(row: Mapping[str, float]) -> str:
    """Return the validation figures of an epoch as progress shows them."""
    names = [key for key in row if key.startswith(_PREFIX)]
    return "validation CCC " + "  ".join(f"{key.removeprefix(_PREFIX)} {row[key]:.3f}" for key in names)


def plot_curves(history: Sequence[Mapping[str, Any]], path: Path, title: str) -> None:
    """Draw the loss above, validation CCC for each dimension and their mean below."""
    score = column(history, "validation_ccc")
    names = [key for key in history[0] if key.startswith(_PREFIX)]
    scores = {"mean": (".-", score)} | {key.removeprefix(_PREFIX): (".-", column(history, key)) for key in names}
    panels = {"Loss": {"training": ("k.-", column(history, "loss"))}, "Validation CCC": scores}
    save_png(learning_curves(panels, score), path, title)


def print_metrics(metrics: Mapping[str, Any], title: str, console: Console | None = None) -> None:
    """Print the figures of a continuous run: a row per dimension, before and after post-processing."""
    counts = f"{metrics['n_recordings']} recordings of {metrics['n_speakers']} speakers, {metrics['n_frames']:,} frames"
    shown = table("Dimension", "", numbers=("CCC", "mean CCC", "Pearson", "RMSE", "MAE", "Kendall"))
    for figures, name in ((metrics, "as predicted"), (metrics.get("postprocessed"), "post-processed")):
        for dimension, row in (figures or {"dimensions": {}})["dimensions"].items():
            values = (decimal(row[key]) for key in ("mean_ccc", "pearson", "rmse", "mae", "kendall"))
            shown.add_row(Text(printable(dimension)), name, with_interval(row["ccc"]), *values)
    print_record(metrics, title, [f"{counts}; in brackets the 95 % interval over speakers"], shown, console)
