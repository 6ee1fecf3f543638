"""Read published.toml, the figures that the papers print: the source of `ser reproduce`, the ledger and the tests."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = Path(__file__).with_name("published.toml")
NOT_PRINTED = "not printed"  # in published.toml: the paper shows it, in an image or bars, and its text has no number


@dataclass(frozen=True)
class Figure:
    """A cell of a published table, or a number in the text.

    value: in the scale of our records, so that 68.1 % is 0.681; None where the paper's text does not print it.
    printed: as published.toml has it. deviation: standard deviation over the paper's runs, in the scale of `value`.
    """

    table: str
    row: str
    column: str
    unit: str
    value: float | None
    printed: str
    deviation: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A published table, figure or passage; `command` is the job of `ser reproduce` that makes it."""

    name: str
    source: str
    title: str
    unit: str
    columns: tuple[str, ...]
    command: str
    note: str
    figures: Mapping[tuple[str, str], Figure]  # by row and column; empty cells are left out

    @property
    def rows(self) -> list[str]:
        """Return the names of the rows, in the paper's order."""
        return list(dict.fromkeys(row for row, _ in self.figures))


@cache
def tables() -> dict[str, Table]:
    """Return all published tables by name."""
    with FILE.open("rb") as file:
        content = tomllib.load(file, parse_float=str)  # as printed: 76.00 keeps its zeros
    return {name: _table(name, entry) for name, entry in content.items()}


def find(table: str, row: str, column: str) -> Figure | None:
    """Return a published figure, None where the paper has no such cell. A table without published figures has none."""
    known = tables().get(table)
    return known.figures.get((row, column)) if known else None


def _table(name: str, entry: Mapping[str, Any]) -> Table:
    columns, unit, notes = tuple(entry["columns"]), entry.get("unit", ""), entry.get("notes", {})
    deviations = {row: values for row, *values in entry.get("deviations", ())}
    figures = {}
    for row, *values in entry["rows"]:
        spread = deviations.get(row, [""] * len(columns))
        for column, cell, deviation in zip(columns, values, spread, strict=True):
            if cell == "":
                continue
            value = None if cell == NOT_PRINTED else _number(cell, unit)
            sd = None if deviation == "" else _number(deviation, unit)
            figures[row, column] = Figure(name, row, column, unit, value, _printed(cell, unit), sd, notes.get(row, ""))
    words = {key: entry.get(key, "") for key in ("source", "title", "note")}
    return Table(name, columns=columns, unit=unit, command=entry.get("command", name), figures=figures, **words)


def _number(cell: str | int, unit: str) -> float:
    return round(float(cell) / 100, 8) if unit == "%" else float(cell)


def _printed(cell: str | int, unit: str) -> str:
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell} %" if unit == "%" and cell != NOT_PRINTED else cell
