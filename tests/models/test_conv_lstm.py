"""The facts of Tzirakis et al. 2018, and its convolutions worked in NumPy in the order of the paper."""

import warnings

import numpy as np
import pytest
from networks import convolved, frames_of, once

from zoo.models.conv_lstm import conv_lstm

pytestmark = pytest.mark.backend


@once
def test_layers_have_the_papers_shapes():
    model = conv_lstm(2)
    kernels = {index: model.get_layer(f"conv{index}").kernel.shape for index in (1, 2, 3)}
    assert kernels == {1: (8, 1, 64), 2: (6, 64, 128), 3: (6, 128, 256)}
    assert [model.get_layer(f"pool{index}").pool_size for index in (1, 2, 3)] == [(10,), (8,), (8,)]
    assert [model.get_layer(f"dropout{index}").rate for index in (1, 2, 3)] == [0.5, 0.5, 0.5]
    assert model.get_layer("frames").output.shape == (None, None, 256)
    assert conv_lstm(2, recurrent_units=128).count_params() == 575_682
    conv_lstm(2, kernel_sizes=(8, 6, 4), pool_sizes=(10, 8, 4), rate_hz=8_000)  # other rates need other pools


def test_frames_are_convolved_rectified_and_pooled(rng):
    model = conv_lstm(2, filters=(3, 4, 5), recurrent_units=2)
    for weight in model.weights:
        weight.assign(0.5 * rng.normal(size=weight.shape))
    waveform = rng.normal(size=(3 * 640, 1)).astype("float32")
    expected = waveform.astype("float64")
    for index, pool in ((1, 10), (2, 8), (3, 8)):
        kernel, bias = model.get_layer(f"conv{index}").get_weights()
        rectified = np.maximum(convolved(expected, kernel) + bias, 0)
        expected = rectified.reshape(-1, pool, rectified.shape[1]).max(axis=1)
    np.testing.assert_allclose(frames_of(model, waveform), expected, rtol=1e-4, atol=1e-4)


def test_only_a_design_that_breaks_the_rule_is_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        conv_lstm(2, filters=(2, 2, 2), recurrent_units=2)
    with pytest.warns(UserWarning, match=r"conv2: kernel 9 and pooling 8 overlap by 0\.50, the paper's rule") as found:
        conv_lstm(2, filters=(2, 2, 2), kernel_sizes=(8, 9, 6), recurrent_units=2)
    assert len(found) == 1


def test_strides_take_the_place_of_pooling(rng):
    """Every output is worked from its own stretch of samples, half of which its neighbour sees too."""
    kernels, strides = (20, 16, 16), (10, 8, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = conv_lstm(2, downsampling="stride", kernel_sizes=kernels, filters=(3, 4, 5), recurrent_units=2)
    assert not any("pool" in layer.name for layer in model.layers)
    for weight in model.weights:
        weight.assign(0.5 * rng.normal(size=weight.shape))
    waveform = rng.normal(size=(3 * 640, 1)).astype("float32")
    expected = waveform.astype("float64")
    for index, (taps, step) in enumerate(zip(kernels, strides, strict=True), start=1):
        kernel, bias = model.get_layer(f"conv{index}").get_weights()
        around = np.pad(expected, [((taps - step) // 2, (taps - step) // 2), (0, 0)])
        stretches = [around[first : first + taps] for first in range(0, len(expected), step)]
        expected = np.array([np.maximum(np.einsum("tc,tcf->f", one, kernel) + bias, 0) for one in stretches])
    assert expected.shape == (3, 5)
    np.testing.assert_allclose(frames_of(model, waveform), expected, rtol=1e-4, atol=1e-4)


@once
def test_strides_that_leave_samples_out_are_warned_of():
    with pytest.warns(UserWarning, match=r"conv1: kernel 8 and stride 10 overlap by -0\.25, .*near 0\.5: kernel 20"):
        conv_lstm(2, downsampling="stride", filters=(2, 2, 2), recurrent_units=2)
    with pytest.raises(ValueError, match="downsampling is 'mean', expected 'pooling' or 'stride'"):
        conv_lstm(2, downsampling="mean")
