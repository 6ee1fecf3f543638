"""Lock a run folder against other processes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import UserError
from zoo.utils.atomic_files import ASIDE, is_being_written
from zoo.utils.portable import lock

_LOCK = ".lock"


@contextmanager
def alone_in(folder: Path, patience_seconds: float = 0.0) -> Iterator[None]:
    """Hold a lock on a run's folder, and remove the unfinished files of processes that were killed in it.

    The system releases the lock when this process ends, however it does. Sub-folders with a lock file of their own
    belong to other locks and are left alone.

    Raises UserError when another process holds the lock for longer than `patience_seconds`.
    """
    try:
        held = lock(folder / _LOCK, patience_seconds)
    except BlockingIOError as error:
        raise UserError(
            f"{folder}: another process is at work on this run; wait for it or give another --out"
        ) from error
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be locked ({error.strerror or error}); give a folder that can be written"
        ) from error
    try:
        for leftover in list(folder.rglob(f"{ASIDE}*")):
            between = leftover.relative_to(folder).parents
            locked = any((folder / name / _LOCK).exists() for name in between if name != Path())
            if not locked and not is_being_written(leftover):
                leftover.unlink(missing_ok=True)
        yield
    finally:
        held.release()
