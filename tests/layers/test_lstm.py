"""The LSTM with its own gradient against Keras's own, and against its definition in NumPy."""

import gc
import weakref

import keras
import numpy as np
import pytest
from gradients import value_and_gradients
from keras import layers, ops

from zoo.layers import lstm as recurrent
from zoo.layers.lstm import LSTM

UNITS = 3


def clips(rng):
    """Clips, and a mask under which they have 9, 4 and 1 frames."""
    inputs = rng.normal(size=(3, 9, 5)).astype("float32")
    return inputs, np.arange(9) < np.array([9, 4, 1])[:, None]


def written_out(monkeypatch):
    """Returns a list that grows with every loop of ours."""
    calls, original = [], recurrent._hidden_states
    monkeypatch.setattr(recurrent, "_hidden_states", lambda *given: calls.append(1) or original(*given))
    return calls


class Started(layers.Layer):
    """A layer begun at a state that is trained."""

    def __init__(self, lstm):
        super().__init__()
        self.lstm, self.supports_masking = lstm, True

    def build(self, shape):
        self.lstm.build(shape)
        self.state = self.add_weight(shape=(2, shape[0], UNITS), name="state")

    def call(self, inputs, **options):
        return self.lstm(inputs, initial_state=list(ops.unstack(ops.convert_to_tensor(self.state))), **options)


def both(make, inputs, rng):
    """A layer around ours and one around Keras's, with equal weights, none of them zero."""
    pair = make(LSTM), make(layers.LSTM)
    for layer in pair:
        layer.build(inputs.shape)
    pair[1].set_weights([rng.normal(scale=0.4, size=weight.shape) for weight in pair[1].weights])
    pair[0].set_weights(pair[1].get_weights())
    return pair


@pytest.mark.backend
@pytest.mark.parametrize("masked", [True, False], ids=["masked", "nothing-masked"])
@pytest.mark.parametrize(
    "make",
    [
        lambda kind: kind(UNITS, return_sequences=True),
        lambda kind: kind(UNITS, return_sequences=True, go_backwards=True),
        lambda kind: kind(UNITS),
        lambda kind: layers.Bidirectional(kind(UNITS, return_sequences=True)),
        lambda kind: Started(kind(UNITS, return_sequences=True)),
    ],
    ids=["forwards", "backwards", "last", "bidirectional", "started"],
)
def test_outputs_and_gradients_are_those_of_keras(make, masked, rng, monkeypatch):
    calls = written_out(monkeypatch)
    inputs, mask = clips(rng)
    options = {"training": True, "mask": ops.convert_to_tensor(mask if masked else np.ones_like(mask))}
    ours, stock = both(make, inputs, rng)
    upstream = rng.normal(size=stock(inputs).shape).astype("float32")
    outputs, gradients = value_and_gradients(ours, inputs, upstream, **options)
    assert calls
    expected, expected_gradients = value_and_gradients(stock, inputs, upstream, **options)
    np.testing.assert_allclose(outputs, expected, atol=1e-6)
    for found, one in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(found, one, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *[("return_state", True), ("unroll", True), ("use_bias", False), ("use_cudnn", False)],
        *[("dropout", 0.5), ("recurrent_dropout", 0.5), ("dtype", "mixed_bfloat16")],
        *[("activation", "relu"), ("recurrent_activation", "hard_sigmoid")],
    ],
)
def test_other_options_take_the_stock_layer(option, value, rng, monkeypatch):
    calls = written_out(monkeypatch)
    inputs, mask = clips(rng)
    LSTM(UNITS, **{option: value})(inputs, mask=ops.convert_to_tensor(mask), training=True)
    assert not calls


def test_inference_and_gpus_of_tensorflow_take_the_stock_layer(rng, monkeypatch):
    calls = written_out(monkeypatch)
    layer, (inputs, mask) = LSTM(UNITS), clips(rng)
    mask = ops.convert_to_tensor(mask)
    layer(inputs, mask=mask)
    layer(inputs, training=True)  # without a mask
    monkeypatch.setattr(keras.distribution, "list_devices", lambda kind: ["gpu:0"])
    layer(inputs, mask=mask, training=True)
    assert not calls


@pytest.mark.backend
def test_no_gradient_keeps_the_outputs_alive(rng, monkeypatch):
    """On PyTorch a gradient that holds its output holds it, and all before it, until a full garbage collection."""
    made, original = [], recurrent._hidden_states

    def hidden_states(*given):
        outputs = original(*given)
        made.append(weakref.ref(outputs))
        return outputs

    monkeypatch.setattr(recurrent, "_hidden_states", hidden_states)
    inputs, mask = clips(rng)
    layer = LSTM(UNITS, return_sequences=True)
    layer.build(inputs.shape)
    gc.disable()
    try:
        layer(ops.convert_to_tensor(inputs), mask=ops.convert_to_tensor(mask), training=True)
        assert [one() for one in made] == [None]
    finally:
        gc.enable()
