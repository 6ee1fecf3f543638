"""Recompute the statistics of batch normalisation on unlabelled recordings of a new corpus (AdaBN).

Li, Wang, Shi, Hou, Liu: "Adaptive Batch Normalization for practical domain adaptation", Pattern Recognition 80, 2018,
section 3: every layer's moving mean and variance become those of the new domain, and all else stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from zoo.data.batches.by_length import in_batches
from zoo.errors import UserError
from zoo.utils.lazy import lazy

if TYPE_CHECKING:
    import keras
else:
    keras = lazy("keras")

_STEPS = 20_000  # of a batch: inputs of some layers have a hundred channels in every band


def adapt(network: keras.Model, features: Sequence[np.ndarray], weight: float = 1.0) -> list[str]:
    """Set the moving statistics of every batch normalisation of a network; return these layers' names, in order.

    `features` are those of unlabelled clips, (frames, bands) each, as the network takes them (before its
    standardisation). With the inputs x of a layer over all real frames of all clips,

        mean = sum(x) / n,    variance = sum((x - mean)^2) / n

    in place of the averages over training's batches. With a `weight` below 1, in 0..1, both are mixed with those of
    training, weight * new + (1 - weight) * trained (Schneider et al.: "Improving robustness against common corruptions
    by covariate shift adaptation", NeurIPS 2020, section 3). Layers are set one after the other from the input on, so
    that each one's inputs are those behind its adapted predecessors. Raises UserError without clips or such layers.
    """
    if not features:
        raise UserError("batch normalisation: expected clips to take its statistics of, found none")
    inner = next((layer for layer in network.layers if isinstance(layer, keras.Model)), network)
    if inner is not network:
        before = keras.Model(network.input, network.get_layer("normalization").output)
        features = _run(before, features)
    found = [layer for layer in inner.layers if isinstance(layer, keras.layers.BatchNormalization)]
    if not found:
        raise UserError(f"--adapt-batch-norm: {inner.name} has no batch normalisation. Leave it out")
    for layer in found:
        mean, variance = _statistics(keras.Model(inner.input, layer.input), features)
        for variable, new in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
            trained = np.asarray(keras.ops.convert_to_numpy(variable), np.float64)
            variable.assign(weight * new + (1 - weight) * trained)
    return [layer.name for layer in found]


def _run(model: keras.Model, features: Sequence[np.ndarray]) -> list[np.ndarray]:
    def normalized(rows: np.ndarray, n_frames: np.ndarray) -> list[np.ndarray]:
        output = keras.ops.convert_to_numpy(model({"features": rows, "n_frames": n_frames}, training=False))
        return [row[:count] for row, count in zip(output, n_frames, strict=True)]

    return in_batches(normalized, features)


def _statistics(model: keras.Model, features: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance, (channels,) each, of what `model` gives: values, or values and the mask of real frames.

    Moments of batches are merged (Chan et al. 1983).
    """
    count, mean, square = 0, np.zeros(()), np.zeros(())

    def merge(rows: np.ndarray, n_frames: np.ndarray) -> list[None]:
        nonlocal count, mean, square
        # Called directly: to compile a model that is used once takes longer than to run it.
        outputs = keras.tree.flatten(model({"features": rows, "n_frames": n_frames}, training=False))
        values = np.asarray(keras.ops.convert_to_numpy(outputs[0]), np.float64)
        if len(outputs) > 1:
            values = values[np.asarray(keras.ops.convert_to_numpy(outputs[1]), bool)]
        values = values.reshape(-1, values.shape[-1])
        delta, total = values.mean(axis=0) - mean, count + len(values)
        mean = mean + delta * len(values) / total
        square = square + values.var(axis=0) * len(values) + delta**2 * len(values) * count / total
        count = total
        return [None] * len(rows)

    in_batches(merge, features, most_steps=_STEPS)
    return mean, square / count
