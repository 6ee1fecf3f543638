"""Plot a search: importance, parallel coordinates, learning curves."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from tuning.trials import Trial
from zoo.errors import UserError
from zoo.reports import style
from zoo.reports.figures import save
from zoo.utils.atomic_files import read_csv
from zoo.utils.json_files import read_json

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CURVES = 10  # trials in the figure
_AXES = 8  # of parallel coordinates in a row, so that their names and values have room on a page
_LONGEST = 14  # characters of a choice beside its axis
_UNITS = {"ms": "(ms)", "hz": "(Hz)", "db": "(dB)", "seconds": "(s)"}  # by the last word of a name
_OBJECTIVES = {"validation_ua": "Validation UA (0 to 1)", "validation_ccc": "Validation CCC", "validation_r2": "R²"}


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


def parameter_name(name: str) -> str:
    """Return a hyper-parameter's name as figures show it, with its unit: "recurrent units", "hop (ms)"."""
    words = name.removeprefix("option.").split("_")
    return style.name(" ".join([*words[:-1], _UNITS.get(words[-1], words[-1])] if len(words) > 1 else words))


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


def plot_importance(rows: Sequence[Mapping[str, Any]], path: Path, about: str) -> None:
    """Draw importance.png, .svg and .pdf, as `importance_figure` does."""
    save(importance_figure(rows), path, "Importance of each hyper-parameter to the score", about)


@style.styled
def importance_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw each hyper-parameter's share as a bar, alone, and behind it with its interactions; the numbers beside."""
    from matplotlib.figure import Figure

    names = [parameter_name(row["parameter"]) for row in rows[::-1]]
    alone, total = ([100 * row[name] for row in rows[::-1]] for name in ("importance", "with_interactions"))
    figure = Figure(figsize=(style.COLUMN_INCHES, 1.6 + 0.19 * len(rows)))
    axes = figure.subplots()
    axes.barh(names, total, color="#BBBBBB", label="with interactions")
    axes.barh(names, alone, color=style.BLUE, height=0.5, label="alone")
    for place, (one, both) in enumerate(zip(alone, total, strict=True)):
        axes.text(103, place, f"{one:.0f}, {both:.0f} %", va="center", fontsize=style.SMALL_POINTS)
    axes.set(xlabel="Share of the score's variance (%)", xlim=(0, 100))
    axes.grid(axis="x")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
    return figure


def plot_parallel(space: Mapping[str, Any], trials: Sequence[Trial], best: Trial, path: Path, about: str) -> None:
    """Draw parallel.png, .svg and .pdf, as `parallel_figure` does."""
    save(parallel_figure(space, trials, best), path, "Hyper-parameters and score of each trial", about)


@style.styled
def parallel_figure(space: Mapping[str, Any], trials: Sequence[Trial], best: Trial) -> Figure:
    """Draw a line per completed trial, coloured by score, through an axis per hyper-parameter that varies.

    More axes than a page has room for are drawn in rows, each of which ends with the score.
    """
    from matplotlib.figure import Figure

    done = sorted((trial for trial in trials if trial.status == "completed"), key=lambda trial: trial.score or 0.0)
    names = varying(space, done)
    n_rows = max(1, -(-len(names) // _AXES))
    size = -(-len(names) // n_rows)
    figure = Figure(figsize=(style.PAGE_INCHES, 0.6 + 2.6 * n_rows))
    for row, host in enumerate(figure.subplots(n_rows, squeeze=False)[:, 0]):
        _parallel(host, space, done, names[row * size : (row + 1) * size], best)
        if row == 0:
            host.legend(loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
    return figure


def _parallel(host: Axes, space: Mapping[str, Any], done: Sequence[Trial], names: Sequence[str], best: Trial) -> None:
    """Draw one row of axes on `host`: those of the hyper-parameters `names`, and the score."""
    from matplotlib import colormaps

    scores = np.array([trial.score for trial in done], dtype=float)
    width = max(len(names), 1)
    host.set(xlim=(0, width), ylim=(0, 1), yticks=[])
    host.set_xticks(range(len(names) + 1), [*(fill(parameter_name(name), _LONGEST) for name in names), "score"])
    host.tick_params(axis="x", length=0, pad=9)  # below the lowest value
    host.spines[:].set_visible(False)
    axes = [(space[name], [trial.values[name] for trial in done]) for name in names] + [(None, list(scores))]
    heights = [_axis(host, place / width, *axis) for place, axis in enumerate(axes)]
    colours = colormaps[style.SHADES](0.9 * (scores - scores.min()) / (np.ptp(scores) or 1))
    for trial, line, colour in zip(done, np.array(heights).T, colours, strict=True):
        is_best = trial.id == best.id
        look = {"color": style.ORANGE, "linewidth": 2.5, "zorder": 3} if is_best else {"color": colour, "alpha": 0.7}
        label = f"best trial, {trial.id}" if is_best else None
        host.plot(range(len(line)), line, linestyle="-", label=label, **look)


def plot_learning(found: Sequence[Curve], best: Trial, path: Path, about: str) -> None:
    """Draw learning-curves.png, .svg and .pdf, as `learning_figure` does."""
    save(learning_figure(found, best), path, "Learning curves of the best trials", about)


@style.styled
def learning_figure(found: Sequence[Curve], best: Trial) -> Figure:
    """Draw validation scores by epoch, from 1, mean over inner folds; dotted where a fold has stopped."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(style.PAGE_INCHES, 3.4))
    axes = figure.subplots()
    for item, colour in zip(found, colormaps[style.SHADES](np.linspace(0.9, 0, len(found))), strict=True):
        mean, whole = item.mean, item.whole
        epochs = np.arange(1, len(mean) + 1)
        is_best = item.trial == best.id
        look = {"color": style.ORANGE, "linewidth": 2.5, "zorder": 3} if is_best else {"color": colour}
        marker = "." if whole < 30 else None
        label = f"{item.trial}, best" if is_best else item.trial
        (line,) = axes.plot(epochs[:whole], mean[:whole], linestyle="-", marker=marker, label=label, **look)
        if whole < len(mean):
            axes.plot(epochs[whole - 1 :], mean[whole - 1 :], ":", color=line.get_color(), linewidth=1)
    axes.set(xlabel="Epoch", ylabel=f"{_OBJECTIVES.get(found[0].objective, found[0].objective)}, mean of inner folds")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid()
    axes.legend(title="trial", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure


def _axis(host: Axes, place: float, wanted: Any, values: Sequence[Any]) -> list[float]:
    """Add an axis to the host at `place` (0..1 of its width); return the heights (0..1) of the values on it."""
    axis = host.twinx()
    axis.spines[:].set_visible(False)
    axis.spines["right"].set(visible=True, position=("axes", place))
    if isinstance(wanted, list):  # choices in the space's order, evenly spaced
        choices = [in_words(choice) for choice in wanted]
        values = [choices.index(in_words(value)) for value in values]
        axis.set_yticks(range(len(choices)), [_short(choice) for choice in wanted])
        axis.set_ylim(-0.3, len(choices) - 0.7)
    elif wanted:
        low, high, sampling = wanted["low"], wanted["high"], wanted.get("sampling", "linear")
        axis.set_yscale(sampling)
        axis.set_ylim(low, high)
        axis.set_yticks(np.geomspace(low, high, 3) if sampling == "log" else np.linspace(low, high, 3))
        style.plain_numbers(axis.yaxis)
    else:
        margin = 0.05 * np.ptp(values) or 0.01
        axis.set_ylim(min(values) - margin, max(values) + margin)
        axis.set_yticks(sorted({min(values), float(np.mean([min(values), max(values)])), max(values)}))
        style.plain_numbers(axis.yaxis)
    for label in axis.get_yticklabels():  # readable where lines cross them
        label.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5})
    to_height = axis.transScale + axis.transLimits
    return [float(to_height.transform((0, value))[1]) for value in values]


def _short(choice: Any) -> str:
    """Write a choice in at most 14 characters, fractions to three digits."""
    several = isinstance(choice, list)
    text = f"[{', '.join(in_words(item, 3) for item in choice)}]" if several else in_words(choice, 3)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
