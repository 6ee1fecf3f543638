"""Read the cells of a table as text, column by column: CSV of any usual delimiter and encoding, JSON lines, Parquet."""

import csv
import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

from zoo.errors import UserError
from zoo.utils import extras

DELIMITERS = ",;\t|"
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", *JSON_SUFFIXES)
_ROWS_AT_ONCE = 20_000
_MOST_SHARED = 10_000  # different cells of a column up to which equal ones share memory
_UTF16 = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_SPREADSHEETS = (".xlsx", ".xls", ".ods")


@dataclass
class Cells:
    """A table's cells by column, as text without surrounding blanks.

    `lines` are the rows' line numbers in the file, where it has lines. `ignored` counts files that are in no row.
    """

    path: Path
    columns: dict[str, list[str]] = field(default_factory=dict)
    lines: Sequence[int] = ()
    ignored: dict[str, int] = field(default_factory=dict)

    def where(self, row: int) -> str:
        """Return the place of a row, counted from 0, for an error."""
        return f"{self.path}, line {self.lines[row]}" if self.lines else f"{self.path}, row {row + 1}"

    @property
    def n_rows(self) -> int:
        return len(next(iter(self.columns.values()), []))


def read(path: Path) -> Cells:
    """Read a file with a table. Raises UserError naming file and line for one that cannot be read."""
    suffix = path.suffix.lower()
    if suffix in _SPREADSHEETS:
        raise UserError(f"{path}: expected a table as text, found a spreadsheet's own format. Save it as CSV")
    if suffix == ".parquet":
        return _read_parquet(path)
    with _opened(path) as file:
        return _read_json_lines(path, file) if suffix in JSON_SUFFIXES else _read_csv(path, file)


def as_text(value: Any) -> str:
    """Return a cell as text: nothing for None and NaN, seconds for a duration."""
    if value is None or value != value:
        return ""
    if isinstance(value, timedelta):
        return repr(value.total_seconds())
    return "".join(str(value).split("\0")).strip()


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    try:
        with path.open("rb") as raw:
            encoding = _encoding(raw.read(4096))
            raw.seek(0)
            if encoding == "utf-8-sig" and (
                line := next((n for n, text in enumerate(raw, start=1) if b"\0" in text), 0)
            ):
                found = "expected text, found a NUL, as a full disk or a power cut leaves"
                raise UserError(f"{path}, line {line}: {found}. Restore the table")
        with path.open(encoding=encoding, newline="") as file:
            yield file
    except OSError as error:
        raise UserError(f"{path}: expected a table of recordings, found {error.strerror}. Check the path") from error
    except UnicodeError as error:
        found = f"found bytes that are neither ({error})"
        raise UserError(f"{path}: expected text in UTF-8 or UTF-16, {found}. Save the table as UTF-8") from error


def _encoding(head: bytes) -> str:
    """Return the encoding of a text that begins so. Spreadsheets write UTF-16; some programs omit its mark."""
    if head[:2] in _UTF16:
        return _UTF16[head[:2]]
    if head.count(b"\0") > len(head) // 4:  # every second byte of Latin text in UTF-16
        return "utf-16-le" if head[1:2] == b"\0" else "utf-16-be"
    return "utf-8-sig"


def _read_csv(path: Path, file: TextIO) -> Cells:
    first = next((line for line in file if line.strip()), "")
    if not first:
        raise UserError(f"{path}: expected a header such as file,speaker,emotion and rows, found an empty file")
    delimiter = max(DELIMITERS, key=lambda one: len(next(csv.reader([first], delimiter=one))))
    file.seek(0)
    reader = csv.reader(file, delimiter=delimiter, strict=True)  # a quote that does not end hides rows
    try:
        header = [name.strip() for name in next(row for row in reader if any(cell.strip() for cell in row))]
        _check_header(path, header)
        lines = array("l")
        columns = _in_columns(_rows(path, reader, len(header), lines), len(header))
    except csv.Error as error:
        found = f"{path}, line {reader.line_num}: expected fields separated by {delimiter!r}, found {error}"
        raise UserError(f"{found}. Correct the line") from error
    return Cells(path, {name: column for name, column in zip(header, columns, strict=True) if name}, lines)


def _in_columns(rows: Iterator[list[str]], width: int) -> list[list[str]]:
    """Return cells by column, without surrounding blanks; equal cells of a column share memory while they are few."""
    columns: list[list[str]] = [[] for _ in range(width)]
    shared: list[dict[str, str]] = [{} for _ in range(width)]
    while some := list(islice(rows, _ROWS_AT_ONCE)):
        for column, known, cells in zip(columns, shared, zip(*some, strict=True), strict=True):
            stripped = map(str.strip, cells)
            column.extend(
                [known.setdefault(cell, cell) for cell in stripped] if len(known) < _MOST_SHARED else stripped
            )
    return columns


def _rows(path: Path, reader, width: int, lines: array) -> Iterator[list[str]]:
    """Yield rows of `width` cells, and append their line numbers. Raises UserError for more or fewer cells."""
    for row in reader:
        if not any(row):
            continue
        if len(row) != width:
            if len(row) < width or any(row[width:]):
                found = f"expected {width} fields, found {len(row)}"
                advice = "Put fields that hold the delimiter into double quotes"
                raise UserError(f"{path}, line {reader.line_num}: {found}. {advice}")
            row = row[:width]
        lines.append(reader.line_num)
        yield row


def _check_header(path: Path, header: Sequence[str]) -> None:
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise UserError(f"{path}: expected different names of columns, found {', '.join(twice)} twice. Rename one")


def _read_json_lines(path: Path, file: TextIO) -> Cells:
    """Read an object a line. Objects within it become columns: {"emotion": {"sad": 2}} is 2 in emotion.sad."""
    rows, lines = [], array("l")
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            row = error
        if not isinstance(row, dict):
            found = f"found {row if isinstance(row, ValueError) else line.strip()[:60]!r}"
            raise UserError(f"{path}, line {number}: expected an object in JSON, one a line, {found}. Correct the line")
        rows.append(_flat(row))
        lines.append(number)
    names = list(dict.fromkeys(chain.from_iterable(rows)))
    columns = _in_columns(([as_text(row.get(name)) for name in names] for row in rows), len(names))
    return Cells(path, dict(zip(names, columns, strict=True)), lines)


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in row.items():
        inner = value if isinstance(value, dict) else None
        found |= {f"{name}.{key}": one for key, one in inner.items()} if inner is not None else {name: value}
    return found


def _read_parquet(path: Path) -> Cells:
    extras.need("parquet", f"{path}: Parquet", "save the table as CSV")
    from pyarrow import ArrowInvalid, parquet

    try:
        table = parquet.read_table(path)
    except (OSError, ArrowInvalid) as error:
        raise UserError(f"{path}: expected a table in Parquet, found {error}. Check the file") from error
    columns = {name: table.column(name).to_pylist() for name in table.column_names if not name.startswith("__index_")}
    return of_values(path, columns)


def of_values(path: Path, columns: dict[str, Iterable[Any]]) -> Cells:
    """Return columns of any values as cells of text."""
    rows = (list(row) for row in zip(*(map(as_text, values) for values in columns.values()), strict=True))
    return Cells(path, dict(zip(columns, _in_columns(rows, len(columns)), strict=True)))
