"""Lease the trials of a search to workers: a lost worker's trial goes to another."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tuning.trials import STOP, outcome
from zoo.errors import UserError

if TYPE_CHECKING:
    from tuning.search import Search

_DEATHS = 3  # of processes that run it, until a trial counts as failed
_SILENT_SECONDS = 2.0  # a waiting worker sends requests more often than this


@dataclass
class Lease:
    """One worker process's hold on a trial. `running`: its imports are done."""

    worker: str
    process: str
    since: float
    until: float
    running: bool = False


class Desk:
    """Hand out trials and take their outcomes. Thread-safe.

    A worker has a name, for people, and a process: an identifier that no two processes share.
    """

    def __init__(self, search: "Search", lease_seconds: float, on_event: Callable[[str], None]):
        self.lease_seconds = lease_seconds
        self._search, self._on_event = search, on_event
        self._lock = threading.RLock()
        self._leases: dict[str, Lease] = {}
        self._deaths: Counter[str] = Counter()
        self._asked: dict[str, float] = {}  # last request of each process, until it knows of the end
        self._began: set[str] = set()
        self._gone: set[str] = set()
        self._done = self._closed = False
        self._failure: BaseException | None = None
        self._checked = time.monotonic()

    def next(self, worker: str, process: str) -> dict[str, Any]:
        """Return {"do": "wait" | "done"} or {"do": "run", "assignment", "lease_seconds"}."""
        self._seen(process)
        self._release_of(process)  # its last answer never arrived
        found = self._search.next(worker)  # outside the lock: it may take seconds
        with self._lock:
            self._release_of(process)  # two requests at once
            if found == "done":
                self._done = True
                self._asked.pop(process, None)
            if isinstance(found, str):
                return {"do": found}
            trial, now = found["trial"], time.monotonic()
            self._leases[trial] = Lease(worker, process, now, now + self.lease_seconds)
            if process in self._gone:  # it died while its trial was proposed
                self._release_of(process)
                return {"do": "wait"}
            self._on_event(f"trial {trial} begins on {worker}")
        return {"do": "run", "assignment": found, "lease_seconds": self.lease_seconds}

    def beat(self, process: str, trial: str, running: bool) -> bool:
        """Renew a lease; return False when the process does not hold it."""
        with self._lock:
            self._seen(process)
            lease = self._leases.get(trial)
            if lease is None or lease.process != process:
                return False
            lease.until = time.monotonic() + self.lease_seconds
            if running:
                lease.running = True
                self._began.add(process)
            return True

    def finish(self, worker: str, process: str, trial: str, outcome: Mapping[str, Any]) -> bool:
        """Keep an outcome; return False when the process does not hold the trial. Raises ValueError as the search."""
        with self._lock:
            if not self.beat(process, trial, running=True):
                return False
            if outcome["status"] == STOP:
                self._release_of(process)
                self.fail(UserError(f"trial {trial} on {worker}: {outcome['reason']}"))
            else:
                self._keep(trial, outcome, worker)
            return True

    def process_ended(self, worker: str, process: str, code: int) -> None:
        """Free the trial of a process that ended with this exit code for another worker."""
        with self._lock:
            self._gone.add(process)
            self._asked.pop(process, None)
            for trial in self._held_by(process):
                self._lost(trial, f"its process died {_DEATHS} times", f"exit code {code}")

    def expire(self) -> None:
        """Free the trials of workers that sent no heartbeat."""
        with self._lock:
            now = time.monotonic()
            asleep, self._checked = now - self._checked > self.lease_seconds / 2, now
            for trial, lease in list(self._leases.items()):
                if asleep:  # this process itself was stopped: heartbeats are still unread
                    lease.until = now + self.lease_seconds
                elif lease.until < now:
                    self._lost(trial, f"its worker was lost {_DEATHS} times", f"silent for {self.lease_seconds:g} s")

    def fail(self, error: BaseException) -> None:
        """End the search with an error, the first one given; `over` raises it."""
        with self._lock:
            self._failure = self._failure or error

    def close(self) -> None:
        """Take no more outcomes, once what is being written is on disk."""
        with self._lock:
            self._closed = True

    @property
    def closed(self) -> bool:
        return self._closed or self._failure is not None

    def over(self) -> bool:
        """Return whether the search is done. Raises what made it fail."""
        with self._lock:
            if self._failure is not None:
                raise self._failure
            return self._done and not self._leases

    def anyone_waiting(self) -> bool:
        """Return whether a live worker does not know yet that the search is done."""
        with self._lock:
            return any(time.monotonic() - asked < _SILENT_SECONDS for asked in self._asked.values())

    def began(self, process: str) -> bool:
        """Return whether a process got as far as running a trial."""
        return process in self._began

    def _seen(self, process: str) -> None:
        with self._lock:
            if process not in self._gone:
                self._asked[process] = time.monotonic()

    def _release_of(self, process: str) -> None:
        with self._lock:
            for trial in self._held_by(process):
                self._release(trial)

    def _held_by(self, process: str) -> list[str]:
        return [trial for trial, lease in self._leases.items() if lease.process == process]

    def _release(self, trial: str) -> None:
        del self._leases[trial]
        self._search.release(trial)

    def _lost(self, trial: str, reason: str, cause: str) -> None:
        """Release a trial, or record it as failed when its processes died too often."""
        lease = self._leases[trial]
        self._deaths[trial] += lease.running  # else the trial did not cause it
        self._on_event(f"{lease.worker} was lost with trial {trial}: {cause}")
        if self._deaths[trial] < _DEATHS:
            self._release(trial)
        else:
            seconds = time.monotonic() - lease.since
            failed = outcome({"status": "failed", "reason": f"{reason} ({cause})", "seconds": seconds})
            self._keep(trial, failed, lease.worker)

    def _keep(self, trial: str, outcome: Mapping[str, Any], worker: str) -> None:
        self._search.finish(trial, outcome, worker)
        del self._leases[trial]
        score = "" if outcome["score"] is None else f" {outcome['score']:.4f}"
        reason = f": {outcome['reason']}" if outcome["reason"] else ""
        self._on_event(f"trial {trial} {outcome['status']}{score} in {outcome['seconds']:.0f} s on {worker}{reason}")
