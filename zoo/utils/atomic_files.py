"""Write files so that a kill or a full disk never leaves half a file under its final name."""

import csv
import errno
import io
import json
import os
import platform
import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from zoo.errors import UserError
from zoo.utils.portable import is_running
from zoo.utils.text import cell, original

ASIDE = ".writing-"  # how the names of unfinished files begin; a kill may leave one behind
_ABANDONED_SECONDS = 86_400.0  # since an unfinished file of another computer was last written
_NAMED_BY = re.compile(r"(?:@(?P<host>[\w-]+))?\.(?P<process>\d+)(?:\.[^.]*)?$")
_LONGEST_STEM = 40  # characters of the name that are repeated: systems take 255 bytes
_NUMBER = re.compile(r"-[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, with its suffix; rename it to `path` at the end of the body.

    Threads, processes and computers may write to one `path` at once: each fills a file of its own, and that of the
    last to end stays. Raises UserError naming `path` when the disk is full or the folder cannot be written; what was
    there stays. Other errors of the body, as of an input that cannot be read, stay what they are.
    """
    aside = aside_of(path)
    in_body = False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        in_body = True
        yield aside
        in_body = False
        with aside.open("rb+") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        if in_body and not _is_of_writing(error, aside):
            raise
        raise UserError(
            f"{path}: cannot be written ({error.strerror or error}); free space there or choose another folder"
        ) from error
    finally:
        if path.parent.is_dir():
            aside.unlink(missing_ok=True)


def aside_of(path: Path) -> Path:
    """Return a new name for an unfinished file or folder beside `path`, with its suffix.

    No other thread, process or computer gets the same one. It says who writes, as `is_being_written` reads it.
    """
    owner = f"{secrets.token_hex(4)}@{_host()}.{os.getpid()}"
    return path.with_name(f"{ASIDE}{path.stem[:_LONGEST_STEM]}.{owner}{path.suffix}")


def is_being_written(aside: Path) -> bool:
    """Return whether another process is at work on an unfinished file or folder, by its name of `aside_of`.

    On this computer, while the process runs. Processes of other computers cannot be seen here: what they left counts as
    being written for a day after its last change.
    """
    named = _NAMED_BY.search(aside.name)
    if named is None:
        return False
    process = int(named["process"])
    try:
        if named["host"] not in (None, _host()):
            return time.time() - aside.stat().st_mtime < _ABANDONED_SECONDS
    except FileNotFoundError:
        return False
    return process != os.getpid() and is_running(process)  # a number can come again, as 1 in every container


def _host() -> str:
    """Return this computer's name, as a part of a file's name without dots."""
    return re.sub(r"[^\w-]", "_", platform.node()) or "unnamed"


def _is_of_writing(error: OSError, aside: Path) -> bool:
    if error.filename is not None:
        return not isinstance(error.filename, int) and Path(os.fsdecode(error.filename)) == aside
    # Writes to an open file name no path, and NumPy's no error number: "100 requested and 60 written".
    return error.errno in _FULL or (error.errno is None and "written" in str(error))


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write indented JSON. Raises UserError as `written_aside`, ValueError for NaN."""
    with written_aside(path) as aside:
        aside.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows that share the first one's columns, as `csv_text`. Raises UserError as `written_aside`."""
    with written_aside(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        _write_rows(file, rows)


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows that share the first one's columns as CSV, safe to open in a spreadsheet (`text.cell`)."""
    text = io.StringIO(newline="")
    _write_rows(text, rows)
    return text.getvalue()


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read what `write_csv` wrote, with the names as they were given to it. Raises what opening and decoding do."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [{original(name): original(value) for name, value in row.items()} for row in rows]


def _write_rows(file: TextIO, rows: Sequence[Mapping[str, Any]]) -> None:
    columns = list(rows[0])
    writer = csv.writer(file)
    writer.writerow(map(_safe, columns))
    for row in rows:
        if unknown := [name for name in row if name not in rows[0]]:
            raise ValueError(f"expected the columns {columns}, found {unknown} too")
        writer.writerow([_safe(row.get(name, "")) for name in columns])


def _safe(value: Any) -> Any:
    """Return a value as a spreadsheet may have it; a negative number in words is no formula."""
    return value if isinstance(value, str) and _NUMBER.fullmatch(value) else cell(value)
