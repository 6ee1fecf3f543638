"""Fit the temperature of a run's probabilities on its validation clips, and measure it on its test clips."""

from pathlib import Path
from typing import Any

import numpy as np

from zoo.confidence.temperature import expected_calibration_error, fit_temperature, log_loss, with_temperature
from zoo.errors import UserError
from zoo.runs import dataset, folds_of_final
from zoo.runs.folder import fold_name, is_tested, read_rows
from zoo.runs.open_run import check_predicts, open_run
from zoo.training.tasks import classification


def calibrate(run: Path, fold: str | None = None, data_root: str = "") -> dict[str, Any]:
    """Fit one temperature on the validation clips of a run's folds, each clip predicted by its own fold's model.

    It applies to each fold's model, before answers are averaged: no clip of the corpus can calibrate the average, as
    all folds but one were trained on it. Returns {"temperature", "validation", "test"}, the last two with {"clips",
    "ece_before", "ece_after", "log_loss_before", "log_loss_after"}; test figures are of the run's recorded predictions,
    absent without a test side. For a run on all clips, the run of its folds (--figures-from) is calibrated, and
    "fitted_on" is its name.

    Raises UserError for a run of ratings, one that is not finished, or a corpus that is not there.
    """
    opened = open_run(run, fold)
    if (theirs := folds_of_final.of_final(opened)) and opened.entry.task == "emotion":
        return {**calibrate(theirs.folder, None, data_root), "fitted_on": theirs.folder.name}
    settings, folders, classes = opened.settings, opened.fold_folders, opened.protocol.classes
    if opened.entry.task != "emotion":
        raise UserError(f"--calibrate is for probabilities, and {run} predicts ratings; leave it out")
    check_predicts(settings, run)
    if settings.refit:
        raise UserError(
            f"--calibrate needs validation clips, and {run} was fitted on them too (--refit); leave out one of the two"
        )
    source = dataset.of_run(opened, data_root)
    clips = {f"fold-{item.name}": item.validation for item in source.folds}
    rows = [
        row
        for folder in folders
        for row in classification.test_rows(folder, clips[folder.name], source.protocol, opened.corpus, settings)
    ]
    validation = _table(rows, classes)
    if not is_tested(opened.record):
        temperature = fit_temperature(*validation)
        return {"temperature": temperature, "validation": _figures(*validation, temperature)}
    shares = [f"p_{name}" for name in classes]
    recorded = [row for folder in folders for row in read_rows(folder, ("truth",), shares)]
    if unknown := sorted({row["truth"] for row in recorded} - set(classes)):
        raise UserError(f"{run}: expected predictions of {', '.join(classes)}, found {', '.join(unknown)} as truth")
    test = _table(recorded, classes)
    temperature = fit_temperature(*validation)
    figures = {"validation": _figures(*validation, temperature), "test": _figures(*test, temperature)}
    return {"temperature": temperature, **figures}


def of_folds(run: Path, data_root: str = "") -> dict[str, float]:
    """Return the temperature of each fold of a run by the fold's folder, fitted on that fold's validation clips alone.

    Raises UserError as `calibrate`.
    """
    numbers = {folder.name: fold_name(folder).partition("-")[0] for folder in open_run(run).fold_folders}
    return {name: calibrate(run, number, data_root)["temperature"] for name, number in numbers.items()}


def _table(rows, classes) -> tuple[np.ndarray, np.ndarray]:
    shares = np.array([[float(row[f"p_{name}"]) for name in classes] for row in rows])
    return shares, np.array([classes.index(row["truth"]) for row in rows])


def _figures(shares: np.ndarray, labels: np.ndarray, temperature: float) -> dict[str, float]:
    after = with_temperature(shares, temperature)
    return {
        "clips": len(labels),
        "ece_before": expected_calibration_error(shares, labels),
        "ece_after": expected_calibration_error(after, labels),
        "log_loss_before": log_loss(shares, labels),
        "log_loss_after": log_loss(after, labels),
    }
