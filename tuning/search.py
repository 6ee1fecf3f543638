"""A search: trials proposed, handed out, and their outcomes kept, so that a kill at any moment costs none of them."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import zoo
import zoo.version
from tuning import journal as journals
from tuning import space as spaces
from tuning import trials as records
from tuning.trials import ENDS, Trial
from zoo.errors import UserError, unknown

Assignment = dict[str, Any]
Feasible = Callable[[dict[str, Any]], str | None]

# Infeasible trials in a row after which a search gives up: while nothing is finished, and later.
_MOST_INFEASIBLE, _MOST_INFEASIBLE_LATER = 100, 1000


def read(folder: Path) -> tuple[Mapping[str, Any], int, list[Trial]]:
    """Returns header, trials asked for and trials of a search without opening it: a chief may be at work on it.

    Raises UserError where no search is, or its journal is damaged in both files.
    """
    events = journals.read(folder)
    return events[0], records.asked(events), list(records.trials(events).values())


class Search:
    """One search folder, held by one process. `Search.create` or `Search.open` make it.

    All methods may be called from several threads.
    """

    def __init__(self, folder: Path, journal: journals.Journal, feasible: Feasible | None):
        self.folder, self._journal, self._feasible = folder, journal, feasible
        self._lock = threading.RLock()
        self._stalled = self._exhausted = False  # the tuner has nothing until a trial ends, or nothing at all
        try:
            self._restore()
        except BaseException:
            journal.close()
            raise

    @classmethod
    def create(cls, folder: Path, description: Mapping[str, Any], feasible: Feasible | None = None) -> "Search":
        """Begins a search.

        Args:
            folder: a new one, or one without a search.
            description: "model", "base" (RunConfig flags of the user, JSON, "option" a mapping), "space", "tuner" and
                "trials"; where wanted "seed", "inner_folds", "prune" and "max_epochs" (of a trial; Hyperband needs it).
            feasible: called with a trial's flags; returns None, or the reason why they cannot be trained.

        Raises UserError for what is unknown or does not fit together, and for a folder that holds a search.
        """
        first, asked = records.described(description)
        events = [{**first, "version": zoo.__version__}, asked]
        return cls(folder, journals.Journal.create(folder, events), feasible)

    @classmethod
    def open(cls, folder: Path, expect: Mapping[str, Any] | None = None, feasible: Feasible | None = None) -> "Search":
        """Goes on with a search; what was running is handed out again first.

        `expect` is what the search is to be for: names of its description or of its base flags, such as "corpus".
        Raises UserError where it is for another, was made by another version, or another process is at work on it.
        """
        journal = journals.Journal.open(folder)
        try:
            records.compare(folder, journal.events[0], {"version": zoo.__version__, **(expect or {})})
        except UserError:
            journal.close()
            raise
        return cls(folder, journal, feasible)

    def next(self, worker: str) -> Assignment | str:
        """Hands out a trial; "wait" while running ones decide whether there is another, "done" when there is none.

        {"trial": "0001", "values", "flags" for config.from_flags, "epochs", "parent", "inner_folds", "prune_below"},
        all of it JSON. "prune_below" has for each number of folds the median over completed trials of their mean score
        on so many folds, or is None. Raises UserError when every combination tried was infeasible, and when the
        journal cannot be written.
        """
        with self._lock:
            while True:
                trial = self._waiting() or self._propose()
                if isinstance(trial, str):
                    return trial
                reason = self._feasible(spaces.flags(self._base(), trial.values)) if self._feasible else None
                if reason is None:
                    return self._hand_out(trial, worker)
                self._end(trial, {"status": "infeasible", "reason": reason}, worker)

    def finish(self, trial: str, outcome: Mapping[str, Any], worker: str) -> bool:
        """Keeps an outcome; it is on the disk when this returns. False where the trial had one already.

        `outcome`: "status" (one of ENDS), "score", "folds", "reason", "epochs" and "seconds". A completed trial whose
        score is not a finite number is kept as failed. Raises UserError for an unknown trial or status, and when the
        journal cannot be written: then the trial still runs.
        """
        with self._lock:
            record = self._get(trial)
            if outcome.get("status") not in ENDS:
                raise unknown("status of a trial", str(outcome.get("status")), ENDS)
            if record.status in ENDS:
                return False
            self._end(record, outcome, worker)
            return True

    def release(self, trial: str) -> None:
        """Takes a running trial back from its worker, which died; `next` hands it out again first."""
        with self._lock:
            record = self._get(trial)
            if record.status == "running":
                self._state[trial] = replace(record, status="waiting", worker="")

    def raise_to(self, trials: int) -> None:
        """Asks for so many finished trials in all. Raises UserError when more are finished already."""
        with self._lock:
            finished = self._finished()
            if trials < max(finished, 1):
                raise UserError(
                    f"{self.folder}: --trials is {trials}, but {finished} trials are finished; give {max(finished, 1)} "
                    "or more"
                )
            if trials != self.asked:
                self._append({"event": "trials", "trials": trials})

    @property
    def trials(self) -> list[Trial]:
        """All trials in the order of their proposal."""
        with self._lock:
            return list(self._state.values())

    @property
    def asked(self) -> int:
        """Finished trials asked for."""
        return records.asked(self._journal.events)

    @property
    def header(self) -> Mapping[str, Any]:
        """The journal's first event: version, model, base, space, tuner, seed, inner_folds, prune, max_epochs."""
        return self._journal.events[0]

    @property
    def exhausted(self) -> bool:
        """Whether the tuner has no further combination though fewer trials are finished than asked for."""
        with self._lock:
            return self._exhausted and self._finished() < self.asked

    def best(self) -> Trial | None:
        """The completed trial of the highest score, the earlier of two; None where none is completed."""
        return records.best(self.trials)

    def close(self) -> None:
        """Lets another process open the folder."""
        self._journal.close()

    def _base(self):
        return {**self.header["base"], "model": self.header["model"]}

    def _finished(self):
        return sum(trial.status in records.COUNTED for trial in self._state.values())

    def _get(self, trial):
        if trial not in self._state:
            raise unknown(f"trial of {self.folder}", trial, self._state)
        return self._state[trial]

    def _hand_out(self, trial, worker):
        self._state[trial.id] = replace(trial, status="running", worker=worker)
        fields = {name: value for name, value in asdict(trial).items() if name in ("values", "epochs", "parent")}
        flags = spaces.flags(self._base(), trial.values)
        prune_below = None
        if self.header["prune"] == "median":
            prune_below = records.medians(self._state.values(), self.header["inner_folds"])
        more = {"inner_folds": self.header["inner_folds"], "prune_below": prune_below}
        return {"trial": trial.id, **fields, "flags": flags, **more}

    def _waiting(self):
        return next((trial for trial in self._state.values() if trial.status == "waiting"), None)

    def _propose(self):
        """Asks the tuner and keeps its proposal; returns that trial, "wait" or "done"."""
        from tuning import oracles

        running = sum(trial.status == "running" for trial in self._state.values())
        if not self._stalled and self._finished() + running < self.asked:
            self._raise_if_hopeless()
            proposal = oracles.propose(self._oracle)
            if not isinstance(proposal, str):
                self._append({"event": "proposed", **asdict(proposal)})
                self._state[proposal.trial] = records.proposed(self._journal.events[-1])
                return self._state[proposal.trial]
            self._stalled, self._exhausted = True, proposal == "done"
        return "wait" if running else "done"

    def _end(self, trial, outcome, worker):
        from tuning import oracles

        self._append(records.finished(trial.id, outcome, worker))
        event = self._journal.events[-1]
        oracles.end(self._oracle, trial.id, event["status"], event["score"])
        self._state[trial.id] = records.ended(trial, event)
        self._stalled = False

    def _append(self, event):
        """Keeps an event. Where the disk refuses it, the tuner goes back to what the journal has."""
        try:
            self._journal.append(event)
        except UserError:
            running = {key: trial for key, trial in self._state.items() if trial.status == "running"}
            self._restore()
            self._state.update(running)
            raise

    def _restore(self):
        """Makes trials and tuner from the journal."""
        events = self._journal.events
        self._oracle = _replay(self.folder, events)
        self._state = records.trials(events)
        self._stalled = self._exhausted = False

    def _raise_if_hopeless(self):
        reasons = []
        for trial in reversed(self._state.values()):
            if trial.status == "infeasible":
                reasons.append(trial.reason)
            elif trial.status in ENDS:
                break
        finished = self._finished()
        if len(reasons) >= (_MOST_INFEASIBLE_LATER if finished else _MOST_INFEASIBLE):
            which = f"the last {len(reasons)} combinations tried were" if finished else "every combination tried was"
            common = "; ".join(f"{reason} ({count} times)" for reason, count in Counter(reasons).most_common(3))
            raise UserError(
                f"{self.folder}: {which} infeasible: {common}. Narrow the space with --vary or --space, and search "
                "into another folder"
            )


def _replay(folder, events):
    """Returns the tuner as it was after the events. Raises UserError where it proposes other values now."""
    from tuning import oracles  # slow, and a worker does without

    header = events[0]
    oracle = oracles.make(header["tuner"], header["space"], header["seed"], header["max_epochs"])
    for event in events:
        if event["event"] == "proposed":
            proposal = oracles.propose(oracle, event["values"])
            found = proposal if isinstance(proposal, str) else {"event": "proposed", **asdict(proposal)}
            if found != event:
                raise UserError(
                    f"{folder}: expected the tuner to propose trial {event['trial']} again as {event['values']}, found "
                    f"{found if isinstance(found, str) else found['values']}: this search was made by another version "
                    "of the zoo or of keras-tuner; go on with that one, or search into another folder"
                )
        elif event["event"] == "finished":
            oracles.end(oracle, event["trial"], event["status"], event["score"])
    return oracle
