"""Read the trials of a search from its journal's events; check what a search is to be."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tuning import space as spaces
from zoo import registry
from zoo.config.run_config import RunConfig
from zoo.errors import UserError

Event = Mapping[str, Any]

COUNTED = ("completed", "pruned", "failed")  # toward the number of trials asked for
ENDS = (*COUNTED, "infeasible")
STOP = "stop"  # in place of a status: this machine can run no trial, end the search
SCORED = ("completed", "pruned")
_PRUNED_TUNERS = ("random", "grid")  # the others learn from scores of all folds
_LEAST_COMPLETED = 5  # trials before any is pruned
DEFAULTS = {"seed": 0, "inner_folds": 3, "prune": "none", "max_epochs": None}
# Lowest and highest score by task: unweighted accuracy, mean CCC, explained share of the variance (without a lowest
# value; a network that is trained at all is far above this one).
_SCORES = {"emotion": (0.0, 1.0), "continuous": (-1.0, 1.0), "enhancement": (-1e9, 1.0)}
_ROUNDING = 1e-6  # that a mean of scores may be beyond their range
_MOST = 10**9  # epochs, seconds
_OUTCOME = {"status": None, "score": None, "folds": (), "reason": "", "epochs": 0, "seconds": 0.0}


@dataclass(frozen=True)
class Trial:
    """One trial.

    `status` is "waiting", "running", or one of ENDS; `score` the mean of `folds`, higher is better. `epochs` (in all)
    and `parent` (the trial it continues) are Hyperband's. `epochs_run` were trained by the worker.
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
    """Return the first two events of a search. Raises UserError as `Search.create` does."""
    given = {**DEFAULTS, **description}
    header = {"event": "search", **{name: given[name] for name in ("model", "base", "space", "tuner", *DEFAULTS)}}
    trials, tuner, epochs = description["trials"], header["tuner"], header["max_epochs"]
    if trials < 1:
        raise UserError(f"--trials is {trials}, expected at least 1")
    if header["prune"] != "none" and tuner not in _PRUNED_TUNERS:
        raise UserError(f"--prune goes with the tuners {' and '.join(_PRUNED_TUNERS)}, found {tuner}; leave it out")
    if tuner != "hyperband" and epochs is not None:
        raise UserError(f"--max-epochs {epochs} goes with the tuner hyperband, found {tuner}; leave it out")
    if tuner == "hyperband" and epochs < 1:
        raise UserError(f"--max-epochs is {epochs}, expected at least 1")
    if tuner == "hyperband" and "epochs" in header["space"]:
        raise UserError("epochs is in the space, but hyperband sets them itself; leave it out")
    spaces.check(header["model"], header["space"])
    return [header, {"event": "trials", "trials": trials}]


def asked(events: Sequence[Event]) -> int:
    """Return the number of finished trials asked for; that of all trials where no event has it."""
    default = sum(event["event"] == "proposed" for event in events)
    return next((event["trials"] for event in reversed(events) if event["event"] == "trials"), default)


def trials(events: Iterable[Event]) -> dict[str, Trial]:
    """Return the trials by id, in the order of their proposal."""
    found: dict[str, Trial] = {}
    for event in events:
        if (trial := changed(found, event)) is not None:
            found[trial.id] = trial
    return found


def changed(trials: Mapping[str, Trial], event: Event) -> Trial | None:
    """Return the trial that an event proposes, or that it gives an outcome; None for another event."""
    if event["event"] == "proposed":
        return Trial(event["trial"], event["values"], event["epochs"], event["parent"])
    if event["event"] == "finished":
        fields = {name: event[name] for name in ("status", "score", "folds", "reason", "seconds", "worker")}
        return replace(trials[event["trial"]], epochs_run=event["epochs"], **fields)
    return None


def score_range(model: str) -> tuple[float, float]:
    """Return the lowest and the highest score of a network's trials."""
    return _SCORES[registry.get(model).task]


def outcome(found: Mapping[str, Any], scores: tuple[float, float] | None = None) -> dict[str, Any]:
    """Return an outcome with all its names; `scores` are the lowest and highest score, without them a worker's report.

    Raises ValueError, e.g. for a score that is no number or is beyond its metric's range.
    """
    found = {**_OUTCOME, **found}
    low, high = scores or _SCORES["enhancement"]
    low, high = low - _ROUNDING, high + _ROUNDING
    scored, folds, epochs = found["status"] in SCORED, found["folds"], found["epochs"]
    fits = {
        "status": found["status"] in (ENDS if scores else (*ENDS, STOP)),
        "score": is_number(found["score"], low, high) or not scored,
        "folds": isinstance(folds, list | tuple) and all(is_number(fold, low, high) for fold in folds),
        "reason": isinstance(found["reason"], str),
        "epochs": isinstance(epochs, int) and is_number(epochs, 0, _MOST),
        "seconds": is_number(found["seconds"], 0, _MOST),
    }
    between = f", expected {scores[0]:g} to {scores[1]:g}" if scores else ""
    expected = {"score": between, "folds": between}
    for name in _OUTCOME:
        if not fits[name]:
            raise ValueError(f"{name} of a trial's outcome cannot be {shown(found[name])}{expected.get(name, '')}")
    score = float(found["score"]) if scored else None
    numbers = {"score": score, "folds": [float(fold) for fold in folds], "seconds": float(found["seconds"])}
    return {**{name: found[name] for name in _OUTCOME}, **numbers}


def best(trials: Iterable[Trial]) -> Trial | None:
    """Return the completed trial of the highest score, the earlier of two, or None."""
    completed = [trial for trial in trials if trial.status == "completed"]
    return max(completed, key=lambda trial: trial.score or 0.0, default=None)


def medians(trials: Iterable[Trial], folds: int) -> list[float] | None:
    """Return, for 1 .. `folds` folds, the median of completed trials' mean score; None for too few trials."""
    completed = [trial.folds for trial in trials if trial.status == "completed" and len(trial.folds) >= folds]
    if len(completed) < _LEAST_COMPLETED:
        return None
    return [statistics.median(statistics.fmean(scores[:n]) for scores in completed) for n in range(1, folds + 1)]


def compare(folder: Path, header: Event, expect: Mapping[str, Any]) -> None:
    """Raise UserError naming what differs between a search and what the user expects it to be."""
    differ = []
    for name, wanted in expect.items():
        found = header[name] if name in header else header["base"].get(name, getattr(RunConfig, name, None))
        if name == "space":
            names = [key for key in {**found, **wanted} if found.get(key) != wanted.get(key)]
            differ += [f"space of {key} was {found.get(key)}, now {wanted.get(key)}" for key in names]
        elif found != wanted:
            differ.append(f"{name} was {found!r}, now {wanted!r}")
    if differ:
        differences = "; ".join(differ)
        raise UserError(f"{folder}: this search is for something else: {differences}. Use another folder")


def is_number(found: Any, low: float, high: float) -> bool:
    """Return whether something is a number, and no truth value, within `low` and `high`."""
    # Compared as it is: an integer of a thousand digits becomes no float.
    return isinstance(found, int | float) and not isinstance(found, bool) and low <= found <= high


def shown(found: Any) -> str:
    """Return something unexpected for a message, at most 100 characters."""
    try:
        return f"{found!r:.100}"
    except (ValueError, RecursionError):  # an integer of more digits than Python prints, lists a thousand deep
        return f"a {type(found).__name__} too large to print"
