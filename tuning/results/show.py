"""What a search found: tables, importance, plots, TensorBoard's files, and the best configuration as a command."""

from __future__ import annotations

import math
import shlex
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tuning import search
from tuning import space as spaces
from tuning import trials as records
from tuning.results import figures, tensorboard
from tuning.results.importance import Importance, importance_of
from tuning.trials import Trial
from zoo.errors import UserError
from zoo.runs import command_line
from zoo.utils.atomic_files import write_csv

_RANKED = ("completed", "pruned")
_ROWS = 20  # on the terminal; trials.csv has them all
_FIGURES_WIDTH = 55  # of the columns before the values
_REASONS = 3
_UNFINISHED = "not finished"


def show(folder: Path) -> None:
    """Prints what a search found and writes it into its folder: trials.csv, importance.csv, PNGs, tensorboard/.

    Raises UserError where there is no search, no trial is completed, or a trial's history is damaged.
    """
    header, asked, trials = search.read(folder)
    best = records.best(trials)
    if best is None:
        raise _nothing(folder, trials)
    console = Console()
    write_csv(folder / "trials.csv", rows(header, trials))
    print_trials(header, asked, trials, console)
    importance = importance_of(header["space"], trials)
    if isinstance(importance, Importance):
        write_csv(folder / "importance.csv", importance.rows())
        figures.plot_importance(importance, folder / "importance.png", f"{header['model']}, importance")
    _print_importance(importance, console)
    title = f"{header['model']}, {sum(trial.status == 'completed' for trial in trials)} completed trials"
    figures.plot_parallel(header["space"], trials, best, folder / "parallel.png", title)
    curves = figures.curves(folder, trials)
    if curves:
        figures.plot_learning(curves, best, folder / "learning-curves.png", title)
    else:
        console.print("no learning curves: the folders of the best trials are not here")
    _print_tensorboard(folder, header, trials, console)
    console.print(Text(f"best trial: {best.id}, as a command (beside a folder of your own as --out):"))
    # soft_wrap: a line break put in by the terminal's width would end up in what is copied.
    console.print(Text(best_flags(header, best)), soft_wrap=True)


def ranked(trials: Sequence[Trial]) -> list[Trial]:
    """Returns completed trials, then pruned ones, the best first, the earlier of two; then all others."""
    scored = [trial for trial in trials if trial.status in _RANKED]
    scored.sort(key=lambda trial: (_RANKED.index(trial.status), math.inf if trial.score is None else -trial.score))
    return scored + [trial for trial in trials if trial.status not in _RANKED]


def rows(header: Mapping[str, Any], trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Returns trials.csv: a row per trial, ranked. What a trial does not have is empty; lists, None, bools are JSON."""
    n_folds = max([header["inner_folds"], *(len(trial.folds) for trial in trials)])
    return [
        {
            "trial": trial.id,
            "status": trial.status,
            "score": "" if trial.score is None else trial.score,
            "spread": "" if spread(trial) is None else spread(trial),
            **{f"fold_{n}": trial.folds[n] if n < len(trial.folds) else "" for n in range(n_folds)},
            "epochs": trial.epochs_run,
            "seconds": trial.seconds,
            "worker": trial.worker,
            "reason": trial.reason,
            **{name: figures.in_words(trial.values[name]) for name in header["space"]},
        }
        for trial in ranked(trials)
    ]


def spread(trial: Trial) -> float | None:
    """Returns the standard deviation of a trial's scores over its inner folds (n - 1), None for fewer than two."""
    return statistics.stdev(trial.folds) if len(trial.folds) > 1 else None


def print_trials(
    header: Mapping[str, Any], asked: int, trials: Sequence[Trial], console: Console | None = None
) -> None:
    """Prints the best trials as a table, and below it how many others there are and why."""
    console = console or Console()
    ended = sum(trial.status in records.COUNTED for trial in trials)
    console.print(Text(f"{header['model']}: {ended} of {asked} trials, tuner {header['tuner']}", style="bold"))
    scored = [trial for trial in ranked(trials) if trial.status in _RANKED]
    shown = scored[:_ROWS]
    values = _value_columns(header["space"], trials, shown, console.width)
    table = Table("Trial")
    for heading in ("Mean", "Spread", "Epochs", "Seconds"):
        table.add_column(heading, justify="right")
    for heading in values:
        table.add_column(Text(heading), overflow="fold")
    for trial, *words in zip(shown, *values.values(), strict=True):
        mark = "" if trial.status == "completed" else f" {trial.status}"
        figure = (_number(trial.score), _number(spread(trial)), str(trial.epochs_run), f"{trial.seconds:.0f}")
        table.add_row(Text(trial.id + mark), *figure, *(Text(word) for word in words))
    console.print(table)
    if len(scored) > _ROWS:
        console.print(Text(f"{len(scored) - _ROWS} more in trials.csv"))
    for status in ("infeasible", "failed", _UNFINISHED):
        others = [trial for trial in trials if _status(trial) == status]
        if others:
            console.print(Text(f"{status}: {len(others)}{_reasons(others)}"))


def _value_columns(space, trials, shown, width) -> dict[str, list[str]]:
    """What varies, a column each where the terminal is wide enough, else all in one."""
    names = figures.varying(space, trials)
    columns = {
        name.removeprefix(spaces.OPTION): [figures.in_words(trial.values[name], digits=3) for trial in shown]
        for name in names
    }
    needed = _FIGURES_WIDTH + sum(3 + max(map(len, (name, *words))) for name, words in columns.items())
    if len(columns) == len(names) and needed <= width:
        return columns
    pairs = [[f"{name} {figures.in_words(trial.values[name], digits=3)}" for name in names] for trial in shown]
    return {"Values": [", ".join(words) for words in pairs]}


def best_of(folder: Path) -> dict[str, Any]:
    """Returns the best trial of the search in a folder as `zoo.config.flags.from_flags` takes it, without a place
    `out`.

    Raises UserError where there is no search or no trial is completed.
    """
    header, _, trials = search.read(folder)
    best = records.best(trials)
    if best is None:
        raise _nothing(folder, trials)
    return _flags(header, best)


def best_flags(header: Mapping[str, Any], trial: Trial) -> str:
    """Returns the command that trains a trial's configuration: the search's own flags, then the trial's values.

    Quoted for a shell. The place `out` is left out. With Hyperband the epochs are those the trial had.
    """
    return shlex.join(["python", "scripts/train.py", *command_line.words(_flags(header, trial))])


def _flags(header: Mapping[str, Any], trial: Trial) -> dict[str, Any]:
    given = {"model": header["model"], **spaces.flags(header["base"], trial.values)}
    given.pop("out", None)
    return given if trial.epochs is None else {**given, "epochs": trial.epochs}


def _nothing(folder: Path, trials: Sequence[Trial]) -> UserError:
    """The error for a search without a completed trial."""
    statuses = Counter(_status(trial) for trial in trials)
    found = ", ".join(f"{n} {status}" for status, n in statuses.items()) or "none at all"
    ended = [trial for trial in trials if trial.status in records.ENDS]
    advice = f"Go on with tune.py --out {folder} --resume"
    if ended and all(trial.status == "infeasible" for trial in ended):
        advice = "Change the space (--vary, --space) or the flags, and search into another folder"
        if len(ended) == len(trials):
            return UserError(f"{folder}: every trial is infeasible, {len(ended)} of them{_reasons(ended)}. {advice}")
    elif ended:
        advice = f"Mend what made them fail, and go on with tune.py --out {folder} --resume and more --trials"
    return UserError(f"{folder}: expected a completed trial, found {found}{_reasons(ended)}. {advice}")


def _status(trial: Trial) -> str:
    return trial.status if trial.status in records.ENDS else _UNFINISHED


def _reasons(trials: Sequence[Trial]) -> str:
    """The commonest reasons of trials, e.g. "; 3 times: pooling leaves nothing"; one sentence or nothing."""
    common = Counter(" ".join(trial.reason.split()) for trial in trials if trial.reason).most_common(_REASONS)
    return "".join(f"; {n} times: {reason.rstrip('.')}" if n > 1 else f"; {reason.rstrip('.')}" for reason, n in common)


def _print_importance(importance: Importance | str, console: Console) -> None:
    if isinstance(importance, str):
        console.print(Text(f"no importance of hyper-parameters: {importance}"))
        return
    table = Table("Hyper-parameter")
    for heading in ("Importance", "With interactions"):
        table.add_column(heading, justify="right")
    for row in importance.rows():
        table.add_row(
            Text(row["parameter"]), f"{100 * row['importance']:.0f} %", f"{100 * row['with_interactions']:.0f} %"
        )
    console.print(table)
    console.print(Text(importance.in_words()))


def _print_tensorboard(folder: Path, header, trials, console) -> None:
    if tensorboard.is_installed():
        tensorboard.write(folder, header["space"], trials)
        console.print(
            Text(f"HParams: tensorboard --logdir {shlex.quote(str(folder / tensorboard.FOLDER))}"), soft_wrap=True
        )
    else:
        console.print(Text("no files for TensorBoard's HParams: install it with pip install -e '.[tensorboard]'"))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
