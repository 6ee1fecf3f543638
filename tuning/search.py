"""Propose trials, hand them out and keep their outcomes; a kill at any moment loses none."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from tuning import journal as journals
from tuning import replay
from tuning import space as spaces
from tuning import trials as records
from tuning.trials import ENDS, Trial
from zoo.errors import UserError
from zoo.version import __version__

Assignment = dict[str, Any]
Feasible = Callable[[dict[str, Any]], str | None]

# Infeasible trials in a row after which a search gives up: while nothing is finished, and later.
_MOST_INFEASIBLE, _MOST_INFEASIBLE_LATER = 100, 1000


class Search:
    """A search's folder, held by one process; thread-safe. Made by `Search.create` or `Search.open`.

    `notes` say what of its journal was damaged or did not fit.
    """

    def __init__(self, journal: journals.Journal, expect: Mapping[str, Any], feasible: Feasible | None):
        self.folder, self._journal, self._feasible = journal.folder, journal, feasible
        self._lock = threading.RLock()
        self._stalled = False  # the tuner has nothing until a trial ends, or nothing at all
        self._asked = 0
        self._together = False  # events are written now, and reach the disk at the end of `together`
        try:
            self._events, left_out = replay.fitting(self.folder, journal.events)
            self.notes = [*journal.notes, *left_out]
            records.compare(self.folder, self.header, expect)
            self._restore()
        except BaseException:
            journal.close()
            raise

    @classmethod
    def create(cls, folder: Path, description: Mapping[str, Any], feasible: Feasible | None = None) -> "Search":
        """Begin a search in a folder without one.

        `description`: "model", "base" (the user's RunConfig flags, "option" a mapping), "space", "tuner", "trials";
        optional "seed", "inner_folds", "prune", "max_epochs". `feasible` returns None, or why a trial's flags cannot be
        trained. Raises UserError for contradictory values.
        """
        first, asked = records.described(description)
        return cls(journals.Journal(folder, [{**first, "version": __version__}, asked]), {}, feasible)

    @classmethod
    def open(cls, folder: Path, expect: Mapping[str, Any] | None = None, feasible: Feasible | None = None) -> "Search":
        """Continue a search; trials that were running are handed out again first.

        `expect`: names of the description or of base flags, such as "corpus", with the values wanted. Raises
        UserError where the search has others, is of another version, or is held by another process.
        """
        return cls(journals.Journal(folder), {"version": __version__, **(expect or {})}, feasible)

    def next(self, worker: str) -> Assignment | str:
        """Hand out a trial as JSON; "wait" while running trials decide whether there is another, else "done".

        "prune_below": for each number of folds, the median of completed trials' mean score on so many. Raises
        UserError when many combinations in a row are infeasible, or the journal cannot be written.
        """
        with self._lock:
            while True:
                trial = self._first_waiting() or self._propose()
                if isinstance(trial, str):
                    return trial
                header = self.header
                flags = spaces.flags({**header["base"], "model": header["model"]}, trial.values)
                reason = self._feasible(flags) if self._feasible else None
                if reason is None:
                    break
                self._end(trial.id, {"status": "infeasible", "reason": reason}, worker)
            self._put(replace(trial, status="running", worker=worker))
            folds = header["inner_folds"]
            return {
                "trial": trial.id,
                "values": trial.values,
                "epochs": trial.epochs,
                "parent": trial.parent,
                "flags": flags,
                "inner_folds": folds,
                "prune_below": records.medians(self.trials, folds) if header["prune"] == "median" else None,
            }

    def finish(self, trial: str, outcome: Mapping[str, Any], worker: str) -> bool:
        """Write an outcome to disk; return False where the trial had one already.

        Raises ValueError for an impossible outcome, such as a score beyond its metric's range, UserError when the
        journal cannot be written; then the trial still runs.
        """
        with self._lock:
            if self._state[trial].status in ENDS:
                return False
            self._end(trial, outcome, worker)
            return True

    def release(self, trial: str) -> None:
        """Take a running trial back from a dead worker; `next` hands it out again first."""
        with self._lock:
            if self._state[trial].status == "running":
                self._put(replace(self._state[trial], status="waiting", worker=""))

    @contextmanager
    def together(self) -> Iterator[None]:
        """Let the events of several calls reach the disk at once, when the block ends: tell nobody of them before."""
        with self._lock:
            self._together = True
            try:
                yield
            finally:
                self._together = False
                self._journal.sync()

    def raise_to(self, trials: int) -> None:
        """Ask for so many finished trials in all. Raises UserError when more are finished already."""
        with self._lock:
            finished = self._finished()
            if trials < max(finished, 1):
                raise UserError(f"{self.folder}: --trials is {trials}, but {finished} trials are finished")
            if trials != self.asked:
                self._append({"event": "trials", "trials": trials})

    @property
    def trials(self) -> list[Trial]:
        """All trials in the order of their proposal."""
        with self._lock:
            return list(self._state.values())

    @property
    def asked(self) -> int:
        """Number of finished trials asked for."""
        return self._asked

    @property
    def header(self) -> Mapping[str, Any]:
        """The journal's first event: what `create` was given, and the version."""
        return self._events[0]

    def close(self) -> None:
        """Let another process open the folder."""
        self._journal.close()

    def _finished(self):
        return sum(self._counts[status] for status in records.COUNTED)

    def _first_waiting(self) -> Trial | None:
        if not self._counts["waiting"]:
            return None
        return next(trial for trial in self._state.values() if trial.status == "waiting")

    def _put(self, trial: Trial) -> None:
        """Keep a trial's new state, and how many there are of each status: a search may have very many."""
        if trial.id in self._state:
            self._counts[self._state[trial.id].status] -= 1
        self._counts[trial.status] += 1
        self._state[trial.id] = trial

    def _propose(self):
        """Write the tuner's next proposal to the journal; return that trial, "wait" or "done"."""
        from tuning import oracles  # slow, and a worker does without

        running = self._counts["running"]
        if not self._stalled and self._finished() + running < self.asked:
            self._raise_if_hopeless()
            proposal = oracles.propose(self._oracle)
            if not isinstance(proposal, str):
                self._append(proposal)
                return self._state[proposal["trial"]]
            self._stalled = True
        return "wait" if running else "done"

    def _end(self, trial, outcome, worker):
        from tuning import oracles

        found = records.outcome(outcome, records.score_range(self.header["model"]))
        event = {"event": "finished", "trial": trial, **found, "worker": worker}
        self._append(event)
        oracles.end(self._oracle, trial, event["status"], event["score"])
        self._stalled = False

    def _append(self, event):
        """Write an event; where the disk refuses it, reset the tuner to what the journal has."""
        try:
            self._journal.append(event, sync=not self._together)
        except UserError:
            running = [trial for trial in self._state.values() if trial.status == "running"]
            self._restore()
            for trial in running:
                self._put(trial)
            raise
        self._events.append(event)
        self._asked = event["trials"] if event["event"] == "trials" else self._asked
        if (changed := records.changed(self._state, event)) is not None:
            self._put(changed)

    def _restore(self):
        """Make trials and tuner from the journal. Raises UserError where the tuner proposes other values now."""
        from tuning import oracles

        header = self.header
        self._oracle = oracles.make(header["tuner"], header["space"], header["seed"], header["max_epochs"])
        proposed = {event["trial"] for event in self._events if event["event"] == "proposed"}
        told: set[str] = set()
        for event in self._events:
            following = f"{len(told) + 1:04d}"
            if event["event"] == "proposed" and (event["trial"] == following or following not in proposed):
                found = oracles.propose(self._oracle, event["values"] or None)
                if found != event and (event["values"] or event["trial"] != following):
                    raise UserError(
                        f"{self.folder}: expected the tuner to propose {event} again, found {found}: another "
                        "version of keras-tuner made this search; use that one, or another folder"
                    )
                told.add(following)
            elif event["event"] == "finished" and event["trial"] in told:
                oracles.end(self._oracle, event["trial"], event["status"], event["score"])
        self._state = records.trials(self._events)
        self._asked = records.asked(self._events)
        self._counts = Counter(trial.status for trial in self._state.values())
        self._stalled = False

    def _raise_if_hopeless(self):
        ended = (trial for trial in reversed(self._state.values()) if trial.status in ENDS)
        reasons = [trial.reason for trial in takewhile(lambda trial: trial.status == "infeasible", ended)]
        if len(reasons) >= (_MOST_INFEASIBLE_LATER if self._finished() else _MOST_INFEASIBLE):
            common = "; ".join(f"{reason} ({count} times)" for reason, count in Counter(reasons).most_common(3))
            raise UserError(
                f"{self.folder}: the last {len(reasons)} combinations tried were infeasible: {common}. "
                "Narrow the space with --vary or --space, and search into another folder"
            )
