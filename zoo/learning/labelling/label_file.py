"""Keep labels of people and machines in one append-only table, which several programs may write at once.

A label file is CSV in UTF-8, a label a line, with the columns `COLUMNS`. It only grows: each `append` writes whole
lines, so that a process that is killed, or a full disk, leaves at most one unfinished line at the end, which readers
leave out and the next `append` cuts off. A line without a label takes back the one before it (`zoo.data.labels`).

Names of clips are relative to the folder of the label file, with slashes; clips elsewhere have absolute names.
"""

import csv
import io
import os
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from zoo.data.labels import COLUMNS, SOURCES, Label, Segment, alike, cells_of, current, label_of, now, votes
from zoo.errors import UserError, unknown
from zoo.utils.portable import lock, unlock

__all__ = [
    "COLUMNS",
    "SOURCES",
    "Label",
    "Segment",
    "alike",
    "append",
    "clip_path",
    "current",
    "file_name",
    "now",
    "read",
    "votes",
]

PATIENCE_SECONDS = 30.0  # for other processes that write to the same file
_HEADER = ",".join(COLUMNS)
_BOM = b"\xef\xbb\xbf"  # spreadsheets put it first
_TORN_BYTES = 2**18  # no line is longer: more without an end is damage
_WRITTEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")  # a time by `now`, with which a whole line ends

OnNotice = Callable[[str], None]


def _warn(notice: str) -> None:
    warnings.warn(notice, stacklevel=3)


def file_name(labels: Path, clip: Path) -> str:
    """Return what a label file calls a clip: relative to its folder where the clip is below it, else absolute."""
    folder, place = map(os.path.abspath, (labels.parent, clip))
    inside = Path(place).is_relative_to(folder)
    return (Path(place).relative_to(folder) if inside else Path(place)).as_posix()


def clip_path(labels: Path, file: str) -> Path:
    """Return the path of a clip by its name in a label file."""
    return labels.parent / file


def append(path: Path, rows: Sequence[Label], classes: Sequence[str] = (), on_notice: OnNotice = _warn) -> None:
    """Add labels at the end, in one write that is on the disk on return; makes the file where there is none.

    Other threads and processes may append at once. An unfinished line at the end is cut off first, and `on_notice` told
    so. Raises UserError for a label that is none of `classes` (where given), for a file that is no label file, cannot
    be written or is locked for half a minute; then the file holds what it held.
    """
    for row in rows:
        if classes and row.label and row.label not in classes:
            raise unknown("label", row.label, classes)
    if not rows:
        return
    with _alone(path):
        size, first = _end(path, on_notice)
        with path.open("ab", buffering=0) as file:
            try:
                file.truncate(size)
                _write(file, (first + _lines(rows)).encode())
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)
                raise


def read(path: Path, on_notice: OnNotice = _warn) -> list[Label]:
    """Read all lines in order, those that take labels back among them.

    What a spreadsheet changes on saving is understood: a byte-order mark, CRLF, empty lines, times without T or Z. An
    unfinished last line is left out, and `on_notice` told so. Raises UserError, with line numbers, for a file that is
    no label file or has damaged lines.
    """
    _check_regular(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: expected a label file, but {error.strerror or error}. Check the path") from error
    torn = _torn(content)
    if content != torn:
        _check_header(path, content.partition(b"\n")[0])
    if torn:
        on_notice(_notice(path, torn, "left out"))
    return _parsed(path, content.removesuffix(torn))


def _lines(rows: Sequence[Label]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(map(cells_of, rows))
    return text.getvalue()


def _parsed(path: Path, content: bytes) -> list[Label]:
    """Return the labels of whole lines. Raises UserError, with the numbers of up to five damaged ones."""
    found, damaged = [], []
    for number, line in enumerate(content.split(b"\n")[1:], 2):
        try:
            cells = _cells(line)
            found += [label_of(cells)] if any(cells) else []
        except (ValueError, csv.Error, UserError) as error:
            damaged.append(f"line {number}: {error}")
    if damaged:
        more = f" ({len(damaged)} lines are damaged)" if len(damaged) > 1 else ""
        repair = "Repair or remove the line in a text editor; labels behind it are not lost"
        raise UserError(f"{path}, {damaged[0]}{more}. {repair}", "\n".join(damaged[1:5]))
    return found


def _cells(line: bytes) -> list[str]:
    """Split a line of CSV. Raises ValueError (no UTF-8, NUL) or csv.Error (quotes that do not end)."""
    text = line.decode().removesuffix("\r")
    if "\0" in text:
        raise ValueError("found NUL bytes, as a full disk or a power cut leaves")
    return next(csv.reader([text], strict=True), [])


def _check_header(path: Path, line: bytes) -> None:
    if line.removeprefix(_BOM).removesuffix(b"\r") != _HEADER.encode():
        found = line[:80].decode(errors="replace")
        raise UserError(
            f"{path}: expected a label file, whose first line is {_HEADER}, found {found!r}. Name another file, or "
            "save it as CSV with commas in UTF-8; another program's table is read by --corpus table"
        )


def _check_regular(path: Path) -> None:
    """Raise UserError for a folder, a pipe or a device; reading these may wait for ever."""
    if path.exists() and not path.is_file():
        found = "a folder" if path.is_dir() else "a pipe or a device"
        raise UserError(f"{path}: expected a label file, found {found}. Name a file, such as labels.csv")


def _torn(content: bytes) -> bytes:
    """Return the unfinished last line of the content, or of the end, of a label file; empty where it is whole.

    A line is whole with its line feed, and without it where its last cell, the time, is.
    """
    begin, _, rest = content.rpartition(b"\n")
    if not begin:
        return rest if len(rest) < len(_HEADER) and _HEADER.encode().startswith(rest.removeprefix(_BOM)) else b""
    return rest if len(rest) <= _TORN_BYTES and not _is_whole(rest) else b""


def _is_whole(line: bytes) -> bool:
    try:
        cells = _cells(line)
    except (ValueError, csv.Error):
        return False
    return len(cells) == len(COLUMNS) and _WRITTEN.fullmatch(cells[-1]) is not None


def _notice(path: Path, torn: bytes, what: str) -> str:
    found = torn[:200].decode(errors="replace")
    return f"{path}: the last line is unfinished, as when a program is killed while it writes; it is {what}: {found!r}"


def _end(path: Path, on_notice: OnNotice) -> tuple[int, str]:
    """Return the bytes to keep, up to the last whole line, and what must come before new lines.

    Raises UserError where the first line is no header or the last one is damaged.
    """
    if not path.exists():
        return 0, f"{_HEADER}\n"
    with path.open("rb") as file:
        first = file.readline(_TORN_BYTES)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TORN_BYTES - 1))
        last = file.read()
    torn = _torn(last)
    if size != len(torn):
        _check_header(path, first.removesuffix(b"\n"))
    if torn:
        on_notice(_notice(path, torn, "cut off"))
        size -= len(torn)
    if size == 0:
        return 0, f"{_HEADER}\n"
    if torn or last.endswith(b"\n"):
        return size, ""
    if b"\n" in first and not _is_whole(last.rpartition(b"\n")[2]):
        raise UserError(f"{path}: more than {_TORN_BYTES} bytes behind the last line have no end; repair the file")
    return size, "\n"


def _write(file: io.FileIO, data: bytes) -> None:
    """Write all of the data; the system may take only a part at once, as before a disk is full."""
    while data:
        data = data[file.write(data) :]


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other writers of a label file out; its folder is made. Raises UserError for errors of the system."""
    _check_regular(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = lock(path.with_name(f".{path.name}.lock"), PATIENCE_SECONDS)
        try:
            yield
        finally:
            unlock(held)
    except BlockingIOError as error:
        raise UserError(f"{path}: another process has been writing to it for long; end it, or try again") from error
    except OSError as error:
        advice = "see its permissions and the free space there, or choose another folder"
        raise UserError(f"{path}: cannot be written ({error.strerror or error}); {advice}") from error
