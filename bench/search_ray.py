"""Measure what Ray adds to each trial of a search: trials that do nothing, on Ray and in a process of this machine."""

import os
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from bench.result import Result
from tuning.distributed.drive import drive, on_ray, on_this_machine
from tuning.search import Search


def measure(quick: bool) -> list[Result]:
    if not find_spec("ray"):
        return []  # its extra, [ray], is not installed
    trials = 5 if quick else 200
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    seconds = {name: _per_trial(name, trials) for name in ("local", "ray")}
    note = f"median from trial to trial of {trials} that do nothing, one worker"
    return [Result("search_ray", "s", seconds["ray"], seconds["local"], note=note)]


def empty(folder: Path, assignment: Mapping[str, Any]) -> dict[str, Any]:
    """Return the outcome of a trial that does nothing."""
    return {"status": "completed", "score": 0.5, "folds": [0.5, 0.5], "epochs": 1}


def _per_trial(kind: str, trials: int) -> float:
    """Return the seconds from the end of a trial to that of the next, by their median."""
    ends: list[float] = []

    def note(line: str) -> None:
        if " completed " in line:
            ends.append(time.perf_counter())

    space = {"learning_rate": {"low": 1e-4, "high": 1e-2, "sampling": "log"}}
    base = {"corpus": "emodb", "backend": "tensorflow"}
    description = {"model": "cnn1d_mfcc", "base": base, "space": space, "tuner": "random", "trials": trials}
    with tempfile.TemporaryDirectory() as folder:
        search = Search.create(Path(folder), {**description, "inner_folds": 2})
        options: dict[str, Any] = {"runner": "bench.search_ray:empty", "per_process": 0}
        try:
            local = kind == "local"
            pool = (
                on_this_machine(1, Path(folder), 1, **options) if local else on_ray("local", 1, Path(folder), **options)
            )
            drive(search, pool, note)
        finally:
            search.close()
    return median(after - before for before, after in pairwise(ends))
