"""Heads for further targets on every network of emotions that is trained by gradient."""

import keras
import numpy as np
import pytest
from networks import once, outputs, padded

from zoo import registry
from zoo.heads import make, slices
from zoo.models.heads import with_heads
from zoo.runs import keras_archive

HEADS = make(("a", "b", "c"), {"sex": ["f", "m"], "age": []})
MOMENTS = {"age": (40.0, 10.0)}
SMALL = {"recurrent_units": 4}
NETWORKS = [name for name, entry in registry.MODELS.items() if (entry.task, entry.fitted) == ("emotion", "gradient")]


def build(name):
    entry = registry.get(name)
    without = name in ("fcn", "cnn1d_mfcc") or entry.frontend == "encoder" or "recurrent" in entry.options
    options = {} if without else SMALL
    inputs = {"n_coefficients": 20} if entry.frontend == "mfcc" else {}
    return registry.build(name, 3, 3 if entry.frontend == "mfcc" else 12, **options, **inputs)


@once
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_gets_heads_on_what_its_last_layer_takes(name):
    network = build(name)
    model = with_heads(network, HEADS, MOMENTS)
    last, width = network.layers[-1], network.layers[-1].input.shape[-1]
    assert model.output_shape == (None, 6) and model.name == network.name
    before = {id(weight) for weight in network.trainable_weights}
    added = {tuple(weight.shape) for weight in model.trainable_weights if id(weight) not in before}
    assert added == {(width, 2), (2,), (width, 1), (1,)} and model.get_layer("target_sex").input is last.input
    assert len(model.trainable_weights) == len(before) + 4


@pytest.mark.backend
def test_the_main_output_stays_and_numbers_have_their_size(rng, tmp_path):
    network = build("fcn")
    model = with_heads(network, HEADS, MOMENTS)
    features, n_frames = padded([rng.normal(size=(size, 12)) for size in (9, 20)])
    batch = {"features": features, "n_frames": n_frames}
    found, before = outputs(model, batch), outputs(network, batch)
    main, sex, age = (found[:, where] for where in slices(HEADS))
    np.testing.assert_allclose(main, before, atol=1e-6)
    np.testing.assert_allclose(sex.sum(axis=1), 1, atol=1e-5)
    kernel, bias = (keras.ops.convert_to_numpy(weight) for weight in model.get_layer("target_age").weights)
    joint = outputs(keras.Model(model.input, model.get_layer("target_age").input), batch)
    np.testing.assert_allclose(age, 40 + 10 * (joint @ kernel + bias), rtol=1e-4)
    path = tmp_path / "model.keras"
    model.save(path)
    keras_archive.check(path)
    np.testing.assert_allclose(outputs(keras.saving.load_model(path), batch), found, atol=1e-5)


@once
def test_a_network_that_does_not_end_in_a_dense_layer_is_refused():
    inputs = keras.Input((None, 3))
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling1D()(inputs), name="odd")
    with pytest.raises(ValueError, match="odd: expected a network that ends in a dense layer, found GlobalAverage"):
        with_heads(model, HEADS, MOMENTS)
