"""Read the cells of a table as text, column by column: CSV of any usual delimiter and encoding."""

import csv
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TextIO

from zoo.errors import UserError

DELIMITERS = ",;\t|"
_ROWS_AT_ONCE = 20_000
_MOST_SHARED = 10_000  # different cells of a column up to which equal ones share memory
_UTF16 = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass
class Cells:
    """A table's cells by column, as text without surrounding blanks; `lines` are the rows' line numbers in the file."""

    path: Path
    columns: dict[str, list[str]] = field(default_factory=dict)
    lines: Sequence[int] = ()

    def where(self, row: int) -> str:
        """Return the place of a row, counted from 0, for an error."""
        return f"{self.path}, line {self.lines[row]}" if self.lines else f"{self.path}, row {row + 1}"

    @property
    def n_rows(self) -> int:
        return len(next(iter(self.columns.values()), []))


def read(path: Path) -> Cells:
    """Read a table. Raises UserError naming file and line for one that cannot be read."""
    if not path.exists():
        raise UserError(f"{path}: expected a table of recordings, found no file. Check the path")
    with _opened(path) as file:
        return _read_csv(path, file)


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    try:
        with path.open("rb") as raw:
            encoding = _encoding(raw.read(4096))
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
    first = file.readline()
    while first and not first.strip():
        first = file.readline()
    if not first:
        raise UserError(f"{path}: expected a header such as file,speaker,emotion and rows, found an empty file")
    delimiter = max(DELIMITERS, key=lambda one: len(next(csv.reader([first], delimiter=one))))
    file.seek(0)
    reader = csv.reader(file, delimiter=delimiter)
    try:
        header = [name.strip() for name in next(row for row in reader if any(cell.strip() for cell in row))]
        _check_header(path, header)
        columns: list[list[str]] = [[] for _ in header]
        shared: list[dict[str, str]] = [{} for _ in header]
        lines = array("l")
        rows = _rows(path, reader, len(header), lines)
        while some := list(islice(rows, _ROWS_AT_ONCE)):
            for column, known, cells in zip(columns, shared, zip(*some, strict=True), strict=True):
                _extend(column, known, cells)
    except csv.Error as error:
        found = f"{path}, line {reader.line_num}: expected fields separated by {delimiter!r}, found {error}"
        raise UserError(f"{found}. Correct the line") from error
    return Cells(path, {name: column for name, column in zip(header, columns, strict=True) if name}, lines)


def _extend(column: list[str], known: dict[str, str], cells: Sequence[str]) -> None:
    stripped = [cell.strip() for cell in cells]
    column.extend([known.setdefault(cell, cell) for cell in stripped] if len(known) < _MOST_SHARED else stripped)


def _rows(path: Path, reader, width: int, lines: array) -> Iterator[list[str]]:
    """Yield rows of `width` cells, and append their line numbers. Raises UserError for more or fewer cells."""
    for row in reader:
        if len(row) != width:
            if not any(row):
                continue
            if len(row) < width or any(row[width:]):
                found = f"expected {width} fields, found {len(row)}"
                advice = "Put fields that hold the delimiter into double quotes"
                raise UserError(f"{path}, line {reader.line_num}: {found}. {advice}")
            row = row[:width]
        elif not any(row):
            continue
        lines.append(reader.line_num)
        yield row


def _check_header(path: Path, header: Sequence[str]) -> None:
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise UserError(f"{path}: expected different names of columns, found {', '.join(twice)} twice. Rename one")
