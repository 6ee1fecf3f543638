"""Save and restore the state of training after an epoch, so that a killed run resumes exactly.

Keras's BackupAndRestore loses dropout seeds, history and callback state, and cannot restart when it is killed while it
writes. Here one file holds everything, appears by renaming, is checked by the archive's checksums when it is read, and
the one before it is kept.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import UserError
from zoo.utils.atomic_files import written_aside
from zoo.utils.lazy import lazy

if TYPE_CHECKING:
    import keras
else:
    keras = lazy("keras")

_LAST, _BEFORE = "state.npz", "state-before.npz"


def save(folder: Path, model: keras.Model, history: list[dict[str, Any]], best: list[np.ndarray]) -> None:
    """Save the model's and optimizer's variables (seed generators too), the history and the best weights."""
    arrays = {
        f"variable/{index}": value for index, value in enumerate(map(keras.ops.convert_to_numpy, _variables(model)))
    }
    arrays.update({f"best/{index}": value for index, value in enumerate(best)})
    arrays["history"] = np.frombuffer(json.dumps(history).encode(), np.uint8)
    last = folder / _LAST
    with written_aside(last) as aside:
        with aside.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        if last.exists():
            last.replace(folder / _BEFORE)


def restore(
    folder: Path, model: keras.Model, prepare: Callable[[int], None] = lambda epoch: None
) -> tuple[list[dict[str, Any]], list[np.ndarray]] | None:
    """Set the model to its newest whole state; return history and best weights, or None where there is none.

    `prepare` is called before with the number of the state's last epoch: an optimizer's variables depend on it where
    training has stages.
    """
    for name in (_LAST, _BEFORE):
        try:
            with np.load(folder / name, allow_pickle=False) as archive:
                arrays = {key: archive[key] for key in archive.files}
        except FileNotFoundError:
            continue
        except (zipfile.BadZipFile, ValueError, EOFError):  # damaged: the archive's checksums say so
            (folder / name).unlink()  # or the next save would keep it in place of the good one
            continue
        history = json.loads(arrays["history"].tobytes())
        prepare(len(history))
        _assign(model, arrays, folder / name)
        best = [arrays[f"best/{index}"] for index in range(sum(key.startswith("best/") for key in arrays))]
        return history, best
    return None


def remove(folder: Path) -> None:
    """Delete the states, once the run's results are written."""
    for name in (_LAST, _BEFORE):
        (folder / name).unlink(missing_ok=True)


def _assign(model: keras.Model, arrays: dict[str, np.ndarray], path: Path) -> None:
    variables = _variables(model)
    found = [arrays[f"variable/{index}"] for index in range(sum(key.startswith("variable/") for key in arrays))]
    if [variable.shape for variable in variables] != [array.shape for array in found]:
        raise UserError(
            f"{path}: expected the {len(variables)} variables of this network, found {len(found)} of other shapes, "
            "written by another version of the zoo or of Keras; train again into another folder"
        )
    for variable, array in zip(variables, found, strict=True):
        variable.assign(array)


def _variables(model: keras.Model) -> list:
    """Return weights, seeds and optimizer variables. Metrics restart with every epoch."""
    metrics = {id(variable) for metric in model.metrics for variable in metric.variables}
    return [v for v in (*model.variables, *model.optimizer.variables) if id(v) not in metrics]
