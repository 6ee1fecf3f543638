"""Define the flags of commands whose trials or folds run on workers, and open their pool."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.distributed.pool import Job, Pool
from zoo.errors import UserError
from zoo.utils import extras


def of(noun: str, default: str) -> dict[str, dict[str, Any]]:
    """Return the options of argparse by the flag's name, of workers whose tasks are called `noun`.

    `default` says how many there are without --workers.
    """
    return {
        "workers": {"type": int, "help": f"{noun}s at a time (default: {default})"},
        "threads": {"type": int, "help": "threads of each process on this machine (default: an even share)"},
        "ray": {"metavar": "ADDRESS", "help": f"run {noun}s on a Ray cluster: auto, ray://HOST:10001, or local"},
        f"cpus_per_{noun}": {"type": float, "help": f"cores of a {noun} on Ray (default: 1)"},
        f"gpus_per_{noun}": {"type": float, "help": f"GPUs of a {noun} on Ray, 0.25 for four on one (default: 0)"},
    }


def check(given: Mapping[str, Any], noun: str) -> None:
    """Raise UserError for flags of workers that are out of range, or have no effect together."""
    on_ray = (f"cpus_per_{noun}", f"gpus_per_{noun}")
    least = {"workers": 1, "threads": 1, on_ray[0]: 0.01, on_ray[1]: 0.0}
    for name, value in given.items():
        if name in least and not value >= least[name]:
            raise UserError(f"{_flag(name)} is {value}, expected at least {least[name]:g}")
    for name in ("threads",) if "ray" in given else on_ray:
        if name in given:
            where = "on this machine alone" if "ray" in given else "with --ray alone"
            raise UserError(f"{_flag(name)} has an effect {where}; leave it out")
    if "ray" in given:
        extras.need("ray", f"--ray {given['ray']}")


def pool(given: Mapping[str, Any], folder: Path, job: Job, mark: str, per_process: int) -> Pool:
    """Return the pool of workers by flags that are checked: processes on this machine, or tasks of a Ray cluster.

    `mark` and `per_process` are those of zoo.distributed.ray_workers.RayWorkers, whose errors this raises.
    """
    count = given.get("workers", 1)
    if "ray" not in given:
        from zoo.distributed.local_workers import LocalWorkers

        return LocalWorkers(count, folder, job, threads=given.get("threads"), per_process=per_process)
    from zoo.distributed.ray_workers import RayWorkers

    resources = {name: given.get(f"{name}_per_{job.noun}", usual) for name, usual in (("cpus", 1.0), ("gpus", 0.0))}
    return RayWorkers(given["ray"], count, folder, job, mark, **resources, per_process=per_process)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
