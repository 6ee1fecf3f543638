"""Name and read the files of a run's folder."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.data.schema import Fold
from zoo.errors import UserError, unknown
from zoo.runs.record_shape import RECORD
from zoo.utils.atomic_files import read_csv
from zoo.utils.json_files import read_json

STAND_IN = "stand-in for "  # how the names of such corpora begin
_ADVICE = "Restore the file, or train again into another folder"
_RESTORE = "Restore it, or train again into another folder"


def read_rows(folder: Path, columns: Sequence[str] = (), numbers: Sequence[str] = ()) -> list[dict[str, str]]:
    """Read the predictions.csv of a run or fold. `columns` must be there, and `numbers` hold a finite one in each row.

    Raises UserError for a file that is absent, damaged or of another run.
    """
    path = folder / "predictions.csv"
    if not path.exists():
        if (folder / "metrics.json").is_file():
            check_tested(read_record(folder), folder)
        raise UserError(f"{path}: predictions.csv is absent, which this needs. {_RESTORE}")
    try:
        if not path.is_file():
            raise ValueError("no regular file")
        rows = read_csv(path)
    except (OSError, ValueError, csv.Error) as error:  # ValueError: no UTF-8 too
        raise UserError(f"{path}: cannot be read ({error}). {_RESTORE}") from error
    if not rows:
        raise UserError(f"{path}: expected predictions, found none. {_RESTORE}")
    header = [name for name in rows[0] if name is not None]
    if absent := ", ".join(name for name in (*columns, *numbers) if name not in header):
        wanted = ", ".join((*columns, *numbers))
        raise UserError(f"{path}: expected the columns {wanted}, found none of {absent}. {_RESTORE}")
    for line, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise UserError(f"{path}, row {line}: expected {len(header)} columns, found more or fewer. {_RESTORE}")
        if wrong := [name for name in numbers if not _is_number(row[name])]:
            found = f"{wrong[0]} is {row[wrong[0]]!r:.100}, expected a finite number"
            raise UserError(f"{path}, row {line}: {found}. {_RESTORE}")
    return rows


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def read_record(folder: Path, needed: Sequence[str] = ()) -> dict[str, Any]:
    """Read the metrics.json of a run or of one of its folds, with the entries `needed`, of the kinds of values it has.

    Raises UserError when it is not there yet, damaged, or of something else.
    """
    path = folder / "metrics.json"
    if not path.exists():
        raise UserError(f"{folder}: not finished (metrics.json is absent); go on with train.py --out RUN --resume")
    record = read_json(path, "a run's figures", RECORD, _ADVICE)
    check_holds(record, needed, path)
    return record


def check_holds(record: Mapping[str, Any], needed: Sequence[str], path: Path) -> None:
    """Raise UserError for a record, read from `path`, without some of the entries `needed`."""
    if absent := ", ".join(name for name in needed if name not in record):
        check_tested(record, path.parent)
        raise UserError(f"{path}: expected a run's figures, found none of {absent}. {_ADVICE}")


def is_tested(record: Mapping[str, Any]) -> bool:
    """Return whether a run has test clips; records of earlier versions, which do not say so, always have."""
    return "test" in record.get("sides", ("test",))


def check_tested(record: Mapping[str, Any], run: Path) -> None:
    """Raise UserError for the record of a run without test clips."""
    if not is_tested(record):
        raise UserError(
            f"{run}: {record.get('protocol', 'its protocol')} has no test side here (its sides: "
            f"{', '.join(record['sides'])}), so that there are no test figures and no predictions.csv. Give a run with "
            "test clips"
        )


def fold_folder(run: Path, fold: Fold) -> Path:
    """Return the folder of a fold's files in a run."""
    return run / f"fold-{fold.name}"


def is_finished(folder: Path) -> bool:
    """Say whether the folder of a fold has its results."""
    return all((folder / name).is_file() for name in ("model.keras", "metrics.json"))


def fold_name(folder: Path) -> str:
    """Return the name of the fold that has a folder in a run."""
    return folder.name.removeprefix("fold-")


def fold_folders(run: Path) -> dict[str, Path]:
    """Return the folders of a run's folds, as they are on the disk, by the folds' names."""
    return {fold_name(path): path for path in sorted(run.glob("fold-*")) if path.is_dir()}


def corpus_name(record: Mapping[str, Any]) -> str:
    """Return the corpus of a record, marked where it is a synthetic twin, or a stand-in made of another corpus."""
    corpus = record["corpus"]
    if made := record.get("stand_in"):
        corpus = f"{STAND_IN}{made['stand_in_for']} made from {made['made_from'].partition(',')[0]}"
    return f"{'synthetic ' if record['synthetic'] else ''}{corpus}"


def finished_folds(run: Path, fold: str | None = None) -> tuple[list[Path], dict[str, Any]]:
    """Return the folders of a run's folds and its record; with `fold`, those of the one numbered so.

    Raises UserError where it is unknown, the run is not finished, or its record names folds that are not there.
    """
    folders = fold_folders(run)
    by_number = {name.split("-")[0]: path for name, path in folders.items()}
    if fold is not None and fold not in by_number:
        raise unknown(f"fold of {run}", fold, by_number)
    place = run if fold is None else by_number[fold]
    record = read_record(place, ("folds",) if fold is None else ("fold",))
    names = [item["fold"] for item in record["folds"]] if fold is None else [record["fold"]]
    expected = list(folders) if fold is None else [fold_name(by_number[fold])]
    if not names or len(set(names)) < len(names) or not set(names) <= set(expected):
        found = f"the folds {', '.join(map(repr, names)) or 'none'}"
        on_disk = ", ".join(expected) or "none"
        raise UserError(f"{place / 'metrics.json'}: expected folds of this run ({on_disk}), found {found}. {_ADVICE}")
    return [folders[name] for name in names], record
