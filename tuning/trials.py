"""What the journal's events say: the trials of a search, and what the search is for. Functions of the events alone."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

from tuning import space as spaces
from zoo.config.run_config import RunConfig
from zoo.errors import UserError, unknown

Event = Mapping[str, Any]

COUNTED = ("completed", "pruned", "failed")  # toward the number of trials asked for
ENDS = (*COUNTED, "infeasible")
PRUNES = ("none", "median")
_PRUNED_TUNERS = ("random", "grid")  # the others learn from scores, which a pruned trial has of some folds only
_LEAST_COMPLETED = 5  # trials before any is pruned
_DEFAULTS = {"seed": 0, "inner_folds": 3, "prune": "none", "max_epochs": None}
_NEEDED = ("model", "base", "space", "tuner")


@dataclass(frozen=True)
class Trial:
    """What is known of one trial.

    `status` is "waiting" (proposed, nobody has it), "running", or one of ENDS. `score` and `folds` (the scores it is
    the mean of) are better when higher. `epochs` and `parent` are Hyperband's: epochs in all and the trial it goes on
    from. `epochs_run` are those the worker trained.
    """

    id: str
    values: Mapping[str, Any]
    epochs: int | None = None
    parent: str | None = None
    status: str = "waiting"
    score: float | None = None
    folds: Sequence[float] = ()
    reason: str = ""
    epochs_run: int = 0
    seconds: float = 0.0
    worker: str = ""


def described(description: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the first events of a search as `Search.create` describes it. Raises UserError as said there."""
    wanted = (*_NEEDED, "trials")
    for name in description:
        if name not in (*wanted, *_DEFAULTS):
            raise unknown("name in a search's description", name, (*wanted, *_DEFAULTS))
    for name in wanted:
        if name not in description:
            raise UserError(f"a search needs {name}, found {', '.join(description)} only")
    header = {**{name: description[name] for name in _NEEDED}, **_DEFAULTS}
    header.update((name, description[name]) for name in _DEFAULTS if name in description)
    _check(header, description["trials"])
    spaces.check(header["model"], header["space"])
    return [{"event": "search", **header}, {"event": "trials", "trials": description["trials"]}]


def asked(events: Sequence[Event]) -> int:
    """Finished trials asked for."""
    return next(event["trials"] for event in reversed(events) if event["event"] == "trials")


def trials(events: Iterable[Event]) -> dict[str, Trial]:
    """Trials by their names, in the order of their proposal."""
    found: dict[str, Trial] = {}
    for event in events:
        if event["event"] == "proposed":
            found[event["trial"]] = proposed(event)
        elif event["event"] == "finished":
            found[event["trial"]] = ended(found[event["trial"]], event)
    return found


def proposed(event: Event) -> Trial:
    return Trial(event["trial"], event["values"], event["epochs"], event["parent"])


def ended(trial: Trial, event: Event) -> Trial:
    names = ("status", "score", "folds", "reason", "seconds", "worker")
    return replace(trial, epochs_run=event["epochs"], **{name: event[name] for name in names})


def finished(trial: str, outcome: Mapping[str, Any], worker: str) -> Event:
    """Returns the event of an outcome; a completed trial without a finite score is one that failed."""
    status, score, reason = outcome["status"], outcome.get("score"), outcome.get("reason") or ""
    if score is not None and not isfinite(score):
        status, reason = ("failed" if status == "completed" else status), reason or f"its score is {score}"
        score = None
    elif status == "completed" and score is None:
        status, reason = "failed", reason or "it has no score"
    return {
        "event": "finished",
        "trial": trial,
        "status": status,
        "score": None if score is None or status not in ("completed", "pruned") else float(score),
        "folds": [float(fold) for fold in outcome.get("folds") or () if isfinite(fold)],
        "reason": reason,
        "epochs": int(outcome.get("epochs") or 0),
        "seconds": float(outcome.get("seconds") or 0.0),
        "worker": worker,
    }


def best(trials: Iterable[Trial]) -> Trial | None:
    """The completed trial of the highest score, the earlier of two; None where none is completed."""
    scored = [(trial.score, trial) for trial in trials if trial.status == "completed" and trial.score is not None]
    return max(scored, key=lambda pair: pair[0], default=(None, None))[1]


def medians(trials: Iterable[Trial], folds: int) -> list[float] | None:
    """For 1 .. `folds` folds, the median over completed trials of their mean score on so many; None for too few."""
    completed = [trial.folds for trial in trials if trial.status == "completed" and len(trial.folds) >= folds]
    if len(completed) < _LEAST_COMPLETED:
        return None
    return [statistics.median(statistics.fmean(scores[:n]) for scores in completed) for n in range(1, folds + 1)]


def compare(folder: Path, header: Event, expect: Mapping[str, Any]) -> None:
    """Raises UserError that names what differs between a search and what it is to be for."""
    differ = []
    for name, wanted in expect.items():
        found = header[name] if name in header else header["base"].get(name, getattr(RunConfig, name, None))
        if name == "space" and found != wanted:
            names = [key for key in (*found, *wanted) if found.get(key) != wanted.get(key)]
            differ += [f"space of {key} was {found.get(key)}, now {wanted.get(key)}" for key in dict.fromkeys(names)]
        elif found != wanted:
            differ.append(f"{name} was {found!r}, now {wanted!r}")
    if differ:
        raise UserError(
            f"{folder}: this search was made for something else: {'; '.join(differ)}. Resume it as it was made, or "
            "search into another folder"
        )


def _check(header, trials):
    tuner, epochs = header["tuner"], header["max_epochs"]
    if tuner not in spaces.TUNERS:
        raise unknown("tuner", tuner, spaces.TUNERS)
    if header["prune"] not in PRUNES:
        raise unknown("pruning", header["prune"], PRUNES)
    if header["prune"] != "none" and tuner not in _PRUNED_TUNERS:
        raise UserError(f"--prune {header['prune']} goes with the tuners {' and '.join(_PRUNED_TUNERS)}, found {tuner}")
    _check_number("--trials", trials, 1)
    _check_number("--inner-folds", header["inner_folds"], 1)
    _check_number("--seed", header["seed"], 0, 2**32 - 1)
    if tuner == "hyperband":
        _check_number("--max-epochs", epochs, 1)
        if "epochs" in header["space"]:
            raise UserError("epochs is in the space, but hyperband sets them itself; leave it out")
    elif epochs is not None:
        raise UserError(f"--max-epochs {epochs} goes with the tuner hyperband, found {tuner}; leave it out")


def _check_number(flag, value, least, most=float("inf")):
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        limit = f", at most {most}" if isinstance(most, int) else ""
        raise UserError(f"{flag} is {value!r}, expected a whole number, at least {least}{limit}")
