"""Write records of measured speed as tables of the documentation."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_HEADING, _RULE = "| measured | ours | reference | ratio | target |", "|---|---|---|---|---|"
_OF_OTHER_PAGES = ("bench-encoders", "bench-encoder-training", "bench-imports")


def encoders(docs: Path) -> dict[str, str]:
    """Return the tables of docs/encoders.md by name, made of the records in `docs`/runs."""

    def record(name: str) -> dict[str, Any]:
        return json.loads((docs / "runs" / name).read_text())

    return {
        "conversion": conversions(record("encoders/conversion.json")),
        "inference": ratios(record("bench-encoders.json")),
        "training": ratios(record("bench-encoder-training.json")),
    }


def programs(docs: Path) -> str:
    """Return the table of speed of docs/reproduction.md, made of the records of `python -m bench` in `docs`/runs."""
    lines = []
    for path in sorted((docs / "runs").glob("bench*.json")):
        if path.stem not in _OF_OTHER_PAGES:
            record = json.loads(path.read_text())
            source = f"`{path.name}`, load {record['load_average'][0]:.1f}"
            lines += [f"| {row['name']}: {_line(row)} | {source} |" for row in record["results"]]
    return "\n".join([f"{_HEADING} record |", f"{_RULE}---|", *lines])


def ratios(record: Mapping[str, Any]) -> str:
    """Return a record of `python -m bench` as a table in Markdown."""
    return "\n".join([_HEADING, _RULE, *(f"| {_line(row)} |" for row in record["results"])])


def _line(row: Mapping[str, Any]) -> str:
    """Return the cells of a measurement."""
    reference = "" if row["reference"] is None else f"{_number(row['reference'])} {row['unit']}"
    ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
    outcome = {None: "", True: ": met", False: ": **not met**"}[row["met"]]
    target = "" if row["target"] is None else f"{row['bound']} {row['target']:g}{outcome}"
    return f"{row['note']} | {_number(row['ours'])} {row['unit']} | {reference} | {ratio} | {target}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def conversions(record: Mapping[str, Any]) -> str:
    """Return a record of `python -m bench.encoder_conversion` as a table in Markdown."""
    lines = ["| encoder | `ser convert-weights` | seconds | peak memory, MiB | file, MiB |", "|---|---|---|---|---|"]
    for name, rows in record["encoders"].items():
        for row in rows:
            figures = f"{row['seconds']:.0f} | {row['peak_mib']:.0f} | {row['mib']:.0f}"
            lines.append(f"| {name} | `{row['command']}` | {figures} |")
    return "\n".join(lines)
