"""Find audio files in folders and lists."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from zoo.data.audio.formats import READABLE_SUFFIXES
from zoo.errors import UserError


def listed(lines: Iterable[str]) -> list[Path]:
    """Return the files named one a line, there or not, and those below the folders named; empty lines are skipped."""
    names = filter(None, (line.rstrip("\r\n") for line in lines))
    return [path for name in names for path in (audio_files([name]) if Path(name).is_dir() else [Path(name)])]


def audio_files(places: Sequence[str]) -> list[Path]:
    """Return the audio files named, and those below the folders named, sorted within each.

    Raises UserError for a place that does not exist or a folder without audio.
    """
    files: list[Path] = []
    for place in map(Path, places):
        if not place.exists():
            raise UserError(f"{place}: no such file or folder")
        inside = _below(place) if place.is_dir() else [place]
        if not inside:
            raise UserError(f"{place}: no audio below it; expected files ending in {', '.join(READABLE_SUFFIXES)}")
        files += inside
    return files


def audio_by_name(folder: Path, content: str) -> dict[str, Path]:
    """Return the audio below a folder, by name relative to it and sorted by that; hidden files and folders left out.

    Raises UserError where there is no such folder, or no audio in it; `content` says what was expected.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: expected a folder of {content}, found none. Check the path")
    files = {path.relative_to(folder).as_posix(): path for path in _below(folder)}
    shown = sorted(name for name in files if "/." not in f"/{name}")
    if not shown:
        raise UserError(f"{folder}: expected {content} ({', '.join(READABLE_SUFFIXES)}), found no such file")
    return {name: files[name] for name in shown}


def _below(folder: Path) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.suffix.lower() in READABLE_SUFFIXES and path.is_file())
    return sorted(path for path in files if not path.name.startswith("._"))
