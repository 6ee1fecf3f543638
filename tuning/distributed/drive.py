"""Hand the trials of a search to workers until the search is done; a lost worker's trial goes to another."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tuning import trials
from tuning.trials import STOP
from zoo.errors import UserError

if TYPE_CHECKING:
    from tuning.search import Search

_DEATHS = 3  # of workers that run it, until a trial counts as failed
_WAIT_SECONDS = 0.5  # for a trial to end, until workers are looked after again


class Ended(NamedTuple):
    """How a trial ended: with the outcome its worker reports, or without one.

    Then `cause` says why, and `began` whether the trial was being run, so that it may be at fault.
    """

    trial: str
    outcome: Mapping[str, Any] | None
    cause: str = ""
    began: bool = True


class Pool(Protocol):
    """A number of workers, each of which runs one trial at a time. Used from one thread."""

    def free(self) -> list[str]:
        """Return the names of the workers without a trial."""

    def start(self, worker: str, assignment: Mapping[str, Any]) -> None:
        """Give a free worker a trial, as `Search.next` returns it."""

    def wait(self, seconds: float) -> list[Ended]:
        """Return the trials that ended, as soon as one has, at the latest after so many seconds."""

    def close(self) -> None:
        """End all workers."""


def drive(search: "Search", pool: Pool, on_event: Callable[[str], None] = print) -> None:
    """Run a search to its end on the workers of a pool, which is closed then.

    Raises UserError where no worker can be started, or a disk is full; KeyboardInterrupt on Ctrl-C and SIGTERM.
    """
    running: dict[str, tuple[str, float]] = {}  # worker and start by trial
    deaths: Counter[str] = Counter()
    done = sum(trial.status in trials.COUNTED for trial in search.trials) >= search.asked
    ask = not done
    with _sigterm_interrupts():
        try:
            while running or not done:
                begun: list[tuple[str, Mapping[str, Any]]] = []
                with search.together():
                    for worker in pool.free() if ask else ():
                        found = search.next(worker)
                        if isinstance(found, str):
                            done, ask = found == "done", False  # until a trial ends
                            break
                        begun.append((worker, found))
                for worker, assignment in begun:
                    running[assignment["trial"]] = worker, time.monotonic()
                    pool.start(worker, assignment)
                    on_event(f"trial {assignment['trial']} begins on {worker}")
                if ended := pool.wait(_WAIT_SECONDS):
                    with search.together():
                        lines = [_take(search, one, *running.pop(one.trial), deaths) for one in ended]
                    for line in lines:
                        on_event(line)
                    ask = True
        finally:
            pool.close()


def _take(search: "Search", ended: Ended, worker: str, since: float, deaths: Counter[str]) -> str:
    """Keep a trial's outcome, or take it back from a lost worker; return what to say of it.

    Raises UserError for an outcome that ends the search.
    """
    trial, outcome = ended.trial, ended.outcome
    if outcome is None:
        deaths[trial] += ended.began
        if deaths[trial] < _DEATHS:
            search.release(trial)
            return f"{worker} was lost with trial {trial}: {ended.cause}"
        reason = f"its worker died {_DEATHS} times ({ended.cause})"
        outcome = trials.outcome({"status": "failed", "reason": reason, "seconds": time.monotonic() - since})
    if outcome["status"] == STOP:
        search.release(trial)
        raise UserError(f"trial {trial} on {worker}: {outcome['reason']}")
    try:
        search.finish(trial, outcome, worker)
    except ValueError as error:  # impossible for this search
        outcome = trials.outcome({"status": "failed", "reason": f"refused: {error}", "seconds": outcome["seconds"]})
        search.finish(trial, outcome, worker)
    score = "" if outcome["score"] is None else f" {outcome['score']:.4f}"
    reason = f": {outcome['reason']}" if outcome["reason"] else ""
    return f"trial {trial} {outcome['status']}{score} in {outcome['seconds']:.0f} s on {worker}{reason}"


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Make SIGTERM end the search as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():  # signals do not reach it
        yield
        return
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
