"""Store the weights of an export in float16: half the size, computed in float32 as before.

Vectors, such as biases, stay as they are: they would save nothing. What it changes in the answers is measured and goes
into the description, and the export is compared with the run's networks, whose weights are then rounded too.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import zoo
from zoo.data.audio.read import read
from zoo.errors import UserError
from zoo.export.trained_run import Trained

DTYPES = ("float32", "float16")
Call = Callable[[keras.layers.Layer], Callable[..., Any]]


def stored(layers: Iterable[keras.layers.Layer], dtype: str) -> tuple[list[tf.Variable], Call]:
    """Return the variables of layers as a SavedModel stores them, and what makes a layer be called with these.

    In float16 they are made float32 again within the graph.
    """
    variables = list({id(variable): variable for layer in layers for variable in layer.variables}.values())
    if dtype == "float32":
        return [variable.value for variable in variables], lambda layer: layer
    halves = {
        id(variable): tf.Variable(tf.cast(variable.value, tf.float16), name=variable.value.name.partition(":")[0])
        for variable in filter(_is_halved, variables)
    }

    def called(layer: keras.layers.Layer) -> Callable[..., Any]:
        own = [variable for variable in layer.variables if id(variable) in halves]

        def call(*args: Any, **options: Any) -> Any:
            mapping = [(variable, tf.cast(halves[id(variable)], tf.float32)) for variable in own]
            with keras.StatelessScope(state_mapping=mapping):
                return layer(*args, **options)

        return call

    return [halves.get(id(variable), variable.value) for variable in variables], called


def rounded(trained: Trained, answers: Callable[[np.ndarray], np.ndarray]) -> dict[str, Any]:
    """Round the weights of a run's models to float16, in memory; return what that changes in its answers.

    `answers` gives the run's answer to a waveform (samples,). Raises UserError for weights beyond float16, and for a
    run without a front-end, whose networks are small.
    """
    if trained.frontend is None:
        raise UserError(f"--weights-dtype float16: for networks on waveforms, and {trained.opened.folder} has features")
    clips = _clips(trained.frontend.rate_hz)
    before = [answers(clip) for clip in clips]
    for model in trained.models:
        for variable in filter(_is_halved, model.variables):
            _round(variable)
    differences = [np.abs(answers(clip) - one).max() for clip, one in zip(clips, before, strict=True)]
    return {
        "dtype": "float16",
        "largest_difference": float(max(differences)),
        "measured_on": "the example recording and 2 s of noise, every output",
    }


def _is_halved(variable: keras.Variable) -> bool:
    return variable.dtype == "float32" and len(variable.shape) > 1


def _round(variable: keras.Variable) -> None:
    values = np.asarray(variable.value)
    if (largest := float(np.abs(values).max(initial=0))) > float(np.finfo(np.float16).max):
        raise UserError(
            f"--weights-dtype float16: {variable.path} has a weight of {largest:.3g}, float16 holds 65504 at most; "
            "export it in float32"
        )
    variable.assign(values.astype(np.float16).astype(np.float32))


def _clips(rate_hz: int) -> Sequence[np.ndarray]:
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * rate_hz).astype(np.float32)
    return [read(zoo.example_clip(), rate_hz)[: 6 * rate_hz], noise]
