"""Put published figures and ours side by side, in the terminal, as Markdown and as CSV."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from zoo.reports.tables import decimal, percent, print_titled, table, with_interval
from zoo.reproduction import published
from zoo.reproduction.job import Asked, Row, Score
from zoo.utils.atomic_files import write_csv, written_aside
from zoo.utils.text import printable

ELSEWHERE = "not in the paper"
_NONE = "–"


@dataclass(frozen=True)
class Pair:
    """A row of ours with the published figure; either may be absent. `published` is in words, as the paper has it."""

    ours: Row
    published: str
    figure: published.Figure | None

    @property
    def measured(self) -> str:
        """Return ours with its interval, in words."""
        if self.ours.ours is None:
            return _NONE
        return with_interval(_score(self.ours.ours), percent if self.ours.unit == "%" else decimal)


def with_published(asked: Asked, rows: Sequence[Row]) -> list[Pair]:
    """Return every row of a job with its published figure, then the published figures that have no row.

    On a corpus that the paper does not have, rows say so, and figures of the paper alone are left out.
    """
    if asked.elsewhere:
        return [Pair(row, ELSEWHERE, None) for row in rows]
    known = published.tables().get(asked.job.name)
    figures = dict(known.figures) if known else {}
    found = [_pair(row, figures.get((row.row, row.column))) for row in rows]
    missing = [figure for key, figure in figures.items() if key not in {(row.row, row.column) for row in rows}]
    alone = [Row(figure.row, figure.column, None, figure.unit, note=figure.note) for figure in missing]
    return found + [_pair(row, figure) for row, figure in zip(alone, missing, strict=True)]


def _pair(row: Row, figure: published.Figure | None) -> Pair:
    if figure is None:
        return Pair(row, ELSEWHERE, None)
    spread = "" if figure.deviation is None else f" ({figure.deviation:.4f})"  # as the paper prints it
    return Pair(row, figure.printed + spread, figure)


def write(folder: Path, title: str, pairs: Sequence[Pair], lines: Sequence[str]) -> None:
    """Write table.csv, a figure a row, and table.md, as the terminal shows it. Raises UserError as `written_aside`."""
    write_csv(folder / "table.csv", [_record(pair) for pair in pairs])
    headings, cells = _grid(pairs)
    text = "\n".join(markdown_row(row) for row in (headings, ["---"] * len(headings), *cells))
    below = "".join(f"- {printable(line)}\n" for line in [*_notes(pairs), *lines])
    with written_aside(folder / "table.md") as aside:
        aside.write_text(f"# {printable(title)}\n\n{text}\n\n{below}", encoding="utf-8")


def print_rows(title: str, pairs: Sequence[Pair], lines: Sequence[str], console: Console | None = None) -> None:
    """Print a line for each figure, the published one beside ours, and the lines below the table."""
    shown = table("", "figure", numbers=("published", "ours [95 %]"))
    for pair in pairs:
        names = (_name(pair.ours.row, pair.ours.variant), pair.ours.column)
        shown.add_row(*(Text(printable(cell)) for cell in (*names, pair.published, pair.measured)))
    print_titled(title, [], shown, console)
    for line in [*_notes(pairs), *lines]:
        print(printable(line))


def markdown_row(cells: Sequence[str]) -> str:
    """Return a row of a table in Markdown; bars in its cells are escaped."""
    return "| " + " | ".join(printable(cell).replace("|", "\\|") for cell in cells) + " |"


def _grid(pairs: Sequence[Pair]) -> tuple[list[str], list[list[str]]]:
    """Return headings and cells: a line for each row and variant, two columns for each column of the paper."""
    columns = list(dict.fromkeys(pair.ours.column for pair in pairs))
    lines: dict[tuple[str, str], dict[str, Pair]] = {}
    for pair in pairs:
        lines.setdefault((pair.ours.row, pair.ours.variant), {})[pair.ours.column] = pair
    cells = []
    for (row, variant), found in lines.items():
        beside = [(found[name].published, found[name].measured) if name in found else ("", "") for name in columns]
        cells.append([_name(row, variant), *(cell for both in beside for cell in both)])
    return ["", *(name for column in columns for name in (f"{column}: published", "ours [95 %]"))], cells


def _name(row: str, variant: str) -> str:
    return f"{row}, {variant}" if variant else row


def _record(pair: Pair) -> dict[str, object]:
    row = pair.ours
    known = {"published": pair.published, "published_deviation": pair.figure.deviation if pair.figure else None}
    score = _score(row.ours) if row.ours is not None else {}
    ours = {"ours": score.get("value"), "low": score.get("low"), "high": score.get("high")}
    names = {"row": row.row, "variant": row.variant, "column": row.column}
    cells: dict[str, object] = {**names, **known, **ours, "unit": row.unit, "note": row.note, "run": row.run}
    return {name: "" if value is None else value for name, value in cells.items()}


def _notes(pairs: Sequence[Pair]) -> list[str]:
    return list(dict.fromkeys(f"{pair.ours.row}: {pair.ours.note}" for pair in pairs if pair.ours.note))


def _score(ours: Score | float) -> Score:
    return ours if isinstance(ours, Mapping) else {"value": ours, "low": None, "high": None}
