"""Draw Figure 4.2 of MixedEmotions D4.2: how alike each coefficient is to its clean version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.reports import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@style.styled
def coefficients_figure(panels: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Draw the CCC of each coefficient, a panel for each condition with what `zoo.metrics.enhancement` pools."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(style.PAGE_INCHES, 2.2 * len(panels) + 0.4))
    every = np.atleast_1d(figure.subplots(len(panels), 1, sharex=True))
    for axes, (condition, pooled) in zip(every, panels.items(), strict=True):
        for shift, system, color, words in (
            (-0.2, "noisy", "lightgrey", "not enhanced"),
            (0.2, "enhanced", style.BLUE, "enhanced"),
        ):
            values = np.array([one["ccc"] for one in pooled[system]["coefficients"].values()], float)
            places = np.arange(len(values))
            axes.bar(places + shift, values, 0.4, color=color, edgecolor="black", label=words)
        axes.set(title=condition, ylabel="CCC with clean speech")
        axes.grid(axis="y")
        axes.legend()
    every[-1].set(xlabel="Number of the MFCC", xticks=places)
    return figure
