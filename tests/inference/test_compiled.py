"""Compiled networks answer as Keras does, on every backend."""

import keras
import numpy as np
import pytest

from zoo import registry
from zoo.inference.compiled import compiled

NETWORKS = {
    "attention_blstm_fcn": {"recurrent_units": 4},
    "attention_lstm": {"recurrent_units": 4},
    "residual_bigru": {"recurrent_units": 4},
    "blstm_drnn": {"recurrent_units": 4},
}


@pytest.mark.backend
@pytest.mark.parametrize("name", NETWORKS)
def test_answers_equal_those_of_keras(rng, name):
    network = registry.build(name, 3, 8, **NETWORKS[name])
    for weights in network.trainable_variables:
        weights.assign(weights + rng.normal(0, 0.1, weights.shape))
    run = compiled(network)
    for lengths in ([40], [40, 40], [33, 7, 1], [12, 40, 25, 40, 3]):
        batch = {"features": rng.normal(size=(len(lengths), max(lengths), 8)).astype(np.float32)}
        batch["n_frames"] = np.array(lengths, np.int32)
        expected, found = np.asarray(keras.ops.convert_to_numpy(network(batch, training=False))), run(batch)
        real = np.arange(max(lengths)) < np.array(lengths)[:, None] if found.ndim == 3 else slice(None)
        np.testing.assert_allclose(found[real], expected[real], atol=1e-5)
        assert np.ptp(expected) > 1e-3  # answers differ, or nothing would be shown


def test_one_trace_serves_every_size_on_tensorflow(rng):
    traces = []

    class Counted(keras.layers.Layer):
        def call(self, inputs):
            traces.append(inputs.shape)
            return inputs * 2.0

    features = keras.Input((None, 3), name="features")
    run = compiled(keras.Model({"features": features}, Counted()(features)))
    traces.clear()
    for shape in ((1, 4, 3), (2, 4, 3), (5, 9, 3)):
        assert run({"features": np.ones(shape, np.float32)}).shape == shape
    assert len(traces) == 1
