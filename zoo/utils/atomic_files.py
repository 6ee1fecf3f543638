"""Write files so that a kill or a full disk never leaves half a file under its final name."""

import csv
import errno
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zoo.errors import UserError

ASIDE = ".writing-"  # how the names of unfinished files begin; a kill may leave one behind
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, with its suffix; rename it to `path` at the end of the body.

    Raises UserError naming `path` when the disk is full or the folder cannot be written; what was there stays. Other
    errors of the body, as of an input that cannot be read, stay what they are.
    """
    aside = path.with_name(f"{ASIDE}{path.stem}.{os.getpid()}{path.suffix}")
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
    """Write rows that share the first one's columns. Raises UserError as `written_aside`."""
    with written_aside(path) as aside, aside.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
