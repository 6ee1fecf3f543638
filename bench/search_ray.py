"""Measure what Ray adds to a trial: tasks that do nothing, by a worker of Ray and by a process of this machine.

The search itself, its journal on the disk and its tuner, is the same with both and not measured.
"""

import os
import tempfile
import time
from collections.abc import Mapping
from contextlib import nullcontext
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from bench.result import Result
from zoo.distributed import flags
from zoo.distributed.drive import drive
from zoo.distributed.pool import Job, Runner, Task

_MARK = "folder.txt"


def measure(quick: bool) -> list[Result]:
    if not find_spec("ray"):
        return []  # its extra, [ray], is not installed
    count = 5 if quick else 500
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    local, ray = (_seconds(workers, count) for workers in ({"workers": 1}, {"workers": 1, "ray": "local"}))
    note = f"median from task to task of {count} that do nothing, by one worker; {os.cpu_count()} cores"
    return [Result("search_ray", "s", ray, local, note=note)]


def opened() -> Runner:
    """Return a function that does nothing."""
    return lambda folder, content: {}


def _seconds(workers: Mapping[str, Any], count: int) -> float:
    """Return the seconds from the end of a task to that of the next."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / _MARK).write_text(f"{folder}\n")
        nothing = _Nothing(count)
        drive(nothing, flags.pool(workers, Path(folder), Job("bench.search_ray:opened"), _MARK, 0), lambda line: None)
    return median(after - before for before, after in pairwise(nothing.ends))


class _Nothing:
    """A number of empty tasks (zoo.distributed.drive.Work), and when each ended."""

    def __init__(self, count: int):
        self.count, self.begun, self.ends = count, 0, list[float]()

    def is_done(self) -> bool:
        return len(self.ends) == self.count

    def together(self) -> nullcontext:
        return nullcontext()

    def next(self, worker: str) -> Task | str:
        if self.begun == self.count:
            return "done" if self.is_done() else "wait"
        self.begun += 1
        return Task(str(self.begun), {}, "empty")

    def begins(self, task: str, worker: str) -> str:
        return ""

    def finish(self, task: str, outcome: Mapping[str, Any], worker: str) -> str:
        self.ends.append(time.perf_counter())
        return ""

    def release(self, task: str, worker: str, cause: str) -> str:
        raise RuntimeError(f"{worker} was lost: {cause}")

    def give_up(self, task: str, reason: str, seconds: float, worker: str) -> str:
        raise RuntimeError(reason)
