"""Show the results of an enhancement run: Figure 4.2 of D4.2, learning curves, table of figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from zoo.metrics.enhancement import ratio_db
from zoo.reports import style
from zoo.reports.figures import column, learning_curves, save
from zoo.reports.tables import print_record, table, with_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NAMES = {"noisy": "noisy", "enhanced": "enhanced", "without_detector": "without the detector"}


def plot(record: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], folder: Path, title: str) -> None:
    """Draw enhancement.png, .svg and .pdf, as `enhancement_figure` does."""
    save(enhancement_figure(record), folder / "enhancement.png", "Noisy speech before and after enhancement", title)


@style.styled
def enhancement_figure(record: Mapping[str, Any]) -> Figure:
    """Draw CCC with clean speech and mean squared error before and after enhancement.

    Bars are of every coefficient over all conditions (Figure 4.2), lines the coefficients' mean by ratio.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(style.PAGE_INCHES, 4.6))
    axes = figure.subplots(2, 2, width_ratios=(2, 1))
    ratios = [label for label in record["by_snr"] if not np.isnan(ratio_db(label))]
    for (bars, by_snr), name in zip(axes, ("ccc", "mse"), strict=True):
        for shift, system, color in ((-0.2, "noisy", "lightgrey"), (0.2, "enhanced", style.BLUE)):
            look = {"color": color, "label": _NAMES[system]}
            # As floats: of None they make NaN.
            values = np.array([item[name] for item in record["pooled"][system]["coefficients"].values()], float)
            means = np.array([record["by_snr"][label][system][name]["value"] for label in ratios], float)
            bars.bar(np.arange(len(values)) + shift, values, 0.4, edgecolor="black", **look)
            by_snr.plot(list(map(ratio_db, ratios)), means, "o-", markeredgecolor="black", **look)
        bars.set_xticks(range(len(values)))
        bars.grid(axis="y")
        by_snr.grid(axis="y")
    axes[0, 0].set(title="each MFCC, all conditions", ylabel="CCC with clean speech")
    axes[0, 1].set_title("mean of all MFCCs")
    axes[1, 0].set(xlabel="Number of the MFCC", ylabel="MSE (variances of clean speech)")
    axes[1, 1].set_xlabel("Signal-to-noise ratio (dB)")
    axes[0, 0].legend()
    return figure


def tex(record: Mapping[str, Any], title: str) -> str:
    """Return "": an enhancement's figures are drawn, and have no table for LaTeX."""
    return ""


def epoch_line(row: Mapping[str, float]) -> str:
    """Return the validation figures of an epoch as progress shows them."""
    return f"validation MSE {row['validation_mse']:.3f}, of noisy speech {row['validation_mse_noisy']:.3f}"


def plot_curves(history: Sequence[Mapping[str, Any]], path: Path, title: str, kept: int | None = None) -> None:
    """Draw curves.png, .svg and .pdf, as `curves_figure` does."""
    save(curves_figure(history, kept), path, "Learning curves", title)


def curves_figure(history: Sequence[Mapping[str, Any]], kept: int | None = None) -> Figure:
    """Draw training loss, validation error, and the validation error of noisy speech that is not enhanced.

    `kept` is the number of the epoch whose weights are kept, from 1; without it that of the highest R².
    """
    curves = {
        "training": (f"{style.BLACK} -", column(history, "loss")),
        "validation": (f"{style.BLUE} --", column(history, "validation_mse")),
        "validation, noisy as it is": (f"{style.GREY} :", column(history, "validation_mse_noisy")),
    }
    panels = {"MSE of standardised MFCCs": curves}
    return learning_curves(panels, column(history, "validation_r2"), kept=kept)


def print_metrics(metrics: Mapping[str, Any], title: str, console: Console | None = None) -> None:
    """Print the figures of an enhancement run: rows for each ratio, before and after, and the detector's errors."""
    counts = f"{metrics['n_clips']} clips of {metrics['n_speakers']} speakers, {metrics['n_frames']:,} frames"
    units = "means over the coefficients; errors in units of clean speech's variance"
    lines = [f"{counts}; in brackets the 95 % interval over speakers", units]
    shown = table("Speech", "", numbers=("MSE", "CCC", "Correlation", "Left as clean"))
    detector = metrics["detector"]
    names = {label: label if np.isnan(ratio_db(label)) else f"{label} dB" for label in metrics["by_snr"]}
    conditions = [(name, metrics["by_snr"][label], detector["by_snr"][label]) for label, name in names.items()]
    together = "all ratios" if all(name.endswith(" dB") for name in names.values()) else "all conditions"
    conditions.append((together, metrics["pooled"], detector["noisy_taken_for_clean"]))
    conditions.append(("clean", metrics["clean"], 1 - detector["clean_taken_for_noisy"]))
    for condition, figures, left in conditions:
        first = "as it is" if condition == "clean" else _NAMES["noisy"]
        for system, name in (_NAMES | {"noisy": first}).items():
            cells = [with_interval(figures[system][key]) for key in ("mse", "ccc", "pearson")]
            share = f"{100 * left:.1f} %" if system == "enhanced" else ""
            shown.add_row(condition if system == "noisy" else "", name, *cells, share)
    print_record(metrics, title, lines, shown, console)
