"""Run tasks in processes on this machine, each with its cores or GPU; start another where one dies."""

import json
import os
import selectors
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from zoo.distributed.pool import Ended, Job, Task
from zoo.distributed.worker import READY
from zoo.errors import UserError
from zoo.utils.portable import cores as own_cores

_STARTS = 5  # in a row that end before the worker is ready, until the work is given up
_PAUSE_SECONDS = 0.2  # before the second start; that much longer before each further one
_TERM_SECONDS = 3.0  # to end on SIGTERM, before SIGKILL
# The search path by argument: a folder called zoo where the command runs is none of ours.
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1))\n"
    "from zoo.utils.cli import run\nfrom zoo.distributed.worker import main\nrun(main)"
)


@dataclass
class _Worker:
    """A local worker: its process, started as needed, and the socket to it."""

    name: str
    log: Path | None
    environment: dict[str, str]
    cores: Sequence[int]
    process: subprocess.Popen | None = None
    link: socket.socket | None = None
    task: str = ""  # that it runs
    ready: bool = False
    n_tasks: int = 0  # that its process was given
    received: bytes = b""  # of a line that is not whole yet
    vain_starts: int = 0
    start_at: float = 0.0


class LocalWorkers:
    """A pool (zoo.distributed.pool) of `count` processes on this machine, which end with this one.

    Their output goes to FOLDER/workers/, without a folder to this process's standard error. Each has `threads` threads,
    by default an even share of the cores, and is followed by another after `per_process` tasks, unless that is 0.
    """

    def __init__(self, count: int, folder: Path | None, job: Job, *, threads: int | None = None, per_process: int = 0):
        cores = shares(own_cores(), count) if count > 1 else [[]] * count
        gpus = visible_gpus()
        self._workers = [
            _Worker(
                f"local-{index + 1}",
                folder / "workers" / f"{index + 1}.log" if folder else None,
                settings(index, count, cores[index], gpus, threads),
                cores[index],
            )
            for index in range(count)
        ]
        self._command = [
            "-c",
            _PROGRAM,
            json.dumps(sys.path),
            "--folder",
            str(folder or Path()),
            "--opener",
            job.opener,
        ]
        self._command += ["--settings", json.dumps(dict(job.settings))]
        self._per_process = per_process
        self._selector = selectors.DefaultSelector()

    def free(self) -> list[str]:
        now = time.monotonic()
        return [one.name for one in self._workers if not one.task and now >= one.start_at]

    def start(self, worker: str, task: Task) -> None:
        one = next(one for one in self._workers if one.name == worker)
        spent = 0 < self._per_process <= one.n_tasks
        if one.process is not None and (spent or one.process.poll() is not None):
            self._end(one)
        if one.process is None:
            self._launch(one)
        one.task, one.n_tasks = task.name, one.n_tasks + 1
        assert one.link is not None
        with suppress(BrokenPipeError, ConnectionResetError):  # it died just now, which `wait` finds
            one.link.sendall(json.dumps(task.content).encode() + b"\n")

    def wait(self, seconds: float) -> list[Ended]:
        ended = []
        for key, _ in self._selector.select(seconds):
            ended += self._receive(key.data)
        return ended

    def close(self) -> None:
        processes = [one.process for one in self._workers if one.process is not None]
        for process in processes:
            process.terminate()
        for one in self._workers:
            if one.process is not None:
                self._end(one)
        self._selector.close()

    def _receive(self, one: _Worker) -> list[Ended]:
        """Read what a worker sends: that it is ready, or outcomes; the end of the stream is that of its process."""
        assert one.link is not None
        try:
            content = one.link.recv(1 << 20)
        except ConnectionResetError:
            content = b""
        if not content:
            return self._died(one)
        *lines, one.received = (one.received + content).split(b"\n")
        ended = []
        for line in lines:
            found = json.loads(line)
            if found == READY:
                one.ready, one.vain_starts = True, 0
            else:
                ended.append(Ended(one.task, found))
                one.task = ""
        return ended

    def _died(self, one: _Worker) -> list[Ended]:
        ready, task = one.ready, one.task
        code = self._end(one)
        if not ready:
            one.vain_starts += 1
            one.start_at = time.monotonic() + _PAUSE_SECONDS * one.vain_starts
        if one.vain_starts == _STARTS:
            what = f"worker {one.name} ended {_STARTS} times before it was ready (exit code {code})"
            if one.log is None:
                raise UserError(f"{what}; what it printed is above")
            tail = one.log.read_bytes()[-1500:].decode(errors="replace").strip()
            raise UserError(f"{what}; {one.log} ends with:", tail)
        one.task = ""
        return [Ended(task, None, f"exit code {code}", began=ready)] if task else []

    def _launch(self, one: _Worker) -> None:
        ours, theirs = socket.socketpair()
        try:
            with _appended(one.log) as log, theirs:
                # Ctrl-C reaches this process only, which ends the others.
                one.process = subprocess.Popen(
                    [sys.executable, *self._command, "--socket", str(theirs.fileno())],
                    pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    env={**os.environ, **one.environment}, start_new_session=True,
                )  # fmt: skip
        except OSError as error:
            ours.close()
            raise UserError(f"{one.log or one.name}: no worker can be started ({error.strerror or error})") from error
        if one.cores and hasattr(os, "sched_setaffinity"):
            with suppress(ProcessLookupError):  # it died already
                os.sched_setaffinity(one.process.pid, one.cores)
        one.link, one.ready, one.n_tasks, one.received = ours, False, 0, b""
        self._selector.register(ours, selectors.EVENT_READ, one)

    def _end(self, one: _Worker) -> int:
        """End a worker's process, which ends by itself when the socket is closed; return its exit code."""
        assert one.process is not None and one.link is not None
        self._selector.unregister(one.link)
        one.link.close()
        try:
            code = one.process.wait(_TERM_SECONDS)
        except subprocess.TimeoutExpired:
            one.process.kill()
            code = one.process.wait()
        one.process = one.link = None
        return code


@contextmanager
def _appended(log: Path | None) -> Iterator[int]:
    """Yield the descriptor of a file to append to, or that of standard error."""
    if log is None:
        yield 2
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        yield file.fileno()


def shares(cores: Sequence[int], count: int) -> list[list[int]]:
    """Divide cores evenly among `count` workers; where there are too few, workers share them."""
    if count > len(cores):
        return [[cores[index % len(cores)]] for index in range(count)]
    ends = [index * len(cores) // count for index in range(count + 1)]
    return [list(cores[start:end]) for start, end in pairwise(ends)]


def settings(index: int, count: int, cores: Sequence[int], gpus: Sequence[str], threads: int | None) -> dict[str, str]:
    """Return the environment that keeps worker `index` of `count` to its threads and GPU."""
    number = threads or (len(cores) if count > 1 else None)
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    found = {name: str(number) for name in names} if number else {}
    if gpus and count > 1:
        found["CUDA_VISIBLE_DEVICES"] = gpus[index % len(gpus)]
        if count > len(gpus):  # several on one: none may allocate all of its memory
            found |= {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    return found


def visible_gpus() -> list[str]:
    """Return the GPUs in CUDA_VISIBLE_DEVICES, or all that nvidia-smi lists."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60)
    return [str(index) for index in range(f"\n{listed.stdout}".count("\nGPU "))]
