"""Run trials for a search: `perform` runs one; as a program, those that come as lines of JSON over a socket.

`local_workers` starts the program and holds the socket's other end; there is no other use for it.
"""

from zoo.utils.cli import run  # isort: skip  # first: it takes Ctrl-C

import argparse
import errno
import importlib
import json
import os
import queue
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tuning import trials
from zoo.errors import UserError

RUNNER = "tuning.run_trial:run"
READY = {"ready": True}  # the first line that a worker sends
_MAX_REASON = 2000  # characters
_DRIVER_GONE = 3

Runner = Callable[[Path, Mapping[str, Any]], Mapping[str, Any]]


def load(runner: str) -> Runner:
    """Return the function "module:function" that runs a trial: called with the trial's folder and its assignment."""
    module, _, name = runner.partition(":")
    return getattr(importlib.import_module(module), name)


def perform(runner: Runner, folder: Path, assignment: Mapping[str, Any]) -> dict[str, Any]:
    """Run a trial below the search's `folder`; return its outcome, which is "failed" with a reason where it raises.

    A full disk gives the status "stop": the other trials would end so, too.
    """
    start = time.monotonic()
    try:
        outcome = trials.outcome(runner(folder / "trials" / assignment["trial"], assignment))
    except Exception as error:
        print(traceback.format_exc(), file=sys.stderr, flush=True)
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        outcome = trials.outcome({"status": "failed", "reason": reason})
        if _disk_full(error):
            outcome |= {"status": trials.STOP, "reason": f"{reason}; free space, then go on with --resume"}
    text = "".join(c if c.isprintable() else " " for c in outcome["reason"])
    return outcome | {"reason": " ".join(text.split())[:_MAX_REASON], "seconds": time.monotonic() - start}


def _disk_full(error: BaseException | None) -> bool:
    """Return whether an error, or its cause, is a full disk or an exceeded quota."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__ or error.__context__
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--socket", required=True, type=int, metavar="NUMBER", help="file descriptor of its own")
    parser.add_argument("--folder", required=True, type=Path, help="of the search")
    parser.add_argument("--runner", required=True, metavar="MODULE:FUNCTION", help="what runs a trial")
    if any(word.startswith("--chief") for word in sys.argv[1:]):
        raise UserError(
            "workers are no longer started by hand: tune.py --workers N starts them on this machine, and tune.py --ray "
            "ADDRESS gives trials to the nodes of a Ray cluster (docs/cluster.md)"
        )
    given = parser.parse_args()
    driver = socket.socket(fileno=given.socket)
    runner = load(given.runner)  # a mistake in it is no trial's fault
    driver.sendall(json.dumps(READY).encode() + b"\n")
    assignments: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_receive, args=(driver, assignments), daemon=True).start()
    while True:
        driver.sendall(json.dumps(perform(runner, given.folder, assignments.get())).encode() + b"\n")


def _receive(driver: socket.socket, assignments: "queue.Queue[dict[str, Any]]") -> None:
    """Queue the assignments that come. End the process as soon as the driver has closed the socket, or was killed."""
    with driver.makefile("rb") as lines:
        for line in lines:
            assignments.put(json.loads(line))
    os._exit(_DRIVER_GONE)  # files appear by renaming, so none is left half-written


if __name__ == "__main__":
    run(main)
