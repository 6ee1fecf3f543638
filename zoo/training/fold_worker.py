"""Train folds in the process of a worker, one after the other (zoo.training.side_by_side).

Keras is imported once the backend is chosen.
"""

import json
import sys
import traceback
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.config.run_config import RunConfig
from zoo.distributed.pool import Runner
from zoo.errors import UserError
from zoo.runs.folder import fold_folder
from zoo.runs.lock import alone_in
from zoo.utils.backends import use_backend
from zoo.utils.progress import Progress

if TYPE_CHECKING:
    from zoo.training.run import Run

# The process of a lost node may hold the fold's folder, on a shared disk, until it notices.
_LOCK_SECONDS = 60.0


def opened(backend: str) -> Runner:
    """Return the function that trains a fold on a Keras backend: its task is made by `side_by_side.Folds`."""
    use_backend(backend)
    return _perform


def _perform(root: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """Train and test one fold of a run below `root`; return its validation score, or why it failed."""
    try:
        return {"score": _finish(root / content["run"], content["settings"], content["fold"])}
    except Exception as error:
        print(traceback.format_exc(), file=sys.stderr, flush=True)
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        return {"error": " ".join(reason.split())}


def _finish(folder: Path, settings: Mapping[str, Any], name: str) -> float:
    import keras

    from zoo.training.tasks import base as tasks
    from zoo.training.train import finish_fold

    with Progress() as progress:
        run = _prepared(folder, json.dumps(settings, sort_keys=True))
        fold = next(one for one in run.source.folds if one.name == name)
        place = fold_folder(folder, fold)
        place.mkdir(parents=True, exist_ok=True)
        with alone_in(place, _LOCK_SECONDS):
            record = finish_fold(run, fold, progress)
    keras.backend.clear_session()
    return float(record.get(tasks.of(run.config.model).FIGURES.score, 0.0))  # none without a validation side


@lru_cache(maxsize=1)
def _prepared(folder: Path, settings: str) -> "Run":
    """Return a run as its driver has it, with features from the cache: the same for all folds of a process."""
    import keras

    from zoo.runs.dataset import open_source
    from zoo.training.train import prepare

    values = json.loads(settings)
    given: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    config = RunConfig(**given)
    keras.config.set_dtype_policy(config.precision)
    with Progress() as progress:
        return prepare(folder, config, open_source(config), progress)
