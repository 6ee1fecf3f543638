"""Show the results of a classification run: confusion matrix, learning curves, table of figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.text import Text

from zoo.reports.figures import column, learning_curves, save_png
from zoo.reports.tables import decimal, percent, print_record, print_titled, table, with_interval
from zoo.utils.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot(record: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], folder: Path, title: str) -> None:
    """Draw confusion.png: each cell with its share of the true class in percent, and its number of utterances.

    `record` holds `confusion`, counts (C, C) with rows truth and columns prediction, and the `classes`' names. A class
    without a true utterance shows dashes for shares.
    """
    from matplotlib.figure import Figure

    counts, classes = np.asarray(record["confusion"]), record["classes"]
    size_inches = 2.2 + 0.85 * len(classes)
    figure = Figure(figsize=(size_inches + 0.6, size_inches))
    draw_confusion(figure.add_subplot(), counts, classes)
    save_png(figure, folder / "confusion.png", title)


def draw_confusion(axes: Axes, counts: np.ndarray, classes: Sequence[str], counted: str = "clips") -> None:
    """Draw counts (C, C) with rows truth and columns prediction, as `plot` does, on Matplotlib's axes."""
    n_true = counts.sum(axis=1, keepdims=True)
    shares = 100 * counts / np.maximum(n_true, 1)
    axes.imshow(shares, cmap="Greys", vmin=0, vmax=100)
    for row, predicted in np.ndindex(*counts.shape):
        share = f"{shares[row, predicted]:.1f} %" if n_true[row, 0] else "–"
        # Of black and white, the one that reads better on this grey.
        color = "white" if shares[row, predicted] > 60 else "black"
        text = f"{share}\n{counts[row, predicted]}"
        axes.text(predicted, row, text, ha="center", va="center", fontsize=9, color=color)
    ticks = range(len(classes))
    axes.set_xticks(ticks, classes, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, [f"{name} ({n})" for name, n in zip(classes, n_true[:, 0], strict=True)])
    axes.set(xlabel="Predicted", ylabel=f"True ({counted})")


def epoch_line(row: Mapping[str, float]) -> str:
    """Return the validation figures of an epoch as progress shows them."""
    if "validation_ua" not in row:
        return "no validation clips"
    return f"validation loss {row['validation_loss']:.3f}  UA {100 * row['validation_ua']:.1f} %"


def plot_curves(history: Sequence[Mapping[str, Any]], path: Path, title: str) -> None:
    """Draw losses above, validation UA and WA below. A None or NaN in the history leaves a gap.

    Without validation clips it is the training loss alone.
    """
    if "validation_ua" not in history[0]:
        alone = {"Loss": {"training": ("k.-", column(history, "loss"))}}
        save_png(learning_curves(alone, np.full(len(history), np.nan)), path, title)
        return
    ua, wa = (100 * column(history, f"validation_{name}") for name in ("ua", "wa"))
    losses = {"training": ("k.-", column(history, "loss")), "validation": ("C0.--", column(history, "validation_loss"))}
    panels = {"Loss": losses, "Accuracy (%)": {"validation UA": ("C0.-", ua), "validation WA": ("k.:", wa)}}
    save_png(learning_curves(panels, ua, "best epoch {epoch}: UA {score:.1f} %"), path, title)


def print_metrics(metrics: Mapping[str, Any], title: str, console: Console | None = None) -> None:
    """Print a record of `zoo.metrics.classification.evaluate`: UA and WA with intervals, macro-F1, a row per class.

    Of a record with `leakage`, or with a false `speaker_independent` as older ones have, it says so.
    """
    ua, wa = (with_interval(metrics[name], percent) for name in ("ua", "wa"))
    several = f"{metrics['n_speakers']} speakers; in brackets the 95 % interval over speakers"
    speakers = "one speaker: no interval over speakers" if metrics["n_speakers"] == 1 else several
    lines = [
        f"UA {ua}   WA {wa}   macro-F1 {percent(metrics['macro_f1'])}",
        f"{metrics['n_clips']} clips of {speakers}",
    ]
    for name, row in metrics.get("per_corpus", {}).items():
        lines.append(f"{printable(name)}: UA {with_interval(row['ua'], percent)}, {row['n_clips']} clips")
    if people := metrics.get("human_ceiling"):
        ua, wa = (with_interval(people[name], percent) for name in ("ua", "wa"))
        lines.append(f"one rater against the others on {people['clips']} of these clips: UA {ua}   WA {wa}")
    if metrics["absent_classes"]:
        lines.append(f"absent from the test, so not in UA: {', '.join(metrics['absent_classes'])}")
    if metrics.get("leakage") or metrics.get("speaker_independent") is False:
        lines.append("not speaker-independent")
    shown = table("Class", numbers=("n", "Recall", "Precision", "F1"))
    for name, row in metrics["per_class"].items():
        shown.add_row(
            Text(printable(name)), str(row["n"]), *(percent(row[key]) for key in ("recall", "precision", "f1"))
        )
    print_record(metrics, title, lines, shown, console)
    for name, figures in metrics.get("targets", {}).items():
        _print_target(name, figures, console)


def _print_target(name: str, figures: Mapping[str, Any], console: Console | None) -> None:
    """Print the figures of a further target: UA and WA, and a row per class, or CCC and errors of numbers."""
    lines = [f"{figures['unlabelled']} clips without a label are left out"] if figures["unlabelled"] else []
    if "ccc" in figures:
        shown = table(numbers=("CCC", "Pearson", "RMSE", "MAE", "n"))
        errors = (decimal(figures[key]) for key in ("pearson", "rmse", "mae"))
        shown.add_row(with_interval(figures["ccc"]), *errors, str(figures["n_clips"]))
    else:
        shown = table("Class", numbers=("n", "Recall", "Precision", "F1"))
        for label, row in figures.get("per_class", {}).items():
            shares = (percent(row[key]) for key in ("recall", "precision", "f1"))
            shown.add_row(Text(printable(label)), str(row["n"]), *shares)
    if "ua" in figures:
        ua, wa = (with_interval(figures[key], percent) for key in ("ua", "wa"))
        lines = [f"UA {ua}   WA {wa}   macro-F1 {percent(figures['macro_f1'])}", *lines]
    print_titled(f"target {name}", lines, shown, console)
