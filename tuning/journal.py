"""The journal of a search: events as lines of JSON in two files, so that neither a kill nor one damaged file loses any.

A line holds an event and, as `crc32`, the checksum of its canonical JSON, begun with the checksum of the line before: a
line that is changed, missing or out of place ends the valid part of its file. An event is in the journal once both
files are on the disk. Of two files the one with the longer valid part is right; the other is repaired from it.
"""

import fcntl
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.errors import UserError
from zoo.utils.atomic_files import written_aside

NAMES = ("search.jsonl", "search-copy.jsonl")
_LOCK = "search.lock"

Event = dict[str, Any]


def read(folder: Path) -> list[Event]:
    """Returns the events of a search without changing anything; a chief may be at work on it.

    Raises UserError where there is no search, or neither file has a valid first line.
    """
    files = [folder / name for name in NAMES]
    try:
        found = [path.read_bytes() for path in files if path.exists()]
    except OSError as error:
        raise UserError(f"{folder}: the search cannot be read ({error.strerror or error})") from error
    if not found:
        raise UserError(f"{folder}: no search is here (without {NAMES[0]}); give a folder that tune.py made")
    events = max((_valid(content) for content in found), key=len)
    if not events:
        raise UserError(
            f"{folder}: expected the journal of a search in {NAMES[0]} and {NAMES[1]}, found neither with a valid "
            "first line; restore one of them, or search again into another folder"
        )
    return events


class Journal:
    """The journal of one folder, held by one process. `Journal.create` or `Journal.open` make it."""

    def __init__(self, folder: Path, lock: int, events: list[Event]):
        self.folder, self.events, self._lock = folder, events, lock
        lines = list(_lines(events))
        self._checksum = json.loads(lines[-1])["crc32"]
        content = b"".join(lines)
        try:
            for name in NAMES:
                path = folder / name
                if not path.exists() or path.read_bytes() != content:
                    with written_aside(path) as aside:
                        aside.write_bytes(content)
            self._files = [os.open(folder / name, os.O_WRONLY | os.O_APPEND) for name in NAMES]
        except BaseException:
            os.close(lock)
            raise

    @classmethod
    def create(cls, folder: Path, events: Sequence[Event]) -> "Journal":
        """Begins a journal with its first events. Raises UserError where the folder has one, or another holds it."""
        lock = _locked(folder, make=True)
        for name in NAMES:
            if (folder / name).exists():
                os.close(lock)
                raise UserError(
                    f"{folder}: expected a folder without a search, found {name}; resume that search, or give another "
                    "folder"
                )
        return cls(folder, lock, list(events))

    @classmethod
    def open(cls, folder: Path) -> "Journal":
        """Opens a journal and repairs its files. Raises UserError as `read` does, or where another process holds it."""
        read(folder)  # before a lock file is left in a folder without a search
        lock = _locked(folder)
        try:
            events = read(folder)
        except UserError:
            os.close(lock)
            raise
        return cls(folder, lock, events)

    def append(self, event: Mapping[str, Any]) -> None:
        """Adds an event; it is on the disk when this returns.

        Raises UserError when it cannot be written; then neither the files nor `events` have it.
        """
        line, checksum = _line(event, self._checksum)
        sizes = [os.fstat(file).st_size for file in self._files]
        for name, file in zip(NAMES, self._files, strict=True):
            try:
                _write(file, line)
            except OSError as error:
                for other, size in zip(self._files, sizes, strict=True):
                    os.ftruncate(other, size)
                    os.fsync(other)
                raise UserError(
                    f"{self.folder / name}: cannot be written ({error.strerror or error}); free space there and resume"
                ) from error
        self.events.append(dict(event))
        self._checksum = checksum

    def close(self) -> None:
        """Lets another process open the journal."""
        for file in (*self._files, self._lock):
            os.close(file)
        self._files = []


def _write(file, line):
    while line:
        line = line[os.write(file, line) :]
    os.fsync(file)


def _locked(folder, make=False):
    """Holds the folder for this process, and returns what to close to let it go. The kernel does so at a kill."""
    try:
        if make:
            folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror or error}); choose another folder") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise UserError(f"{folder}: another process is at work on this search; wait for it, or end it first") from error
    return lock


def _line(event, before):
    canonical = json.dumps(event, sort_keys=True, separators=(",", ":"), allow_nan=False)
    checksum = zlib.crc32(canonical.encode(), before)
    return json.dumps({**event, "crc32": checksum}, allow_nan=False).encode() + b"\n", checksum


def _lines(events):
    checksum = 0
    for event in events:
        line, checksum = _line(event, checksum)
        yield line


def _valid(content: bytes) -> list[Event]:
    """The events up to the first line that is damaged or torn."""
    events, checksum = [], 0
    for text in content.split(b"\n"):
        try:
            event = json.loads(text)
            found = event.pop("crc32")
            checksum = _line(event, checksum)[1]
        except (ValueError, TypeError, AttributeError, KeyError):
            break
        if found != checksum:
            break
        events.append(event)
    return events
