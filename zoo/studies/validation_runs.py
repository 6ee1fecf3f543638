"""Train a network on one fold for a study, and keep a record of it that is small enough to be committed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import keras
import numpy as np

from zoo import registry
from zoo.config import saved
from zoo.config.run_config import RunConfig
from zoo.errors import UserError
from zoo.runs.dataset import Source
from zoo.runs.folder import corpus_name, fold_folder
from zoo.runs.lock import alone_in
from zoo.training import checkpoint
from zoo.training.fit import best_epoch, fit
from zoo.training.tasks import base as tasks
from zoo.training.train import fold_data, of_fold, prepare
from zoo.utils.atomic_files import write_json
from zoo.utils.json_files import read_json
from zoo.utils.progress import Progress

LAST = 10  # epochs at the end, whose mean score is compared: a best epoch is chosen on the clips that score it
_SHAPE = {"settings": {str: object}, "about": {str: object}, "ua": float, "seed": int, "fold": str}
_ADVICE = "Restore the file, or remove it to train that run again"


@dataclass(frozen=True)
class Job:
    """A run of a study: `name` is that of its record, `about` what the study says of it, `source` has its one fold."""

    name: str
    settings: RunConfig
    source: Source
    about: Mapping[str, Any]


def check(settings: RunConfig) -> None:
    """Raise UserError for a network that is not trained epoch by epoch on classes."""
    entry = registry.get(settings.model)
    if entry.task != "emotion" or entry.fitted == "linear":
        raise UserError(f"--model {settings.model}: expected a network of classes that is trained in epochs")


def kept(job: Job, records: Path) -> dict[str, Any] | None:
    """Return the record of a finished run, None without one. Raises UserError for one of other settings."""
    path = records / f"{job.name}.json"
    if not path.is_file():
        return None
    found: dict[str, Any] = read_json(path, "the record of a study's run", _SHAPE, _ADVICE)
    for what, wanted in (("settings", _settings(job.settings)), ("about", _plain(job.about))):
        names = [name for name in wanted if found[what].get(name, wanted[name]) != wanted[name]]
        if names:
            said = ", ".join(f"{name} was {found[what][name]}, now {wanted[name]}" for name in names)
            raise UserError(f"{path} was made by another command: {said}. Give another --out")
    return found


def record(job: Job, records: Path, runs: Path, progress: Progress) -> dict[str, Any]:
    """Return the record of a run; train it, from where it was interrupted, unless it is finished.

    `ua` is the mean over the last epochs (`LAST`) of the validation UA. Of a fold without validation clips it is the
    last epoch's on its test clips.
    """
    if found := kept(job, records):
        return found
    folder, settings = runs / job.name, job.settings
    folder.mkdir(parents=True, exist_ok=True)
    keras.config.set_dtype_policy(settings.precision)
    with alone_in(folder):
        _check_same(folder, settings)
        run = prepare(folder, settings, job.source, progress)
        (fold,) = run.source.folds
        history = fit(fold_data(of_fold(run, fold), fold), settings, progress)
        figures = _of_validation(history) if fold.validation else {}
        if not fold.validation:
            task, corpus = tasks.of(settings.model), corpus_name(run.facts)
            rows = task.test_rows(fold_folder(folder, fold), fold.test, run.source.protocol, corpus, settings)
            scores = task.scores(rows, run.source.protocol)
            figures = {"ua": scores["ua"]["value"], "wa": scores["wa"]["value"], "per_speaker": scores["per_speaker"]}
        facts = {name: value for name, value in run.facts.items() if name != "versions"}
        found = {
            "name": job.name,
            "about": dict(job.about),
            **figures,
            "seed": settings.seed,
            "fold": fold.name,
            "epochs": len(history),
            "seconds_per_epoch": float(np.median([row["seconds"] for row in history])),
            "train_clips": len(fold.train),
            "train_speakers": sorted({clip.speaker for clip in fold.train}),
            "scored_speakers": sorted({clip.speaker for clip in fold.validation or fold.test}),
            "scored_clips": len(fold.validation or fold.test),
            **facts,
            "versions": run.facts["versions"],
            "settings": _settings(settings),
        }
        write_json(records / f"{job.name}.json", found)
        checkpoint.remove(fold_folder(folder, fold))
    keras.backend.clear_session()
    return _plain(found)


def _of_validation(history: list[dict[str, Any]]) -> dict[str, Any]:
    scores = [row["validation_ua"] for row in history]
    last, best = scores[-LAST:], best_epoch(history, "validation_ua")
    return {
        "ua": fmean(last),
        "deviation_of_last": stdev(last) if len(last) > 1 else 0.0,
        "last": len(last),
        "best_ua": max(scores),
        "best_epoch": best,
        "validation_ua": [round(score, 5) for score in scores],
        "validation_loss": [round(row["validation_loss"], 5) for row in history],
    }


def _check_same(folder: Path, settings: RunConfig) -> None:
    """Write config.json, or raise UserError where an interrupted run of other settings is there."""
    path = folder / "config.json"
    settings = replace(settings, out=str(folder))
    if path.is_file() and (changed := saved.differences(saved.load(path), settings)):
        raise UserError(f"{folder} holds a run of another configuration: {'; '.join(changed)}. Give another --runs")
    write_json(path, settings.saved())


def _settings(settings: RunConfig) -> dict[str, Any]:
    return _plain({name: value for name, value in settings.saved().items() if name not in saved.PLACES})


def _plain(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping as it is read again from JSON."""
    return json.loads(json.dumps(content))
