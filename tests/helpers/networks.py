"""Run the registry's networks in tests, and work their convolutions in NumPy."""

from contextlib import contextmanager

import keras
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

JIT = keras.backend.backend() == "jax"  # without it every operation of a step is compiled by itself there

# For counts and refusals in modules whose other tests are for every backend.
once = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the same on every backend")

# On other backends one of each paper: their rows differ by options, not by what a backend computes.
ELSEWHERE = ("attention_blstm_fcn", "conv_lstm", "conv_bigru_frame", "conv_blstm", "blstm_drnn")


@contextmanager
def half_precision():
    """Builds layers in mixed precision, with bfloat16."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        yield
    finally:
        keras.config.set_dtype_policy("float32")


def padded(clips, n: int | None = None, filling: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Returns one batch of clips (samples,) or (frames, channels), and their lengths; `filling` is not silence."""
    counts = np.array([len(clip) for clip in clips], np.int32)
    batch = np.full((len(clips), n or counts.max(), *np.shape(clips[0])[1:]), filling, np.float32)
    for row, clip in zip(batch, clips, strict=True):
        row[: len(clip)] = clip
    return batch, counts


def outputs(model: keras.Model, batch: dict[str, np.ndarray]) -> np.ndarray:
    """Runs a network; without a graph on TensorFlow, as tracing one takes longer than its test."""
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


def convolved(sequence: np.ndarray, kernel: np.ndarray, equation: str = "ncx,xcf->nf") -> np.ndarray:
    """Returns the "same" convolution of (samples, channels) with (taps, channels, filters)."""
    before = (len(kernel) - 1) // 2
    padded = np.pad(sequence, [(before, len(kernel) - 1 - before), (0, 0)])
    return np.einsum(equation, sliding_window_view(padded, len(kernel), axis=0), kernel)


def frames_of(model: keras.Model, waveform: np.ndarray) -> np.ndarray:
    """Returns the output of layer "frames" for one waveform (samples, 1)."""
    local = keras.Model(model.inputs, model.get_layer("frames").output)
    return keras.ops.convert_to_numpy(local([waveform[None], np.array([len(waveform)], "int32")]))[0]
