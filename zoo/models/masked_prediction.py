"""Put a head on a network that predicts hidden frames of its input, for training without labels."""

import re
from math import prod
from typing import Any

import keras
from keras import layers, ops

from zoo.errors import UserError

SEQUENCE = "bigru"  # the layer whose output is read, a vector for every so many frames


def frames_per_step(network: keras.Model) -> int:
    """Return how many frames of the input a vector of the sequence stands for: the convolutions' strides, multiplied.

    Raises UserError for a network without such a sequence.
    """
    names = [layer.name for layer in network.layers]
    if SEQUENCE not in names:
        raise UserError(
            f"--model {network.name}: expected a network with a recurrent layer {SEQUENCE!r} behind convolutions, "
            "found none. Pre-train residual_bigru"
        )
    convolutions = [
        network.get_layer(name) for name in names if name == "stem_conv" or re.fullmatch(r"block\d+_conv", name)
    ]
    return prod(layer.strides[0] for layer in convolutions)


def with_masked_prediction(model: keras.Model, n_bands: int) -> keras.Model:
    """Return a model that shares the layers of `model`, a network behind a standardisation, and predicts its frames.

    It maps the same inputs to standardised frames, those of each step in a row, (batch, steps, frames_per_step *
    n_bands), by a linear layer on the sequence. The network's own head has no part.
    """
    network = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    factor = frames_per_step(network)
    body = keras.Model(network.input, network.get_layer(SEQUENCE).output, name=f"{network.name}_body")
    features = model.get_layer("normalization")(model.input["features"])
    sequence = body({"features": features, "n_frames": model.input["n_frames"]})
    frames = layers.Dense(factor * n_bands, dtype="float32", name="predicted_frames")(sequence)
    return keras.Model(model.input, frames, name=f"{model.name}_in_pretraining")


def masked_error(truth: Any, prediction: Any) -> Any:
    """Return the mean absolute error of hidden frames: at least 0.

    `truth` (batch, frames, bands + 1) has 1 in its last column where a frame is hidden, else 0; `prediction` holds as
    many frames, several in a row. Frames that are not hidden have no part. The L1 loss is that of Liu et al. 2020
    (Mockingjay).
    """
    truth, prediction = (ops.cast(ops.convert_to_tensor(one), "float32") for one in (truth, prediction))
    hidden, n_bands = truth[..., -1:], truth.shape[-1] - 1
    prediction = ops.reshape(prediction, (ops.shape(truth)[0], -1, n_bands))
    errors = ops.sum(hidden * ops.abs(truth[..., :-1] - prediction))
    return errors / ops.maximum(ops.sum(hidden) * n_bands, 1.0)


class MaskedError(keras.losses.Loss):
    """`masked_error` as a loss; Keras's masks and weights, which would be of steps, are not read."""

    def __init__(self):
        super().__init__(name="masked_error", reduction=None)

    def __call__(self, y_true, y_pred, sample_weight=None):
        return masked_error(y_true, y_pred)
