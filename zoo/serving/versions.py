"""Write numbered versions of an export, as a model server looks for them: a number appears only once it is complete."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import UserError
from zoo.utils.atomic_files import ASIDE
from zoo.utils.portable import lock, unlock

_LARGEST = 2**63 - 1  # a server reads versions as 64-bit integers


def numbers(folder: Path) -> list[int]:
    """Return the versions in a folder, in order; none where the folder is absent."""
    if not folder.is_dir():
        return []
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal() and path.is_dir())


def version_folder(place: Path) -> Path | None:
    """Return where an export's saved_model.pb is: `place`, or the newest version in it; None where neither is."""
    if (place / "saved_model.pb").is_file():
        return place
    found = numbers(place)
    return place / str(found[-1]) if found else None


@contextmanager
def new_version(out: Path, version: int | None = None) -> Iterator[tuple[Path, Path]]:
    """Yield an empty folder to be filled, and `out`/N, which it becomes once the body is through.

    N is `version`, or the number after the newest. Until then the folder has a name that no server takes for a version:
    a kill at any moment leaves no number. The next one to write removes what a kill left.

    Raises UserError where `version` is not above the newest, where another process writes to `out`, or for a folder
    that cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with _alone_in(out):
            for leftover in out.glob(f"{ASIDE}*"):
                shutil.rmtree(leftover)
            newest = max(numbers(out), default=0)
            version = newest + 1 if version is None else version
            if not newest < version <= _LARGEST:
                raise UserError(f"--version is {version}, expected one above {newest}, the newest in {out}; or omit it")
            final = out / str(version)
            aside = out / f"{ASIDE}{os.getpid()}"
            aside.mkdir()
            try:
                yield aside, final
                for path in (*aside.rglob("*"), aside):
                    _sync(path)
                aside.rename(final)
                _sync(out)
            finally:
                shutil.rmtree(aside, ignore_errors=True)  # it has been renamed, or is not wanted
    except OSError as error:
        raise UserError(
            f"{out}: cannot be written ({error.strerror or error}); free space there or choose another folder"
        ) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _alone_in(out: Path) -> Iterator[None]:
    """Lock a folder against other writers. The system releases it when this process ends, however it does."""
    try:
        held = lock(out / "export.lock")
    except BlockingIOError as error:
        raise UserError(f"{out}: another process exports to it; wait for it or give another --out") from error
    try:
        yield
    finally:
        unlock(held)
