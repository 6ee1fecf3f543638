"""Load the saved .keras model of a run; find its front-end and its network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import UserError
from zoo.runs import keras_archive
from zoo.utils.lazy import lazy

if TYPE_CHECKING:
    import keras
else:
    keras = lazy("keras")

_UNSTORED = 1_000  # states of random generators, which some versions of Keras did not save


def load_model(path: Path, waveforms: bool = True, outputs: Sequence[str] = ()) -> keras.Model:
    """Load a saved .keras model that takes waveforms, or one that takes features; with one value for each of `outputs`.

    Nothing in the file is executed (Keras's safe mode). Raises UserError when it is absent, damaged, or another model.
    """
    if not path.is_file():
        raise UserError(f"{path}: no trained model is there; train to the end first, or add --resume to go on")

    import_module("zoo.runs.saved_layers")  # registers the classes that models name
    try:
        _check_size(*keras_archive.check(path))
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        if waveforms and not any(hasattr(layer, "rate_hz") for layer in model.layers):
            raise ValueError("one without a front-end")
        if outputs and model.output_shape[-1] != len(outputs):
            raise ValueError(f"one of {model.output_shape[-1]} outputs, not of {len(outputs)}: {', '.join(outputs)}")
    except Exception as error:  # anything, as the file decides what Keras does
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"{path}: expected a model as train.py saves it, found another or a damaged one ({reason}). "
            "Restore the file, or train again into another folder"
        ) from error
    return model


def _check_size(configuration: Any, n_stored: int) -> None:
    """Raise ValueError for a network of more weights than its file holds: it would be built, and then not loaded.

    Weights are only counted here: in a stateless scope none is made.
    """
    with keras.StatelessScope(initialize_variables=False):
        model = keras.saving.deserialize_keras_object(configuration, safe_mode=True)
    # Weights of an image network or a speech encoder are in a file of their own, which is checked there.
    elsewhere = [layer for layer in model.layers if getattr(layer, "weights_elsewhere", False)]
    variables = [variable for layer in elsewhere for variable in layer.variables]
    n_declared = sum(math.prod(variable.shape) for variable in model.variables)
    n_declared -= sum(math.prod(variable.shape) for variable in variables)
    if n_declared > n_stored + _UNSTORED:
        raise ValueError(f"a network of {n_declared} weights, of which the file holds {n_stored}")


def frontend(model: keras.Model) -> keras.layers.Layer:
    """Return the layer of a saved model that turns waveforms into features."""
    return next(layer for layer in model.layers if hasattr(layer, "rate_hz"))


def own_settings(frontend: keras.layers.Layer) -> dict[str, Any]:
    """Return the settings that determine a front-end's features."""
    generic = {"name", "trainable", "dtype"}
    return {name: value for name, value in frontend.get_config().items() if name not in generic}


def looks_at_whole_segments(network: keras.Model) -> bool:
    """Say whether a layer of the network depends on where a segment begins and ends."""
    return any(getattr(layer, "whole_segment", False) for layer in network.layers)


def network_of(model: keras.Model) -> keras.Model:
    """Return the network behind the front-end of a saved model; the model itself where it has none."""
    if not any(hasattr(layer, "rate_hz") for layer in model.layers):
        return model
    return next(layer for layer in model.layers if isinstance(layer, keras.Model))


def bare(network: keras.Model) -> keras.Model:
    """Return the network behind a standardisation, itself where there is none."""
    return next((layer for layer in network.layers if isinstance(layer, keras.Model)), network)


def head_of(network: keras.Model) -> keras.layers.Layer:
    """Return the last layer with weights, which gives the outputs."""
    return next(layer for layer in reversed(network.layers) if layer.weights)
