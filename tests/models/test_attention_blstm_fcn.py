"""The facts of Zhao et al. 2019, and their equations worked in NumPy."""

import keras
import numpy as np
import pytest

from zoo.models.attention_blstm_fcn import attention_blstm_fcn

pytestmark = pytest.mark.backend


def softmax(scores):
    shares = np.exp(scores - scores.max())
    return shares / shares.sum()


def layer_outputs(model, names, features, n_frames=None):
    inside = keras.Model(model.inputs, [model.get_layer(name).output for name in names])
    batch = [features[None], np.array([n_frames or len(features)], "int32")]
    return [keras.ops.convert_to_numpy(output)[0] for output in inside(batch)]


def test_layers_have_the_papers_shapes():
    model = attention_blstm_fcn(4)
    shapes = [model.get_layer(name).output.shape[2:] for name in ("conv1", "conv2", "conv3", "pool3", "blstm2")]
    assert shapes == [(40, 64), (20, 128), (10, 128), (5, 128), (256,)]
    assert model.get_layer("joint").output.shape[1:] == (384,)


def test_scaled_softmax_attention_is_equations_8_to_10(rng):
    model = attention_blstm_fcn(3, 8, recurrent=None, attention_scale=0.3, hidden_units=5)
    grid, weights, context = layer_outputs(
        model, ["dropout3", "fcn_attention", "fcn_context"], rng.normal(size=(30, 8)).astype("float32")
    )
    assert weights.shape == grid.shape[:2] == (4, 1)
    kernel, bias, query = model.get_layer("fcn_attention").get_weights()
    vectors = grid.reshape(-1, 128)
    alpha = softmax(0.3 * (np.tanh(vectors @ kernel + bias) @ query)[:, 0])
    np.testing.assert_allclose(weights.ravel(), alpha, rtol=1e-4)
    np.testing.assert_allclose(context, alpha @ vectors, rtol=1e-3, atol=1e-5)


def test_recurrent_attention_is_equations_5_and_6(rng):
    model = attention_blstm_fcn(3, 8, fcn=False, recurrent_units=6)
    sequence, weights, context = layer_outputs(
        model, ["blstm2", "recurrent_attention", "recurrent_context"], rng.normal(size=(11, 8)).astype("float32")
    )
    (query,) = model.get_layer("recurrent_attention").get_weights()
    alpha = softmax((sequence @ query)[:, 0])
    np.testing.assert_allclose(weights, alpha, rtol=1e-4)
    np.testing.assert_allclose(context, alpha @ sequence, rtol=1e-4, atol=1e-6)


def test_padding_gets_no_attention(rng):
    model = attention_blstm_fcn(3, 8, recurrent_units=6)
    features = rng.normal(size=(40, 8)).astype("float32")
    fcn, recurrent = layer_outputs(model, ["fcn_attention", "recurrent_attention"], features, 17)
    assert not recurrent[17:].any() and recurrent[:17].all()
    assert not fcn[3:].any() and fcn[:3].all()  # 17 frames, halved thrice and rounded up: 9, 5, 3
