"""Read ratings all along recordings: from a table with a row for each time, or from a file for each recording."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from zoo.data.corpora.alignment import check_span, joined
from zoo.data.schema import Trace
from zoo.data.tables import cells as table_cells
from zoo.data.tables import values as table_values
from zoo.data.tables.cells import Cells
from zoo.errors import UserError, shortened

TIME = "time"
_JITTER = 0.1  # of a step, by which times may be rounded


def has_rows_of_time(columns: Mapping[str, list[str]]) -> bool:
    """Return whether a table has a row for each time of a recording: several rows a file, with times in seconds."""
    if TIME not in columns or {"label", "rater"} & columns.keys():
        return False
    return table_values.numbers(columns[TIME]) is not None and len(set(columns["file"])) < len(columns["file"])


def of_rows(cells: Cells, columns: Mapping[str, list[str]], dimensions: Sequence[str]) -> dict[str, Trace]:
    """Return the trace of each file of a table with rows of time, by the file's name in the table.

    Rows of one file may be in any order. Raises UserError, naming the line, for steps that are not equal.
    """
    times = _numbers(cells, columns, TIME)
    values = np.stack([_numbers(cells, columns, name) for name in dimensions], axis=1)
    rows: dict[str, list[int]] = {}
    for row, file in enumerate(columns["file"]):
        rows.setdefault(file, []).append(row)
    return {
        file: _trace(cells, times, values, sorted(own, key=lambda row: times[row]), dimensions)
        for file, own in rows.items()
    }


def of_files(cells: Cells, columns: Mapping[str, list[str]], dimensions: Sequence[str], root: Path) -> dict[str, Trace]:
    """Return the trace of each file of a table whose cells name files of ratings below `root`.

    Either a column `trace` names one file with all dimensions (those of the file where none are given), or a column of
    each dimension names its own; each is a table with a column of time and one or more of ratings.
    """
    traces = {}
    for row, file in enumerate(columns["file"]):
        if "trace" in columns:
            name = columns["trace"][row]
            traces[file] = _read(cells.where(row), root, name, dimensions)
            continue
        parts = {name: _read(cells.where(row), root, columns[name][row], (name,)) for name in dimensions}
        single = {name: (part.values[:, 0], part.start_seconds) for name, part in parts.items()}
        traces[file] = joined(single, next(iter(parts.values())).step_seconds, cells.where(row))
    return traces


def names_files(columns: Mapping[str, list[str]], dimensions: Sequence[str]) -> bool:
    """Return whether a table's cells name files of ratings."""
    own = [column for name in dimensions for column in [columns.get(name, [])]]
    return "trace" in columns or (bool(own) and all(column and _is_file(column[0]) for column in own))


def dimensions_of(columns: Mapping[str, list[str]], others: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of numbers of a table, but for those named as `others`."""
    found = (name for name in columns if name not in others and table_values.numbers(columns[name]) is not None)
    return tuple(found)


def check(traces: Mapping[str, Trace], places: Mapping[str, Path | None], table: Path) -> None:
    """Raise UserError for traces that differ in step or dimensions, or end over a second from their audio's end."""
    steps = {round(trace.step_seconds, 6): file for file, trace in traces.items()}
    if len(steps) > 1:
        found = ", ".join(f"{step:g} s in {file}" for step, file in list(steps.items())[:3])
        raise UserError(
            f"{table}: expected ratings in one step for all recordings, found {found}. Resample the ratings"
        )
    named = {trace.dimensions: file for file, trace in traces.items()}
    if len(named) > 1:
        found = "; ".join(f"{', '.join(dimensions)} of {file}" for dimensions, file in list(named.items())[:3])
        raise UserError(
            f"{table}: expected the same ratings of all recordings, found {found}. Name them by --target A,B"
        )
    for file, trace in traces.items():
        if (place := places[file]) is not None:
            check_span(trace, table, place)


def _read(where: str, root: Path, name: str, dimensions: Sequence[str]) -> Trace:
    if not name:
        raise UserError(f"{where}: expected the name of a file of ratings, found none. Correct the line")
    path = root / name
    if not path.is_file():
        raise UserError(f"{where}: expected a file of ratings {path}, found none. Correct the line or put it there")
    cells = table_cells.read(path)
    columns = {name.casefold(): column for name, column in cells.columns.items()}
    if TIME not in columns:
        found = shortened(list(cells.columns))
        raise UserError(f"{path}: expected a column 'time' in seconds and ratings, found {found}. Correct its header")
    rest = [name for name in columns if name != TIME]
    dimensions = dimensions or rest
    if len(dimensions) == 1 and dimensions[0] not in columns and len(rest) == 1:
        columns[dimensions[0]] = columns[rest[0]]  # a file of one dimension may call it "value"
    times, order = _numbers(cells, columns, TIME), list(range(cells.n_rows))
    values = np.stack([_numbers(cells, columns, name) for name in dimensions], axis=1)
    return _trace(cells, times, values, sorted(order, key=lambda row: times[row]), dimensions)


def _trace(cells: Cells, times: np.ndarray, values: np.ndarray, rows: list[int], dimensions: Sequence[str]) -> Trace:
    """Return the trace of some rows in order of time. Raises UserError naming the row that is out of step."""
    if len(rows) < 2:
        raise UserError(
            f"{cells.where(rows[0])}: expected two or more times of each recording, found one. Add the others"
        )
    own = times[rows]
    step = float(np.median(np.diff(own)))
    wrong = np.flatnonzero(np.abs(own - own[0] - step * np.arange(len(own))) > max(_JITTER * step, 1e-9))
    if step <= 0 or len(wrong):
        row = rows[int(wrong[0]) if len(wrong) else 1]
        raise UserError(
            f"{cells.where(row)}: expected a row every {step:g} s, found one at {times[row]:g} s. Add those that lack, "
            "or remove those that are there twice"
        )
    step = float((own[-1] - own[0]) / (len(own) - 1))
    return Trace(tuple(dimensions), values[rows].astype(np.float32), round(step, 6), float(own[0]))


def _numbers(cells: Cells, columns: Mapping[str, list[str]], name: str) -> np.ndarray:
    """Return a column of numbers. Raises UserError where it is absent or a cell is none, naming its line."""
    if name not in columns:
        raise UserError(
            f"{cells.path}: expected a column {name!r}, found {shortened(list(columns))}. Correct its header"
        )
    found = table_values.numbers(columns[name])
    if found is None or None in found:
        row = next(row for row, cell in enumerate(columns[name]) if not table_values.numbers([cell]))
        cell = columns[name][row]
        raise UserError(f"{cells.where(row)}: expected a finite number as {name}, found {cell!r:.60}. Correct the line")
    return np.array(found, np.float64)


def _is_file(cell: str) -> bool:
    return cell.lower().endswith(table_cells.SUFFIXES)
