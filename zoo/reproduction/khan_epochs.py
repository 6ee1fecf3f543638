"""Read the accuracy of every epoch on training and test clips, and draw it: Figure 6 of Khan, Butt, Ali 2020."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.reports import style
from zoo.reproduction import published
from zoo.runs.folder import fold_folders, read_record
from zoo.utils.atomic_files import read_csv

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIDES = {"train": ("training", "train_clips", style.BLUE), "test": ("test", "n_clips", style.ORANGE)}


def accuracy(runs: Sequence[Path], at_end: bool) -> dict[str, float]:
    """Return accuracy on training and test clips, 0..1, of the kept epochs or, `at_end`, of the last ones.

    It is the mean over runs, which recorded it (--record-accuracy); folds count by their clips.
    """
    found: dict[str, list[float]] = {side: [] for side in _SIDES}
    for run in runs:
        folds = [read_record(fold) for fold in _folds(run)]
        chosen = [-1 if at_end else record["best_epoch"] - 1 for record in folds]
        histories = [read_csv(fold / "history.csv") for fold in _folds(run)]
        for side, (_, count, _) in _SIDES.items():
            values = [float(history[epoch][f"{side}_wa"]) for history, epoch in zip(histories, chosen, strict=True)]
            found[side].append(float(np.average(values, weights=[record[count] for record in folds])))
    return {side: float(np.mean(values)) for side, values in found.items()}


def curves(run: Path) -> dict[str, np.ndarray]:
    """Return accuracy by epoch, (epochs,) in 0..1, on training and test clips; folds count by their clips.

    Where folds ended after different numbers of epochs, it ends with the first.
    """
    histories = [read_csv(fold / "history.csv") for fold in _folds(run)]
    epochs = min(map(len, histories))
    found = {}
    for side, (_, count, _) in _SIDES.items():
        values = [[float(row[f"{side}_wa"]) for row in history[:epochs]] for history in histories]
        found[side] = np.average(values, axis=0, weights=[read_record(fold)[count] for fold in _folds(run)])
    return found


def _folds(run: Path) -> list[Path]:
    folders = fold_folders(run)
    return [folders[fold["fold"]] for fold in read_record(run, ("folds",))["folds"]]


@style.styled
def figure(by_protocol: Mapping[str, Sequence[Path]], with_published: bool) -> Figure:
    """Draw the curves of runs, a panel for each protocol: every seed thin, the mean thick, published figures dotted."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(style.COLUMN_INCHES, 0.9 + 1.9 * len(by_protocol)))
    every = drawn.subplots(len(by_protocol), sharex=True, squeeze=False)[:, 0]
    for axes, (protocol, runs) in zip(every, by_protocol.items(), strict=True):
        of_runs = [curves(run) for run in runs]
        epochs = min(len(one["train"]) for one in of_runs)
        for side, (words, _, colour) in _SIDES.items():
            values = 100 * np.array([one[side][:epochs] for one in of_runs])
            steps = np.arange(1, epochs + 1)
            axes.plot(steps, values.T, color=colour, linewidth=0.4, linestyle="-", alpha=0.5)
            axes.plot(steps, values.mean(axis=0), color=colour, linestyle="-", label=f"ours, {words}")
            printed = published.find("khan-table-5", "cnn1d_mfcc", f"accuracy, {words}")
            if with_published and printed and printed.value is not None:
                axes.axhline(
                    100 * printed.value, color=colour, linestyle=":", label=f"published, {words}: {printed.printed}"
                )
        axes.set(ylabel=f"Accuracy (%)\n{style.name(protocol)}", ylim=(0, 100))
        axes.grid()
    every[0].legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
    every[-1].set_xlabel("Epoch")
    return drawn
