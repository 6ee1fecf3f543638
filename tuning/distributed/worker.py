"""Run trials that a search's chief hands out, until the search is done.

    SPEECH_ZOO_TOKEN=... python -m tuning.distributed.worker --chief HOST:PORT --folder FOLDER --name NAME

Trial ID is trained in FOLDER/trials/ID, on a disk shared with the chief or not.
"""

from zoo.utils.cli import run  # isort: skip  # first: it takes Ctrl-C

import argparse
import errno
import importlib
import os
import secrets
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuning import trials
from tuning.distributed import protocol
from tuning.distributed.protocol import AGAIN, TOKEN_VARIABLE, Access
from zoo.errors import UserError

_WAIT_SECONDS = 0.3  # between two requests when there is no trial
_ANSWER_SECONDS = 120.0  # a Bayesian proposal may take long
_GRACE_SECONDS = 5.0  # at most, for a runner to notice that its trial was given to another worker
_MAX_REASON = 2000  # characters
_CHIEF_GONE = 3


class LostLeaseError(Exception):
    """The trial was given to another worker; nothing may be written to its folder."""


@dataclass(frozen=True)
class Worker:
    """A worker process: `name` is for people, `process` unique; `give_way` replaces it."""

    access: Access
    folder: Path
    name: str
    process: str
    patience_seconds: float
    give_way: Callable[[], None]


def work(worker: Worker, runner: str, trials_per_process: int) -> int:
    """Run trials until the search is done (return 0) or this process has run its share (AGAIN).

    `runner` is "module:function", called with the trial's folder, its assignment, and a function that raises
    LostLeaseError when the trial was given to another worker; it returns an outcome.
    """
    ended = 0
    while ended < trials_per_process:
        _, answer = _ask(worker, "/next", {})
        if answer["do"] == "done":
            return 0
        if answer["do"] == "wait":
            time.sleep(_WAIT_SECONDS)
            continue
        _run(worker, runner, answer["assignment"], answer["lease_seconds"])
        ended += 1
    return AGAIN


def _run(worker: Worker, runner: str, assignment: Mapping[str, Any], lease_seconds: float) -> None:
    trial, start = assignment["trial"], time.monotonic()
    with _beating(worker, trial, lease_seconds) as (lost, running):
        module, _, name = runner.partition(":")
        function = getattr(importlib.import_module(module), name)  # no trial's fault
        running.set()
        if _ask(worker, "/beat", {"trial": trial, "running": True})[0] == 409:
            return

        def heartbeat() -> None:
            if lost.is_set():
                raise LostLeaseError

        try:
            outcome = trials.outcome(function(worker.folder / "trials" / trial, assignment, heartbeat))
        except LostLeaseError:
            _log(f"trial {trial} was given to another worker")
            return
        except Exception as error:
            _log(traceback.format_exc())
            reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            outcome = {"status": "failed", "reason": reason}
            if _disk_full(error):  # the other trials would end so, too
                outcome = {"status": trials.STOP, "reason": f"{reason}; free space, then go on with --resume"}
        text = "".join(c if c.isprintable() else " " for c in outcome["reason"])
        outcome |= {"reason": " ".join(text.split())[:_MAX_REASON], "seconds": time.monotonic() - start}
        # Heartbeats go on: the chief may be away for a while.
        status, answer = _ask(worker, "/finish", {"trial": trial, "outcome": outcome})
        if status == 400:
            _log(f"trial {trial}: {answer.get('error', '')}")
            outcome = {"status": "failed", "reason": f"refused: {answer.get('error', '')}"[:_MAX_REASON]}
            status, _ = _ask(worker, "/finish", {"trial": trial, "outcome": outcome})
        if status == 409:
            _log(f"trial {trial} was given to another worker; its outcome is not counted")


def _disk_full(error: BaseException | None) -> bool:
    """Return whether an error, or its cause, is a full disk or an exceeded quota."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def _beating(worker: Worker, trial: str, lease_seconds: float) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Send a heartbeat six times per lease; yield the events `lost` and `running`.

    A trial is lost when the chief answers so, or no heartbeat got through for a lease's time. Then a runner
    that goes on is ended with the process, so that no two write to one folder.
    """
    lost, running, ended = threading.Event(), threading.Event(), threading.Event()

    def beat() -> None:
        answered = time.monotonic()
        while not ended.wait(lease_seconds / 6):
            status = 0
            content = {"process": worker.process, "trial": trial, "running": running.is_set()}
            with suppress(OSError):
                status, _ = protocol.post(worker.access, "/beat", content, timeout=5.0)
            if status == 200:
                answered = time.monotonic()
            elif status == 409 or time.monotonic() - answered > lease_seconds:
                break
        lost.set()
        if not ended.wait(min(_GRACE_SECONDS, lease_seconds)):
            _log(f"trial {trial} was lost, and its runner did not stop: a new process takes over")
            worker.give_way()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield lost, running
    finally:
        ended.set()
        thread.join()


def _ask(worker: Worker, path: str, content: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """Return the chief's answer: 200, 409 or, to an outcome, 400. Raises UserError when it is away or refuses."""
    content = {"worker": worker.name, "process": worker.process, **content}
    end = time.monotonic() + worker.patience_seconds
    while True:
        try:
            status, answer = protocol.post(worker.access, path, content, _ANSWER_SECONDS)
            reason: object = f"it answered {status}: {answer.get('error', '')}"
        except OSError as error:
            status, answer, reason = 0, {}, error
        if status in (200, 409) or (status == 400 and path == "/finish"):
            return status, answer
        chief = f"chief {worker.access.address}"
        if status == 403:
            raise UserError(f"{chief}: it refused the token; give that of chief.json in {TOKEN_VARIABLE}")
        if time.monotonic() > end:
            raise UserError(
                f"{chief}: cannot be reached for {worker.patience_seconds:g} s ({reason}); start it (tune.py --resume "
                "with the same --host and --port), or check the address"
            )
        time.sleep(_WAIT_SECONDS)


def _log(text: str) -> None:
    with suppress(OSError):  # the chief reports a full disk
        print(text, file=sys.stderr, flush=True)


def _end_with_input() -> None:
    """End the process as soon as its standard input does: the chief holds the other end."""
    while os.read(0, 1024):
        pass
    os._exit(_CHIEF_GONE)  # files appear by renaming, so none is left half-written


def _start_anew() -> None:
    """Replace this process by a new one with the same command line and none of its open files."""
    os.closerange(3, 65536)
    os.execv(sys.executable, sys.orig_argv)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chief", required=True, metavar="HOST:PORT", help="where the chief listens")
    parser.add_argument("--folder", required=True, type=Path, help="where trials are trained")
    parser.add_argument("--name", required=True, help="of this worker, in the search's table")
    parser.add_argument("--runner", default="tuning.run_trial:run", metavar="MODULE:FUNCTION", help="what runs a trial")
    parser.add_argument("--trials-per-process", type=int, default=10, help="until a new process follows: memory leaks")
    parser.add_argument("--patience", type=float, default=600.0, help="seconds to wait for a chief that is away")
    parser.add_argument("--local", metavar="ID", help=argparse.SUPPRESS)  # by the chief that starts it
    given = parser.parse_args()
    host, _, port = given.chief.rpartition(":")
    if not (host and port.isdecimal() and 0 < int(port) < 1 << 16):
        raise UserError(f"--chief {given.chief}: expected HOST:PORT, e.g. 127.0.0.1:8765")
    if not os.environ.get(TOKEN_VARIABLE):
        raise UserError(f"{TOKEN_VARIABLE}: expected the token in chief.json, found none; set it")
    access = Access(given.chief, os.environ[TOKEN_VARIABLE])
    give_way = (lambda: os._exit(AGAIN)) if given.local else _start_anew
    process = given.local or secrets.token_hex(8)
    worker = Worker(access, given.folder, given.name, process, given.patience, give_way)
    if given.local:
        threading.Thread(target=_end_with_input, daemon=True).start()
    code = work(worker, given.runner, given.trials_per_process)
    if code == AGAIN:
        sys.stderr.flush()
        give_way()
    return code


if __name__ == "__main__":
    run(main)
