"""Run tasks on a Ray cluster, each with its cores and GPUs.

Ray brings authentication, scheduling, autoscaling and the news of lost nodes; the list of tasks stays with the driver.
The nodes need this project installed. A task writes into the pool's own folder where its node sees that (a shared
disk); else into a temporary one, which comes back as a ZIP archive with the outcome.
"""

import functools
import io
import json
import os
import socket
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.distributed.pool import Ended, Job, Runner, Task
from zoo.errors import UserError
from zoo.utils import extras
from zoo.utils.atomic_files import written_aside

_MOST_BYTES = 1 << 30  # of a task's folder that is sent


class RayWorkers:
    """A pool (zoo.distributed.pool) of `count` tasks at a time on a Ray cluster, which go when this process ends.

    `address`: "auto" for the cluster of this machine, "local" for one of this process's own, which listens on loopback
    alone, or "ray://HOST:10001". `mark` is a file in `folder` whose first line no other folder has, by which nodes know
    that they see it. `cpus` and `gpus` are those of a task; parts of a GPU are shared. A process is followed by another
    after `per_process` tasks, unless that is 0. Raises UserError where Ray is not installed, the cluster does not
    answer, or no node has so much.
    """

    def __init__(
        self,
        address: str,
        count: int,
        folder: Path,
        job: Job,
        mark: str,
        *,
        cpus: float = 1.0,
        gpus: float = 0.0,
        per_process: int = 0,
    ):
        self._ray, self._noun = connect(address, local_cpus=max(1, round(count * cpus))), job.noun
        self._check_resources({"CPU": cpus, "GPU": gpus})
        threads = str(max(1, int(cpus)))
        variables = dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), threads)
        if 0 < gpus < 1:  # several on one: none may allocate all of its memory
            variables |= {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        self._run = self._ray.remote(
            num_cpus=cpus,
            num_gpus=gpus,
            max_retries=0,  # the driver counts deaths
            max_calls=per_process,
            runtime_env={"env_vars": variables},
        )(run)
        self._folder, self._mark = folder.resolve(), mark
        self._job = job.opener, json.dumps(dict(job.settings), sort_keys=True)
        self._names = [f"ray-{number}" for number in range(1, count + 1)]
        self._tasks: dict[Any, tuple[str, Task]] = {}  # worker and task by Ray's reference

    def free(self) -> list[str]:
        taken = {worker for worker, _ in self._tasks.values()}
        return [name for name in self._names if name not in taken]

    def start(self, worker: str, task: Task) -> None:
        there = any((self._folder / place).is_dir() for place in task.needs)
        self._submit(worker, task, {} if not there else None)

    def _submit(self, worker: str, task: Task, former: Mapping[str, bytes] | None) -> None:
        head = first_line(self._folder / self._mark)
        call = self._run.options(name=f"{self._noun} {task.name}")
        reference = call.remote(*self._job, str(self._folder), self._mark, head, task.content, task.place, former)
        self._tasks[reference] = worker, task if task.needs else task._replace(content={})  # what may be sent again

    def wait(self, seconds: float) -> list[Ended]:
        if not self._tasks:
            return []
        ready, _ = self._ray.wait(list(self._tasks), timeout=seconds)
        if ready:
            ready, _ = self._ray.wait(list(self._tasks), num_returns=len(self._tasks), timeout=0)
        return [ended for reference in ready if (ended := self._ended(reference))]

    def close(self) -> None:
        for reference in self._tasks:
            self._ray.cancel(reference, force=True)
        self._ray.shutdown()

    def _ended(self, reference: Any) -> Ended | None:
        """Return how a task ended; None where it is sent again, with the files it needs."""
        worker, task = self._tasks.pop(reference)
        errors = self._ray.exceptions
        try:
            outcome, archive = self._ray.get(reference)
        except (errors.RayTaskError, errors.RuntimeEnvSetupError) as error:  # before the task itself
            lines = str(error).strip().splitlines()
            raise UserError(
                f"a Ray worker could not begin {self._noun} {task.name}: {lines[-1]}. Install this project on every "
                "node, in the same version (docs/cluster.md)"
            ) from error
        except errors.RayError as error:  # its process, its node or its memory
            sentence = str(error).strip().splitlines()[0].partition(". ")[0]
            return Ended(task.name, None, f"{type(error).__name__}: {sentence}")
        if outcome is None:
            self._submit(worker, task, {place: packed(self._folder / place) for place in task.needs})
            return None
        if archive:
            unpack(archive, self._folder / task.place)
        return Ended(task.name, outcome)

    def _check_resources(self, wanted: Mapping[str, float]) -> None:
        there = self._ray.nodes()
        for name, number in wanted.items():
            most = max((node["Resources"].get(name, 0.0) for node in there if node["Alive"]), default=0.0)
            if number > most:
                flag = f"--{name.lower()}s-per-{self._noun}"
                raise UserError(f"{flag} is {number:g}, expected at most {most:g}, what the largest node of Ray has")


def connect(address: str, local_cpus: int) -> Any:
    """Return Ray, connected to a cluster; with "local", to one with so many cores that this process starts.

    Usage reports are off and token authentication is on, unless the environment says otherwise.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    if address == "local":
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # to listen on loopback alone, on Linux too
    extras.need("ray", f"--ray {address}")
    import ray

    options: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": "error"}
    if address == "local":
        options |= {"num_cpus": local_cpus, "include_dashboard": False}
    try:
        ray.init(**options)
    except Exception as error:  # of no narrower class where a node does not start in time
        found = str(error).strip().splitlines()[0]
        raise UserError(
            f"--ray {address}: no cluster answers ({found}). Give auto on a machine of a running cluster, "
            "ray://HOST:10001, or local for one on this machine alone (docs/cluster.md)"
        ) from error
    return ray


def run(
    opener: str,
    settings: str,
    folder: str,
    mark: str,
    head: bytes,
    content: Mapping[str, Any],
    place: str,
    former: Mapping[str, bytes] | None,
) -> tuple[Mapping[str, Any] | None, bytes]:
    """Run a task on a node; return its outcome, and its folder as an archive unless the pool's folder is shared.

    `head` is the first line of the file `mark` in a shared folder. `former` are archives of the folders that the task
    needs; None if there are some that were not sent: where they are needed, the outcome is None.
    """
    perform = _opened(opener, settings)
    if head and first_line(Path(folder, mark)) == head:
        return perform(Path(folder), content), b""
    if former is None:
        return None, b""
    with tempfile.TemporaryDirectory(prefix=f"{socket.gethostname()}-") as temporary:
        for name, archive in former.items():
            unpack(archive, Path(temporary, name))
        outcome = perform(Path(temporary), content)
        return outcome, packed(Path(temporary, place))


@functools.lru_cache(maxsize=1)  # a process of Ray runs many tasks, and may serve another job later
def _opened(opener: str, settings: str) -> Runner:
    return Job(opener, json.loads(settings)).open()


def first_line(path: Path) -> bytes:
    """Return the first line of a file, at most 64 KiB of it; nothing where there is no file."""
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.readline(1 << 16)


def packed(folder: Path) -> bytes:
    """Return a folder's files as a ZIP archive, uncompressed; empty where there is none."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    size = sum(path.stat().st_size for path in files)
    if size > _MOST_BYTES:
        raise UserError(
            f"{folder}: {size:,} bytes, expected at most {_MOST_BYTES:,} to send. Share the folder with the nodes"
        )
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in files:
            archive.write(path, path.relative_to(folder).as_posix())
    return content.getvalue()


def unpack(content: bytes, folder: Path) -> None:
    """Write the files of an archive that `packed` made into a folder. Raises UserError for a name that leads out."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            place = (folder / name).resolve()
            if not place.is_relative_to(folder.resolve()):
                raise UserError(f"{folder}: an archive names {name!r}, outside of its folder")
            place.parent.mkdir(parents=True, exist_ok=True)
            with written_aside(place) as aside:
                aside.write_bytes(archive.read(name))
