"""Lock a run folder against other processes."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import UserError
from zoo.utils.atomic_files import ASIDE, is_being_written

_LOCK = ".lock"


@contextmanager
def alone_in(folder: Path, patience_seconds: float = 0.0) -> Iterator[None]:
    """Hold a lock on a run's folder, and remove the unfinished files of processes that were killed in it.

    The system releases the lock when this process ends, however it does. Sub-folders with a lock file of their own
    belong to other locks and are left alone.

    Raises UserError when another process holds the lock for longer than `patience_seconds`.
    """
    with (folder / _LOCK).open("w") as file:
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
        for leftover in list(folder.rglob(f"{ASIDE}*")):
            between = leftover.relative_to(folder).parents
            locked = any((folder / name / _LOCK).exists() for name in between if name != Path())
            if not locked and not is_being_written(leftover):
                leftover.unlink(missing_ok=True)
        yield
