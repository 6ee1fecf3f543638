"""The facts of D4.2, section 5, and both forms of the second convolution worked in NumPy."""

import numpy as np
import pytest
from networks import convolved, frames_of

from zoo.models.conv_blstm import conv_blstm

pytestmark = pytest.mark.backend


def test_layers_have_the_papers_shapes():
    model = conv_blstm(2)
    assert model.get_layer("conv1").kernel.shape == (80, 1, 40)
    assert model.get_layer("conv2").kernel.shape[0] == 4000
    assert model.get_layer("pool2").output.shape == (None, None, 2)
    assert model.get_layer("frames").output.shape == (None, None, 640)
    assert [model.get_layer(f"blstm{index}").output.shape[-1] for index in (1, 2)] == [256, 256]
    assert [model.get_layer(f"dropout{index}").rate for index in (1, 2)] == [0.5, 0.5]
    assert conv_blstm(2, rate_hz=8_000).get_layer("frames").output.shape[-1] == 640 // 2


@pytest.mark.parametrize(("second_conv", "equation"), [("depthwise", "ncx,xco->nc"), ("dense", "ncx,xcf->nf")])
def test_frames_are_two_convolutions_and_a_pool_across_channels(second_conv, equation, rng):
    small = {"filters": 4, "kernel_size": 9, "second_kernel_size": 50, "channel_pool": 2, "recurrent_units": 2}
    model = conv_blstm(2, second_conv=second_conv, **small)
    for weight in model.weights:
        weight.assign(0.3 * rng.normal(size=weight.shape))
    waveform = rng.normal(size=(2 * 640, 1)).astype("float32")
    kernel, bias = model.get_layer("conv1").get_weights()
    rectified = np.maximum(convolved(waveform, kernel) + bias, 0)
    pooled = rectified.reshape(-1, 2, 4).max(axis=1)
    kernel, bias = model.get_layer("conv2").get_weights()
    second = convolved(pooled, kernel, equation) + bias
    expected = np.maximum(second[:, ::2], second[:, 1::2]).reshape(2, 320 * 2)
    np.testing.assert_allclose(frames_of(model, waveform), expected, rtol=1e-4, atol=1e-4)
