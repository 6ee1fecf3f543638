"""Lock a run folder against other processes."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import UserError
from zoo.utils.atomic_files import ASIDE


@contextmanager
def alone_in(folder: Path, patience_seconds: float = 0.0) -> Iterator[None]:
    """Holds the run's folder against other processes. The system lets go when this one ends, however it does."""
    with (folder / ".lock").open("w") as file:
        last = time.monotonic() + patience_seconds
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() >= last:
                    raise UserError(
                        f"{folder}: another process is at work on this run; wait for it or give another --out"
                    ) from error
                time.sleep(0.1)
        for leftover in folder.rglob(f"{ASIDE}*"):  # a kill came in the middle of a write
            leftover.unlink()
        yield
