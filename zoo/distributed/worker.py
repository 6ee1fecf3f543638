"""Run tasks in a process of their own; each comes as a line of JSON over a socket.

`local_workers` starts the program and holds the socket's other end; there is no other use for it.
"""

from zoo.utils.cli import run  # isort: skip  # first: it takes Ctrl-C

import json
import os
import queue
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from zoo.distributed.pool import Job
from zoo.utils.parser import Parser

READY = {"ready": True}  # the first line that a worker sends
_DRIVER_GONE = 3


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("--socket", required=True, type=int, metavar="NUMBER", help="file descriptor of its own")
    parser.add_argument("--folder", required=True, type=Path, help="of the pool")
    parser.add_argument("--opener", required=True, metavar="MODULE:FUNCTION", help="returns what runs a task")
    parser.add_argument("--settings", required=True, type=json.loads, metavar="JSON", help="what it is called with")
    given = parser.parse_args()
    driver = socket.socket(fileno=given.socket)
    perform = Job(given.opener, given.settings).open()  # a mistake in it is no task's fault
    driver.sendall(json.dumps(READY).encode() + b"\n")
    contents: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_receive, args=(driver, contents), daemon=True).start()
    while True:
        driver.sendall(json.dumps(perform(given.folder, contents.get())).encode() + b"\n")


def _receive(driver: socket.socket, contents: "queue.Queue[dict[str, Any]]") -> None:
    """Queue the tasks that come. End the process as soon as the driver has closed the socket, or was killed."""
    # A driver that is killed before it has read all outcomes resets the connection.
    with suppress(ConnectionResetError), driver.makefile("rb") as lines:
        for line in lines:
            contents.put(json.loads(line))
    os._exit(_DRIVER_GONE)  # files appear by renaming, so none is left half-written


if __name__ == "__main__":
    run(main)
