"""Figures and terminal tables of categorical results."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    pass

# Figures are made without pyplot: it keeps global state and may ask for a screen. Matplotlib takes half a second to
# import, so it is imported by the functions that draw.
from zoo.reports.figures import save_png


def plot(record: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], folder: Path, title: str) -> None:
    """Draw confusion.png of a record of metrics.json."""
    plot_confusion(record["confusion"], record["classes"], folder / "confusion.png", title)


def epoch_line(row: Mapping[str, float]) -> str:
    """Return the validation figures of an epoch as progress shows them."""
    return f"validation loss {row['validation_loss']:.3f}  UA {100 * row['validation_ua']:.1f} %"


def plot_confusion(confusion: ArrayLike, classes: Sequence[str], path: str | os.PathLike, title: str) -> None:
    """Draws a confusion matrix to a PNG: each cell has its share of the true class in percent, and its clips.

    The row of a class without a true clip has no shares and shows dashes.

    Args:
        confusion: counts, rows truth, columns prediction, shape (C, C).
        classes: the C names.

    Raises:
        ValueError: the shape is not (C, C).
        UserError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    counts = np.asarray(confusion)
    if counts.shape != (len(classes), len(classes)):
        raise ValueError(f"a confusion matrix of shape {counts.shape} does not fit the classes {list(classes)}")
    n_true = counts.sum(axis=1, keepdims=True)
    percent = 100 * counts / np.maximum(n_true, 1)

    size_inches = 2.2 + 0.85 * len(classes)
    figure = Figure(figsize=(size_inches + 0.6, size_inches), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(percent, cmap="Greys", vmin=0, vmax=100)
    for row, column in np.ndindex(*counts.shape):
        share = f"{percent[row, column]:.1f} %" if n_true[row, 0] else "–"
        text = f"{share}\n{counts[row, column]}"
        # Of black and white, the one that reads better on this grey.
        color = "white" if percent[row, column] > 60 else "black"
        axes.text(column, row, text, ha="center", va="center", fontsize=9, color=color)
    ticks = range(len(classes))
    axes.set_xticks(ticks, classes, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, [f"{name} ({n})" for name, n in zip(classes, n_true[:, 0], strict=True)])
    axes.set(xlabel="Predicted", ylabel="True (clips)")
    figure.suptitle(title, wrap=True)
    save_png(figure, path)


def plot_curves(history: Sequence[Mapping[str, Any]], path: str | os.PathLike, title: str) -> None:
    """Draws a training's curves to a PNG: losses above, validation UA and WA below, the best epoch marked.

    The best epoch is the first with the highest validation UA. A None or NaN leaves a gap.

    Args:
        history: one row per epoch with `epoch`, `loss`, `validation_loss`, `validation_ua`, `validation_wa` (0..1).

    Raises:
        ValueError: the history is empty.
        UserError: the file cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    if not history:
        raise ValueError("the history holds no epoch, so there is no curve to draw")
    epochs = [row["epoch"] for row in history]
    # One epoch alone makes no line: markers show it.
    marker = "o" if len(epochs) == 1 else None

    figure = Figure(figsize=(7, 6), layout="constrained")
    losses, accuracies = figure.subplots(2, sharex=True)
    losses.plot(epochs, _column(history, "loss"), "-", color="black", marker=marker, label="training")
    losses.plot(epochs, _column(history, "validation_loss"), "--", color="tab:blue", marker=marker, label="validation")
    losses.set_ylabel("Loss")
    ua_percent = 100 * _column(history, "validation_ua")
    wa_percent = 100 * _column(history, "validation_wa")
    accuracies.plot(epochs, ua_percent, "-", color="tab:blue", marker=marker, label="validation UA")
    accuracies.plot(epochs, wa_percent, ":", color="black", marker=marker, label="validation WA")
    accuracies.set(xlabel="Epoch", ylabel="Accuracy (%)")
    if not np.isnan(ua_percent).all():
        best = int(np.nanargmax(ua_percent))
        label = f"best epoch {epochs[best]}: UA {ua_percent[best]:.1f} %"
        accuracies.plot(epochs[best], ua_percent[best], "*", color="tab:red", markersize=14, label=label)
        for axes in (losses, accuracies):
            axes.axvline(epochs[best], color="tab:red", linewidth=0.8, linestyle="-.", zorder=0)
    for axes in (losses, accuracies):
        axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(title, wrap=True)
    save_png(figure, path)


def print_metrics(metrics: Mapping[str, Any], title: str, console: Console | None = None) -> None:
    """Prints the dictionary of `zoo.metrics.classification.evaluate`: UA and WA with their intervals, macro-F1, a row
    per class.

    More keys are honoured: `synthetic` (true: the title says so), `speaker_independent` (false) or `leakage`
    (sentences): either says that the figures are not speaker-independent; `notes` and `bad_clips` (what is absent);
    `warnings` (sentences).
    """
    console = console or Console()
    lines = [*metrics.get("warnings", ())]
    lines += [
        f"UA {_with_interval(metrics['ua'])}   WA {_with_interval(metrics['wa'])}   "
        f"macro-F1 {_percent(metrics['macro_f1'])}",
        f"{metrics['n_clips']} clips of {metrics['n_speakers']} speakers; in brackets the 95 % interval over speakers",
    ]
    if metrics["n_speakers"] == 1:
        lines[-1] = f"{metrics['n_clips']} clips of one speaker: no interval over speakers"
    if metrics["absent_classes"]:
        lines.append(f"absent from the test, so not in UA: {', '.join(metrics['absent_classes'])}")
    leakage = metrics.get("leakage") or []
    if leakage or metrics.get("speaker_independent") is False:
        lines += ["not speaker-independent", *(f"  {sentence}" for sentence in leakage)]

    if metrics.get("notes"):
        lines += ["incomplete corpus:", *(f"  {note}" for note in metrics["notes"])]
    if metrics.get("bad_clips"):
        lines.append(f"{len(metrics['bad_clips'])} clips left out as unusable, listed in metrics.json")

    # Text, not str: names may hold square brackets, which rich would read as markup.
    console.print(Text(f"SYNTHETIC DATA · {title}" if metrics.get("synthetic") else title, style="bold"))
    for line in lines:
        console.print(Text(line))
    table = Table("Class")
    for heading in ("n", "Recall", "Precision", "F1"):
        table.add_column(heading, justify="right")
    for name, row in metrics["per_class"].items():
        shares = (_percent(row[key]) for key in ("recall", "precision", "f1"))
        table.add_row(Text(name), str(row["n"]), *shares)
    console.print(table)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _with_interval(score: Mapping[str, float | None]) -> str:
    low, high = score["low"], score["high"]
    if low is None or high is None:
        return _percent(score["value"])
    return f"{_percent(score['value'])} [{100 * low:.1f}, {100 * high:.1f}]"


def _column(history: Sequence[Mapping[str, Any]], key: str) -> np.ndarray:
    return np.array([math.nan if row[key] is None else row[key] for row in history], dtype=float)
