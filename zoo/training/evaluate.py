"""Score a run on its test recordings, from the saved models and the audio files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.config.run_config import RunConfig
from zoo.data.protocols.splits import Protocol
from zoo.data.schema import Clip
from zoo.data.votes import table
from zoo.errors import UserError
from zoo.metrics.human_ceiling import human_ceiling
from zoo.runs import dataset
from zoo.runs.dataset import Source
from zoo.runs.folder import check_holds, fold_folder
from zoo.runs.open_run import OpenedRun, open_run
from zoo.training.tasks import base as tasks
from zoo.utils.atomic_files import write_csv, write_json, written_aside

Row = dict[str, Any]
_ROUNDING = 1e-5


def write_results(folder: Path, rows: Sequence[Row], summary: Mapping[str, Any], title: str) -> None:
    """Write predictions.csv, a figure, tables.tex and, last, metrics.json, which shows that all are complete.

    Without a test side there are no `rows`, and metrics.json is all.
    """
    if rows:
        write_csv(folder / "predictions.csv", rows)
        report = tasks.of(summary["model"]).report
        report.plot(summary, rows, folder, title)
        if text := report.tex(summary, title):
            with written_aside(folder / "tables.tex") as aside:
                aside.write_text(text, encoding="utf-8")
    write_json(folder / "metrics.json", summary)


def of_people(clips: Sequence[Clip], protocol: Protocol) -> dict[str, Any]:
    """Return {"human_ceiling": one rater against the others} for clips with votes, else nothing."""
    if not protocol.classes:
        return {}
    votes, speakers = table(clips, protocol.classes)
    return {"human_ceiling": human_ceiling(votes, speakers)} if speakers else {}


def evaluate_run(run: Path, data_root: str = "") -> tuple[dict, list[str]]:
    """Score a finished run again on its test recordings.

    Returns the metrics, and in what they differ from those the run recorded (empty: the same figures again). Raises
    UserError when the run is not finished or its data is absent.
    """
    opened = open_run(run)
    task = tasks.of(opened.settings.model)
    check_holds(opened.record, task.FIGURES.compared, run / "metrics.json")
    source = dataset.of_run(opened, data_root)
    summary = {**opened.record, **task.scores(_rows(opened, source, "test"), source.protocol)}
    return summary, changed_figures(task, opened.record, summary)


def recorded_scores(rows: Sequence[Row], config: RunConfig, protocol: Protocol, run: Path) -> dict[str, Any]:
    """Return the figures of a run's recorded predictions. Raises UserError for rows that are not of this run."""
    try:
        return tasks.of(config.model).scores(rows, protocol)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{run}: expected predictions under {protocol.name} in the predictions.csv of its folds, found others "
            f"({error!r}). Restore the files, or train again into another folder"
        ) from error


def training_accuracy(run: Path) -> float:
    """Return the accuracy (WA) of a finished run's models on the utterances they were trained on, 0..1, over all folds.

    It shows how closely a network fits its training data and is never a result. Raises UserError as `evaluate_run`.
    """
    opened = open_run(run)
    rows = [row for row in _rows(opened, dataset.of_run(opened), "train") if row["truth"]]  # others teach other targets
    return sum(row["truth"] == row["prediction"] for row in rows) / len(rows)


def _rows(run: OpenedRun, source: Source, side: str) -> list[Row]:
    task, settings = tasks.of(run.settings.model), run.settings
    return [
        row
        for fold in source.folds
        for row in task.test_rows(
            fold_folder(run.folder, fold), getattr(fold, side), source.protocol, run.corpus, settings
        )
    ]


def changed_figures(task: tasks.Task, recorded: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Return a line for each figure of a record that did not come out again.

    Figures that the record, of an earlier version, does not hold are no difference.
    """

    def held(before: Any, after: Any) -> Any:
        both = isinstance(before, dict) and isinstance(after, dict)
        return {key: held(before[key], after[key]) for key in after if key in before} if both else after

    further = ("targets",) if "targets" in recorded and "targets" in found else ()
    return [
        line
        for name in (*task.FIGURES.compared, *further)
        for line in differences(name, recorded[name], held(recorded[name], found[name]))
    ]


def differences(
    name: str, before: Any, after: Any, said: str = "{name}: {before} was recorded, {after} found"
) -> list[str]:
    """Return a line, worded by `said`, for each value below `name` that differs, at any depth of dictionaries.

    Floats may differ by 1e-5: the last digits of ratings change with the number of threads.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        keys = {**before, **after}
        below = [(f"{name}.{key}".lstrip("."), before.get(key), after.get(key)) for key in keys]
        return [line for key, old, new in below for line in differences(key, old, new, said)]
    if isinstance(before, float) and isinstance(after, float) and abs(before - after) < _ROUNDING:
        return []
    return [] if before == after else [said.format(name=name, before=before, after=after)]
