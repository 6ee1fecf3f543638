"""Compute deep-spectrum features: the joint vector before the output layers of a finished run's network.

Zhao et al. 2019, section IV, Table 7: the 384 values of attention_blstm_fcn, then a linear SVM.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zoo.config.run_config import RunConfig
from zoo.errors import UserError
from zoo.runs import upstream_runs
from zoo.runs.folder import fold_folders
from zoo.runs.model_file import frontend as frontend_of
from zoo.runs.model_file import load_model, network_of
from zoo.utils.lazy import lazy

if TYPE_CHECKING:
    import keras
else:
    keras = lazy("keras")

LAYER = "joint"


def check(settings: RunConfig) -> None:
    """Raise UserError where no run is named, or its network has no joint vector."""
    if not settings.from_run:
        raise UserError(f"--model {settings.model} needs --from-run DIR, a finished run of attention_blstm_fcn")
    _parts(settings, _any_fold(settings))


def frontend(settings: RunConfig) -> keras.layers.Layer:
    """Return the front-end of the run's models."""
    return frontend_of(load_model(_any_fold(settings) / "model.keras"))


def body(settings: RunConfig, fold: str) -> keras.Model:
    """Return a fold's network up to its joint vector: from features to (batch, width). Errors are those of `check`."""
    model, network = _parts(settings, upstream_runs.folder_of("from_run", settings, fold))
    inputs = {item.name: keras.Input(item.shape[1:], dtype=item.dtype, name=item.name) for item in model.inputs}
    normalized = model.get_layer("normalization")(inputs["features"])
    vector = keras.Model(network.inputs, network.get_layer(LAYER).output, name=f"{network.name}_joint")
    found = keras.Model(inputs, vector({**inputs, "features": normalized}), name=f"{network.name}_body")
    found.trainable = False
    return found


def _parts(settings: RunConfig, folder: Path) -> tuple[keras.Model, keras.Model]:
    """Return a fold's model behind its front-end, and the network in it."""
    model = network_of(load_model(folder / "model.keras"))
    network = next((layer for layer in model.layers if isinstance(layer, keras.Model)), None)
    if network is None or not any(layer.name == LAYER for layer in network.layers):
        names = ", ".join(layer.name for layer in (network or model).layers)
        raise UserError(
            f"--from-run {settings.from_run}: expected a network with a layer {LAYER!r}, found the layers {names}. "
            "Give a run of attention_blstm_fcn or one of its ablations"
        )
    return model, network


def _any_fold(settings: RunConfig) -> Path:
    folders = list(fold_folders(Path(settings.from_run)).values())
    if not folders:
        raise UserError(f"--from-run {settings.from_run}: no fold of a run is in it; train it to the end first")
    return folders[0]
