"""Show what a search found: tables, importance, plots, TensorBoard's files, the best configuration as a command."""

import shlex
import statistics
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tuning import replay
from tuning import space as spaces
from tuning import trials as records
from tuning.results import figures, tensorboard
from tuning.results.importance import importance_of
from tuning.trials import Trial
from zoo.errors import UserError
from zoo.runs import command_line
from zoo.utils import extras
from zoo.utils.atomic_files import write_csv
from zoo.utils.json_files import document
from zoo.utils.text import printable

_ROWS = 20  # on the terminal; trials.csv has them all
_FIGURES_WIDTH = 55  # of the columns before the values
_UNFINISHED = "not finished"


def show(folder: Path, as_json: bool = False) -> None:
    """Print what a search found; write trials.csv, importance.csv, PNGs and tensorboard/ into its folder.

    With `as_json` one JSON document is printed, and nothing else.

    Raises UserError where there is no search, no trial is completed, or a trial's history is damaged.
    """
    header, asked, trials, best = _read(folder)
    console = Console(quiet=as_json)
    write_csv(folder / "trials.csv", rows(header, trials))
    _print_trials(header, asked, trials, console)
    shares, trust = importance_of(header["space"], trials)
    if shares:
        write_csv(folder / "importance.csv", shares)
        figures.plot_importance(shares, folder / "importance.png", f"{header['model']}, importance\n{trust}")
    _print_importance(shares, trust, console)
    title = f"{header['model']}, {sum(trial.status == 'completed' for trial in trials)} completed trials"
    figures.plot_parallel(header["space"], trials, best, folder / "parallel.png", title)
    curves = figures.curves(folder, trials)
    if curves:
        figures.plot_learning(curves, best, folder / "learning-curves.png", title)
    else:
        console.print("no learning curves: the folders of the best trials are not here")
    # soft_wrap: a line break put in by the terminal's width would end up in what is copied.
    if not extras.absent("tensorboard"):
        tensorboard.write(folder, header["space"], trials)
        place = shlex.quote(str(folder / tensorboard.FOLDER))
        console.print(Text(f"HParams: tensorboard --logdir {printable(place)}"), soft_wrap=True)
    else:
        console.print(Text(f"no files for TensorBoard's HParams: {extras.to_install('tensorboard')}"), soft_wrap=True)
    console.print(Text(f"best trial: {best.id}, as a command (add --out and a folder of your own):"))
    console.print(Text(printable(best_flags(header, best))), soft_wrap=True)
    if as_json:
        about = {"folder": str(folder), "model": header["model"], "tuner": header["tuner"], "asked": asked}
        about |= {"trials": rows(header, trials), "importance": shares, "importance_note": trust}
        about["best"] = {"trial": best.id, "score": best.score, "flags": _flags(header, best)}
        about["best"]["command"] = best_flags(header, best)
        sys.stdout.write(document(about))


def ranked(trials: Sequence[Trial]) -> list[Trial]:
    """Return completed trials, then pruned ones, each from the best on; then all others."""
    scored = [trial for trial in trials if trial.status in records.SCORED]
    scored.sort(key=lambda trial: (trial.status, -(trial.score or 0.0)))  # "completed" before "pruned"
    return scored + [trial for trial in trials if trial.status not in records.SCORED]


def rows(header: Mapping[str, Any], trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Return the ranked rows of trials.csv; what a trial does not have is None."""
    n_folds = max([header["inner_folds"], *(len(trial.folds) for trial in trials)])
    return [
        {
            "trial": trial.id,
            "status": trial.status,
            "score": trial.score,
            "spread": _spread(trial),
            **{f"fold_{n}": trial.folds[n] if n < len(trial.folds) else None for n in range(n_folds)},
            "epochs": trial.epochs_run,
            "seconds": trial.seconds,
            "worker": trial.worker,
            "reason": trial.reason,
            **{name: figures.in_words(trial.values[name]) if trial.values else "" for name in header["space"]},
        }
        for trial in ranked(trials)
    ]


def best_of(folder: Path) -> dict[str, Any]:
    """Return the best trial's flags, without `out`. Raises UserError where no trial is completed."""
    header, _, _, best = _read(folder)
    return _flags(header, best)


def best_flags(header: Mapping[str, Any], trial: Trial) -> str:
    """Return the command that trains a trial's configuration, quoted for a shell, without --out."""
    return shlex.join(["python", "scripts/train.py", *command_line.words(_flags(header, trial))])


def _flags(header: Mapping[str, Any], trial: Trial) -> dict[str, Any]:
    given = {"model": header["model"], **spaces.flags(header["base"], trial.values)}
    given.pop("out", None)
    return given if trial.epochs is None else {**given, "epochs": trial.epochs}  # those of Hyperband's rung


def _read(folder: Path) -> tuple[Mapping[str, Any], int, list[Trial], Trial]:
    """Return header, number of trials asked for, trials and the best one."""
    header, asked, trials, _ = replay.read(folder)
    best = records.best(trials)
    if best is not None:
        return header, asked, trials, best
    found = ", ".join(f"{n} {status}" for status, n in Counter(map(_status, trials)).items()) or "none at all"
    raise UserError(
        f"{folder}: expected a completed trial, found {found}{_reasons(trials)}. Mend what made trials fail "
        f"and go on with tune.py --out {folder} --resume, or search another --space into another folder"
    )


def _spread(trial: Trial) -> float | None:
    """Return the standard deviation of a trial's scores over its inner folds (n - 1)."""
    return statistics.stdev(trial.folds) if len(trial.folds) > 1 else None


def _print_trials(header, asked: int, trials: Sequence[Trial], console: Console) -> None:
    """Print the best trials as a table, and below it how many others there are and why."""
    ended = sum(trial.status in records.COUNTED for trial in trials)
    console.print(Text(f"{header['model']}: {ended} of {asked} trials, tuner {header['tuner']}", style="bold"))
    scored = [trial for trial in ranked(trials) if trial.status in records.SCORED]
    shown = scored[:_ROWS]
    values = _value_columns(header["space"], trials, shown, console.width)
    table = _table("Trial", "Mean", "Spread", "Epochs", "Seconds")
    for heading in values:
        table.add_column(Text(heading), overflow="fold")
    for trial, *words in zip(shown, *values.values(), strict=True):
        mark = "" if trial.status == "completed" else f" {trial.status}"
        numbers = ("–" if value is None else f"{value:.3f}" for value in (trial.score, _spread(trial)))
        table.add_row(Text(trial.id + mark), *numbers, str(trial.epochs_run), f"{trial.seconds:.0f}", *map(Text, words))
    console.print(table)
    if len(scored) > _ROWS:
        console.print(Text(f"{len(scored) - _ROWS} more in trials.csv"))
    for status in ("infeasible", "failed", _UNFINISHED):
        others = [trial for trial in trials if _status(trial) == status]
        if others:
            console.print(Text(f"{status}: {len(others)}{_reasons(others)}"))


def _table(first: str, *others: str) -> Table:
    """Return an empty table, all its columns but the first right-aligned."""
    table = Table(first)
    for heading in others:
        table.add_column(heading, justify="right")
    return table


def _value_columns(space, trials, shown, width) -> dict[str, list[str]]:
    """Return a column per varying hyper-parameter, or one for all on a narrow terminal."""
    names = figures.varying(space, trials)
    words = {name: [printable(figures.in_words(trial.values[name], digits=3)) for trial in shown] for name in names}
    columns = {printable(name.removeprefix(spaces.OPTION)): column for name, column in words.items()}
    needed = _FIGURES_WIDTH + sum(3 + max(map(len, (name, *column))) for name, column in columns.items())
    if len(columns) == len(names) and needed <= width:
        return columns
    return {
        "Values": [", ".join(f"{printable(name)} {words[name][row]}" for name in names) for row in range(len(shown))]
    }


def _status(trial: Trial) -> str:
    return trial.status if trial.status in records.ENDS else _UNFINISHED


def _reasons(trials: Sequence[Trial]) -> str:
    """Return the three commonest reasons of trials, e.g. "; 3 times: pooling leaves nothing"."""
    common = Counter(" ".join(trial.reason.split()) for trial in trials if trial.reason).most_common(3)
    reasons = [(printable(reason.rstrip(".")), n) for reason, n in common]
    return "".join(f"; {n} times: {reason}" if n > 1 else f"; {reason}" for reason, n in reasons)


def _print_importance(shares: Sequence[Mapping[str, Any]], trust: str, console: Console) -> None:
    if not shares:
        console.print(Text(f"no importance of hyper-parameters: {trust}"))
        return
    table = _table("Hyper-parameter", "Importance", "With interactions")
    for row in shares:
        numbers = (f"{100 * row[name]:.0f} %" for name in ("importance", "with_interactions"))
        table.add_row(Text(printable(row["parameter"])), *numbers)
    console.print(table)
    console.print(Text(trust))
