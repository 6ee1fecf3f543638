"""Find the audio files that a table names, whatever their extension and folder."""

import os
from collections.abc import Iterable
from pathlib import Path

from zoo.data.audio.formats import OTHER_SUFFIXES, READABLE_SUFFIXES
from zoo.errors import UserError, shortened

_SUFFIXES = frozenset(READABLE_SUFFIXES + OTHER_SUFFIXES)


class AudioFiles:
    """Files below a folder, listed as far as names ask for it."""

    def __init__(self, root: Path):
        self.root = root
        self._listed: dict[str, tuple[Path, frozenset[str]]] = {}
        self._stems_of: dict[str, dict[str, list[str]]] = {}
        self._by_stem: dict[str, list[Path]] | None = None

    def find(self, name: str) -> Path | None:
        """Return the file that a table calls `name`, a path with "/" below the root or an absolute one; None if absent.

        First the file itself, then one beside its place with another extension, then one of that name in any folder,
        then one of that name and another extension. Raises UserError where several are equally near, and for a name
        that leaves the root by "..".
        """
        folder, _, base = name.rpartition("/")
        if base in ("", ".", ".."):
            raise UserError(f"{name!r}: expected the name of an audio file, found a folder. Correct the table")
        if ".." in name:
            self._check_inside(name)
        place, names = self._list(folder if folder or not name.startswith("/") else "/")
        if base in names:
            return place / base
        stem = without_audio_suffix(base)
        if near := self._stems(folder, names).get(stem):
            return self._only(name, [place / other for other in sorted(near)])
        if name.startswith("/"):
            return None
        every = self._everywhere().get(stem, [])
        exact = [path for path in every if path.name == base]
        return self._only(name, self._nearest(name, exact or every))

    def _check_inside(self, name: str) -> None:
        depth = 0
        for part in name.split("/") if not name.startswith("/") else ():
            depth += -1 if part == ".." else part not in ("", ".")
            if depth < 0:
                raise UserError(
                    f"{name!r}: expected a file below {self.root}, found '..' that leaves it: with the table elsewhere "
                    "it would be another file. Give the folder above with --audio-root, or write absolute paths"
                )

    def _list(self, folder: str) -> tuple[Path, frozenset[str]]:
        if folder not in self._listed:
            place = self.root / folder if folder else self.root
            try:
                with os.scandir(place) as entries:
                    names = frozenset(entry.name for entry in entries if not entry.is_dir())
            except (OSError, ValueError):  # no such folder: its files may lie elsewhere, or are reported as absent
                names = frozenset()
            self._listed[folder] = place, names
        return self._listed[folder]

    def _stems(self, folder: str, names: frozenset[str]) -> dict[str, list[str]]:
        """Return the audio files of a listed folder by their names without extension."""
        if folder not in self._stems_of:
            stems = self._stems_of[folder] = {}
            for name in names:
                if is_audio(name):
                    stems.setdefault(without_audio_suffix(name), []).append(name)
        return self._stems_of[folder]

    def _everywhere(self) -> dict[str, list[Path]]:
        if self._by_stem is None:
            self._by_stem = {}
            for folder, folders, names in os.walk(self.root):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                for name in sorted(names):
                    if not name.startswith(".") and is_audio(name):
                        self._by_stem.setdefault(without_audio_suffix(name), []).append(Path(folder, name))
        return self._by_stem

    def _nearest(self, name: str, paths: list[Path]) -> list[Path]:
        """Return the paths that share the most folders with the end of `name`: a/x.wav is corpus/a/x.flac."""
        wanted = name.split("/")[-2::-1]

        def common(path: Path) -> int:
            own = path.relative_to(self.root).parts[-2::-1]
            return next(
                (n for n, (a, b) in enumerate(zip(wanted, own, strict=False)) if a != b), min(len(wanted), len(own))
            )

        most = max(map(common, paths), default=0)
        return [path for path in paths if common(path) == most]

    def _only(self, name: str, paths: list[Path]) -> Path | None:
        if len(paths) > 1:
            found = shortened([path.relative_to(self.root).as_posix() for path in paths])
            raise UserError(
                f"{name!r}: expected one file of that name below {self.root}, found {len(paths)}: {found}. Write its "
                "folder and extension into the table, or remove the others"
            )
        return paths[0] if paths else None


def without_audio_suffix(name: str) -> str:
    """Return a file's name without its extension, if that is one of audio: "a.b" stays."""
    stem, dot, suffix = name.rpartition(".")
    return stem if stem and f"{dot}{suffix}".lower() in _SUFFIXES else name


def is_audio(name: str) -> bool:
    """Return whether a file is one of audio by its extension."""
    return without_audio_suffix(name) != name


def resolve(names: Iterable[str], root: Path) -> dict[str, Path | None]:
    """Return the file of each name, once; None for those that are absent. Raises UserError as `AudioFiles.find`."""
    files = AudioFiles(root)
    return {name: files.find(name) for name in dict.fromkeys(names)}
