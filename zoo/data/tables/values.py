"""Make times, numbers, classes and votes of a table's cells."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from zoo.data.tables import cells as table_cells
from zoo.data.tables.cells import Cells
from zoo.errors import UserError, shortened

# What programs write for an absent value. "None" and "none" may be classes.
ABSENT = frozenset(("", "nan", "NaN", "NAN", "NA", "N/A", "n/a", "<NA>", "NaT", "null", "NULL", "#N/A"))
_CLOCK = re.compile(r"(?:(\d+) days? )?(\d+):(\d\d):(\d\d(?:[.,]\d+)?)")
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")


def seconds(cells: Cells, column: Sequence[str], row: int, name: str) -> float | None:
    """Return a time in seconds, from a number or from 0:01:02.5; None where there is none.

    Raises UserError for another text, and for a time before the recording's beginning.
    """
    text = column[row]
    if text in ABSENT:
        return None
    try:
        return _time(text)
    except ValueError as error:
        expected = f"expected seconds from 0, or hours:minutes:seconds, as {name}"
        raise UserError(f"{cells.where(row)}: {expected}, found {text!r:.60}. Correct the line") from error


def _time(text: str) -> float:
    if clock := _CLOCK.fullmatch(text):
        days, hours, minutes, rest = clock.groups()
        return 86_400.0 * int(days or 0) + 3_600 * int(hours) + 60 * int(minutes) + float(rest.replace(",", "."))
    value = _float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(text)
    return value


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        if not _DECIMAL_COMMA.fullmatch(text):
            raise
        return float(text.replace(",", "."))


def all_seconds(cells: Cells, column: Sequence[str], name: str) -> list[float | None]:
    """Return a column of times in seconds, None for absent ones. Raises UserError as `seconds` does."""
    found = numbers(column)
    if found is None or min(filter(None, found), default=0.0) < 0:
        return [seconds(cells, column, row, name) for row in range(len(column))]
    return found


def numbers(column: Sequence[str]) -> list[float | None] | None:
    """Return a column of finite numbers, None for absent ones; None for a column that holds other text or no number."""
    known: dict[str, float | None] = dict.fromkeys(ABSENT)
    found: list[float | None] = []
    for text in column:
        if text not in known:
            try:
                known[text] = value = _float(text)
            except ValueError:
                return None
            if not isfinite(value):
                return None
        found.append(known[text])
    return found if any(value is not None for value in found) else None


@dataclass(frozen=True)
class LabelMap:
    """A table's labels and the classes that they become; "" leaves the label out. An empty map changes nothing."""

    path: Path | None
    classes: Mapping[str, str]

    def apply(self, column: Sequence[str], place: Path, notices: list[str]) -> list[str]:
        """Return a column of classes, "" where there is none. Raises UserError for labels that the map does not have.

        A label of the map that the table does not have is a notice.
        """
        if self.path is None:
            return ["" if label in ABSENT else label for label in column]
        found = dict.fromkeys(column)
        absent = sorted(label for label in found if label not in self.classes and label not in ABSENT)
        if absent:
            raise UserError(
                f"{self.path}: expected a line for each label of {place.name}, found none for {shortened(absent)}. "
                "Add LABEL,CLASS, or LABEL, (without a class) to leave the clips out"
            )
        unused = sorted(set(self.classes) - found.keys())
        if unused:
            notices.append(f"{self.path.name} maps labels that {place.name} does not have: {shortened(unused)}")
        return [self.classes.get(label, "") for label in column]


def read_label_map(path: Path | None) -> LabelMap:
    """Return the label map of a table by a CSV (`classes_by_label`), or the one of no file."""
    return LabelMap(path, classes_by_label(path) if path else {})


def classes_by_label(path: Path, corpora: Collection[str] = ()) -> dict[str, str]:
    """Read a CSV with the columns label and class; with `corpora`, only lines whose column corpus is among them.

    Further columns do no harm. Raises UserError for another file, and for a label with two classes.
    """
    cells = table_cells.read(path)
    if not {"label", "class"} <= cells.columns.keys():
        found = shortened(list(cells.columns))
        raise UserError(
            f"--label-map {path}: expected the columns label and class, found {found}. Correct its first line"
        )
    classes: dict[str, str] = {}
    of_corpus = cells.columns.get("corpus", [""] * cells.n_rows) if corpora else [""] * cells.n_rows
    for row, (of, label, name) in enumerate(
        zip(of_corpus, cells.columns["label"], cells.columns["class"], strict=True)
    ):
        if of in ("", *corpora) and classes.setdefault(label, name) != name:
            expected = f"expected one class for {label!r}"
            raise UserError(f"{cells.where(row)}: {expected}, found {classes[label]!r} and {name!r}. Keep one")
    return classes


def vote_columns(columns: Mapping[str, list[str]], target: str) -> dict[str, list[str]]:
    """Return the columns of a target's votes by class: `emotion.angry`, `emotion.sad`; none for fewer than two.

    `emotion.confidence` holds no votes.
    """
    found = {
        name.removeprefix(f"{target}."): column
        for name, column in columns.items()
        if name.startswith(f"{target}.") and name not in (f"{target}.", f"{target}.confidence")
    }
    return found if len(found) > 1 else {}


def counted(cells: Cells, columns: Mapping[str, list[str]], target: str, classes: LabelMap) -> list[dict[str, float]]:
    """Return each row's votes by class, those above 0. Raises UserError for a cell that is no number of raters."""
    every = {name: _counts(cells, column, f"{target}.{name}") for name, column in columns.items()}
    mapped = dict(zip(every, classes.apply(list(every), cells.path, []), strict=True))
    votes: list[dict[str, float]] = []
    for row in range(cells.n_rows):
        found: dict[str, float] = {}
        for name, counts in every.items():
            if counts[row] and mapped[name]:
                found[mapped[name]] = found.get(mapped[name], 0.0) + counts[row]
        votes.append(found)
    return votes


def _counts(cells: Cells, column: Sequence[str], name: str) -> list[float]:
    """Return a column of numbers of raters, 0 for absent ones."""
    for row, cell in enumerate(column):
        value = [0.0] if cell in ABSENT else numbers([cell])
        if not value or value[0] is None or value[0] < 0:
            raise UserError(
                f"{cells.where(row)}: expected a number of raters in {name}, found {cell!r:.60}. Correct it"
            )
    return [value or 0.0 for value in numbers(column) or [0.0] * len(column)]


def plurality(votes: Mapping[str, float]) -> str | None:
    """Return the class with the most votes; None for a tie, "" without any."""
    most = max(votes.values(), default=0.0)
    first = [name for name, count in votes.items() if count == most]
    return "" if not first else first[0] if len(first) == 1 else None
