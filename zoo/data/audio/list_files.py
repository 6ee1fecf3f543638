"""Read the names in a list of any size, one after the other: text, or a table with a column of files."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from zoo.data.audio.formats import HEAD_BYTES, container_of
from zoo.data.audio.lists import names_in
from zoo.errors import UserError, shortened
from zoo.utils import extras

COLUMN = "file"
_WHOLE_BYTES = 1 << 25  # a list up to this size is read at once, whatever its encoding
_BLOCK = 1 << 20
_TABLES = {".csv": ",", ".tsv": "\t"}
_UTF8_MARK = b"\xef\xbb\xbf"


def names_of(path: Path, source: str) -> Iterator[str]:
    """Yield the names in a list; `source` is what messages call it.

    Of Parquet (.parquet), and of .csv and .tsv with a header, these are the column "file", else the file is text as
    `names_in` reads it. A list above 32 MiB is not held in memory if it is UTF-8 with names ended by line feeds or NUL.

    Raises UserError for a list that cannot be read, Parquet without that column or without pyarrow to read it, and a
    table whose header lacks it.
    """
    try:
        if path.is_block_device() or path.is_char_device():
            raise UserError(f"{source}: expected a list of audio files, found a device; for input, --from-stdin")
        suffix = path.suffix.lower()
        if suffix == ".parquet":
            yield from _in_parquet(path, source)
        elif suffix in _TABLES and (header := _header(path, _TABLES[suffix])):
            yield from _in_csv(path, source, _TABLES[suffix], header)
        else:
            yield from _in_text(path, source)
    except (OSError, ValueError) as error:
        raise UserError(f"{source}: cannot be read ({getattr(error, 'strerror', None) or error})") from error


def _in_parquet(path: Path, source: str) -> Iterator[str]:
    extras.need("parquet", f"{source}: Parquet", "save the table as CSV")
    from pyarrow import ArrowException, parquet

    with path.open("rb") as file:
        try:
            table = parquet.ParquetFile(file)
            if COLUMN not in table.schema_arrow.names:
                raise UserError(_without_column(source, table.schema_arrow.names))
            for batch in table.iter_batches(batch_size=8192, columns=[COLUMN]):
                for name in batch.column(0).to_pylist():
                    if not isinstance(name, str) or not name:
                        raise UserError(f"{source}: expected names of files in column {COLUMN!r}, found {name!r}")
                    yield name
        except ArrowException as error:
            found = str(error).partition("\n")[0]
            raise UserError(f"{source}: expected a table in Parquet, found {found}. Check the file") from error


def _header(path: Path, delimiter: str) -> list[str]:
    """Return the names of a table's columns; none where the first line is a name itself."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        header = [cell.strip() for cell in next(csv.reader(file, delimiter=delimiter), [])]
    if COLUMN not in header and (len(header) < 2 or Path(delimiter.join(header)).exists()):
        return []  # a plain list
    return header


def _in_csv(path: Path, source: str, delimiter: str, header: list[str]) -> Iterator[str]:
    if COLUMN not in header:
        raise UserError(_without_column(source, header))
    column = header.index(COLUMN)
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = csv.reader(file, delimiter=delimiter, strict=True)
        next(rows)
        try:
            for row in rows:
                if any(row):
                    if len(row) <= column or not row[column].strip():
                        raise UserError(f"{source}, line {rows.line_num}: expected the name of a file, found none")
                    yield row[column].strip()
        except csv.Error as error:
            raise UserError(f"{source}, line {rows.line_num}: expected fields of a table, found {error}") from error


def _without_column(source: str, columns: list[str]) -> str:
    found = shortened(columns) or "no column"
    return f"{source}: expected a column {COLUMN!r}, found {found}. Rename the one with the files' names"


def _in_text(path: Path, source: str) -> Iterator[str]:
    with path.open("rb") as file:
        separator = _separator(file) if path.stat().st_size > _WHOLE_BYTES else b""
        file.seek(0)
        if not separator:
            yield from names_in(file, source)
            return
        rest = b""
        if file.read(len(_UTF8_MARK)) != _UTF8_MARK:
            file.seek(0)
        while block := file.read(_BLOCK):
            *whole, rest = (rest + block).split(separator)
            for name in whole:
                yield from _decoded(name, separator)
        yield from _decoded(rest, separator)


def _decoded(name: bytes, separator: bytes) -> Iterator[str]:
    text = name.decode("utf-8", "surrogateescape")
    text = text.rstrip("\r") if separator == b"\n" else text
    if text:
        yield text


def _separator(file: BinaryIO) -> bytes:
    """Return what ends the names in a long list; nothing where only the whole of it tells, or it may be no list."""
    head = file.read(_BLOCK)
    file.seek(-1, 2)
    ends_in_nul = file.read(1) == b"\0"
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or container_of(head[:HEAD_BYTES]):
        return b""
    if ends_in_nul:
        return b"\0" if head.count(b"\0") < len(head) // 4 else b""  # else UTF-16
    return b"\n" if b"\n" in head and b"\0" not in head else b""
