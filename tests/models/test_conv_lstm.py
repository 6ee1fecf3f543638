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
