"""Convolutions and poolings against the stock layers: outputs, gradients, and what is saved."""

import json

import keras
import numpy as np
import pytest
from gradients import value_and_gradients

from zoo.layers import convolution
from zoo.runs import keras_archive

pytestmark = pytest.mark.backend
on_jax = pytest.mark.skipif(keras.backend.backend() != "jax", reason="elsewhere the layers are Keras's own")

GRIDS = {1: (2, 23, 3), 2: (2, 11, 8, 3)}  # axes: (batch, positions..., channels)
CONVOLUTIONS = [
    (2, 3, {"padding": "same"}),
    (2, (3, 2), {"strides": 2, "activation": "tanh"}),
    (2, (4, 5), {"padding": "same", "strides": (2, 3)}),
    (2, 2, {"padding": "same", "dilation_rate": (3, 1), "use_bias": False}),
    (2, 1, {"strides": 2}),
    (1, 4, {"padding": "same", "strides": 3}),
    (1, 3, {"dilation_rate": 2}),
    (1, 5, {"padding": "causal"}),
]
POOLINGS = [
    (2, {"pool_size": 2}),
    (2, {"pool_size": 2, "padding": "same"}),
    (2, {"pool_size": (4, 3), "padding": "same"}),
    (2, {"pool_size": (3, 1)}),
    (2, {"pool_size": 3, "strides": 2}),
    (1, {"pool_size": 4}),
    (1, {"pool_size": 5, "padding": "same"}),
]


def pair(name, axes, *words, **options):
    """Returns our layer and Keras's of the same name and options."""
    return [getattr(where, f"{name}{axes}D")(*words, **options) for where in (convolution, keras.layers)]


def assert_alike(ours, stock, inputs, rng):
    """Outputs and all gradients are those of the stock layer, within 1e-5 of the largest value."""
    upstream = rng.standard_normal(stock.compute_output_shape(inputs.shape)).astype(np.float32)
    found, expected = (value_and_gradients(layer, inputs, upstream) for layer in (ours, stock))
    for value, wanted in zip((found[0], *found[1]), (expected[0], *expected[1]), strict=True):
        assert value.shape == wanted.shape
        np.testing.assert_allclose(value, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize(("axes", "taps", "options"), CONVOLUTIONS, ids=str)
def test_convolution_has_outputs_and_gradients_of_the_stock_layer(axes, taps, options, rng):
    inputs = rng.standard_normal(GRIDS[axes], np.float32)
    ours, stock = pair("Conv", axes, 4, taps, bias_initializer="random_normal", **options)
    for layer in (ours, stock):
        layer.build(inputs.shape)
    stock.set_weights(ours.get_weights())
    assert_alike(ours, stock, inputs, rng)


@pytest.mark.parametrize(("axes", "options"), POOLINGS, ids=str)
def test_pooling_has_outputs_and_gradients_of_the_stock_layer(axes, options, rng):
    """Among values that are often equal too: the first of them gets the gradient."""
    inputs = np.round(rng.standard_normal(GRIDS[axes])).astype(np.float32)
    assert_alike(*pair("MaxPooling", axes, **options), inputs, rng)


def test_zeros_beyond_a_clip_do_not_win_over_values_below_zero():
    pooled = convolution.MaxPooling2D(2, padding="same")(np.full((1, 3, 3, 1), -5.0, np.float32))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(pooled), np.full((1, 2, 2, 1), -5.0))


@on_jax
def test_own_gradients_are_taken_on_one_cpu_alone(monkeypatch):
    from zoo.layers import jax_cpu

    taken = []
    for name in ("convolve", "max_pool"):
        original = getattr(jax_cpu, name)
        monkeypatch.setattr(jax_cpu, name, lambda *a, f=original, n=name: taken.append(n) or f(*a))
    grid, own = np.ones((1, 4, 4, 2), np.float32), ["convolve", "max_pool"]

    def run():
        convolution.MaxPooling2D(2)(convolution.Conv2D(3, 2)(grid))

    run()
    assert taken == own
    with keras.distribution.DataParallel(devices=keras.distribution.list_devices()[:1]).scope():
        run()
    monkeypatch.setattr(jax_cpu.jax, "default_backend", lambda: "gpu")
    run()
    assert taken == own


@on_jax
def test_half_precision_sums_a_kernels_gradient_in_float32(rng):
    inputs = np.round(rng.standard_normal((8, 40, 3)), 1).astype(np.float32)
    layer = convolution.Conv1D(2, 3, dtype="mixed_bfloat16", use_bias=False)
    layer.build(inputs.shape)
    upstream = np.ones((8, 38, 2), np.float32)
    _, gradients = value_and_gradients(layer, inputs, upstream)
    expected = np.stack([inputs[:, tap : tap + 38].sum((0, 1)) for tap in range(3)])
    # Rounding of the inputs adds up to 0.07 here; sums near 39 in bfloat16 would be whole quarters.
    np.testing.assert_allclose(np.asarray(gradients[1])[..., 0], expected, rtol=0, atol=0.1)


def network(where):
    """Returns a small network of all four layers, of ours or of Keras's."""
    inputs = keras.Input((12, 8, 2), name="inputs")
    grid = where.Conv2D(3, 3, padding="same", activation="relu", name="conv2")(inputs)
    grid = where.MaxPooling2D(2, name="pool2")(grid)
    rows = where.Conv1D(4, 2, padding="causal", name="conv1")(keras.layers.Reshape((6, 12), name="rows")(grid))
    return keras.Model(inputs, where.MaxPooling1D(3, padding="same", name="pool1")(rows))


def test_a_saved_model_is_that_of_the_stock_layers(tmp_path, rng):
    """Neither the file nor its answers tell the two apart, and each loads what the other saved."""
    inputs = rng.standard_normal((2, 12, 8, 2), np.float32)
    ours, stock = network(convolution), network(keras.layers)
    stock.set_weights(ours.get_weights())
    for model, path in ((ours, tmp_path / "ours.keras"), (stock, tmp_path / "stock.keras")):
        model.save(path)
        keras_archive.check(path)
        loaded = keras.saving.load_model(path, safe_mode=True)
        assert [type(layer) for layer in loaded.layers] == [type(layer) for layer in stock.layers]
        answers = (keras.ops.convert_to_numpy(one(inputs)) for one in (ours, loaded))
        np.testing.assert_allclose(*answers, rtol=1e-6, atol=1e-6)

    def written(model):
        layers = json.loads(model.to_json())["config"]["layers"]
        return [(one["module"], one["class_name"], one["config"], one.get("build_config")) for one in layers]

    assert written(ours) == written(stock)


def test_a_copy_keeps_the_layers():
    copy = keras.models.clone_model(network(convolution))
    kinds = {type(layer) for layer in copy.layers}
    assert {convolution.Conv1D, convolution.Conv2D, convolution.MaxPooling1D, convolution.MaxPooling2D} <= kinds
