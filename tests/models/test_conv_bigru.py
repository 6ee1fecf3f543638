"""The facts of Bakhshi et al. 2020, and both streams worked in NumPy."""

import numpy as np
import pytest
from networks import convolved, frames_of

from zoo.models.conv_bigru import conv_bigru

pytestmark = pytest.mark.backend

SMALL = {"filters": (4, 3, 5), "kernel_sizes": (5, 30, 41), "fft_filters": 6, "channel_pool": 2, "recurrent_units": 2}


def test_layers_have_the_papers_shapes():
    model = conv_bigru(2)
    sizes = {name: model.get_layer(name).count_params() for name in ("conv1", "conv2", "conv3", "fft_conv")}
    assert sizes == {"conv1": 680, "conv2": 409_620, "conv3": 204_810, "fft_conv": 680}
    assert [model.get_layer(name).output.shape[-1] for name in ("pool3", "fft_channel_pool")] == [1, 5]
    assert [model.get_layer(f"{name}frames").output.shape[-1] for name in ("time_", "fft_", "")] == [160, 160, 320]
    dropouts = [model.get_layer(name).rate for name in ("dropout1", "dropout2", "dropout3", "fft_dropout")]
    assert dropouts == [0.5, 0.75, 0.75, 0.5]
    assert [model.get_layer(name).momentum for name in ("norm1", "norm2", "norm3", "fft_norm")] == [0.9] * 4
    assert conv_bigru(2, rate_hz=8_000).get_layer("frames").output.shape[-1] == 320 // 2


def convolved_by(sequence, model, name):
    kernel, bias = model.get_layer(name).get_weights()
    return convolved(sequence, kernel.reshape(-1, *kernel.shape[-2:])) + bias


def normalised(sequence, layer):
    scale, offset, mean, variance = layer.get_weights()
    return (sequence - mean) / np.sqrt(variance + layer.epsilon) * scale + offset


def pooled(sequence, size):
    return sequence.reshape(-1, size, sequence.shape[1]).max(axis=1)


def spectrum_frames(row, model):
    spectrum = np.abs(np.fft.rfft(row, norm="ortho"))[1:, None]
    bins = normalised(np.maximum(convolved_by(spectrum, model, "fft_conv"), 0), model.get_layer("fft_norm"))
    channels = np.stack([bins[:, i : i + 2].max(axis=1) for i in (0, 2, 4)], axis=1)
    return pooled(channels, 10).reshape(-1, 32 * 3)


@pytest.mark.parametrize("fft", ["segment", "frame"])
def test_frames_are_both_streams(fft, rng):
    model = conv_bigru(2, fft=fft, **SMALL)
    for weight in model.weights:
        weight.assign(np.full(weight.shape, 2) if "variance" in weight.path else 0.3 * rng.normal(size=weight.shape))
    waveform = rng.normal(size=(3 * 640, 1)).astype("float32")

    time = normalised(np.maximum(convolved_by(waveform, model, "conv1"), 0), model.get_layer("norm1"))
    time = normalised(convolved_by(pooled(time, 2), model, "conv2"), model.get_layer("norm2"))
    time = normalised(convolved_by(pooled(time, 2), model, "conv3"), model.get_layer("norm3"))
    channels = np.stack([time[:, :2].max(axis=1), time[:, 2:4].max(axis=1)], axis=1)  # the fifth is left out
    rows = waveform.reshape(3 if fft == "frame" else 1, -1)
    spectrum = np.concatenate([spectrum_frames(row, model) for row in rows])
    expected = np.concatenate([channels.reshape(3, 160 * 2), spectrum], axis=1)

    np.testing.assert_allclose(frames_of(model, waveform), expected, rtol=1e-3, atol=1e-3)
