"""Compare the memory that work needs with what is free, before it begins."""

from pathlib import Path

from zoo.errors import UserError

_MEMINFO = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")  # of a container


def free_bytes() -> int | None:
    """Return the memory that this process may still take, within its container; None on systems that do not say."""
    found = [value for value in (_of_system(), _of_container()) if value is not None]
    return min(found, default=None)


def check(what: str, needed_bytes: float, advice: str) -> None:
    """Raise UserError, which ends in `advice`, where `what` needs more memory than is free."""
    free = free_bytes()
    if free is not None and needed_bytes > free:
        found = f"{what}: expected {needed_bytes / 2**30:.1f} GiB of free memory, found {free / 2**30:.1f} GiB"
        raise UserError(f"{found}. {advice}")


def _of_system() -> int | None:
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
    except OSError:  # no Linux
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _of_container() -> int | None:
    """Return what the limit of the control group (version 2) leaves; its caches can be taken."""
    try:
        limit = (_GROUP / "memory.max").read_text(encoding="ascii").strip()
        used = int((_GROUP / "memory.current").read_text(encoding="ascii"))
        lines = (_GROUP / "memory.stat").read_text(encoding="ascii").splitlines()
    except OSError:  # no container, or of version 1
        return None
    counts = dict(line.split() for line in lines)
    cached = sum(int(counts.get(name, 0)) for name in ("inactive_file", "active_file", "slab_reclaimable"))
    return int(limit) - used + cached if limit.isdecimal() else None
