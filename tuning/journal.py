"""Keep a search's events as lines of JSON in two files; neither a kill nor one damaged file loses any.

A line holds an event and, as `crc32`, the checksum of its canonical JSON, seeded with that of the line before.
What does not fit ends the valid part of a file. The file with the longer valid part is right. What an event says is
not looked at here (tuning.replay).
"""

import json
import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.errors import UserError
from zoo.utils.atomic_files import written_aside
from zoo.utils.portable import lock

NAMES = ("search.jsonl", "search-copy.jsonl")

Event = dict[str, Any]


def read(folder: Path) -> list[Event]:
    """Return the events of a search without changing anything; another process may be running it.

    Raises UserError where there is no search, or neither file has a valid first line.
    """
    try:
        found = [path.read_bytes() for path in _files(folder) if path.exists()]
    except OSError as error:
        raise UserError(f"{folder}: the search cannot be read ({error.strerror or error})") from error
    if not found:
        raise UserError(
            f"{folder}: no search is here ({NAMES[0]}); give a folder that tune.py made, or --model and --corpus to "
            "begin one"
        )
    events = max(map(_valid, found), key=len)
    if not events:
        names = " and ".join(NAMES)
        raise UserError(f"{folder}: found {names}, neither with a valid first line; restore one")
    return events


class Journal:
    """The journal of one folder, held by one process."""

    def __init__(self, folder: Path, first: Sequence[Event] | None = None):
        """Begin a journal with its first events; without any, open one and repair its files.

        Raises UserError as `read`, and where a new one finds another or a process holds it.
        """
        if first is None:
            read(folder)  # before a lock file is left in a folder without a search
        self.folder, self._lock = folder, _locked(folder)
        self.notes: list[str] = []  # what was damaged
        self._open: list[int] = []
        try:
            if first is None:
                self.events = read(folder)
            elif any(path.exists() for path in _files(folder)):
                raise UserError(f"{folder}: expected no search, found one; resume it, or take another")
            else:
                self.events = list(first)
            self._repair()
        except BaseException:
            self.close()
            raise

    def _repair(self) -> None:
        """Make both files those events; where whole lines lie behind a damaged one, keep a copy of the file."""
        lines, self._checksum = [], 0
        for event in self.events:
            line, self._checksum = _line(event, self._checksum)
            lines.append(line)
        for path in _files(self.folder):
            found = path.read_bytes() if path.exists() else b""
            if found.count(b"\n") > len(lines) + 1:
                copy = path.with_name(f"{path.stem}-damaged{path.suffix}")
                with written_aside(copy) as aside:
                    aside.write_bytes(found)
                self.notes.append(f"{path}: line {len(lines) + 1} is damaged; it and those behind it are now in {copy}")
            if found != b"".join(lines):
                with written_aside(path) as aside:
                    aside.write_bytes(b"".join(lines))
            self._open.append(os.open(path, os.O_WRONLY | os.O_APPEND))

    def append(self, event: Mapping[str, Any], sync: bool = True) -> None:
        """Add an event; it is on the disk when this returns, or with `sync` False, when `sync()` does.

        A kill of this process loses none in either case, a failure of the machine's power those not yet on the disk.
        Raises UserError when it cannot be written, ValueError for numbers that are not finite; then neither the files
        nor `events` have it.
        """
        json.dumps(event, allow_nan=False)
        line, checksum = _line(event, self._checksum)
        size = os.fstat(self._open[0]).st_size  # the same of both
        for path, file in zip(_files(self.folder), self._open, strict=True):
            try:
                rest = line
                while rest:
                    rest = rest[os.write(file, rest) :]
                if sync:
                    os.fsync(file)
            except OSError as error:
                for other in self._open:
                    os.ftruncate(other, size)
                    os.fsync(other)
                raise _unwritable(path, error) from error
        self.events.append(dict(event))
        self._checksum = checksum

    def sync(self) -> None:
        """Wait until all events are on the disk. Raises UserError where that fails."""
        for path, file in zip(_files(self.folder), self._open, strict=True):
            try:
                os.fsync(file)
            except OSError as error:
                raise _unwritable(path, error) from error

    def close(self) -> None:
        """Let another process open the journal."""
        self._lock.release()
        for file in self._open:
            os.close(file)


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(f"{path}: cannot be written ({error.strerror or error}); free space there and resume")


def _files(folder):
    return [folder / name for name in NAMES]


def _locked(folder):
    """Return a lock on the folder, released by a kill at the latest."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return lock(folder / "search.lock")
    except BlockingIOError as error:
        raise UserError(f"{folder}: another process is at work on this search; wait, or end it") from error
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror or error}); choose another folder") from error


def _line(event, before):
    canonical = json.dumps(event, sort_keys=True, separators=(",", ":"))
    checksum = zlib.crc32(canonical.encode(), before)
    return json.dumps({**event, "crc32": checksum}).encode() + b"\n", checksum


def _valid(content: bytes) -> list[Event]:
    """Return the events before the first damaged or torn line."""
    events, checksum = [], 0
    for text in content.split(b"\n"):
        try:
            event = json.loads(text)
            found = event.pop("crc32")
            checksum = _line(event, checksum)[1]
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
            break
        if found != checksum:
            break
        events.append(event)
    return events
