"""Scores of a run on its test clips, always from the saved model and the audio, as a user of the model would."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from zoo.config import saved
from zoo.errors import UserError
from zoo.runs.dataset import drop_clips, open_source
from zoo.runs.folder import corpus_name, fold_folder, read_record
from zoo.training.tasks import base as tasks
from zoo.utils.atomic_files import write_csv, write_json

Row = dict[str, Any]
_ROUNDING = 1e-5


def write_results(folder: Path, rows: Sequence[Row], summary: Mapping[str, Any], title: str) -> None:
    """Writes predictions.csv, a figure and, last, metrics.json: its presence says that all are there."""
    write_csv(folder / "predictions.csv", rows)
    tasks.of(summary["model"]).plot(summary, rows, folder, title)
    write_json(folder / "metrics.json", summary)


def evaluate_run(run: Path, data_root: str = "") -> tuple[dict, list[str]]:
    """Scores a finished run again on its test clips.

    Returns the metrics, and in what they differ from those the run recorded (empty: the same figures again). Raises
    UserError when the run is not finished or its data is absent.
    """
    settings = saved.load(run / "config.json")
    recorded = read_record(run)
    source = open_source(replace(settings, data_root=data_root or settings.data_root))
    if source.synthetic != recorded["synthetic"]:
        raise UserError(f"{run} was trained on {'synthetic' if recorded['synthetic'] else 'real'} clips, these are not")
    source = drop_clips(source, recorded["bad_clips"])
    kind, protocol, corpus = tasks.of(settings.model), source.protocol, corpus_name(recorded)
    rows = [
        row
        for fold in source.folds
        for row in kind.test_rows(fold_folder(run, fold), fold.test, protocol, corpus, settings)
    ]
    summary = {**recorded, **kind.scores(rows, protocol)}
    changed = [line for name in kind.FIGURES for line in differences(name, recorded[name], summary[name])]
    return summary, changed


def training_accuracy(run: Path) -> float:
    """Returns the accuracy (WA) of a finished run's models on the clips they were trained on, 0..1, over all folds.

    For how far a network fits what it saw; never a result. Raises UserError as `evaluate_run` does.
    """
    settings, recorded = saved.load(run / "config.json"), read_record(run)
    source = drop_clips(open_source(settings), recorded["bad_clips"])
    kind, protocol, corpus = tasks.of(settings.model), source.protocol, corpus_name(recorded)
    rows = [
        row
        for fold in source.folds
        for row in kind.test_rows(fold_folder(run, fold), fold.train, protocol, corpus, settings)
    ]
    return sum(row["truth"] == row["prediction"] for row in rows) / len(rows)


def differences(
    name: str, before: Any, after: Any, said: str = "{name}: {before} was recorded, {after} found"
) -> list[str]:
    """Says, by `said`, which of the values below `name` are others after than before, at any depth of dictionaries.

    Floats are alike within 1e-5: ratings are real numbers, whose last digits change with the number of threads.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        keys = {**before, **after}
        below = [(f"{name}.{key}".lstrip("."), before.get(key), after.get(key)) for key in keys]
        return [line for key, old, new in below for line in differences(key, old, new, said)]
    if isinstance(before, float) and isinstance(after, float) and abs(before - after) < _ROUNDING:
        return []
    return [] if before == after else [said.format(name=name, before=before, after=after)]
