"""Read a search from its journal's events, whatever they say: one that does not fit costs its trial and no other."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tuning import journal as journals
from tuning import space as spaces
from tuning import trials as records
from tuning.trials import Event, Trial
from zoo import registry
from zoo.errors import UserError

_MOST = 10**9  # trials, epochs, folds
_FAILED = {**records.outcome({"status": "failed"}), "event": "finished", "worker": ""}


class Found(NamedTuple):
    """A search: its header, the number of trials asked for, its trials, and what was left out or failed, in words."""

    header: Mapping[str, Any]
    asked: int
    trials: list[Trial]
    notes: list[str]


def read(folder: Path) -> Found:
    """Return what a search's journal says; another process may be running it.

    Raises UserError where there is no search, its journal is damaged in both files, or the first line is no search.
    """
    events, notes = fitting(folder, journals.read(folder))
    return Found(events[0], records.asked(events), list(records.trials(events).values()), notes)


def fitting(folder: Path, events: Sequence[Event]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the events that fit together, and a note on each other one.

    A trial is failed where its outcome is impossible, such as a score beyond the metric's range, or its values are not
    of the space: then these are {}. All else that does not fit is left out, such as a second end of a trial. Raises
    UserError for a header that is none.
    """
    header = _header(folder, events[0])
    kept: list[dict[str, Any]] = [header]
    notes: list[str] = []
    trials: dict[str, Trial] = {}
    for number, event in enumerate(events[1:], start=2):
        try:
            found, note = _fitted(event, header, trials)
        except ValueError as error:
            found, note = [], f"left out: {error}"
        if note:
            notes.append(f"{folder / journals.NAMES[0]}, line {number}, {note}")
        for each in found:
            if (trial := records.changed(trials, each)) is not None:
                trials[trial.id] = trial
        kept += found
    return kept, notes


def _fitted(event: Event, header: Event, trials: Mapping[str, Trial]) -> tuple[list[dict[str, Any]], str]:
    """Return the events to take for one, and a note or "". Raises ValueError for one to be left out."""
    kind, trial = event.get("event"), event.get("trial")
    if kind == "trials" and _whole(event.get("trials"), 1):
        return [dict(event)], ""
    if kind == "proposed":
        if not (isinstance(trial, str) and re.fullmatch("[0-9]{4,9}", trial)):
            raise ValueError(f"expected a trial's number such as 0001, found {records.shown(trial)}")
        if trial in trials:
            raise ValueError(f"trial {trial} was proposed before")
        proposal = {name: event.get(name) for name in ("event", "trial", "values", "epochs", "parent")}
        reason = _misfit(proposal, header, trials)
        if not reason:
            return [proposal], ""
        proposal |= {"values": {}, "epochs": None, "parent": None}
        return [proposal, {**_FAILED, "trial": trial, "reason": reason}], f"trial {trial} failed: {reason}"
    if kind == "finished":
        if not isinstance(trial, str) or trial not in trials:
            raise ValueError(f"trial {records.shown(trial)} was not proposed")
        if trials[trial].status in records.ENDS:
            raise ValueError(f"trial {trial} had ended before")
        return _end(event, trial, records.score_range(header["model"]))
    raise ValueError(f"expected a proposal, an end or a number of trials, found {records.shown(event)}")


def _end(event: Event, trial: str, scores: tuple[float, float]) -> tuple[list[dict[str, Any]], str]:
    names = [name for name in ("status", "score", "folds", "reason", "epochs", "seconds") if name in event]
    try:
        found = records.outcome({name: event[name] for name in names}, scores)
    except ValueError as error:
        return [{**_FAILED, "trial": trial, "reason": str(error)}], f"trial {trial} failed: {error}"
    worker = event.get("worker")
    return [{**found, "event": "finished", "trial": trial, "worker": worker if isinstance(worker, str) else ""}], ""


def _misfit(proposal: Event, header: Event, trials: Mapping[str, Trial]) -> str:
    """Return why a proposal is none of the search's, or ""."""
    epochs, parent = proposal["epochs"], proposal["parent"]
    if not spaces.has(header["space"], proposal["values"]):
        return f"its values are not of the space: {records.shown(proposal['values'])}"
    if not (epochs is None or _whole(epochs, 1)):
        return f"its epochs cannot be {records.shown(epochs)}"
    if not (parent is None or (isinstance(parent, str) and parent in trials)):
        return f"it continues trial {records.shown(parent)}, which was not proposed"
    return ""


def _header(folder: Path, event: Event) -> dict[str, Any]:
    """Return a search's first event. Raises UserError where one of its values is impossible."""
    found = {**records.DEFAULTS, **event}
    base, model, epochs = found.get("base"), found.get("model"), found["max_epochs"]
    fits = {
        "event": found.get("event") == "search",
        "model": isinstance(model, str) and registry.is_known(model),
        "base": isinstance(base, Mapping)
        and isinstance(base.get("option", {}), Mapping)
        and isinstance(base.get("backend", ""), str),
        "space": isinstance(found.get("space"), Mapping) and bool(found["space"]),
        "tuner": found.get("tuner") in spaces.TUNERS,
        "seed": isinstance(found["seed"], int) and records.is_number(found["seed"], 0, 2**64),
        "inner_folds": _whole(found["inner_folds"], 1),
        "prune": found["prune"] in ("none", "median"),
        "max_epochs": _whole(epochs, 1) if found.get("tuner") == "hyperband" else epochs is None,
    }
    place = f"{folder / journals.NAMES[0]}, line 1"
    for name, fit in fits.items():
        if not fit:
            raise UserError(
                f"{place}: this is no search that can be read: {name} cannot be {records.shown(found.get(name))}; "
                "restore the file from a copy, or search into another folder"
            )
    try:
        for name, wanted in found["space"].items():
            spaces.check_values(name, wanted)
    except UserError as error:
        raise UserError(f"{place}: {error}; restore the file from a copy") from error
    return found


def _whole(found: Any, least: int) -> bool:
    return isinstance(found, int) and records.is_number(found, least, _MOST)
