"""Compile a network for inference: one function for batches and clips of any size, without Keras's predict loop."""

from collections.abc import Callable, Mapping

import keras
import numpy as np

from zoo.inference.exchanged import exchanged

Run = Callable[[Mapping[str, np.ndarray]], np.ndarray]


def compiled(model: keras.Model) -> Run:
    """Return the function from a model's inputs by name to its output, both as arrays (batch, ...).

    LSTM layers are exchanged (`exchanged`). The first call compiles: on TensorFlow once for all sizes; on JAX for each
    length, and for batches of 1, 2, 4, 8, ... clips, to which others are filled up.
    """
    return {"tensorflow": _on_tensorflow, "jax": _on_jax, "torch": _on_torch}[keras.backend.backend()](exchanged(model))


def _on_tensorflow(model: keras.Model) -> Run:
    import tensorflow as tf

    given = {name: tf.TensorSpec(value.shape, value.dtype) for name, value in model.input.items()}
    call = tf.function(lambda inputs: model(inputs, training=False), input_signature=[given], autograph=False)
    return lambda inputs: call({name: tf.constant(inputs[name]) for name in given}).numpy()


def _on_jax(model: keras.Model) -> Run:
    import jax

    call = jax.jit(lambda weights, inputs: model.stateless_call(*weights, inputs, training=False)[0])

    def run(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        n_clips = len(next(iter(inputs.values())))
        filled = 1 << (n_clips - 1).bit_length()
        rows = np.arange(filled) % n_clips
        kept = (model.trainable_variables, model.non_trainable_variables)
        weights = [[variable.value for variable in some] for some in kept]  # Keras may put others in their place
        return np.asarray(call(weights, {name: values[rows] for name, values in inputs.items()}))[:n_clips]

    return run


def _on_torch(model: keras.Model) -> Run:
    import torch

    def run(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        with torch.inference_mode():
            return keras.ops.convert_to_numpy(model(dict(inputs), training=False))

    return run
