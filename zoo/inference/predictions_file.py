"""Write predictions of any number of files by whole lines, so that an interrupted command can be resumed.

    FILE              JSON lines or CSV; flushed after every batch
    FILE.failed.csv   the files that could not be used: file, kind, error

Resuming reads the lines, cuts off one that is half written, and leaves out the files that have a prediction. Files that
failed are tried again.
"""

import csv
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, TextIO

from zoo.errors import UserError
from zoo.inference.rows import MIX, flat_quality
from zoo.utils.portable import lock, unlock
from zoo.utils.text import cell

_TORN_BYTES = 65_536  # no line is longer: more without an end is damage

_NESTED = ("probabilities", "ratings", "targets", "quality", "reason")  # what a CSV has in columns of its own

Row = Mapping[str, Any]
Lines = Callable[[Row], str]


class Failure(NamedTuple):
    """A file that could not be used: its name, a key of zoo.data.audio.recording.BAD_KINDS, the whole message."""

    file: str
    kind: str
    error: str


class Answers(NamedTuple):
    """The predictions of a batch of files: rows in the files' order, all of one file's together."""

    rows: list[dict[str, Any]]
    failed: list[Failure]


def as_json(row: Row) -> str:
    """Return a row as a line of JSON. Raises ValueError for NaN and infinity, which JSON does not have."""
    return json.dumps(row, allow_nan=False) + "\n"


def as_csv(columns: Sequence[str] | None = None) -> Lines:
    """Return a function from a row to its line, the first with a header; `columns` are those of a file that has one.

    Quality becomes columns of its own (zoo.inference.rows), ratings of a clip too, probabilities p_CLASS, further
    targets target_NAME, of classes target_NAME_p_CLASS too. Text is escaped as by `zoo.utils.text.cell`. "reason" is
    the last column; None is an empty cell.
    The function raises UserError for a row of other columns.
    """
    expected = list(columns) if columns else []

    def line(row: Row) -> str:
        flat = {key: value for key, value in row.items() if key not in _NESTED}
        flat |= flat_quality(row["quality"]) if "quality" in row else {}
        flat |= row.get("ratings", {})
        flat |= {f"p_{name}": share for name, share in row.get("probabilities", {}).items()}
        flat |= _targets(row.get("targets", {}))
        flat["reason"] = row["reason"]
        lines = [] if expected else [flat]
        if not expected:
            expected.extend(flat)
        if list(flat) != expected:
            raise UserError(f"--out: expected the columns {', '.join(expected)}, found answers with {', '.join(flat)}")
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([*lines, [cell(value) for value in flat.values()]])
        return text.getvalue()

    return line


def _targets(targets: Row) -> dict[str, Any]:
    flat = {}
    for name, value in targets.items():
        if not isinstance(value, Mapping):
            flat[f"target_{name}"] = value
            continue
        flat[f"target_{name}"] = value["prediction"]
        flat |= {f"target_{name}_p_{label}": share for label, share in value["probabilities"].items()}
    return flat


def kind_of(out: Path, json_lines: bool, as_table: bool) -> str:
    """Return "json" or "csv", by the flags or the file's suffix."""
    if json_lines or as_table:
        return "json" if json_lines else "csv"
    kind = {".jsonl": "json", ".json": "json", ".csv": "csv"}.get(out.suffix.lower())
    if kind is None:
        raise UserError(f"--out {out}: expected a name ending in .jsonl or .csv, or --json or --csv beside it")
    return kind


class Sheet:
    """The file of predictions, "json" lines or "csv"; a context manager.

    Raises UserError where the file exists and `resume` is not set, or holds something else than predictions.
    """

    def __init__(self, path: Path, kind: str, resume: bool = False, rows_per_file: bool = False):
        self.path, self.failed_path, self.n_failed = path, path.with_name(f"{path.name}.failed.csv"), 0
        self._kind, self._names, self._corpus = kind, set[str](), ""
        self._rows_per_file = rows_per_file
        with _named(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = lock(path.with_name(f".{path.name}.lock"))
            try:
                self._file = _open(path, "a")
                if path.stat().st_size and not resume:
                    raise UserError(f"{path}: is there already; add --resume to go on with it, or choose another --out")
                columns = self._recover()
                self._failed = _open(self.failed_path, "w")
            except BaseException:
                unlock(self._lock)
                raise
        self._lines = as_json if kind == "json" else as_csv(columns)
        self._failed.write("file,kind,error\n")

    def __enter__(self) -> "Sheet":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            with _named(self.path):
                for file in (self._file, self._failed):
                    file.flush()
                    os.fsync(file.fileno())
                    file.close()
            if self.n_failed == 0:
                self.failed_path.unlink()
        finally:
            unlock(self._lock)

    def answered(self, path: Path | str) -> bool:
        return (str(path) if self._kind == "json" else cell(str(path))) in self._names

    def add(self, answers: Answers) -> None:
        """Append a batch of whole lines."""
        for row in answers.rows[:1]:
            if self._corpus and row["trained_on"] != self._corpus:
                found = f"trained on {self._corpus}, this one was on {row['trained_on']}"
                raise UserError(f"{self.path}: holds answers of a model {found}; choose another --out")
        self.n_failed += len(answers.failed)
        failed = [[cell(value) for value in failure] for failure in answers.failed]
        with _named(self.path):
            self._file.write("".join(map(self._lines, answers.rows)))
            csv.writer(self._failed, lineterminator="\n").writerows(failed)
            self._file.flush()
            self._failed.flush()

    def _recover(self) -> list[str] | None:
        """Read the predictions and cut the file after the last whole one; return the columns of a CSV.

        With `rows_per_file`, the last file's rows may be incomplete, unless there is but one: they are made again.
        """
        columns: list[str] | None = None
        kept, last, begun = 0, None, 0  # bytes of whole lines; the last file named, and where its rows begin
        for number, line in enumerate(_whole_lines(self.path, self._kind), 1):
            text = line.decode("utf-8", "surrogateescape")
            try:
                if self._kind == "json":
                    row = json.loads(text)
                else:
                    cells = next(csv.reader(io.StringIO(text, newline="")))
                    row = dict(zip(columns or cells, cells, strict=True))
                name = row["file"]
            except (ValueError, KeyError, TypeError, StopIteration) as error:
                raise UserError(
                    f"{self.path}, line {number}: expected an answer of predict.py, found {line[:60]!r}; repair it"
                ) from error
            if number == 1:
                self._check_version(row)
            if columns is None and self._kind == "csv":
                columns = list(row)
            else:
                if name != last:
                    last, begun = name, kept
                if row.get("channel") == MIX and row.get("start") in (None, ""):
                    last = None  # a clip classified whole, which has no other row
                self._names.add(name)
                self._corpus = self._corpus or row["trained_on"]
            kept += len(line)
        if self._rows_per_file and last is not None:
            self._names.discard(last)
            kept = begun
        os.truncate(self.path, kept)
        return columns if kept else None

    def _check_version(self, row: Row) -> None:
        """Raise UserError for a first row, or a header, without columns that rows have today."""
        needed = {"reason": "had none for recordings without speech"}
        if "emotion" in row:
            needed["confidence"] = "had no confidence"
            if self._rows_per_file:
                needed["channel"] = "had one row per file"
        for name, before in needed.items():
            if name not in row:
                raise UserError(
                    f"{self.path}: expected answers with a {name}, found those of an older version, which {before}; "
                    "choose another --out, or finish it with that version"
                )


def _open(path: Path, mode: Literal["a", "w"]) -> TextIO:
    return path.open(mode, encoding="utf-8", errors="surrogateescape", newline="")


def _whole_lines(path: Path, kind: str) -> Iterator[bytes]:
    """Yield the lines that have an end; names in a CSV may hold line feeds, within quotes.

    Raises UserError for what follows them, unless it is one line cut short.
    """
    held, size = b"", 0
    with path.open("rb") as file:
        for line in file:
            held += line
            if held.endswith(b"\n") and (kind == "json" or held.count(b'"') % 2 == 0):
                yield held
                held, size = b"", size + len(held)
            elif len(held) > 16 * _TORN_BYTES:
                break
    begun = size or any(held.startswith(head[: len(held)]) for head in (b"file", b'{"file"'))
    if len(held) > _TORN_BYTES or not begun:
        raise UserError(
            f"{path}: expected lines of answers, found {path.stat().st_size - size} bytes behind byte {size} that are "
            "none; repair it or choose another --out"
        )


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Report OSErrors such as a lock or a full disk as a UserError that names the file."""
    try:
        yield
    except BlockingIOError as error:
        raise UserError(f"{path}: another process writes to it; wait for it or choose another --out") from error
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror or error}); free space there or choose another place"
        ) from error
