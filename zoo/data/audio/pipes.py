"""Read recordings that come by a pipe, within a bound on bytes and time."""

import os
import re
import select
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from zoo.errors import UserError

MOST_BYTES = 512 << 20  # 4.6 hours at 16 kHz with 16 bits
MOST_PAUSE_SECONDS, MOST_SECONDS = 20.0, 120.0  # without a byte, and in all
_BLOCK_BYTES = 1 << 20
# Of this process only, as of `<(command)`; its workers have other ones.
_OWN = re.compile(rf"/dev/(?:fd/(?P<number>\d+)|stdin)|/proc/(?:self|{os.getpid()})/fd/(?P<process>\d+)")


def is_pipe(path: Path) -> bool:
    """Say whether a path names a pipe, or a file that only this process has open, such as /dev/stdin."""
    try:
        return bool(_OWN.fullmatch(str(path))) or stat.S_ISFIFO(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def copy(pipe: Path, file: Path) -> None:
    """Copy what comes by a pipe into a new file, until the pipe's writers have closed it.

    Raises UserError for more than `MOST_BYTES`, a pause longer than `MOST_PAUSE_SECONDS`, or more than `MOST_SECONDS`
    in all; and where the pipe cannot be read.
    """
    try:
        descriptor = _opened(pipe)
        try:
            with file.open("wb") as copied:
                for block in _blocks(descriptor, pipe):
                    copied.write(block)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UserError(f"{pipe}: the pipe cannot be read into {file.parent} ({error.strerror})") from error


def _opened(pipe: Path) -> int:
    """Open a pipe without waiting for a writer; of this process's own ones, opened before, return a copy.

    Opening such a one again by its name would not show that its writers have gone already.
    """
    own = _OWN.fullmatch(str(pipe))
    return os.dup(int(own["number"] or own["process"] or 0)) if own else os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)


def _blocks(descriptor: int, pipe: Path) -> Iterator[bytes]:
    end, size = time.monotonic() + MOST_SECONDS, 0
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while True:
        left = end - time.monotonic()
        if left <= 0:
            raise _refused(pipe, f"no end after {MOST_SECONDS:g} s")
        if not poll.poll(1000 * min(MOST_PAUSE_SECONDS, left)):
            if left > MOST_PAUSE_SECONDS:
                raise _refused(pipe, f"{MOST_PAUSE_SECONDS:g} s without a byte")
            continue
        try:
            block = os.read(descriptor, _BLOCK_BYTES)
        except BlockingIOError:  # another process has read it
            continue
        size += len(block)
        if size > MOST_BYTES:
            raise _refused(pipe, f"more than {MOST_BYTES >> 20} MiB")
        if not block:
            return
        yield block


def _refused(pipe: Path, found: str) -> UserError:
    return UserError(
        f"{pipe}: expected a recording that ends, found {found}. Write it to a file first, or use --stream"
    )
