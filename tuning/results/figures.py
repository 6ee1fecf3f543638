"""Plot a search: importance, parallel coordinates, learning curves."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tuning.trials import Trial
from zoo.errors import UserError
from zoo.reports.figures import save_png
from zoo.utils.atomic_files import read_csv
from zoo.utils.json_files import read_json

_CURVES = 10  # trials in the figure
_COLOURS, _BEST = "viridis", "tab:red"


@dataclass(frozen=True)
class Curve:
    """A trial's validation score by epoch."""

    trial: str
    objective: str  # name of the score
    mean: np.ndarray  # (epochs,), over the folds that trained so long
    whole: int  # epochs that every fold has


def varying(space: Mapping[str, Any], trials: Sequence[Trial]) -> list[str]:
    """Return the names of the hyper-parameters in which trials differ."""
    return [name for name in space if len({json.dumps(t.values[name]) for t in trials if t.values}) > 1]


def in_words(value: Any, digits: int | None = None) -> str:
    """Write words as they are, all else as JSON; fractions to so many significant digits, or all."""
    if isinstance(value, str):
        return value
    return f"{value:.{digits}g}" if digits and isinstance(value, float) else json.dumps(value)


def curves(folder: Path, trials: Sequence[Trial]) -> list[Curve]:
    """Read the learning curves of the ten best completed trials, where their run folders are present."""
    done = sorted((trial for trial in trials if trial.status == "completed"), key=lambda trial: -(trial.score or 0.0))
    return [item for trial in done[:_CURVES] if (item := curve(folder / "trials" / trial.id))]


def curve(run: Path) -> Curve | None:
    """Read a trial's learning curve from its run folder; None where absent, UserError where damaged."""
    path, histories = run / "metrics.json", sorted(run.glob("fold-*/history.csv"))
    if not (path.is_file() and histories):
        return None
    try:
        objective = read_json(path, "a trial's figures", {"objective": str})["objective"]
        folds = []
        for path in histories:
            folds.append([float(row[objective]) for row in read_csv(path)])
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise UserError(f"{path}: damaged ({error}); restore it, or remove {run} to do without") from error
    scores = np.full((len(folds), max(map(len, folds))), np.nan)
    for row, fold in zip(scores, folds, strict=True):
        row[: len(fold)] = fold
    whole = int(np.isfinite(scores).all(axis=0).sum())
    return Curve(run.name, objective, np.nanmean(scores, axis=0), whole)


def plot_importance(rows: Sequence[Mapping[str, Any]], path: Path, title: str) -> None:
    """Draw each hyper-parameter's share as a bar: alone, and behind it with its interactions."""
    names = [row["parameter"] for row in rows[::-1]]
    alone, total = ([100 * row[name] for row in rows[::-1]] for name in ("importance", "with_interactions"))
    figure, axes = _figure(7, 1.6 + 0.32 * len(rows), title, fontsize=10)
    axes.barh(names, total, color="lightgrey", label="with interactions")
    axes.barh(names, alone, color="tab:blue", height=0.5, label="alone")
    axes.set(xlabel="Share of the variance that the forest predicts (%)", xlim=(0, 100))
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="lower right")
    save_png(figure, path)


def plot_parallel(space: Mapping[str, Any], trials: Sequence[Trial], best: Trial, path: Path, title: str) -> None:
    """Draw a line per completed trial, coloured by score, through an axis per hyper-parameter that varies."""
    from matplotlib import colormaps

    done = sorted((trial for trial in trials if trial.status == "completed"), key=lambda trial: trial.score or 0.0)
    names = varying(space, done)
    scores = np.array([trial.score for trial in done], dtype=float)
    figure, host = _figure(2 + 1.3 * (len(names) + 1), 5.5, title)
    width = max(len(names), 1)
    host.set(xlim=(0, width), ylim=(0, 1), yticks=[])
    host.set_xticks(range(len(names) + 1), [*(name.removeprefix("option.") for name in names), "score"])
    host.tick_params(axis="x", rotation=20, length=0)
    host.spines[:].set_visible(False)
    axes = [(space[name], [trial.values[name] for trial in done]) for name in names] + [(None, list(scores))]
    heights = [_axis(host, place / width, *axis) for place, axis in enumerate(axes)]
    colours = colormaps[_COLOURS]((scores - scores.min()) / (np.ptp(scores) or 1))
    for trial, line, colour in zip(done, np.array(heights).T, colours, strict=True):
        is_best = trial.id == best.id
        style = {"color": _BEST, "linewidth": 3, "zorder": 3} if is_best else {"color": colour, "alpha": 0.7}
        host.plot(range(len(line)), line, label=f"best trial, {trial.id}" if is_best else None, **style)
    host.legend(loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
    save_png(figure, path)


def plot_learning(found: Sequence[Curve], best: Trial, path: Path, title: str) -> None:
    """Draw validation scores by epoch, mean over inner folds; dotted where a fold has stopped."""
    from matplotlib import colormaps
    from matplotlib.ticker import MaxNLocator

    figure, axes = _figure(8, 5.5, title)
    for item, colour in zip(found, colormaps[_COLOURS](np.linspace(0.95, 0, len(found))), strict=True):
        mean, whole = item.mean, item.whole
        epochs = np.arange(1, len(mean) + 1)
        style = {"color": _BEST, "linewidth": 2.5, "zorder": 3} if item.trial == best.id else {"color": colour}
        (line,) = axes.plot(epochs[:whole], mean[:whole], marker="." if whole < 30 else None, label=item.trial, **style)
        if whole < len(mean):
            axes.plot(epochs[whole - 1 :], mean[whole - 1 :], ":", color=line.get_color(), linewidth=1)
    axes.set(xlabel="Epoch", ylabel=f"{found[0].objective}, mean over inner folds")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)
    axes.legend(title="trial", fontsize=8)
    save_png(figure, path)


def _figure(width: float, height: float, title: str, **font: Any) -> tuple[Any, Any]:
    """Return a figure (inches) and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, wrap=True, **font)
    return figure, figure.add_subplot()


def _axis(host: Any, place: float, wanted: Any, values: Sequence[Any]) -> list[float]:
    """Add an axis to the host at `place` (0..1 of its width); return the heights (0..1) of the values on it."""
    axis = host.twinx()
    axis.spines[:].set_visible(False)
    axis.spines["right"].set(visible=True, position=("axes", place))
    axis.tick_params(axis="y", labelsize=8)
    if isinstance(wanted, list):  # choices in the space's order, evenly spaced
        choices = [in_words(choice) for choice in wanted]
        values = [choices.index(in_words(value)) for value in values]
        axis.set_yticks(range(len(choices)), choices)
        axis.set_ylim(-0.3, len(choices) - 0.7)
    elif wanted:
        axis.set_yscale(wanted.get("sampling", "linear"))
        axis.set_ylim(wanted["low"], wanted["high"])
    else:
        margin = 0.05 * np.ptp(values) or 0.01
        axis.set_ylim(min(values) - margin, max(values) + margin)
    for label in axis.get_yticklabels():  # readable where lines cross them
        label.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5})
    to_height = axis.transScale + axis.transLimits
    return [float(to_height.transform((0, value))[1]) for value in values]
