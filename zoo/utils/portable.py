"""Hide what operating systems differ in: locks between processes, processor cores, running processes."""

import errno
import os
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout


def lock(path: Path, patience_seconds: float = 0.0) -> BaseFileLock:
    """Lock the file `path`, made where it is absent; its `release()` lets go and keeps the file, `unlock` removes it.

    The system releases it when this process ends, however it does (where it has flock or Windows' locks). Raises
    BlockingIOError when another process, or another lock of this one, holds it for longer than `patience_seconds`;
    OSError where the file cannot be made.
    """
    held = FileLock(path, thread_local=False)  # which thread lets go is the caller's affair
    try:
        held.acquire(timeout=patience_seconds, poll_interval=0.1)
    except Timeout as error:
        raise BlockingIOError(errno.EAGAIN, "another process holds the lock", str(path)) from error
    return held


def unlock(held: BaseFileLock) -> None:
    """Let go of a lock and remove its file."""
    # While it is held: another process that has it open finds that it has no name any more, and makes a new one.
    Path(held.lock_file).unlink(missing_ok=True)
    held.release()


def cores() -> list[int]:
    """Return the numbers of the processor cores that this process may use; macOS has no list narrower than all."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def is_running(pid: int) -> bool:
    """Return whether a process of this number runs on this machine; 0 and numbers too large are of none.

    On Windows the answer is always yes: signal 0 is Ctrl-C there.
    """
    if pid < 1 or os.name == "nt":
        return pid > 0
    try:
        os.kill(pid, 0)  # signal 0 only checks
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # a process of another user
        pass
    return True
