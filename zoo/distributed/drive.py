"""Hand tasks to workers until all are done; a lost worker's task goes to another."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from zoo.distributed.pool import Ended, Pool, Task

_DEATHS = 3  # of workers that run it, until a task is given up
_WAIT_SECONDS = 0.5  # for a task to end, until workers are looked after again


class Work(Protocol):
    """The tasks to be done. Methods that return a line return what to say of the event, which may be nothing."""

    def is_done(self) -> bool:
        """Return whether no task is left."""

    def together(self) -> AbstractContextManager:
        """Return a context in which what is written to disk may be written together, at its end."""

    def next(self, worker: str) -> Task | str:
        """Hand out a task; "wait" while running ones decide whether there is another, else "done"."""

    def begins(self, task: str, worker: str) -> str:
        """Return the line of a task that begins."""

    def finish(self, task: str, outcome: Mapping[str, Any], worker: str) -> str:
        """Keep an outcome. Raises UserError for one that ends all work."""

    def release(self, task: str, worker: str, cause: str) -> str:
        """Take a task back from a lost worker."""

    def give_up(self, task: str, reason: str, seconds: float, worker: str) -> str:
        """Keep that a task cannot be run, `seconds` after it began."""


def drive(work: Work, pool: Pool, on_event: Callable[[str], None] = print) -> None:
    """Do all work on the workers of a pool, which is closed then.

    Raises UserError where no worker can be started, or a disk is full; KeyboardInterrupt on Ctrl-C and SIGTERM.
    """
    running: dict[str, tuple[str, float]] = {}  # worker and start by task
    deaths: Counter[str] = Counter()
    done = work.is_done()
    ask = not done
    with _sigterm_interrupts():
        try:
            while running or not done:
                begun: list[tuple[str, Task]] = []
                with work.together():
                    for worker in pool.free() if ask else ():
                        found = work.next(worker)
                        if isinstance(found, str):
                            done, ask = found == "done", False  # until a task ends
                            break
                        begun.append((worker, found))
                for worker, task in begun:
                    running[task.name] = worker, time.monotonic()
                    pool.start(worker, task)
                    on_event(work.begins(task.name, worker))
                if ended := pool.wait(_WAIT_SECONDS):
                    with work.together():
                        lines = [_take(work, one, *running.pop(one.task), deaths) for one in ended]
                    for line in lines:
                        on_event(line)
                    ask = True
        finally:
            pool.close()


def _take(work: Work, ended: Ended, worker: str, since: float, deaths: Counter[str]) -> str:
    """Keep a task's outcome, or take it back from a lost worker; return what to say of it."""
    if ended.outcome is not None:
        return work.finish(ended.task, ended.outcome, worker)
    deaths[ended.task] += ended.began
    if deaths[ended.task] < _DEATHS:
        return work.release(ended.task, worker, ended.cause)
    reason = f"its worker died {_DEATHS} times ({ended.cause})"
    return work.give_up(ended.task, reason, time.monotonic() - since, worker)


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Make SIGTERM end the work as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():  # signals do not reach it
        yield
        return
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
