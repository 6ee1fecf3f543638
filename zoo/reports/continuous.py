"""What a run of a continuous network shows to people: traces and learning curves as PNG, the figures as a table."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from zoo.reports.figures import save_png

_SHOWN = 3  # recordings in the figure of traces


def plot(record: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], folder: Path, title: str) -> None:
    """Draw traces.png of a record of metrics.json and its rows of predictions.csv."""
    plot_traces(rows, list(record["dimensions"]), folder / "traces.png", title)


def epoch_line(row: Mapping[str, float]) -> str:
    """Return the validation figures of an epoch as progress shows them."""
    prefix = "validation_ccc_"
    return "validation CCC " + "  ".join(
        f"{key.removeprefix(prefix)} {value:.3f}" for key, value in row.items() if key.startswith(prefix)
    )


def plot_traces(rows: Sequence[Mapping[str, Any]], dimensions: Sequence[str], path: Path, title: str) -> None:
    """Draws ratings and predictions of the first recordings to a PNG, a row of axes per recording and dimension.

    Args:
        rows: of predictions.csv: clip, time, and for each dimension D truth_D, D and postprocessed_D.
    """
    from matplotlib.figure import Figure

    clips = [(name, list(group)) for name, group in groupby(rows, key=lambda row: row["clip"])][:_SHOWN]
    figure = Figure(figsize=(9, 1.7 * len(clips) * len(dimensions) + 1), layout="constrained")
    every = figure.subplots(len(clips) * len(dimensions), squeeze=False)[:, 0]
    for axes, (clip, frames, name) in zip(
        every, ((clip, frames, name) for clip, frames in clips for name in dimensions), strict=True
    ):
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
    figure.suptitle(title, wrap=True)
    save_png(figure, path)


def plot_curves(history: Sequence[Mapping[str, Any]], path: Path, title: str) -> None:
    """Draws a training's curves to a PNG: the loss above, validation CCC per dimension below, the best epoch marked."""
    from matplotlib.figure import Figure

    epochs = [row["epoch"] for row in history]
    figure = Figure(figsize=(7, 6), layout="constrained")
    losses, scores = figure.subplots(2, sharex=True)
    losses.plot(epochs, [row["loss"] for row in history], "k.-", label="training")
    losses.set_ylabel("Loss")
    for key in (key for key in history[0] if key.startswith("validation_ccc")):
        dimension = key.removeprefix("validation_ccc").strip("_") or "mean"
        scores.plot(epochs, [row[key] for row in history], ".-", label=dimension)
    best = int(np.argmax([row["validation_ccc"] for row in history]))
    for axes in (losses, scores):
        axes.axvline(epochs[best], color="tab:red", linewidth=0.8, linestyle="-.", label=f"best epoch {epochs[best]}")
        axes.grid(alpha=0.3)
        axes.legend()
    scores.set(xlabel="Epoch", ylabel="Validation CCC")
    figure.suptitle(title, wrap=True)
    save_png(figure, path)


def print_metrics(metrics: Mapping[str, Any], title: str, console: Console | None = None) -> None:
    """Prints the figures of a continuous run: a row per dimension, before and after post-processing."""
    console = console or Console()
    console.print(Text(f"SYNTHETIC DATA · {title}" if metrics.get("synthetic") else title, style="bold"))
    lines = [
        *metrics.get("warnings", ()),
        f"{metrics['n_recordings']} recordings of {metrics['n_speakers']} speakers, {metrics['n_frames']:,} frames; in "
        "brackets the 95 % interval over speakers",
        *metrics.get("leakage", ()),
        *(f"incomplete corpus: {note}" for note in metrics.get("notes", ())),
    ]
    for line in lines:
        console.print(Text(line))
    table = Table("Dimension", "")
    for heading in ("CCC", "mean CCC", "Pearson", "RMSE", "MAE", "Kendall"):
        table.add_column(heading, justify="right")
    for figures, name in ((metrics, "as predicted"), (metrics.get("postprocessed"), "post-processed")):
        for dimension, row in (figures or {"dimensions": {}})["dimensions"].items():
            values = (_number(row[key]) for key in ("mean_ccc", "pearson", "rmse", "mae", "kendall"))
            table.add_row(Text(dimension), name, _with_interval(row["ccc"]), *values)
    console.print(table)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _with_interval(score: Mapping[str, float | None]) -> str:
    if score["low"] is None or score["high"] is None:
        return _number(score["value"])
    return f"{_number(score['value'])} [{score['low']:.3f}, {score['high']:.3f}]"
