"""Hand the trials of a search to workers until the search is done; a lost worker's trial goes to another."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuning import trials
from tuning.distributed.perform import RUNNER
from tuning.journal import NAMES
from tuning.trials import STOP
from zoo.distributed import drive as tasks
from zoo.distributed.local_workers import LocalWorkers
from zoo.distributed.pool import Job, Pool, Task
from zoo.distributed.ray_workers import RayWorkers
from zoo.errors import UserError

if TYPE_CHECKING:
    from tuning.search import Search

_TRIALS_PER_PROCESS = 10  # then another one: building models repeatedly leaks memory


def drive(search: "Search", pool: Pool, on_event: Callable[[str], None] = print) -> None:
    """Run a search to its end on the workers of a pool, as zoo.distributed.drive does, and with its errors."""
    tasks.drive(_Trials(search), pool, on_event)


def on_this_machine(
    count: int,
    folder: Path,
    threads: int | None = None,
    *,
    runner: str = RUNNER,
    per_process: int = _TRIALS_PER_PROCESS,
) -> Pool:
    """Return a pool of `count` processes on this machine that run trials of the search in `folder`."""
    return LocalWorkers(count, folder, _job(runner), threads=threads, per_process=per_process)


def on_ray(
    address: str,
    count: int,
    folder: Path,
    *,
    cpus: float = 1.0,
    gpus: float = 0.0,
    runner: str = RUNNER,
    per_process: int = _TRIALS_PER_PROCESS,
) -> Pool:
    """Return a pool of `count` trials at a time on a Ray cluster; `cpus` and `gpus` are those of a trial.

    Raises UserError as zoo.distributed.ray_workers.RayWorkers does.
    """
    resources = {"cpus": cpus, "gpus": gpus}
    return RayWorkers(address, count, folder, _job(runner), NAMES[0], **resources, per_process=per_process)


def _job(runner: str) -> Job:
    return Job("tuning.distributed.perform:opened", {"runner": runner}, "trial")


class _Trials:
    """The trials of a search as tasks (zoo.distributed.drive.Work)."""

    def __init__(self, search: "Search"):
        self._search = search

    def is_done(self) -> bool:
        return sum(trial.status in trials.COUNTED for trial in self._search.trials) >= self._search.asked

    def together(self) -> AbstractContextManager:
        return self._search.together()

    def next(self, worker: str) -> Task | str:
        found = self._search.next(worker)
        if isinstance(found, str):
            return found
        names = [name for name in (found["trial"], found.get("parent")) if name]
        places = [f"trials/{name}" for name in names]
        return Task(found["trial"], found, places[0], tuple(places))

    def begins(self, task: str, worker: str) -> str:
        return f"trial {task} begins on {worker}"

    def release(self, task: str, worker: str, cause: str) -> str:
        self._search.release(task)
        return f"{worker} was lost with trial {task}: {cause}"

    def give_up(self, task: str, reason: str, seconds: float, worker: str) -> str:
        return self.finish(task, trials.outcome({"status": "failed", "reason": reason, "seconds": seconds}), worker)

    def finish(self, task: str, outcome: Mapping[str, Any], worker: str) -> str:
        """Keep a trial's outcome. Raises UserError for one that ends the search."""
        if outcome["status"] == STOP:
            self._search.release(task)
            raise UserError(f"trial {task} on {worker}: {outcome['reason']}")
        try:
            self._search.finish(task, outcome, worker)
        except ValueError as error:  # impossible for this search
            outcome = trials.outcome({"status": "failed", "reason": f"refused: {error}", "seconds": outcome["seconds"]})
            self._search.finish(task, outcome, worker)
        score = "" if outcome["score"] is None else f" {outcome['score']:.4f}"
        reason = f": {outcome['reason']}" if outcome["reason"] else ""
        return f"trial {task} {outcome['status']}{score} in {outcome['seconds']:.0f} s on {worker}{reason}"
