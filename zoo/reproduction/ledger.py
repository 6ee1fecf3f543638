"""Make the tables of the ledger, docs/reproduction.md, from published.toml and the records in docs/runs.

A block of the page, `<!-- NAME -->` to `<!-- end -->`, is a table of published.toml, or a table or text of
docs/ledger.toml. Figures of ours come from a record: `{FIELD}` of the row's record, or `{RECORD:FIELD}`. FIELD is a
path in metrics.json or another JSON file, as in dimensions/arousal/ccc, or a column of a CSV file and a row of it, as
in ua@condition=6 dB. A score has its interval; `!` at the end leaves it out. `|FORM` behind it is `%`, `points`
(a difference of shares, in points of percent) or a format of Python, as in `.4f`. What `ser reproduce` wrote needs no
entry: its folder is copied into docs/runs/reproduced/.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.errors import UserError
from zoo.reports.tables import percent, with_interval
from zoo.reproduction import published
from zoo.reproduction.published import tomllib
from zoo.reproduction.side_by_side import markdown_row
from zoo.utils.atomic_files import read_csv

REPRODUCED = "reproduced"  # in docs/runs: folders of finished jobs, with about.json and table.csv
REFERENCE = re.compile(r"\{([^{}]+)\}")
_SHARES = re.compile(r"\b(wa|ua|train_accuracy|test_wa|test_ua|recall|accuracy|.*_ua|coverage|f1|score)$")
_NOTHING = "–"
_SHOWN = 6  # names of rows that are shown in one line, as their figures are not printed
_ABSENT = "not in the zoo"


def blocks(docs: Path) -> dict[str, str]:
    """Return the ledger's tables in Markdown by name. Raises UserError for a record or a field that is absent."""
    with (docs / "ledger.toml").open("rb") as file:
        content = tomllib.load(file)
    runs, found = docs / "runs", {}
    finished = _finished_jobs(runs)
    for name, known in published.tables().items():
        found[name] = _published(known, content["published"].get(name, {}), finished.get(name, []), runs)
    found |= {name: _free(entry, runs) for name, entry in content["tables"].items()}
    return found | {name: filled(text.strip(), "", runs) for name, text in content["texts"].items()}


def records(docs: Path) -> set[str]:
    """Return the records that docs/ledger.toml names, as paths below docs/runs."""
    with (docs / "ledger.toml").open("rb") as file:
        content = tomllib.load(file)
    ours = [ours for entry in content["published"].values() for rows in entry.get("rows", {}).values() for ours in rows]
    rows = ours + [row for entry in content["tables"].values() for row in entry["rows"]]
    named = {row["record"] for row in rows if "record" in row}
    texts = [*content["texts"].values(), *(cell for row in rows for cell in row.values())]
    inside = {found for text in texts for found in REFERENCE.findall(text) if ":" in found}
    return named | {reference.partition(":")[0] for reference in inside}


def _finished_jobs(runs: Path) -> dict[str, list[Path]]:
    """Return the folders of finished jobs by the jobs' names. Raises UserError for one on synthetic data."""
    found: dict[str, list[Path]] = {}
    for path in sorted((runs / REPRODUCED).glob("**/about.json")):
        about = json.loads(path.read_text())
        if about["synthetic"] and about["corpora"]:
            raise UserError(f"{path}: of synthetic data, which the ledger does not show. Remove its folder")
        found.setdefault(about["job"], []).append(path.parent)
    return found


def _published(table: published.Table, entry: Mapping[str, Any], finished: Sequence[Path], runs: Path) -> str:
    """Return a published table: a line for each row of the paper, then what ours has beyond it."""
    command = table.command if " " in table.command else f"python scripts/reproduce.py {table.command} --data-root DIR"
    if "needs" not in entry:
        command = command.removesuffix(" --data-root DIR")
    needed = f"Needs {entry['needs']}" if "needs" in entry else ""
    head = [
        f"{table.source}. {table.title}. `{command}`",
        needed,
        table.note,
        *(_flags_of(folder, runs) for folder in finished),
    ]
    lines = [". ".join(part.rstrip(".") for part in head if part) + ".", ""]
    lines += _heading(["what", *(f"{column}: published" for column in table.columns), "ours", "record"])
    needs = entry.get("ours", "needs the corpus" if "needs" in entry else "to be measured")
    measured = {row: list(_bound(ours, runs)) for row, ours in entry.get("rows", {}).items()}
    for folder in finished:
        for row, text in _of_job(folder).items():
            measured.setdefault(row, []).append((text, folder.relative_to(runs).as_posix()))
    unprinted = [row for row in table.rows if row not in measured and not _is_printed(table, row)]
    if len(unprinted) > 1:  # an image of the paper may have dozens
        cells = [
            f"{len(unprinted)} rows: {'; '.join(unprinted[:_SHOWN])}{' …' * (len(unprinted) > _SHOWN)}",
            *([published.NOT_PRINTED] * len(table.columns)),
        ]
        measured.setdefault("", [])
    for row in table.rows:
        if len(unprinted) > 1 and row in unprinted:
            continue
        theirs = [_of_paper(table, row, column) for column in table.columns]
        lines.append(_row(row, theirs, measured.pop(row, []), _ABSENT if row in entry.get("theirs", ()) else needs))
    if len(unprinted) > 1:
        lines.append(markdown_row([*cells, needs, _NOTHING]))
    for row, ours in measured.items():
        if ours:
            lines.append(_row(row, ["not in the paper"] + [""] * (len(table.columns) - 1), ours, ""))
    return "\n".join(lines)


def _is_printed(table: published.Table, row: str) -> bool:
    return any(
        table.figures[row, column].value is not None for column in table.columns if (row, column) in table.figures
    )


def _of_paper(table: published.Table, row: str, column: str) -> str:
    if (figure := table.figures.get((row, column))) is None:
        return _NOTHING
    spread = "" if figure.deviation is None else f" (sd {figure.deviation:.4f})"
    return f"{figure.printed}{spread}"


def _row(name: str, theirs: Sequence[str], ours: Sequence[tuple[str, str]], needs: str) -> str:
    where = ", ".join(dict.fromkeys(f"`{record}`" for _, record in ours if record))
    return markdown_row([name, *theirs, "; ".join(text for text, _ in ours) or needs, where or _NOTHING])


def _bound(ours: Sequence[Mapping[str, str]], runs: Path) -> Any:
    for row in ours:
        yield filled(row["ours"], row.get("record", ""), runs), row.get("record", "")


def _flags_of(folder: Path, runs: Path) -> str:
    """Say which flags a finished job had beyond the paper's settings."""
    flags = " ".join(json.loads((folder / "about.json").read_text())["flags"])
    return f"`{folder.relative_to(runs).as_posix()}` is with `{flags}`" if flags else ""


def _of_job(folder: Path) -> dict[str, str]:
    """Return what a finished job has by row, its columns and variants joined."""
    about = json.loads((folder / "about.json").read_text())
    where = f"{' and '.join(about['corpora'])}: " if about["corpora"] else ""
    found: dict[str, list[str]] = {}
    for row in read_csv(folder / "table.csv"):
        if row["ours"]:
            score = {key: float(row[name]) if row[name] else None for key, name in _SCORE}
            words = [row["variant"], row["column"], with_interval(score, percent if row["unit"] == "%" else _plain)]
            found.setdefault(row["row"], []).append(" ".join(filter(None, words)))
    return {name: where + ", ".join(parts) for name, parts in found.items()}


_SCORE = (("value", "ours"), ("low", "low"), ("high", "high"))


def _free(entry: Mapping[str, Any], runs: Path) -> str:
    """Return a table of docs/ledger.toml. The column "record" names each row's record."""
    columns = entry["columns"]
    lines = _heading(columns)
    for row in entry["rows"]:
        record = row.get("record", "")
        shown = {**row, "record": f"`{record}`" if record else _NOTHING}
        lines.append(markdown_row([filled(shown.get(column, ""), record, runs) for column in columns]))
    return "\n".join(lines)


def _heading(columns: Sequence[str]) -> list[str]:
    return [markdown_row(columns), "|" + "---|" * len(columns)]


def filled(text: str, record: str, runs: Path) -> str:
    """Return text with its references replaced by the figures of records. Raises UserError for one that is absent."""

    def figure(found: re.Match[str]) -> str:
        place, colon, field = found[1].rpartition(":")
        return read(runs, place if colon else record, field)

    return REFERENCE.sub(figure, text)


def read(runs: Path, record: str, field: str) -> str:
    """Return a figure of a record in words, a score with its interval. Raises UserError where it is absent."""
    path = runs / record / "metrics.json" if (runs / record).is_dir() else runs / record
    field, _, form = field.partition("|")
    alone, name = field.endswith("!"), field.removesuffix("!")
    try:
        if path.suffix == ".csv":
            score, leaf = _in_csv(path, name), name.partition("@")[0]
        else:
            value = _at(json.loads(path.read_text()), name)
            score, leaf = value if isinstance(value, dict) else {"value": value, "low": None, "high": None}, name
    except (OSError, LookupError, ValueError, StopIteration, TypeError) as error:
        raise UserError(f"docs/ledger.toml: {record}: expected {field} in {path}, found none ({error!r})") from error
    if alone:
        score = {**score, "low": None, "high": None}
    if isinstance(score["value"], int) and not form:
        return f"{score['value']:,}"
    return with_interval(score, _form(form) if form else percent if _SHARES.search(leaf) else _plain)


def _form(form: str) -> Callable[[Any], str]:
    """Return how a reference's numbers are written: in percent, as points of percent, or by a format of Python."""
    named = {"%": percent, "points": lambda share: f"{100 * share:+.1f}"}
    return named.get(form) or (lambda number: format(number, form))


def _at(value: Any, path: str) -> Any:
    """Return what is at a path of keys with slashes; a key, such as a table's name, may hold some itself."""
    if not path:
        return value
    if isinstance(value, list):
        number, _, rest = path.partition("/")
        return _at(value[int(number)], rest)
    key = next(key for key in value if f"{path}/".startswith(f"{key}/"))
    return _at(value[key], path[len(key) + 1 :])


def _in_csv(path: Path, name: str) -> dict[str, float | None]:
    """Return the score in a column, of the row whose cells are as the field says: COLUMN@KEY=VALUE,KEY=VALUE."""
    column, _, wanted = name.partition("@")
    keys = dict(pair.split("=", 1) for pair in wanted.split(","))
    (row,) = [row for row in read_csv(path) if all(row[key] == value for key, value in keys.items())]
    scale = 100 if "train_accuracy" in row else 1  # docs/runs/ravdess-khan/table.csv is in percent
    stem = column.removesuffix("_ccc").removesuffix("_value")
    bounds = [row.get(f"{stem}_{end}") or (row.get(end) if column == "test_wa" else "") for end in ("low", "high")]
    low, high = (float(bound) / scale if bound else None for bound in bounds)
    return {"value": float(row[column]) / scale, "low": low, "high": high}


def _plain(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.3f}"
