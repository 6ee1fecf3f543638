"""Hash the files of a run that decide what it predicts."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from zoo.data.audio.scan import file_sha256

_DECIDING = ("config.json", "confidence.json", "fold-*/*.keras", "fold-*/*.json", "fold-*/*.npz")
_FIGURES = ("metrics.json",)  # which studies may add to


def of_run(folder: Path) -> str:
    """Return the SHA-256 of a run's models and settings."""
    paths = [path for pattern in _DECIDING for path in folder.glob(pattern) if path.name not in _FIGURES]
    return of_files(folder, paths)


def of_files(home: Path, paths: Iterable[Path]) -> str:
    """Return the SHA-256 of the names below `home`, and the contents, of files."""
    found = hashlib.sha256()
    for path in sorted(paths):
        found.update(f"{path.relative_to(home).as_posix()}\0{file_sha256(path)}\n".encode())
    return found.hexdigest()
