"""Find audio files in folders and lists. What cannot be used is named: nothing but files of other kinds is left out."""

import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path, PurePath

from zoo.data.audio.formats import OTHER_SUFFIXES, READABLE_NAMES, READABLE_SUFFIXES, container_of
from zoo.errors import UserError

OnBad = Callable[[str, str], None]  # takes the name of what cannot be used, and a message that begins with it

_SUFFIXES = frozenset(READABLE_SUFFIXES + OTHER_SUFFIXES)
_HEAD_BYTES = 64  # of a file without a suffix
_EXPECTED = f"expected files ending in {', '.join(READABLE_SUFFIXES)}"
_KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket"}


def audio_files(places: Iterable[str], on_bad: OnBad, pipes: bool = False) -> list[Path]:
    """Return the files named, there or not, and the audio below the folders named, sorted within each.

    `on_bad` gets what cannot be: names that no file can have, devices, sockets, pipes unless `pipes` allows them,
    folders without audio, and of what is in a folder also folders that cannot be read, links to folders, which are not
    followed, and links that lead nowhere.
    """
    files: list[Path] = []
    for place in places:
        try:
            mode = os.stat(place).st_mode  # noqa: PTH116  a list may have a million names
        except OSError:  # reading it says why
            files.append(Path(place))
            continue
        except ValueError:  # NUL, or half a character
            on_bad(place, f"{place}: expected the name of a file, found characters that no name can have")
            continue
        if stat.S_ISDIR(mode):
            found, bad = _below(place)
            if not found and not bad:
                bad = [(place, f"{place}: no audio below it; {_EXPECTED}")]
            files += found
            for name, message in bad:
                on_bad(name, message)
        elif stat.S_ISREG(mode) or (pipes and stat.S_ISFIFO(mode)):
            files.append(Path(place))
        else:
            on_bad(place, _not_regular(place, mode))
    return files


def audio_by_name(folder: Path, content: str) -> dict[str, Path]:
    """Return the audio below a folder, by name relative to it and sorted by that; hidden files and folders left out.

    Raises UserError where there is no such folder, no audio in it, or something that `audio_files` cannot use;
    `content` says what was expected.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: expected a folder of {content}, found none. Check the path")

    def name(path: Path) -> str:
        return path.relative_to(folder).as_posix()

    found, bad = _below(str(folder))
    for place, message in bad:
        if "/." not in f"/{name(Path(place))}":
            raise UserError(message)
    files = {name(path): path for path in found if "/." not in f"/{name(path)}"}
    if not files:
        raise UserError(f"{folder}: expected {content} ({', '.join(READABLE_SUFFIXES)}), found no such file")
    return {name: files[name] for name in sorted(files)}


def _below(folder: str) -> tuple[list[Path], list[tuple[str, str]]]:
    """Return the audio below a folder, and what cannot be used with the reason; both sorted."""
    files: list[Path] = []
    bad: list[tuple[str, str]] = []
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif message := _unusable(entry):
                        bad.append((entry.path, message))
                    elif _is_audio(entry):
                        files.append(Path(entry.path))
        except OSError as error:
            bad.append((place, f"{place}: the folder cannot be read ({error.strerror}). Change its permissions"))
    return sorted(files), sorted(bad)


def _unusable(entry: os.DirEntry) -> str | None:
    """Say why what may be audio by its name is none that can be read: what a link leads to, or a special file."""
    if entry.is_file(follow_symlinks=False):
        return None
    suffix = _suffix(entry)
    try:
        mode = Path(entry.path).stat().st_mode
    except OSError as error:
        found = f"{entry.path}: a link that leads to no file ({error.strerror}). Correct or remove it"
        return found if not suffix or suffix in _SUFFIXES else None
    if stat.S_ISDIR(mode):
        return f"{entry.path}: a link to a folder, which is not followed. Name the folder itself, if it is wanted"
    return _not_regular(entry.path, mode) if not stat.S_ISREG(mode) and suffix in _SUFFIXES else None


def _is_audio(entry: os.DirEntry) -> bool:
    """Tell by a file's suffix, or where it has none by its first bytes, for audio that can be read."""
    suffix = _suffix(entry)
    if suffix or not entry.is_file():
        return suffix in _SUFFIXES and not entry.name.startswith("._")  # what macOS keeps beside a file
    try:
        # Files of /proc may wait for ever.
        opened = os.open(entry.path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(opened, "rb", buffering=0) as file:
            return container_of(file.read(_HEAD_BYTES) or b"") in READABLE_NAMES
    except OSError:  # nothing says that it is audio
        return False


def _suffix(entry: os.DirEntry) -> str:
    return PurePath(entry.name).suffix.lower()


def _not_regular(place: str, mode: int) -> str:
    return f"{place}: expected a regular file, found {_KINDS.get(stat.S_IFMT(mode), 'none')}. Leave it out"
