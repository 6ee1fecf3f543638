"""The facts of Zhao et al. 2019, and their equations worked in NumPy."""

import keras
import numpy as np
import pytest
from networks import once, outputs

from zoo.models.attention_blstm_fcn import attention_blstm_fcn
from zoo.runs.model_file import load_model

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


SMALL = {"recurrent": None, "hidden_units": 5, "block_dropout": 0.0, "dropout": 0.0, "filters": [4, 6]}
FORMS = {
    "strides": {"stride": 2},
    "strides of an even kernel": {"stride": 3, "kernel_size": 4},
    "wide pools": {"pool_size": 3},
    "another activation": {"activation": "tanh"},
    "one pooling": {"pooling_layers": 1, "filters": [4, 6, 5]},
    "five layers": {"filters": [3, 4, 5, 4, 3]},
    "all of them": {"stride": 2, "pool_size": 3, "activation": "elu", "pooling_layers": 1, "dense_layers": 3},
}


def answers(model, features, n_frames):
    return outputs(model, {"features": features[None], "n_frames": np.array([n_frames], "int32")})[0]


@pytest.mark.parametrize(
    ("form", "attention"),
    [*((form, True) for form in FORMS), ("all of them", False)],
)
def test_no_form_of_the_convolutions_depends_on_padding(rng, form, attention):
    keras.utils.set_random_seed(1)
    model = attention_blstm_fcn(3, 9, **{**SMALL, **FORMS[form]}, fcn_attention=attention)
    inside = keras.Model(model.inputs, model.get_layer("joint").output)
    features, whole = rng.normal(size=(40, 9)).astype("float32"), []
    for n_frames in (1, 11, 24):
        whole.append(answers(inside, features[:n_frames], n_frames))
        for length in (n_frames + 1, n_frames + 2, 40):
            np.testing.assert_allclose(answers(inside, features[:length], n_frames), whole[-1], rtol=1e-4, atol=1e-6)
    assert np.ptp(whole[1:], axis=0).max() > 0.02


def test_strided_convolutions_are_those_of_the_definition(rng):
    model = attention_blstm_fcn(3, 7, **{**SMALL, "filters": [4]}, stride=2, pooling_layers=1, pool_size=1)
    features = rng.normal(size=(11, 7)).astype("float32")
    found, _ = layer_outputs(model, ["conv1", "norm1"], features)
    kernel, bias = model.get_layer("conv1").get_weights()
    edged = np.pad(features, 1)
    expected = [
        [np.einsum("xy,xyf->f", edged[2 * t : 2 * t + 3, 2 * b : 2 * b + 3], kernel[:, :, 0]) + bias for b in range(4)]
        for t in range(6)
    ]
    assert found.shape == (6, 4, 4)  # 11 frames and 7 bands, halved and rounded up
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_layers_of_each_option():
    names = {
        layer.name: layer
        for layer in attention_blstm_fcn(4, 40, filters=(8, 16, 32, 64, 256), pooling_layers=2, dense_layers=2).layers
    }
    assert [names[f"conv{index}"].filters for index in range(1, 6)] == [8, 16, 32, 64, 256]
    assert [name for name in names if name.startswith("pool")] == ["pool1", "pool2"]
    assert [name for name in names if name.startswith("head")] == ["head", "head_dropout", "head2", "head2_dropout"]
    assert names["conv5"].output.shape[2:] == (10, 256)  # 40 bands, halved twice
    tanh = attention_blstm_fcn(4, 40, activation="tanh")
    assert tanh.get_layer("head").activation is keras.activations.tanh
    assert [layer.name for layer in tanh.layers if layer.name.startswith("tanh")] == ["tanh1", "tanh2", "tanh3"]


@once
def test_a_saved_network_of_every_option_loads_again(rng, tmp_path):
    model = attention_blstm_fcn(3, 9, **{**SMALL, **FORMS["all of them"], "activation": "leaky_relu"})
    model.save(tmp_path / "model.keras")
    features = rng.normal(size=(20, 9)).astype("float32")
    again = answers(load_model(tmp_path / "model.keras", waveforms=False), features, 17)
    np.testing.assert_array_equal(again, answers(model, features, 17))
