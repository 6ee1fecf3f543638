"""The LSTM layers of exports equal Keras's with the same weights."""

import keras
import numpy as np
import pytest

from zoo import registry
from zoo.export import signatures
from zoo.export.signatures import Plan
from zoo.frontends.compose import with_normalization
from zoo.inference.exchanged import exchanged
from zoo.layers.lstm import LSTM
from zoo.layers.one_loop_lstm import OneLoopLSTM


def pair(rng, directions, channels=5, units=4):
    """Keras's layer with weights at random, biases too, and ours with the same."""
    theirs = keras.layers.LSTM(units, return_sequences=True)
    if directions == 2:
        theirs = keras.layers.Bidirectional(theirs)
    theirs.build((None, None, channels))
    theirs.set_weights([rng.normal(0, 0.7, weights.shape) for weights in theirs.get_weights()])
    ours = OneLoopLSTM(units, directions)
    ours.build((None, None, channels))
    ours.set_weights(theirs.get_weights())
    return theirs, ours


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("lengths", [[1], [9], [9, 4, 1], [3, 17, 17, 1, 8]])
def test_utterances_padded_by_nan_equal_keras(rng, lengths, directions):
    theirs, ours = pair(rng, directions)
    frames = rng.normal(size=(len(lengths), max(lengths) + 3, 5)).astype(np.float32)
    np.testing.assert_allclose(ours(frames), theirs(frames), atol=1e-5)  # without a mask all frames are real
    mask = np.arange(frames.shape[1])[None] < np.array(lengths)[:, None]
    frames[~mask] = np.nan
    expected, found = theirs(frames, mask=mask).numpy(), ours(frames, mask=mask).numpy()
    np.testing.assert_allclose(found[mask], expected[mask], atol=1e-5)
    assert not found[~mask].any()
    if directions == 2:  # of padding, too
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_one_frame_by_hand():
    """One unit, all weights 1, no bias, x = 1: every gate is sigmoid(1), the cell sigmoid(1) tanh(1)."""
    ours = OneLoopLSTM(1)
    ours.build((None, None, 1))
    ours.set_weights([np.ones((1, 4)), np.ones((1, 4)), np.zeros(4)])
    gate = 1 / (1 + np.exp(-1))
    expected = gate * np.tanh(gate * np.tanh(1))
    np.testing.assert_allclose(ours(np.ones((1, 1, 1), np.float32)), [[[expected]]], rtol=1e-6)


def network(name, **options):
    built = registry.build(name, 3, 6, **options)
    rng = np.random.default_rng(0)
    for weights in built.trainable_variables:
        weights.assign(weights + rng.normal(0, 0.1, weights.shape))
    return with_normalization(rng.normal(size=6), rng.uniform(1, 3, 6), built)


@pytest.mark.parametrize(
    ("name", "options", "directions"),
    [
        ("attention_blstm_fcn", {"recurrent_units": 4}, [2, 2]),
        ("attention_lstm", {"recurrent_units": 4}, [1, 1]),
        ("lstm_drnn", {"recurrent_units": 4}, [1, 1, 1]),
        ("blstm_drnn", {"recurrent_units": 4}, [2, 2, 2]),
    ],
)
def test_exchanged_networks_give_the_same_output(rng, name, options, directions):
    before = network(name, **options)
    after = exchanged(before)
    found = [layer for layer in after._flatten_layers() if isinstance(layer, OneLoopLSTM)]
    assert [layer.directions for layer in found] == directions
    assert not any(isinstance(layer, keras.layers.LSTM) for layer in after._flatten_layers())
    assert any(isinstance(layer, keras.layers.LSTM) for layer in before._flatten_layers())
    counts = np.array([11, 5, 1], np.int32)
    batch = {"features": rng.normal(size=(3, 11, 6)).astype(np.float32), "n_frames": counts}
    expected, answers = before(batch, training=False).numpy(), after(batch, training=False).numpy()
    if expected.ndim == 3:
        real = np.arange(11)[None] < counts[:, None]
        expected, answers = expected[real], answers[real]
    assert np.ptp(expected, axis=0).max() > 1e-3  # the clips differ, or nothing would be shown
    np.testing.assert_allclose(answers, expected, atol=1e-5)


def test_the_exported_graph_has_one_loop_per_layer():
    _, functions = signatures.build(None, [network("attention_blstm_fcn", recurrent_units=4)], Plan(("a",), 1, 99))
    graph = functions["features"].get_concrete_function().graph.as_graph_def()
    nodes = [node.op for function in graph.library.function for node in function.node_def]
    assert sum(op in ("While", "StatelessWhile") for op in nodes) == 2


SEQUENCES = {"units": 4, "return_sequences": True}
BOTH_WAYS = keras.layers.Bidirectional


@pytest.mark.parametrize(
    ("layer", "is_exchanged"),
    [
        (LSTM(**SEQUENCES), True),
        (keras.layers.LSTM(**SEQUENCES), True),  # of older runs
        (BOTH_WAYS(LSTM(**SEQUENCES)), True),
        (BOTH_WAYS(keras.layers.LSTM(**SEQUENCES)), True),
        (keras.layers.GRU(**SEQUENCES), False),
        (keras.layers.LSTM(4), False),
        (keras.layers.LSTM(**SEQUENCES, go_backwards=True), False),
        (keras.layers.LSTM(**SEQUENCES, activation="relu"), False),
        (keras.layers.LSTM(**SEQUENCES, use_bias=False), False),
        (keras.layers.LSTM(**SEQUENCES, dtype="mixed_bfloat16"), False),
        (BOTH_WAYS(keras.layers.GRU(**SEQUENCES)), False),
        (BOTH_WAYS(keras.layers.LSTM(4)), False),
        (BOTH_WAYS(keras.layers.LSTM(**SEQUENCES), merge_mode="sum"), False),
    ],
)
def test_layers_of_another_kind_are_left_alone(layer, is_exchanged):
    sequences = keras.Input((None, 5))
    model = keras.Model(sequences, layer(sequences))
    assert (exchanged(model) is not model) == is_exchanged
