"""Train one trial's configuration on every inner fold; its score is their mean validation score."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from tuning import trials
from zoo.config import flags as config
from zoo.config.run_config import RunConfig
from zoo.errors import UserError
from zoo.runs.dataset import inner, open_source, resolve
from zoo.runs.folder import fold_folder
from zoo.runs.protocol import protocol_of
from zoo.utils.atomic_files import write_json
from zoo.utils.backends import use_backend
from zoo.utils.progress import Progress

# A worker that lost its lease may hold the trial's folder until it notices.
_LOCK_SECONDS = 60.0


def run(folder: Path, assignment: Mapping[str, Any], heartbeat: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Train a trial on its inner folds, continuing where an earlier process stopped.

    `heartbeat` is called after each epoch; what it raises ends the trial. Returns an outcome: the score is the
    mean over folds of each one's best validation score. The outer fold's test utterances are not opened. Raises
    ValueError for a score that its metric cannot have.
    """
    settings = _checked(assignment["flags"], folder)
    if assignment["epochs"]:
        settings = replace(settings, epochs=assignment["epochs"])
    source = inner(open_source(settings), assignment["inner_folds"])
    import keras

    from zoo.runs.lock import alone_in
    from zoo.training import checkpoint
    from zoo.training.fit import fit
    from zoo.training.tasks import base as tasks
    from zoo.training.train import fold_data, prepare

    objective = tasks.of(settings.model).FIGURES.score
    folder.mkdir(parents=True, exist_ok=True)
    scores: list[float] = []
    epochs, reason = 0, ""
    with alone_in(folder, _LOCK_SECONDS), Progress() as progress:
        write_json(folder / "config.json", settings.saved())
        if assignment["parent"]:
            _copy_states(folder.parent / assignment["parent"], folder)
        trial = prepare(folder, settings, source, progress)
        for fold in trial.source.folds:
            history = fit(fold_data(trial, fold), settings, progress, heartbeat)
            keras.backend.clear_session()
            scores.append(max(float(row[objective]) for row in history))
            epochs += len(history)
            reason = _pruned(scores, assignment["prune_below"])
            if reason:
                break
        outcome = {"score": fmean(scores), "folds": scores, "reason": reason}
        status = "pruned" if reason else "completed"
        ended = trials.outcome({"status": status, **outcome, "epochs": epochs}, trials.score_range(settings.model))
        write_json(folder / "metrics.json", {**trial.facts, "objective": objective, **outcome})
        if not assignment["epochs"]:  # a later rung of Hyperband may continue this one
            for fold in trial.source.folds:
                checkpoint.remove(fold_folder(folder, fold))
    return ended


def feasible(flags: Mapping[str, Any]) -> str | None:
    """Return None, or why these flags cannot be trained together. Builds the network, reads no utterance."""
    try:
        _checked(flags, Path())
    except UserError as error:
        return str(error)
    return None


def _checked(flags: Mapping[str, Any], folder: Path) -> RunConfig:
    """Return a trial's configuration, its network built once. Raises UserError where that is impossible."""
    settings = resolve(config.from_flags({**flags, "out": str(folder)}))
    use_backend(settings.backend)
    import keras

    from zoo.training.tasks import base as tasks

    keras.config.set_dtype_policy(settings.precision)
    tasks.of(settings.model).check(settings, protocol_of(settings))
    keras.backend.clear_session()
    return settings


def _copy_states(parent: Path, folder: Path) -> None:
    """Copy the parent's states to continue from; a fold that has states keeps its own."""
    for states in sorted(parent.glob("fold-*")):
        place = folder / states.name
        if not place.exists():
            aside = folder / f".copying-{states.name}"
            shutil.rmtree(aside, ignore_errors=True)
            shutil.copytree(states, aside)
            aside.replace(place)


def _pruned(scores: Sequence[float], prune_below: Sequence[float] | None) -> str:
    """Return why to stop a trial after so many folds, or "" (the median stopping rule, Golovin et al. 2017)."""
    if not prune_below or len(scores) >= len(prune_below):
        return ""
    bound, mean = prune_below[len(scores) - 1], fmean(scores)
    if mean >= bound:
        return ""
    return f"mean of {len(scores)} folds {mean:.3f}, below the median of finished trials, {bound:.3f}"
