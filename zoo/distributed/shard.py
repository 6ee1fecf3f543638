"""Write the result of one shard, in the process that makes it."""

import csv
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zoo.distributed.pool import Runner
from zoo.errors import UserError
from zoo.utils.atomic_files import written_aside
from zoo.utils.text import cell

PLACE = "shards"
FAILED = "-failed"  # behind the name of a shard; sorted before its result, so that it is there first
FAILED_HEADER = b"file,kind,error\n"

Failed = list[tuple[str, str, str]]  # file, kind, error


def name_of(number: int) -> str:
    """Return the name of a shard: its number from 0, in at least six digits."""
    return f"{number:06}"


@contextmanager
def result(folder: Path, number: int, suffix: str) -> Iterator[tuple[Path, Failed]]:
    """Yield a file to fill with a shard's result and a list for what fails; both appear under their names at the end.

    Raises UserError as `written_aside`.
    """
    failed: Failed = []
    base = folder / PLACE / name_of(number)
    with written_aside(base.with_name(f"{base.name}{suffix}")) as aside:
        yield aside, failed
        place = base.with_name(f"{base.name}{FAILED}")
        if failed:
            write_failed(place, failed)
        else:
            place.unlink(missing_ok=True)  # of an earlier list


def write_failed(path: Path, failed: Sequence[tuple[str, str, str]]) -> None:
    """Write a list of files that could not be used, a line each. Raises UserError as `written_aside`."""
    with written_aside(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        file.write(FAILED_HEADER.decode())
        csv.writer(file, lineterminator="\n").writerows([[cell(value) for value in row] for row in failed])


def enter(folder: str, names: Sequence[str]) -> None:
    """Make a folder the current one, where names are relative to it. Raises UserError where it is not on this node."""
    if all(map(os.path.isabs, names)):
        return
    try:
        os.chdir(folder)
    except OSError as error:
        raise UserError(
            f"{folder}: expected the folder that names of files are relative to ({error.strerror}). Give absolute names"
        ) from error


def guarded(make: Callable[[Path, Mapping[str, Any]], None]) -> Runner:
    """Return a function that makes a shard, and whose outcome tells of an error.

    A UserError, as of a full disk or a model that is not there, is "error": the other shards would have it too. Any
    other is "broken", of this shard alone; its traceback is printed.
    """

    def perform(folder: Path, content: Mapping[str, Any]) -> dict[str, Any]:
        try:
            make(folder, content)
        except UserError as error:
            return {"error": str(error)}
        except Exception as error:
            print(traceback.format_exc(), file=sys.stderr, flush=True)
            return {"broken": f"{type(error).__name__}: {str(error).partition(chr(10))[0][:500]}"}
        return {}

    return perform
