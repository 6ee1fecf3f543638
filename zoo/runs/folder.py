"""Name and read the files of a run's folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.data.schema import Fold
from zoo.errors import UserError, unknown
from zoo.utils.atomic_files import read_csv


def read_rows(folder: Path) -> list[dict[str, str]]:
    """Read the predictions.csv of a run or fold."""
    return read_csv(folder / "predictions.csv")


def read_record(folder: Path) -> dict[str, Any]:
    """Read the metrics.json of a run or of one of its folds. Raises UserError when it is not there yet."""
    path = folder / "metrics.json"
    if not path.is_file():
        raise UserError(f"{folder}: not finished (metrics.json is absent); go on with train.py --out RUN --resume")
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path}: expected a run's figures, found {error}; train again into another folder") from error


def fold_folder(run: Path, fold: Fold) -> Path:
    """Return the folder of a fold's files in a run."""
    return run / f"fold-{fold.name}"


def fold_name(folder: Path) -> str:
    """Return the name of the fold that has a folder in a run."""
    return folder.name.removeprefix("fold-")


def corpus_name(record: Mapping[str, Any]) -> str:
    """Return the corpus of a record, marked where it is a synthetic twin."""
    return f"{'synthetic ' if record['synthetic'] else ''}{record['corpus']}"


def finished_folds(run: Path, fold: str | None = None) -> tuple[list[Path], dict[str, Any]]:
    """Return the folders of a run's folds and its record; with `fold`, those of the one numbered so.

    Raises UserError where it is unknown or the run is not finished.
    """
    folders = {path.name.split("-")[1]: path for path in sorted(run.glob("fold-*"))}
    if fold is not None and fold not in folders:
        raise unknown(f"fold of {run}", fold, folders)
    record = read_record(run if fold is None else folders[fold])
    names = [item["fold"] for item in record["folds"]] if fold is None else [record["fold"]]
    return [run / f"fold-{name}" for name in names], record
