"""Linear models that are saved and read without Keras: against Keras's own model, its file and its answers."""

import json
import zipfile

import keras
import numpy as np
import pytest

from zoo.frontends.compose import with_normalization
from zoo.models.linear import linear_classifier
from zoo.runs import keras_archive, linear_model
from zoo.runs.linear_model import LinearModel
from zoo.runs.model_file import load_model

WIDTH, CLASSES = 12, 3


def made(components, seed=0):
    """A model as a fit leaves it, a constant feature among its inputs."""
    rng = np.random.default_rng(seed)
    mean, variance = 100 * rng.normal(size=WIDTH), 10 ** rng.uniform(-6, 6, WIDTH)
    variance[2] = 1.0
    sizes = [WIDTH, components, CLASSES] if components else [WIDTH, CLASSES]
    names = ["projection", "scores"] if components else ["scores"]
    maps = {
        name: (rng.normal(size=(before, after)).astype(np.float32), rng.normal(size=after).astype(np.float32))
        for name, before, after in zip(names, sizes, sizes[1:], strict=False)
    }
    return LinearModel("egemaps_svm", mean, variance, CLASSES, maps)


def of_keras(model, components):
    """The same model, built by Keras."""
    bare = linear_classifier(CLASSES, WIDTH, components=components, name=model.name)
    for name, weights in model.maps.items():
        bare.get_layer(name).set_weights(weights)
    return with_normalization(model.mean, model.variance, bare, least_variance=0.0)


def vectors(model, n=40):
    noise = np.random.default_rng(1).normal(size=(n, WIDTH))
    return (model.mean + np.sqrt(model.variance) * noise).astype(np.float32)


def answers(network, values):
    batch = {"features": values[:, None], "n_frames": np.ones(len(values), np.int32)}
    return np.asarray(network.predict_on_batch(batch))


def without_initial_values(content):
    """A configuration without the initialisers of weights, which the file holds, and the order of inputs and layers."""
    if isinstance(content, dict):
        found = {key: without_initial_values(value) for key, value in content.items() if key != "kernel_initializer"}
        if "layers" in found:
            found["layers"] = sorted(found["layers"], key=lambda layer: layer["name"])
        return found
    return [without_initial_values(value) for value in content] if isinstance(content, list) else content


@pytest.mark.parametrize("components", [None, 5])
def test_keras_loads_what_it_would_have_saved_itself(tmp_path, components):
    model = made(components)
    model.save(tmp_path / "model.keras")
    loaded, expected = load_model(tmp_path / "model.keras", False, "abc"), of_keras(model, components)
    found, wanted = (json.loads(network.to_json()) for network in (loaded, expected))
    assert without_initial_values(found) == without_initial_values(wanted)
    for one, other in zip(loaded.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    values = vectors(model)
    np.testing.assert_allclose(answers(loaded, values), answers(expected, values), atol=1e-7)
    np.testing.assert_allclose(model.probabilities(values), answers(expected, values), atol=1e-5)
    assert model.probabilities(values).dtype == np.float32


@pytest.mark.parametrize("components", [None, 5])
@pytest.mark.parametrize("by_keras", [False, True])
def test_what_is_read_is_what_was_saved(tmp_path, components, by_keras):
    model, path = made(components), tmp_path / "model.keras"
    of_keras(model, components).save(path) if by_keras else model.save(path)
    found = linear_model.read(path)
    assert (found.name, found.n_classes, [*found.maps]) == (model.name, CLASSES, [*model.maps])
    np.testing.assert_array_equal(found.probabilities(vectors(model)), model.probabilities(vectors(model)))


def test_scores_far_apart_have_finite_shares():
    model = made(None)
    model.maps["scores"] = (1e4 * model.maps["scores"][0], np.float32([0, -1e6, 3]))
    found = model.probabilities(vectors(model))
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    assert found[:, 1].max() == 0


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"no \.keras archive"):
        linear_model.read(path)
    inputs = {"features": keras.Input((None, 4), name="features"), "n_frames": keras.Input((), name="n_frames")}
    keras.Model(inputs, keras.layers.Dense(3)(inputs["features"])).save(path)
    with pytest.raises(ValueError, match="no linear model of features"):
        linear_model.read(path)


def test_the_file_passes_the_check_of_archives_and_is_damaged_when_it_is_cut(tmp_path):
    path = tmp_path / "model.keras"
    made(5).save(path)
    _, n_weights = keras_archive.check(path)
    assert n_weights == WIDTH * 5 + 5 + 5 * CLASSES + CLASSES
    assert zipfile.ZipFile(path).namelist() == ["metadata.json", "config.json", "model.weights.h5"]
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises((ValueError, zipfile.BadZipFile)):
        linear_model.read(path)
