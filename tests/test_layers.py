"""Masked layers against NumPy and stock Keras."""

import keras
import numpy as np
import pytest

from zoo.layers import FrameMask, MaskedBatchNormalization

pytestmark = pytest.mark.backend


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def masked_batch(rng, shape=(3, 7, 4, 5)):
    inputs = (5 + rng.normal(size=shape)).astype("float32")
    n_frames = np.array([7, 2, 1], "int32")
    return inputs, numpy(FrameMask()(inputs, n_frames))


def test_frame_mask_counts_frames_and_never_none():
    mask = numpy(FrameMask()(np.zeros((4, 3, 2)), np.array([3, 1, 0, 9], "int32")))
    np.testing.assert_array_equal(mask, [[1, 1, 1], [1, 0, 0], [1, 0, 0], [1, 1, 1]])


def test_norm_takes_the_moments_of_real_frames(rng):
    inputs, mask = masked_batch(rng)
    layer = MaskedBatchNormalization(momentum=0.9)
    output = numpy(layer(inputs, mask, training=True))
    real = inputs[mask].reshape(-1, 5).astype("float64")
    mean, variance = real.mean(axis=0), real.var(axis=0)
    np.testing.assert_allclose(output, (inputs - mean) / np.sqrt(variance + 1e-3), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(numpy(layer.moving_mean), 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(numpy(layer.moving_variance), 0.9 + 0.1 * variance, rtol=1e-5)


def test_norm_without_padding_is_keras(rng):
    inputs, mask = masked_batch(rng)
    ours, stock = MaskedBatchNormalization(), keras.layers.BatchNormalization()
    for training in (True, True, False):
        np.testing.assert_allclose(
            numpy(ours(inputs, np.ones_like(mask), training=training)),
            numpy(stock(inputs, training=training)),
            rtol=1e-4,
            atol=1e-4,
        )


def test_norm_frozen_uses_its_statistics(rng):
    inputs, mask = masked_batch(rng)
    layer = MaskedBatchNormalization()
    layer.trainable = False
    np.testing.assert_allclose(numpy(layer(inputs, mask, training=True)), inputs / np.sqrt(1 + 1e-3), rtol=1e-5)
