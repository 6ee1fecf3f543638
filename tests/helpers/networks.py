"""The registry's networks that a test goes through."""

import os

import keras
import numpy as np
import pytest

from zoo import registry

JIT = keras.backend.backend() == "jax"  # without it every operation of a step is compiled by itself there

# For counts and refusals in modules whose other tests are for every backend.
once = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the same on every backend")

# On other backends one of each paper: their rows differ by options, not by what a backend computes.
ELSEWHERE = ("attention_blstm_fcn", "conv_lstm", "conv_bigru_frame", "conv_blstm", "blstm_drnn")


def rows(task: str, *frontends: str) -> list[str]:
    """Names of a task's networks (on these front-ends) that are trained by gradient: all of them on TensorFlow, else
    those in `ELSEWHERE`.
    """
    everything = os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow"
    return [
        name
        for name, entry in registry.MODELS.items()
        if entry.task == task
        and entry.fitted == "gradient"
        and (not frontends or entry.frontend in frontends)
        and (everything or name in ELSEWHERE)
    ]


def outputs(model: keras.Model, batch: dict[str, np.ndarray]) -> np.ndarray:
    """A network's answers. Not of a graph on TensorFlow: to trace one of each network takes longer than its test."""
    found = model.predict_on_batch(batch) if JIT else model(batch, training=False)
    return keras.ops.convert_to_numpy(found)


def for_any_length(model: keras.Model):
    """Returns `outputs` of a network for many batches: on TensorFlow by one graph, traced once for all their shapes."""
    if keras.backend.backend() != "tensorflow":
        return lambda batch: outputs(model, batch)
    import tensorflow as tf

    inputs = {tensor.name: tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in model.inputs}
    answer = tf.function(lambda batch: model(batch, training=False), input_signature=[inputs])
    return lambda batch: answer(batch).numpy()
