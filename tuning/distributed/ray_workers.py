"""Run trials as tasks of a Ray cluster, each with its cores and GPUs.

Ray brings authentication, scheduling, autoscaling and the news of lost nodes; the search stays with its driver. The
nodes need this project installed, and the corpus at the same path. A trial is trained in the search's own folder where
its node sees that (a shared disk); else in a temporary one, which comes back as a ZIP archive with the outcome.
"""

import io
import os
import socket
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tuning.distributed.drive import Ended
from tuning.distributed.worker import RUNNER, load, perform
from tuning.journal import NAMES
from zoo.errors import UserError
from zoo.utils.atomic_files import written_aside

_MOST_BYTES = 1 << 30  # of a trial's folder that is sent


class RayWorkers:
    """A pool (tuning.distributed.drive) of `count` tasks at a time on a Ray cluster, which go when this process ends.

    `address`: "auto" for the cluster of this machine, "local" for one of this process's own, which listens on loopback
    alone, or "ray://HOST:10001". `cpus` and `gpus` are those of a trial; parts of a GPU are shared. Raises UserError
    where Ray is not installed, the cluster does not answer, or no node has so much.
    """

    def __init__(
        self,
        address: str,
        count: int,
        folder: Path,
        *,
        cpus: float = 1.0,
        gpus: float = 0.0,
        runner: str = RUNNER,
        trials_per_process: int = 10,
    ):
        self._ray = connect(address, local_cpus=max(1, round(count * cpus)))
        self._check_resources({"CPU": cpus, "GPU": gpus})
        threads = str(max(1, int(cpus)))
        variables = dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), threads)
        if 0 < gpus < 1:  # several on one: none may allocate all of its memory
            variables |= {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        self._run = self._ray.remote(
            num_cpus=cpus,
            num_gpus=gpus,
            max_retries=0,  # the driver counts deaths
            max_calls=trials_per_process,  # then another process: building models repeatedly leaks memory
            runtime_env={"env_vars": variables},
        )(run)
        self._folder, self._runner = folder.resolve(), runner
        self._names = [f"ray-{number}" for number in range(1, count + 1)]
        self._tasks: dict[Any, tuple[str, Mapping[str, Any]]] = {}  # worker and assignment by the task's reference

    def free(self) -> list[str]:
        taken = {worker for worker, _ in self._tasks.values()}
        return [name for name in self._names if name not in taken]

    def start(self, worker: str, assignment: Mapping[str, Any]) -> None:
        former = any((self._folder / "trials" / name).is_dir() for name in _folders(assignment))
        self._submit(worker, assignment, {} if not former else None)

    def _submit(self, worker: str, assignment: Mapping[str, Any], former: Mapping[str, bytes] | None) -> None:
        task = self._run.options(name=f"trial {assignment['trial']}")
        reference = task.remote(self._runner, str(self._folder), _journal_head(self._folder), assignment, former)
        self._tasks[reference] = worker, assignment

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
        """Return how a task's trial ended; None where it is sent again, with the files it was begun with."""
        worker, assignment = self._tasks.pop(reference)
        trial, errors = assignment["trial"], self._ray.exceptions
        try:
            outcome, archive = self._ray.get(reference)
        except (errors.RayTaskError, errors.RuntimeEnvSetupError) as error:  # not the trial's: `perform` takes those
            lines = str(error).strip().splitlines()
            raise UserError(
                f"a Ray worker could not begin trial {trial}: {lines[-1]}. Install this project on every node, in the "
                "same version (docs/cluster.md)"
            ) from error
        except errors.RayError as error:  # its process, its node or its memory
            sentence = str(error).strip().splitlines()[0].partition(". ")[0]
            return Ended(trial, None, f"{type(error).__name__}: {sentence}")
        if outcome is None:
            names = _folders(assignment)
            self._submit(worker, assignment, {name: packed(self._folder / "trials" / name) for name in names})
            return None
        if archive:
            unpack(archive, self._folder / "trials" / trial)
        return Ended(trial, outcome)

    def _check_resources(self, wanted: Mapping[str, float]) -> None:
        there = self._ray.nodes()
        for name, number in wanted.items():
            most = max((node["Resources"].get(name, 0.0) for node in there if node["Alive"]), default=0.0)
            if number > most:
                flag = {"CPU": "--cpus-per-trial", "GPU": "--gpus-per-trial"}[name]
                raise UserError(f"{flag} is {number:g}, expected at most {most:g}, what the largest node of Ray has")


def connect(address: str, local_cpus: int) -> Any:
    """Return Ray, connected to a cluster; with "local", to one with so many cores that this process starts.

    Usage reports are off and token authentication is on, unless the environment says otherwise.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    if address == "local":
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # to listen on loopback alone, on Linux too
    try:
        import ray
    except ImportError as error:
        raise UserError(f"--ray {address} needs Ray: pip install -e '.[ray]'") from error
    options: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": "error"}
    if address == "local":
        options |= {"num_cpus": local_cpus, "include_dashboard": False}
    try:
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        found = str(error).strip().splitlines()[0]
        raise UserError(
            f"--ray {address}: no cluster answers ({found}). Give auto on a machine of a running cluster, "
            "ray://HOST:10001, or local for one on this machine alone (docs/cluster.md)"
        ) from error
    return ray


def run(
    runner: str, folder: str, head: bytes, assignment: Mapping[str, Any], former: Mapping[str, bytes] | None
) -> tuple[dict[str, Any] | None, bytes]:
    """Run a trial on a node; return its outcome, and its folder as an archive unless the search's folder is shared.

    `head` is the beginning of the search's journal, by which a shared folder is known. `former` are archives of what is
    left of the trial, and of the one it continues; None if there are some that were not sent: where they are needed,
    the outcome is None.
    """
    function = load(runner)
    if head and _journal_head(Path(folder)) == head:
        return perform(function, Path(folder), assignment), b""
    if former is None:
        return None, b""
    with tempfile.TemporaryDirectory(prefix=f"{socket.gethostname()}-") as place:
        for name, archive in former.items():
            unpack(archive, Path(place) / "trials" / name)
        outcome = perform(function, Path(place), assignment)
        return outcome, packed(Path(place) / "trials" / assignment["trial"])


def _folders(assignment: Mapping[str, Any]) -> list[str]:
    """Return the names of a trial's folder and of that of the trial it continues."""
    return [name for name in (assignment["trial"], assignment.get("parent")) if name]


def _journal_head(folder: Path) -> bytes:
    path = folder / NAMES[0]
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
            f"{folder}: {size:,} bytes, expected at most {_MOST_BYTES:,} to send. Share the search's folder"
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
                raise UserError(f"{folder}: the archive of a trial names {name!r}, outside of its folder")
            place.parent.mkdir(parents=True, exist_ok=True)
            with written_aside(place) as aside:
                aside.write_bytes(archive.read(name))
