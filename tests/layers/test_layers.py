"""Masked layers against NumPy and stock Keras."""

import keras
import numpy as np
import pytest
from gradients import numpy, value_and_gradients

from zoo.layers.attention import WeightedStatistics
from zoo.layers.masking import FrameMask, MaskedBatchNormalization
from zoo.layers.waveform import ChannelMaxPooling, MagnitudeSpectrum, WholeFrames, waveform_input

pytestmark = pytest.mark.backend


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
    expected = (inputs - mean) / np.sqrt(variance + 1e-3) * mask[:, :, None, None]  # padding is zero
    np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(numpy(layer.moving_mean), 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(numpy(layer.moving_variance), 0.9 + 0.1 * variance, rtol=1e-5)


def test_norm_frozen_uses_its_statistics(rng):
    inputs, mask = masked_batch(rng)
    layer = MaskedBatchNormalization()
    layer.trainable = False
    expected = inputs / np.sqrt(1 + 1e-3) * mask[:, :, None, None]
    np.testing.assert_allclose(numpy(layer(inputs, mask, training=True)), expected, rtol=1e-5)


def test_norm_has_the_outputs_and_gradients_of_keras_over_the_real_frames(rng):
    inputs, mask = masked_batch(rng)
    ours, stock = MaskedBatchNormalization(), keras.layers.BatchNormalization()
    for layer in (ours, stock):
        layer.build(inputs.shape)
        layer.set_weights([np.linspace(0.5, 2.0, 5) + index for index in range(4)])
    upstream = rng.normal(size=inputs.shape).astype("float32")
    outputs, found = value_and_gradients(ours, inputs, upstream, mask=mask, training=True)
    wanted, expected = value_and_gradients(stock, inputs[mask][None], upstream[mask][None], training=True)
    np.testing.assert_allclose(outputs[mask], wanted[0], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found[0][mask], expected[0][0], rtol=1e-4, atol=1e-5)
    assert not found[0][~mask].any()
    for one, other in zip(found[1:], expected[1:], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("samples", "whole"), [(12, 12), (13, 12), (15, 12), (4, 4), (3, 0)])
def test_whole_frames_cut_the_rest(samples, whole):
    waveform = np.arange(2.0 * samples, dtype="float32").reshape(2, samples, 1)
    np.testing.assert_array_equal(numpy(WholeFrames(4)(waveform)), waveform[:, :whole])


def test_waveform_input_silences_what_is_behind_the_last_whole_frame():
    inputs, waveform, n_frames = waveform_input(1, 4)
    model = keras.Model(inputs, [waveform, n_frames])
    samples, counts = model({"features": np.ones((3, 10, 1), "float32"), "n_frames": np.array([10, 7, 4], "int32")})
    np.testing.assert_array_equal(numpy(counts), [2, 1, 1])
    np.testing.assert_array_equal(numpy(samples)[..., 0], [[1] * 8, [1] * 4 + [0] * 4, [1] * 4 + [0] * 4])


@pytest.mark.parametrize(("channels", "pool_size", "left"), [(40, 20, 2), (40, 8, 5), (10, 8, 1), (3, 1, 3)])
def test_channel_pooling_is_numpys(channels, pool_size, left, rng):
    inputs = rng.normal(size=(2, 3, 4, channels)).astype("float32")
    layer = ChannelMaxPooling.from_config(ChannelMaxPooling(pool_size).get_config())
    expected = [inputs[..., i * pool_size : (i + 1) * pool_size].max(axis=-1) for i in range(left)]
    np.testing.assert_array_equal(numpy(layer(inputs)), np.stack(expected, axis=-1))
    assert layer(keras.Input((None, 4, channels))).shape == (None, None, 4, left)


@pytest.mark.parametrize("row", [None, 16])
def test_spectrum_is_numpys(row, rng):
    waveform = rng.normal(size=(2, 48, 1)).astype("float32")
    layer = MagnitudeSpectrum.from_config(MagnitudeSpectrum(row).get_config())
    expected = np.abs(np.fft.rfft(waveform.reshape(2, -1, row or 48), norm="ortho"))[:, :, 1:, None]
    np.testing.assert_allclose(numpy(layer(waveform)), expected, atol=1e-5)
    assert layer(keras.Input((48, 1))).shape[1:] == expected.shape[1:]


def test_spectrum_of_a_tone_is_its_bin():
    tone = np.cos(2 * np.pi * 3 * np.arange(16) / 16).astype("float32")[None, :, None]
    np.testing.assert_allclose(numpy(MagnitudeSpectrum()(tone))[0, 0, :, 0], [0, 0, 2, 0, 0, 0, 0, 0], atol=1e-5)


def test_spectrum_of_silence_has_a_gradient():
    waveform = keras.Input((8, 1))
    model = keras.Model(waveform, MagnitudeSpectrum()(keras.layers.Dense(1)(waveform)))
    model.compile("sgd", "mse", jit_compile=False)
    model.train_on_batch(np.zeros((1, 8, 1)), np.ones((1, 1, 4, 1)))
    assert all(np.isfinite(numpy(weight)).all() for weight in model.weights)


def test_weighted_statistics_are_numpys(rng):
    vectors, weights = rng.normal(size=(2, 5, 3)).astype("float32"), rng.dirichlet(np.ones(5), 2).astype("float32")
    expected = [
        np.concatenate([np.average(clip, axis=0, weights=w), np.sqrt(np.cov(clip.T, aweights=w, ddof=0).diagonal())])
        for clip, w in zip(vectors, weights, strict=True)
    ]
    np.testing.assert_allclose(numpy(WeightedStatistics()(vectors, weights)), expected, atol=1e-4)


def test_deviation_of_one_frame_has_a_gradient():
    vectors, weights = np.ones((1, 1, 2), "float32"), np.ones((1, 1), "float32")
    _, (found, *_) = value_and_gradients(WeightedStatistics(), vectors, np.ones((1, 4), "float32"), weights=weights)
    np.testing.assert_allclose(found, [[[1, 1]]], atol=1e-6)
