"""Write the figures of adapted speakers beside those of strangers: Markdown, CSV, JSON, and a table on the terminal."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from zoo.reports.tables import percent, print_titled, table, with_interval
from zoo.utils.atomic_files import write_csv, write_json, written_aside

Record = Mapping[str, Any]

_SETTINGS = {
    "transductive": "transductive: adapted to all of a speaker's clips without labels, and scored on the same clips",
    "inductive": "inductive: adapted to so many clips drawn without labels, and scored on the speaker's other clips",
    "few-shot": "few-shot: a head fitted to so many LABELLED clips of the speaker, and scored on the others",
}
_COLUMNS = (
    "method",
    "setting",
    "clips",
    "draws",
    "scored",
    "UA as a stranger",
    "UA adapted",
    "UA change",
    "WA adapted",
)


def write(record: Record, folder: Path) -> None:
    """Write adaptation.json, adaptation.csv, a row per method and amount, and adaptation.md."""
    write_json(folder / "adaptation.json", record)
    write_csv(folder / "adaptation.csv", [_csv_row(name, row) for name, row in _rows(record)])
    with written_aside(folder / "adaptation.md") as aside:
        aside.write_text("\n".join(markdown(record)) + "\n", encoding="utf-8")


def title(record: Record) -> str:
    """Return the heading of every table."""
    corpus = f"{'SYNTHETIC ' if record['synthetic'] else ''}{record['corpus']}"
    several = f", mean of {len(record['runs'])} runs" if len(record["runs"]) > 1 else ""
    return f"ADAPTED TO THE SPEAKER: {record['model']} ({record['recipe']}) on {corpus}, {record['protocol']}{several}"


def remarks(record: Record) -> list[str]:
    """Return what the figures are of, in sentences."""
    settings = dict.fromkeys(row["setting"] for _, row in _rows(record))
    lines = [
        f"{record['clips']} {record['side']} clips of {record['n_speakers']} speakers whom their fold was not trained "
        f"on, folds {', '.join(record['folds'])}; 95 % intervals over speakers and draws in brackets",
        "figures of adapted speakers are no figures of strangers: give both, never one for the other",
        *(_SETTINGS[name] for name in settings),
    ]
    if record["side"] == "validation":
        lines.append("validation speakers: training chose its epoch by them, so that all figures here are too high")
    methods = record["methods"]
    lines += [f"{name}: {found['done']}" for name, found in methods.items()]
    for text in dict.fromkeys(found["assumes"] for found in methods.values() if found["assumes"]):
        lines.append(f"{', '.join(name for name in methods if methods[name]['assumes'] == text)}: {text}")
    return [*record["warnings"], *lines]


def markdown(record: Record) -> list[str]:
    """Return the table of all methods as lines of Markdown."""
    lines = [f"# {title(record)}", "", *(f"- {line}" for line in remarks(record)), ""]
    lines += [f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
    lines += [f"| {' | '.join(_cells(name, row, with_interval))} |" for name, row in _rows(record)]
    speakers = sorted({name for _, row in _rows(record) for name in row["per_speaker"]})
    lines += ["", "UA by speaker, as a stranger and adapted:", ""]
    lines += [f"| method | clips | {' | '.join(speakers)} |", "|---" * (2 + len(speakers)) + "|"]
    for name, row in _rows(record):
        pairs = (row["per_speaker"][speaker] for speaker in speakers)
        both = (f"{percent(pair['stranger'])}, {percent(pair['adapted'])}" for pair in pairs)
        lines.append(f"| {name} | {row['adapted_on']} | {' | '.join(both)} |")
    return lines


def print_table(record: Record, console: Console | None = None) -> None:
    """Print the table of all methods; its intervals are in adaptation.md, as lines of a terminal are short."""
    shown = table("Method", "Setting", numbers=_COLUMNS[2:])
    for name, row in _rows(record):
        cells = _cells(name, row, lambda score, form: form(score["value"]))
        shown.add_row(Text(cells[0]), cells[1], *cells[2:])
    print_titled(title(record), remarks(record), shown, console)


def _rows(record: Record) -> list[tuple[str, Record]]:
    return [(name, row) for name, found in record["methods"].items() for row in found["figures"]]


def _cells(name: str, row: Record, show: Any) -> list[str]:
    scores = [(row["stranger"], "ua"), (row["adapted"], "ua"), (row["change"], "ua"), (row["adapted"], "wa")]
    counts = [str(row[key]) for key in ("draws", "clips")]
    return [name, row["setting"], row["adapted_on"], *counts, *(show(kind[key], percent) for kind, key in scores)]


def _csv_row(name: str, row: Record) -> dict[str, Any]:
    found = {"method": name, **{key: row[key] for key in ("setting", "adapted_on", "draws", "clips")}}
    for kind in ("stranger", "adapted", "change"):
        for figure in ("ua", "wa"):
            for end, key in (("", "value"), ("_low", "low"), ("_high", "high")):
                found[f"{kind}_{figure}{end}"] = row[kind][figure][key]
    return found
