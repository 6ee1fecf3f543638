"""Start worker processes on this machine, each with its cores or GPU; restart those that end."""

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tuning.distributed.leases import Desk
from tuning.distributed.protocol import AGAIN, TOKEN_VARIABLE, Access
from zoo.errors import UserError
from zoo.utils.portable import cores as own_cores

_STARTS = 5  # in a row without a trial, until the search is given up
_PAUSE_SECONDS = 0.2  # before the second start; that much longer before each further one
_TERM_SECONDS = 3.0  # to end on SIGTERM, before SIGKILL


@dataclass
class _Member:
    """One local worker, its process restarted as needed."""

    name: str
    log: Path
    environment: dict[str, str]
    cores: Sequence[int]
    process: subprocess.Popen | None = None
    id: str = ""
    vain_starts: int = 0
    start_at: float = 0.0
    retired: bool = False


class Crew:
    """`count` local workers. Used from one thread."""

    def __init__(self, count: int, folder: Path, access: Access, options: Sequence[str], threads: int | None):
        cores = shares(own_cores(), count) if count > 1 else [[]] * count
        gpus = visible_gpus()
        self._members = []
        for index in range(count):
            environment = {TOKEN_VARIABLE: access.token, **settings(index, count, cores[index], gpus, threads)}
            log = folder / "workers" / f"{index + 1}.log"
            self._members.append(_Member(f"local-{index + 1}", log, environment, cores[index]))
        self._command = [sys.executable, "-m", "tuning.distributed.worker", "--chief", access.address]
        self._command += ["--folder", str(folder), "--patience", "10", *options]

    def tend(self, desk: Desk) -> None:
        """Start missing processes and report ended ones. Raises UserError when that is in vain."""
        for member in self._members:
            if member.process is None:
                if not member.retired and time.monotonic() >= member.start_at:
                    self._start(member)
            elif (code := member.process.poll()) is not None:
                self._ended(member, code, desk)

    def alive(self) -> bool:
        return any(member.process is not None and member.process.poll() is None for member in self._members)

    def stop(self) -> None:
        """End all processes that are left."""
        processes = [member.process for member in self._members if member.process is not None]
        for process in processes:
            process.terminate()
        end = time.monotonic() + _TERM_SECONDS
        for process in processes:
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin:
                process.stdin.close()

    def _start(self, member: _Member) -> None:
        member.id = secrets.token_hex(8)
        try:
            member.log.parent.mkdir(parents=True, exist_ok=True)
            with member.log.open("ab") as log:
                # Its standard input closes when the chief ends. Ctrl-C reaches the chief only.
                member.process = subprocess.Popen(
                    [*self._command, "--name", member.name, "--local", member.id],
                    stdin=subprocess.PIPE, stdout=log, stderr=log,
                    env={**os.environ, **member.environment}, start_new_session=True,
                )  # fmt: skip
        except OSError as error:
            raise UserError(f"{member.log}: no worker can be started ({error.strerror or error})") from error
        if member.cores and hasattr(os, "sched_setaffinity"):
            with suppress(ProcessLookupError):  # it died already
                os.sched_setaffinity(member.process.pid, member.cores)

    def _ended(self, member: _Member, code: int, desk: Desk) -> None:
        assert member.process is not None and member.process.stdin is not None
        member.process.stdin.close()
        desk.process_ended(member.name, member.id, code)
        member.process = None
        if code == 0:  # the search is done
            member.retired = True
        elif code == AGAIN or desk.began(member.id):
            member.vain_starts = 0
        else:
            member.vain_starts += 1
            member.start_at = time.monotonic() + _PAUSE_SECONDS * member.vain_starts
        if member.vain_starts == _STARTS:
            tail = member.log.read_bytes()[-1500:].decode(errors="replace").strip()
            what = f"worker {member.name} ended {_STARTS} times before it ran a trial"
            raise UserError(f"{what} (exit code {code}); {member.log} ends with:", tail)


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
