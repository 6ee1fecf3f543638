"""Start processes: frameworks side by side disturb each other's threads, and memory is counted by process."""

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from zoo.errors import UserError


def in_own_process(function: Callable, *args: Any) -> Any:
    """Call function(*args) in a new process and return its result."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *args).result()


def peak_mib(pid: int | str = "self") -> float:
    """Return the peak of a process's resident memory by the kernel's own count, in MiB.

    getrusage's may be the parent's, which a child of vfork takes over.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError as error:
        raise UserError(f"/proc/{pid}/status: memory is measured on Linux only ({error.strerror or error})") from error
    return int(next(line.split()[1] for line in status if line.startswith("VmHWM:"))) / 1024


@contextmanager
def worker(target: Callable, *args: Any) -> Iterator[Connection]:
    """Yield the pipe to a new process that runs target(pipe, *args); closing it is what ends the process."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *args))
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        process.join()


def serve(pipe: Connection, facts: Any, run: Callable[[int], object]) -> None:
    """Send `facts`, then answer each number received with what run(number) returns, until the pipe is closed."""
    pipe.send(facts)
    while True:
        try:
            number = pipe.recv()
        except EOFError:
            return
        pipe.send(run(number))
