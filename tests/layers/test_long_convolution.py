"""Long convolutions against their definition in float64, SciPy, and the stock layers."""

import keras
import numpy as np
import pytest
import scipy.signal
from gradients import numpy, value_and_gradients
from keras import ops

from zoo.layers import long_convolution
from zoo.layers.long_convolution import LongConv1D, LongDepthwiseConv1D

pytestmark = pytest.mark.backend

DRAWS = np.random.default_rng(2020)
# (batch, samples, channels, filters, taps): corners by hand, then whatever the draw brings.
CORNERS = [(1, 1, 1, 1, 1), (1, 1, 2, 3, 40), (2, 5, 3, 2, 64), (1, 64, 2, 2, 64), (1, 65, 1, 4, 2), (2, 1700, 2, 3, 9)]
CORNERS += [(1, 9000, 1, 1, 4000)]
DRAWN = [tuple(int(DRAWS.integers(1, high, endpoint=True)) for high in (3, 3000, 4, 4, 300)) for _ in range(4)]
# Every size is several compilations on JAX.
SIZES = CORNERS if keras.backend.backend() == "jax" else CORNERS + DRAWN


def layer_for(depthwise, filters, taps, **options):
    return LongDepthwiseConv1D(taps, **options) if depthwise else LongConv1D(filters, taps, **options)


def stock_for(depthwise, filters, taps, **options):
    stock = keras.layers.DepthwiseConv1D if depthwise else keras.layers.Conv1D
    return stock(*(() if depthwise else (filters,)), taps, **options)


def pair(inputs, kernel, depthwise):
    """Yields (channel, filter, the signal, the taps) of all that is summed, in float64."""
    for channel, index in np.ndindex(inputs.shape[-1], kernel.shape[-1]):
        signal = inputs[..., channel].astype(float)
        yield channel, channel if depthwise else index, signal, kernel[:, channel, index]


def expected_outputs(inputs, kernel, bias, depthwise):
    """y[t] = bias + sum over channels and taps of kernel[j] x[t + j - before], zero beyond the edges."""
    taps, samples = len(kernel), inputs.shape[1]
    before = (taps - 1) // 2
    outputs = np.zeros((*inputs.shape[:2], len(bias))) + bias
    for _, index, signal, response in pair(inputs, kernel, depthwise):
        for clip, row in enumerate(signal):
            padded = np.pad(row, (before, taps - 1 - before))
            outputs[clip, :, index] += scipy.signal.correlate(padded, response, "valid", "direct")[:samples]
    return outputs


def assert_close(found, expected):
    """At every sample within 1e-5 of the largest value."""
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * max(np.abs(expected).max(), 1e-3))


@pytest.mark.parametrize("depthwise", [False, True], ids=["dense", "depthwise"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_outputs_are_the_definition_and_gradients_those_of_the_stock_layer(size, depthwise, rng):
    batch, samples, channels, filters, taps = size
    inputs = rng.standard_normal((batch, samples, channels), np.float32)
    layer = layer_for(depthwise, filters, taps, method="fft", bias_initializer="random_normal")
    upstream = rng.standard_normal(layer(inputs).shape).astype(np.float32)
    kernel, bias = (numpy(weight) for weight in layer.weights)

    outputs, gradients = value_and_gradients(layer, inputs, upstream)
    assert_close(outputs, expected_outputs(inputs, kernel, bias, depthwise))
    stock = stock_for(depthwise, filters, taps, padding="same")
    stock.build(inputs.shape)
    stock.set_weights([kernel, bias])
    _, expected = value_and_gradients(stock, inputs, upstream)
    for found, wanted in zip(gradients, expected, strict=True):
        assert_close(found, wanted)


def test_even_kernel_by_hand():
    """Of taps (10, 1) the odd one lies behind, as Keras and TensorFlow have it."""
    layer = LongConv1D(1, 2, method="fft", use_bias=False)
    layer.build((None, None, 1))
    layer.set_weights([np.reshape([10.0, 1.0], (2, 1, 1))])
    outputs = numpy(layer(np.reshape([1.0, 2, 3, 4], (1, 4, 1))))
    np.testing.assert_allclose(outputs[0, :, 0], [12, 23, 34, 40], rtol=1e-6)


@pytest.mark.parametrize("method", ["auto", "fft", "direct"])
@pytest.mark.parametrize("taps", [1, 8, 9])
@pytest.mark.parametrize("depthwise", [False, True], ids=["dense", "depthwise"])
def test_weights_of_the_stock_layer(depthwise, taps, method, rng):
    options = {"activation": "tanh", "bias_initializer": "random_normal", "padding": "same"}
    stock, ours = stock_for(depthwise, 3, taps, **options), layer_for(depthwise, 3, taps, method=method, **options)
    inputs = rng.standard_normal((2, 30, 2), np.float32)
    expected = numpy(stock(inputs))
    ours(inputs)
    assert [weight.name for weight in ours.weights] == [weight.name for weight in stock.weights]
    ours.set_weights(stock.get_weights())
    np.testing.assert_allclose(numpy(ours(inputs)), expected, atol=1e-5)
    assert type(ours).from_config(ours.get_config()).method == method


def test_mixed_precision_keeps_the_spectra_in_float32(rng):
    inputs = rng.standard_normal((1, 3000, 1), np.float32)
    layer = LongConv1D(1, 512, dtype="mixed_bfloat16")
    outputs = layer(inputs)
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    rounded = numpy(ops.cast(ops.cast(inputs, "bfloat16"), "float32"))
    expected = expected_outputs(rounded, numpy(layer.kernel.value), [0.0], False)
    found = numpy(ops.cast(outputs, "float32"))
    np.testing.assert_allclose(found, expected, rtol=2**-8, atol=1e-5)  # the output's rounding and no other


def test_auto_takes_the_rule(monkeypatch, rng):
    taken = []
    for method in ("direct_convolution", "fft_convolution"):
        original = getattr(long_convolution, method)
        monkeypatch.setattr(long_convolution, method, lambda *a, f=original, m=method: taken.append(m) or f(*a))
    inputs = rng.standard_normal((1, 20, 40), np.float32)
    LongConv1D(20, 3)(inputs)
    LongConv1D(20, 512)(inputs)
    LongDepthwiseConv1D(4000)(inputs)
    assert taken == ["direct_convolution", "fft_convolution", "fft_convolution"]


@pytest.mark.parametrize("depthwise", [False, True], ids=["dense", "depthwise"])
@pytest.mark.parametrize(
    "options",
    [{"padding": "valid"}, {"method": "fast"}, {"strides": 2}, {"dilation_rate": 2}, {"data_format": "channels_first"}],
    ids=str,
)
def test_other_options_are_refused(options, depthwise):
    for other in (options, {"depth_multiplier": 2} if depthwise else {"groups": 2}):
        with pytest.raises(ValueError, match=r"long.*expected padding 'same'"):
            layer_for(depthwise, 2, 100, **other)
