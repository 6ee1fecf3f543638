"""Write records of measured speed as tables of the documentation."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def encoders(docs: Path) -> dict[str, str]:
    """Return the tables of docs/encoders.md by name, made of the records in `docs`/runs."""

    def record(name: str) -> dict[str, Any]:
        return json.loads((docs / "runs" / name).read_text())

    return {
        "conversion": conversions(record("encoders/conversion.json")),
        "inference": ratios(record("bench-encoders.json")),
        "training": ratios(record("bench-encoder-training.json")),
    }


def ratios(record: Mapping[str, Any]) -> str:
    """Return a record of `python -m bench` as a table in Markdown."""
    lines = ["| measured | ours | reference | ratio | target |", "|---|---|---|---|---|"]
    for row in record["results"]:
        reference = "" if row["reference"] is None else f"{row['reference']:.3g} {row['unit']}"
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        target = "" if row["target"] is None else f"{row['bound']} {row['target']:g}"
        lines.append(f"| {row['note']} | {row['ours']:.3g} {row['unit']} | {reference} | {ratio} | {target} |")
    return "\n".join(lines)


def conversions(record: Mapping[str, Any]) -> str:
    """Return a record of `python -m bench.encoder_conversion` as a table in Markdown."""
    lines = ["| encoder | `ser convert-weights` | seconds | peak memory, MiB | file, MiB |", "|---|---|---|---|---|"]
    for name, rows in record["encoders"].items():
        for row in rows:
            figures = f"{row['seconds']:.0f} | {row['peak_mib']:.0f} | {row['mib']:.0f}"
            lines.append(f"| {name} | `{row['command']}` | {figures} |")
    return "\n".join(lines)
