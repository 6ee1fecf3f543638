"""Read what a model predicted, from a file of `ser predict` or a queue of `ser label`."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zoo.errors import UserError
from zoo.utils.atomic_files import read_csv

_EXPECTED = "expected predictions of classes, by predict.py --out or label.py next --out"


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    """Yield "file", "start", "end" (seconds or None), "label" and "confidence" of each recording with an emotion.

    The confidence is the row's own where it has one, else the highest probability. Raises UserError, naming the line,
    for another file.
    """
    try:
        if path.suffix.lower() in (".json", ".jsonl"):
            lines = path.read_text(encoding="utf-8").splitlines()
            rows: Iterator[Mapping[str, Any]] = (json.loads(line) for line in lines)
        else:
            rows = iter(read_csv(path))
        for number, row in enumerate(rows, 2 - (path.suffix.lower() in (".json", ".jsonl"))):
            label = row.get("emotion", row.get("label"))
            if label:
                yield _read(path, number, row, label)
    except OSError as error:
        raise UserError(f"{path}: {_EXPECTED}, but {error.strerror or error}. Check the path") from error
    except (ValueError, AttributeError) as error:
        raise UserError(f"{path}: {_EXPECTED}, found something else ({error!s:.80}). Name another file") from error


def _read(path: Path, number: int, row: Mapping[str, Any], label: str) -> dict[str, Any]:
    try:
        probabilities = row.get("probabilities") or {k: v for k, v in row.items() if k.startswith("p_")}
        given = row.get("confidence")
        confidence = float(given if given not in (None, "") else max(map(float, probabilities.values())))
        start, end = (float(row[name]) if row.get(name) not in (None, "") else None for name in ("start", "end"))
        return {"file": str(row["file"]), "start": start, "end": end, "label": label, "confidence": confidence}
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path}, line {number}: {_EXPECTED}, found {str(dict(row))[:100]}") from error
