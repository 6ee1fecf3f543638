"""Show the results of a classification run: confusion matrix, learning curves, table of figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.text import Text

from zoo.reports import latex, style
from zoo.reports.figures import column, learning_curves, save
from zoo.reports.tables import decimal, percent, print_record, print_titled, table, with_interval
from zoo.utils.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FEW = 10  # classes up to which a cell has room for its share and its count


def plot(record: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], folder: Path, title: str) -> None:
    """Draw confusion.png, .svg and .pdf, as `confusion_figure` does."""
    save(confusion_figure(record), folder / "confusion.png", "Confusion of test clips", title)


@style.styled
def confusion_figure(record: Mapping[str, Any]) -> Figure:
    """Draw a confusion matrix: each cell with its share of the true class in percent, and its number of clips.

    `record` holds `confusion`, counts (C, C) with rows truth and columns prediction, and the `classes`' names. A class
    without a true clip shows dashes for shares. With more than ten classes, cells show shares alone, in whole percent.
    """
    from matplotlib.figure import Figure

    counts, classes = np.asarray(record["confusion"]), record["classes"]
    width = confusion_inches(classes)
    figure = Figure(figsize=(width, width - 0.3))
    draw_confusion(figure.add_subplot(), counts, classes)
    return figure


def confusion_inches(classes: Sequence[str]) -> float:
    """Return how wide a confusion matrix is printed: a column, or of more than four classes a page."""
    return style.COLUMN_INCHES if len(classes) <= 4 else style.PAGE_INCHES


def draw_confusion(axes: Axes, counts: np.ndarray, classes: Sequence[str], counted: str = "clips") -> None:
    """Draw counts (C, C) with rows truth and columns prediction, as `confusion_figure` does, on Matplotlib's axes."""
    n_true = counts.sum(axis=1, keepdims=True)
    shares = 100 * counts / np.maximum(n_true, 1)
    few = len(classes) <= _FEW
    form = (lambda share, n: f"{share:.1f} %\n{n}") if few else (lambda share, n: f"{share:.0f}")
    texts = [
        [form(share, n) if total else f"–\n{n}" if few else "–" for share, n in zip(*row, strict=True)]
        for row, total in zip(zip(shares, counts, strict=True), n_true[:, 0], strict=True)
    ]
    axes.imshow(shares, cmap="Greys", vmin=0, vmax=100)
    style.write_in_cells(axes, shares, texts, style.SMALL_POINTS if len(classes) <= 2 * _FEW else 5)
    ticks, names = range(len(classes)), [style.name(name) for name in classes]
    axes.set_xticks(ticks, names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, [f"{name} ({n})" for name, n in zip(names, n_true[:, 0], strict=True)])
    axes.spines[:].set_visible(True)
    cells = "" if few else "; cells: % of the true class"
    axes.set(xlabel=f"Predicted class{cells}", ylabel=f"True class (number of {counted})")


def tex(record: Mapping[str, Any], title: str) -> str:
    """Return the tables of a run for LaTeX: figures of each class, and the confusion matrix."""
    matrix = latex.confusion(record["confusion"], record["classes"], title)
    return "\n".join([latex.NEEDS, latex.per_class(record, title), matrix])


def epoch_line(row: Mapping[str, float]) -> str:
    """Return the validation figures of an epoch as progress shows them."""
    if "validation_ua" not in row:
        return "no validation clips"
    return f"validation loss {row['validation_loss']:.3f}  UA {100 * row['validation_ua']:.1f} %"


def plot_curves(history: Sequence[Mapping[str, Any]], path: Path, title: str, kept: int | None = None) -> None:
    """Draw curves.png, .svg and .pdf, as `curves_figure` does."""
    save(curves_figure(history, kept), path, "Learning curves", title)


def curves_figure(history: Sequence[Mapping[str, Any]], kept: int | None = None) -> Figure:
    """Draw losses above, validation UA and WA below. A None or NaN in the history leaves a gap.

    `kept` is the number of the epoch whose weights are kept, from 1; without it that of the highest UA. Without
    validation clips it is the training loss alone.
    """
    losses = {"training": (f"{style.BLACK} -", column(history, "loss"))}
    if "validation_ua" not in history[0]:
        return learning_curves({"Loss": losses}, np.full(len(history), np.nan), kept=kept)
    ua, wa = (100 * column(history, f"validation_{name}") for name in ("ua", "wa"))
    losses["validation"] = (f"{style.BLUE} --", column(history, "validation_loss"))
    accuracies = {"UA": (f"{style.BLUE} -", ua), "WA": (f"{style.ORANGE} :", wa)}
    panels = {"Loss": losses, "Accuracy, validation clips (%)": accuracies}
    return learning_curves(panels, ua, "epoch {epoch}, kept: UA {score:.1f} %", kept)


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
