"""What a run of an enhancement network shows to people: Figure 4.2 of D4.2 and learning curves as PNG, and a table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from zoo.reports.figures import save_png

_NAMES = {"noisy": "noisy", "enhanced": "enhanced", "without_detector": "without the detector"}


def plot(record: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], folder: Path, title: str) -> None:
    """Draws enhancement.png: correlation with clean speech and mean squared error of every coefficient before and after
    enhancement, over all ratios (the deliverable's Figure 4.2), and their means by ratio.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 7), layout="constrained")
    axes = figure.subplots(2, 2, width_ratios=(2, 1))
    ratios = list(record["by_snr"])
    for line, (name, label) in enumerate((("pearson", "Correlation with clean"), ("mse", "MSE / clean variance"))):
        bars, by_snr = axes[line]
        for shift, system, color in ((-0.2, "noisy", "lightgrey"), (0.2, "enhanced", "tab:blue")):
            values = [_or_nan(item[name]) for item in record["pooled"][system]["coefficients"].values()]
            bars.bar(np.arange(len(values)) + shift, values, 0.4, color=color, edgecolor="black", label=_NAMES[system])
            means = [_or_nan(record["by_snr"][snr][system][name]["value"]) for snr in ratios]
            by_snr.plot(
                [float(snr) for snr in ratios], means, "o-", color=color, markeredgecolor="black", label=_NAMES[system]
            )
        bars.set_xticks(range(len(values)))
        bars.set(ylabel=label, xlabel="Coefficient" if line else "")
        by_snr.set(xlabel="SNR (dB)" if line else "")
        for one in (bars, by_snr):
            one.grid(alpha=0.3, axis="y")
    axes[0, 1].legend(loc="lower right")
    figure.suptitle(title, wrap=True)
    save_png(figure, folder / "enhancement.png")


def epoch_line(row: Mapping[str, float]) -> str:
    """Return the validation figures of an epoch as progress shows them."""
    return f"validation MSE {row['validation_mse']:.3f}, of noisy speech {row['validation_mse_noisy']:.3f}"


def plot_curves(history: Sequence[Mapping[str, Any]], path: Path, title: str) -> None:
    """Draws a training's curves to a PNG: training loss, validation error, and that of noisy speech left as it is."""
    from matplotlib.figure import Figure

    epochs = [row["epoch"] for row in history]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(epochs, [row["loss"] for row in history], "k.-", label="training")
    axes.plot(epochs, [row["validation_mse"] for row in history], ".--", color="tab:blue", label="validation")
    axes.axhline(history[0]["validation_mse_noisy"], color="grey", linestyle=":", label="validation, noisy as it is")
    best = int(np.argmax([row["validation_r2"] for row in history]))
    axes.axvline(epochs[best], color="tab:red", linewidth=0.8, linestyle="-.", label=f"best epoch {epochs[best]}")
    axes.set(xlabel="Epoch", ylabel="MSE of standardised coefficients")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.suptitle(title, wrap=True)
    save_png(figure, path)


def print_metrics(metrics: Mapping[str, Any], title: str, console: Console | None = None) -> None:
    """Prints the figures of an enhancement run: a row per ratio, before and after, and the detector's errors."""
    console = console or Console()
    console.print(Text(f"SYNTHETIC DATA · {title}" if metrics.get("synthetic") else title, style="bold"))
    lines = [
        f"{metrics['n_clips']} clips of {metrics['n_speakers']} speakers, {metrics['n_frames']:,} frames; in brackets "
        "the 95 % interval over speakers. Means over the coefficients; errors in units of clean speech's variance",
        *metrics.get("leakage", ()),
        *(f"incomplete corpus: {note}" for note in metrics.get("notes", ())),
    ]
    for line in lines:
        console.print(Text(line))
    table = Table("Speech", "")
    for heading in ("MSE", "Correlation", "Left as clean"):
        table.add_column(heading, justify="right")
    detector = metrics["detector"]
    conditions = [(f"{snr} dB", metrics["by_snr"][snr], detector["by_snr"][snr]) for snr in metrics["by_snr"]]
    conditions.append(("all ratios", metrics["pooled"], detector["noisy_taken_for_clean"]))
    conditions.append(("clean", metrics["clean"], 1 - detector["clean_taken_for_noisy"]))
    for condition, figures, left in conditions:
        for system, name in _NAMES.items():
            cells = [_with_interval(figures[system][key]) for key in ("mse", "pearson")]
            share = f"{100 * left:.1f} %" if system == "enhanced" else ""
            table.add_row(Text(condition if system == "noisy" else ""), _as_heard(condition, name), *cells, share)
    console.print(table)


def _as_heard(condition: str, name: str) -> str:
    return "as it is" if name == "noisy" and condition == "clean" else name


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value


def _with_interval(score: Mapping[str, float | None]) -> str:
    if score["value"] is None:
        return "–"
    text = f"{score['value']:.3f}"
    if score["low"] is None or score["high"] is None:
        return text
    return f"{text} [{score['low']:.3f}, {score['high']:.3f}]"
