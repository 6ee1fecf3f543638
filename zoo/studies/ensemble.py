"""Score the mean probabilities of several finished runs on the test clips that all of them predicted."""

from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np

from zoo.confidence.temperature import with_temperature
from zoo.config import saved
from zoo.errors import UserError
from zoo.metrics import classification
from zoo.runs.folder import read_rows
from zoo.studies.compare import absences, check_comparable, leakage, warnings
from zoo.studies.finished_runs import FinishedRun, read_run
from zoo.utils.atomic_files import write_csv, write_json

_SHARED = ("corpus", "protocol", "synthetic")
_COLUMNS = ("corpus", "clip", "speaker", "truth")


def ensemble(
    folders: Sequence[Path], temperatures: Sequence[Mapping[str, float]] = ()
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Return the record of the runs' mean probabilities, and its rows of predictions.csv.

    Figures are as of a run, with 95 % intervals over speakers; `members` are the runs, with their own UA and WA. Every
    run counts alike. `temperatures`, one mapping for each run, have the temperature of each fold's probabilities by the
    fold's folder, fitted on its validation clips; without them nothing is fitted.

    Raises UserError for less than two runs, one given twice, runs of ratings, runs that `read_run` refuses, and runs of
    other classes or test clips.
    """
    if len(folders) < 2:
        raise UserError(f"expected two runs or more for an ensemble, found {len(folders)}. Give another run's folder")
    for folder, count in Counter(folder.resolve() for folder in folders).items():
        if count > 1:
            raise UserError(f"{folder} is given twice. Give another run's folder")
    runs = [read_run(folder) for folder in folders]
    if runs[0].continuous:
        raise UserError(f"{runs[0].folder}: expected a run of classes, found one of ratings. Give runs of classes")
    for run in runs[1:]:
        check_comparable(runs[0], run)
    classes = runs[0].outputs
    tables = [sorted(_rows(run.folder, classes), key=_key) for run in runs]
    shares = [_shares(table, classes) for table in tables]
    if temperatures:
        shares = [_calibrated(*one, classes) for one in zip(runs, tables, shares, temperatures, strict=True)]
    rows = [_row(row, values, classes) for row, values in zip(tables[0], np.mean(shares, axis=0), strict=True)]
    truth, prediction, speakers = ([row[name] for row in rows] for name in ("truth", "prediction", "speaker"))
    facts = _facts(runs)
    for member, fitted in zip(facts["members"], temperatures, strict=False):
        member["temperatures"] = dict(fitted)
    return {**facts, **classification.evaluate(truth, prediction, classes, speakers)}, rows


def write(record: Mapping[str, Any], rows: Sequence[Mapping[str, str]], folder: Path) -> None:
    """Write predictions.csv and metrics.json, which scripts/compare.py --by-run takes as a run's."""
    write_csv(folder / "predictions.csv", rows)
    write_json(folder / "metrics.json", record)


def _rows(folder: Path, classes: Sequence[str]) -> list[dict[str, str]]:
    return read_rows(folder, (*_COLUMNS, "prediction"), [f"p_{name}" for name in classes])


def _key(row: Mapping[str, str]) -> tuple[str, str]:
    return row["corpus"], row["clip"]


def _shares(table: Sequence[Mapping[str, str]], classes: Sequence[str]) -> np.ndarray:
    """Return probabilities (clips, classes)."""
    return np.array([[float(row[f"p_{name}"]) for name in classes] for row in table])


def _calibrated(
    run: FinishedRun,
    table: Sequence[Mapping[str, str]],
    shares: np.ndarray,
    fitted: Mapping[str, float],
    classes: Sequence[str],
) -> np.ndarray:
    """Return probabilities at the temperature of each clip's fold."""
    of_clip = {_key(row): value for fold, value in fitted.items() for row in _rows(run.folder / fold, classes)}
    return with_temperature(shares, np.array([[of_clip[_key(row)]] for row in table]))


def _row(row: Mapping[str, str], shares: np.ndarray, classes: Sequence[str]) -> dict[str, str]:
    own = {name: row[name] for name in _COLUMNS}
    probabilities = {f"p_{name}": f"{value:.6f}" for name, value in zip(classes, shares, strict=True)}
    return {**own, "prediction": classes[int(np.argmax(shares))], **probabilities}


def _facts(runs: Sequence[FinishedRun]) -> dict[str, Any]:
    """Return what the record says of the ensemble's members and of their data."""
    members = [
        {
            "run": run.folder.name,
            "model": run.record["model"],
            "seed": run.seed,
            **{name: run.record[name]["value"] for name in ("ua", "wa")},
            "predictions_sha256": sha256((run.folder / "predictions.csv").read_bytes()).hexdigest(),
        }
        for run in runs
    ]
    uas = [member["ua"] for member in members]
    every = {"leakage": leakage, "notes": absences, "warnings": warnings}
    remarks = {name: list(dict.fromkeys(line for run in runs for line in of(run.record))) for name, of in every.items()}
    return {
        "model": " + ".join(dict.fromkeys(member["model"] for member in members)),
        **{name: runs[0].record[name] for name in _SHARED},
        "speaker_independent": all(run.record.get("speaker_independent", True) for run in runs),
        **remarks,
        "members": members,
        "mean_ua_of_members": fmean(uas),
        "deviation_of_ua_of_members": stdev(uas),
        "settings_that_differ": _differences(runs),
    }


def _differences(runs: Sequence[FinishedRun]) -> list[str]:
    """Return the names of settings in which the runs differ, places aside."""
    names = sorted({name for run in runs for name in run.settings} - {*saved.PLACES})
    return [name for name in names if any(run.settings.get(name) != runs[0].settings.get(name) for run in runs)]
