"""Find audio files in folders and lists."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from zoo.data.audio.read import READABLE_SUFFIXES
from zoo.errors import UserError


def listed(lines: Iterable[str]) -> list[Path]:
    """Returns the files named one a line, and those below the folders named; empty lines are skipped.

    A file that is not there is left for the reader to report, so that it does not stop the others.
    """
    names = (line.rstrip("\r\n") for line in lines)
    return [path for name in names if name for path in (audio_files([name]) if Path(name).is_dir() else [Path(name)])]


def audio_files(places: Sequence[str]) -> list[Path]:
    """Returns the audio files named, and those below the folders named, sorted within each.

    Raises UserError for a place that does not exist or a folder without audio.
    """
    files: list[Path] = []
    for place in map(Path, places):
        if place.is_dir():
            inside = sorted(p for p in place.rglob("*") if p.suffix.lower() in READABLE_SUFFIXES and p.is_file())
            inside = [p for p in inside if not p.name.startswith("._")]
            if not inside:
                raise UserError(f"{place}: no audio below it; expected files ending in {', '.join(READABLE_SUFFIXES)}")
            files += inside
        elif place.exists():
            files.append(place)
        else:
            raise UserError(f"{place}: no such file or folder")
    return files
