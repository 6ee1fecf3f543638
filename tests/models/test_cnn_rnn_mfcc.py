"""Tables 3 and 4 of Khan, Butt, Ali 2020."""

import keras
import numpy as np
import pytest
from networks import once

from zoo.models.cnn1d_mfcc import cnn1d_mfcc
from zoo.models.rnn_mfcc import rnn_mfcc

pytestmark = pytest.mark.backend

TABLE_4 = [
    ("features", (80, 3), 0),
    ("c1", (78, 20), 200),
    ("s1", (26, 20), 0),
    ("d1", (26, 20), 0),
    ("c2", (24, 10), 610),
    ("s2", (8, 10), 0),
    ("s3", (10,), 0),
    ("probabilities", (8,), 88),
]
TABLE_3 = [("features", (80, 18), 0), ("r1", (80, 16), 560), ("average", (16,), 0), ("probabilities", (8,), 136)]


@once
@pytest.mark.parametrize(
    ("build", "table", "total"), [(cnn1d_mfcc, TABLE_4, 898), (rnn_mfcc, TABLE_3, 696)], ids=["cnn", "rnn"]
)
def test_layers_are_the_tables(build, table, total):
    model = build(8)
    rows = [
        (layer.name, tuple(layer.output.shape[1:]), layer.count_params())
        for layer in model.layers
        if layer.name != "n_frames"
    ]
    assert rows == table
    assert model.count_params() == total


def test_table_4_worked_in_numpy(rng):
    model = cnn1d_mfcc(8)
    features = rng.normal(size=(80, 3)).astype("float32")
    sequence = features
    for name in ("c1", "c2"):
        kernel, bias = (np.asarray(keras.ops.convert_to_numpy(w)) for w in model.get_layer(name).weights)
        steps = [np.tensordot(sequence[t : t + 3], kernel, 2) + bias for t in range(len(sequence) - 2)]
        sequence = np.maximum(np.array(steps), 0)
        sequence = sequence[: len(sequence) // 3 * 3].reshape(-1, 3, sequence.shape[1]).max(axis=1)
    kernel, bias = (keras.ops.convert_to_numpy(w) for w in model.get_layer("probabilities").weights)
    scores = np.exp(sequence.mean(axis=0) @ kernel + bias)
    output = keras.ops.convert_to_numpy(model({"features": features[None], "n_frames": np.array([80], "int32")}))
    np.testing.assert_allclose(output[0], scores / scores.sum(), rtol=1e-4)


@pytest.mark.parametrize("build", [cnn1d_mfcc, rnn_mfcc])
def test_sigmoids_do_not_sum_to_one(build, rng):
    batch = {"features": rng.normal(size=(8, 80, 5)).astype("float32"), "n_frames": np.full(8, 80, "int32")}
    output = keras.ops.convert_to_numpy(build(3, 5, output_activation="sigmoid")(batch))
    assert not np.allclose(output.sum(axis=1), 1, atol=1e-3)


def test_depth_and_widths_follow_their_arguments():
    model = cnn1d_mfcc(4, n_coefficients=40, filters=(8, 16, 32), kernel_size=2, pool_size=2, norm=True)
    shapes = {name: tuple(model.get_layer(name).output.shape[1:]) for name in ("s1", "s2", "s3", "s4")}
    assert shapes == {"s1": (19, 8), "s2": (9, 16), "s3": (4, 32), "s4": (32,)}
    assert {"n1", "d2"} <= {layer.name for layer in model.layers}
    model = rnn_mfcc(4, 3, recurrent_units=7, recurrent_layers=2, cell="gru", dropout=0.2)
    names = [layer.name for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    assert names == ["r1", "d1", "r2", "d2", "average", "probabilities"]
    assert model.get_layer("r2").count_params() == 3 * (7 * 7 + 7 * 7 + 2 * 7)
