"""Compute Figures 5.1 and 5.2 of MixedEmotions D4.2: what CCC makes of altered traces. No data, no network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.metrics.regression import ccc, moments
from zoo.reports import style
from zoo.reproduction.job import Asked, Result, Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Of the trace of Figure 5.1: with them 2y and 2y - 1 have the printed CCC of .78 and .15.
MEAN, DEVIATION = 0.0714, 0.1995
# Variance between the two sequences of Figure 5.2 over that within: the one with which CCC is .37.
_WITHIN = 2 / 0.37 - 2
_SECONDS, _STEP_SECONDS = 300.0, 0.04


def figure_5_1(asked: Asked, folders: Mapping[str, Path]) -> Result:
    """Return CCC of a trace and its shifted, scaled, and shifted and scaled version; Pearson's r is 1 of all."""
    y = MEAN + DEVIATION * _contour(0)
    versions = {"shifted": y - 1, "scaled": 2 * y, "shifted and scaled": 2 * y - 1}
    r = min(float(moments(y, altered).pearson[0]) for altered in versions.values())
    lines = [
        f"of a made trace of mean {MEAN} and deviation {DEVIATION}, which .78 and .15 fix; Pearson's r is {r:.2f}",
        'shifted is y - 1: the caption\'s "2y" is a misprint',
    ]
    return Result(
        _rows("CCC", {name: float(ccc(y, altered)) for name, altered in versions.items()}),
        lines,
        _draw_5_1(y, versions),
    )


def figure_5_2(asked: Asked, folders: Mapping[str, Path]) -> Result:
    """Return CCC of each of two sequences' means with the sequences: one by one, and of both together."""
    truth = [MEAN + DEVIATION * (side + np.sqrt(_WITHIN) * _contour(number)) for number, side in enumerate((-1, 1))]
    means = [np.full_like(one, one.mean()) for one in truth]
    together = float(ccc(np.concatenate(truth), np.concatenate(means)))
    each = float(np.mean([ccc(*pair) for pair in zip(truth, means, strict=True)]))
    rows = _rows("value", {"mean of sequences' CCC": each, "CCC of all together": together})
    line = f"of two made sequences; .37 fixes the variance within them at {_WITHIN:.2f} times that between them"
    return Result(rows, [line], _draw_5_2(truth, means))


def _rows(column: str, values: Mapping[str, float]) -> list[Row]:
    return [Row(name, column, value) for name, value in values.items()]


def _contour(seed: int) -> np.ndarray:
    """Return a smooth random contour like a rater's, of mean 0 and deviation 1 exactly: (steps,)."""
    steps = np.arange(0, _SECONDS, _STEP_SECONDS)
    rng = np.random.default_rng(seed)
    waves = np.zeros(len(steps))
    for k in range(1, 40):
        waves += rng.normal() * np.sin(2 * np.pi * (k * steps / _SECONDS + rng.random())) / k
    return (waves - waves.mean()) / waves.std()


@style.styled
def _draw_5_1(y: np.ndarray, versions: Mapping[str, np.ndarray]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(style.PAGE_INCHES, 2.8))
    axes, seconds = figure.subplots(), np.arange(len(y)) * _STEP_SECONDS
    axes.plot(seconds, y, color=style.BLUE, linewidth=2.5, label="y, the gold standard")
    for (name, altered), line in zip(versions.items(), ("-", "--", ":"), strict=True):
        axes.plot(seconds, altered, line, color=style.BLACK, label=f"{name}: CCC {float(ccc(y, altered)):.2f}")
    axes.set(xlabel="Time (s)", ylabel="Arousal")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    return figure


@style.styled
def _draw_5_2(truth: list[np.ndarray], means: list[np.ndarray]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(style.PAGE_INCHES, 2.6))
    every = figure.subplots(1, 2, sharey=True)
    for number, (axes, one, mean) in enumerate(zip(every, truth, means, strict=True), start=1):
        seconds = np.arange(len(one)) * _STEP_SECONDS
        axes.plot(seconds, one, color=style.BLUE, label="gold standard")
        axes.plot(seconds, mean, "--", color=style.BLACK, label=f"its mean: CCC {float(ccc(one, mean)):.2f}")
        axes.set(xlabel="Time (s)", title=f"sequence {number}")
        axes.legend()
    every[0].set_ylabel("Arousal")
    return figure
