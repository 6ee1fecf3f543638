"""Find each clip's one label among a table's rows: its class, its raters' votes, or what a label file says last."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zoo.data.labels import COLUMNS, current, label_of
from zoo.data.tables import values as table_values
from zoo.data.tables.cells import Cells
from zoo.data.tables.notices import of_votes
from zoo.data.tables.values import LabelMap
from zoo.errors import UserError, shortened


@dataclass
class Labelled:
    """`rows` are the clips' first rows; by row: their class ("" without), what votes they have (by class, or by target
    and class), and in `by_machine` those whose label no person gave. Without any label, `labels` is empty.
    """

    rows: Sequence[int]
    labels: Sequence[str]
    votes: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    by_machine: frozenset[int] = frozenset()


def is_label_file(columns: Mapping[str, Sequence[str]]) -> bool:
    """Return whether a table is a label file as `zoo.data.labels` defines it, to which labels are only appended."""
    return set(COLUMNS) <= columns.keys()


def of_label_file(
    cells: Cells, columns: Mapping[str, list[str]], names: Sequence[str], classes: LabelMap, notices: list[str]
) -> Labelled:
    """Return what people said last of each clip, by plurality; where nobody did, what models said.

    Raises UserError for a line that is none, and for labels of single channels, since channels are read mixed.
    """
    said, first = [], dict[str, int]()
    for row, line in enumerate(zip(*(columns[name] for name in COLUMNS), strict=True)):
        try:
            said.append(label_of(line))
        except UserError as error:
            raise UserError(f"{cells.where(row)}: {error.message}. Correct or remove the line") from error
        if said[-1].channel is not None:
            expected = "expected a label of all channels together, as they are read mixed"
            raise UserError(
                f"{cells.where(row)}: {expected}, found one of channel {said[-1].channel}. Split the recording"
            )
        first.setdefault(names[row], row)
    name_of = {label.segment: name for label, name in zip(said, names, strict=True)}
    votes: dict[str, dict[str, Counter[str]]] = {source: {} for source in ("human", "model")}
    for label in current(said):
        (mapped,) = classes.apply([label.label], cells.path, [])
        if mapped:
            votes[label.source].setdefault(name_of[label.segment], Counter())[mapped] += 1
    machine = frozenset(first[name] for name in votes["model"].keys() - votes["human"].keys())
    return _by_plurality(first, {**votes["model"], **votes["human"]}, len(names), notices, machine)


def of_raters(
    cells: Cells, columns: Mapping[str, list[str]], names: Sequence[str], labels: Sequence[str], notices: list[str]
) -> Labelled:
    """Return each clip's class by plurality of its raters, who have a row each.

    Raises UserError for a rater with two labels for a clip, and rows of a clip that differ in speaker or split.
    """
    first: dict[str, int] = {}
    votes: dict[str, Counter[str]] = {}
    given: dict[tuple[str, str], str] = {}
    for row, (name, rater) in enumerate(zip(names, columns["rater"], strict=True)):
        _check_same(cells, columns, ("speaker", "split"), first.setdefault(name, row), row)
        if (name, rater) in given:
            if given[name, rater] != labels[row]:
                found = f"found {given[name, rater]!r} and {labels[row]!r}"
                raise UserError(
                    f"{cells.where(row)}: expected one label by rater {rater!r} for {name}, {found}. Keep one"
                )
            continue
        given[name, rater] = labels[row]
        if labels[row]:
            votes.setdefault(name, Counter())[labels[row]] += 1
    return _by_plurality(first, votes, len(names), notices)


def of_counts(
    names: Sequence[str],
    rows: Sequence[int],
    counts: Sequence[Mapping[str, float]],
    labels: Sequence[str] | None,
    notices: list[str],
) -> Labelled:
    """Return each clip's class by its column, or else by plurality of its counted votes."""
    first = {names[row]: row for row in rows}
    votes = {names[row]: Counter(counts[row]) for row in rows if counts[row]}
    found = _by_plurality(first, votes, len(names), [] if labels is not None else notices)
    return found if labels is None else Labelled(rows, labels, found.votes)


def of_rows(
    cells: Cells, columns: Mapping[str, list[str]], names: Sequence[str], deciding: Sequence[str], notices: list[str]
) -> Sequence[int]:
    """Return the first row of each clip. Raises UserError for rows of one clip that differ in a `deciding` column."""
    first: dict[str, int] = {}
    for row, name in enumerate(names):
        first.setdefault(name, row)
    if len(first) == len(names):
        return range(len(names))
    for row, name in enumerate(names):
        if first[name] != row:
            _check_same(cells, columns, deciding, first[name], row)
    notices.append(f"{len(names) - len(first)} rows are there twice; one of each is used")
    return list(first.values())


def average(others: dict[str, list], names: Sequence[str], rows: Sequence[int]) -> None:
    """Put the mean of a clip's rows in its first row, for columns of numbers (None: absent)."""
    first = {names[row]: row for row in rows}
    for column in others.values():
        found: dict[int, list[float]] = {}
        for row, value in enumerate(column):
            if isinstance(value, float):
                found.setdefault(first[names[row]], []).append(value)
        for row, values in found.items():
            column[row] = sum(values) / len(values)


def _by_plurality(
    first: Mapping[str, int],
    votes: Mapping[str, Mapping[str, float]],
    n_rows: int,
    notices: list[str],
    machine: frozenset[int] = frozenset(),
) -> Labelled:
    labels, ties = [""] * n_rows, []
    for name, own in votes.items():
        label = table_values.plurality(own)
        labels[first[name]] = label or ""
        ties += [name] if label is None else []
    notices += of_votes(ties, [name for name in first if name not in votes])
    return Labelled(list(first.values()), labels, {first[name]: own for name, own in votes.items()}, machine)


def _check_same(cells: Cells, columns: Mapping[str, list[str]], names: Sequence[str], first: int, row: int) -> None:
    differ = [name for name in names if name in columns and columns[name][first] != columns[name][row]]
    if differ:
        found = "; ".join(f"{name} {columns[name][first]!r} and {columns[name][row]!r}" for name in differ)
        raise UserError(
            f"{cells.where(row)}: expected rows of {columns['file'][row]} that say the same, found {found} "
            f"in row {first + 1} and here. Keep one, or name raters in a column 'rater'"
        )


def mapped(column: Sequence[str], classes: LabelMap, cells: Cells, notices: list[str]) -> list[str]:
    """Return a column of classes, "" where there is none. Raises UserError for labels that cannot be classes' names."""
    found = classes.apply(column, cells.path, notices)
    wrong = sorted(f"{label:.60}" for label in set(found) if "," in label or "\n" in label)
    if wrong:
        advice = "Give another name with --label-map FILE"
        raise UserError(f"{cells.path}: expected classes' names without commas, found {shortened(wrong)}. {advice}")
    return found
