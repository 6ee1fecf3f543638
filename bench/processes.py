"""Processes of their own: frameworks side by side disturb each other's threads, and memory is a process's."""

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any


def in_own_process(function: Callable, *args: Any) -> Any:
    """Returns function(*args), called in a new process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *args).result()


@contextmanager
def worker(target: Callable, *args: Any) -> Iterator[Connection]:
    """Yields the pipe to a new process that runs target(pipe, *args); closing it is what ends the process."""
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
    """Sends `facts`, then answers each number that comes by run(number), until the pipe is closed."""
    pipe.send(facts)
    while True:
        try:
            number = pipe.recv()
        except EOFError:
            return
        run(number)
        pipe.send(number)
