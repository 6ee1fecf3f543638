"""Keep a project's recordings in its folder: audio files, what people say of them, and what was computed of them.

labels.csv         labels of people (zoo.learning.labelling.label_file)
audio/             recordings; files that are put here by hand are found too
recordings.json    names as people gave them, and speakers, by file
cache/             pictures and predictions; may be deleted at any time
training/          runs on the labels
"""

import re
import secrets
import shutil
import threading
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zoo.data.audio.formats import READABLE_SUFFIXES
from zoo.data.audio.read import open_audio, open_file, stored
from zoo.data.audio.recording import check_length
from zoo.errors import UserError
from zoo.utils.atomic_files import ASIDE, aside_of, is_being_written, write_json
from zoo.utils.json_files import read_json

LONGEST_NAME = 120  # characters of a recording's name or speaker
LEAST_SECONDS = 0.1
_TABLE = {str: {"name?": str, "speaker?": str}}


class TooLarge(UserError):  # noqa: N818
    """An upload beyond the limit."""


class NotThere(UserError):  # noqa: N818
    """A recording that the project does not have."""


@dataclass(frozen=True)
class Recording:
    """A recording: `file` is its name in audio/, `name` what people call it, `speaker` who speaks, if they said so."""

    file: str
    name: str
    speaker: str
    seconds: float
    rate_hz: int
    channels: int

    def facts(self) -> dict[str, Any]:
        return asdict(self)


class Project:
    """A folder of recordings and labels; made where it is not there. Raises UserError where it cannot be."""

    def __init__(self, folder: Path):
        self.folder = folder.resolve()
        self.audio, self.cache, self.training = (self.folder / name for name in ("audio", "cache", "training"))
        self.labels = self.folder / "labels.csv"
        self._table, self._lock = self.folder / "recordings.json", threading.Lock()
        self._headers: dict[tuple[str, int, int], tuple[float, int, int]] = {}
        try:
            for place in (self.audio, self.cache, self.training):
                place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"--data {folder}: cannot be made or written ({error.strerror or error})") from error
        for leftover in self.audio.glob(f"{ASIDE}*"):  # of a process that was killed during an upload
            if not is_being_written(leftover):
                leftover.unlink(missing_ok=True)

    def files(self) -> dict[str, Path]:
        """Return the paths of recordings by file name, the only way from a browser's words to a path."""
        found = (path for path in sorted(self.audio.iterdir()) if not path.name.startswith("."))
        return {path.name: path for path in found if path.is_file() and not path.is_symlink()}

    def path(self, file: str) -> Path:
        """Return a recording's path. Raises NotThere."""
        if (path := self.files().get(file)) is None:
            raise NotThere("This recording is not in the project. Load the list of recordings again")
        return path

    def recordings(self) -> tuple[list[Recording], list[dict[str, str]]]:
        """Return the recordings, and those files that cannot be read with the reason."""
        table, found, bad = self._said(), [], []
        for file, path in self.files().items():
            try:
                found.append(self._recording(file, path, table))
            except UserError as error:
                bad.append({"file": file, "error": str(error)})
        return found, bad

    def recording(self, file: str) -> Recording:
        """Return one recording. Raises NotThere, and BadClip for one that cannot be read."""
        return self._recording(file, self.path(file), self._said())

    def _recording(self, file: str, path: Path, table: dict[str, dict[str, str]]) -> Recording:
        facts = path.stat()
        key = (file, facts.st_size, facts.st_mtime_ns)
        if key not in self._headers:
            with open_file(path) as stream, open_audio(stream, file) as audio:
                self._headers[key] = (audio.frames / audio.samplerate, audio.samplerate, audio.channels)
        said = table.get(file, {})
        return Recording(file, said.get("name") or file, said.get("speaker", ""), *self._headers[key])

    def _said(self) -> dict[str, dict[str, str]]:
        if not self._table.exists():
            return {}
        return read_json(self._table, "names and speakers of recordings", _TABLE)

    def say(self, file: str, **words: str) -> Recording:
        """Write down the name or the speaker of a recording."""
        self.path(file)
        tidy = {key: " ".join(text.split())[:LONGEST_NAME] for key, text in words.items()}
        with self._lock:
            table = self._said()
            write_json(self._table, {**table, file: {**table.get(file, {}), **tidy}})
        return self.recording(file)

    async def add(self, name: str, content: AsyncIterator[bytes], most_bytes: int) -> Recording:
        """Store an upload once it is complete and can be read. Raises BadClip, TooLarge, UserError.

        Files appear under their names when they are whole: a kill before leaves only an unfinished one, which the next
        start removes.
        """
        shown = " ".join(name.split())[-LONGEST_NAME:] or "recording"
        place = self.audio / _file_name(shown)
        aside = aside_of(place)
        try:
            size = 0
            with aside.open("xb") as file:
                async for part in content:
                    if (size := size + len(part)) > most_bytes:
                        raise TooLarge(
                            f"{shown}: expected at most {most_bytes // 10**6} MB. Cut it, or send it as FLAC"
                        )
                    file.write(part)
            check(aside, shown)
            aside.replace(place)
        except OSError as error:
            raise UserError(f"{shown}: cannot be stored ({error.strerror or error}); free space on the disk") from error
        finally:
            aside.unlink(missing_ok=True)
        return self.say(place.name, name=shown)

    def remove(self, file: str) -> None:
        """Delete a recording and what was computed of it; its labels stay in the label file."""
        path = self.path(file)
        path.unlink(missing_ok=True)
        for folder in self.cache.iterdir():
            shutil.rmtree(folder / file, ignore_errors=True)


def check(path: Path, name: str) -> None:
    """Read a whole recording as zoo.data.audio.read does. Raises BadClip, which calls it `name`."""
    with open_file(path) as stream, open_audio(stream, name) as audio:
        check_length(audio.frames, audio.samplerate, name, LEAST_SECONDS, float("inf"))
        for _ in stored(audio, name):
            pass


def _file_name(shown: str) -> str:
    """Return a new name for a file: letters of what people call it, and some that no other file has."""
    stem, dot, suffix = shown.rpartition(".")
    stem, suffix = (stem, f".{suffix.lower()}") if dot else (shown, "")
    letters = re.sub(r"[^A-Za-z0-9]+", "-", stem).strip("-")[:40] or "recording"
    return f"{letters}-{secrets.token_hex(3)}{suffix if suffix in READABLE_SUFFIXES else '.wav'}"
