"""Bodies of image networks, and the front-end that keeps one out of the files of models."""

import os
import zipfile

import h5py
import keras
import numpy as np
import pytest
from networks import half_precision
from predictions import predict

from zoo.errors import UserError
from zoo.features.extractor import of_layer
from zoo.frontends.compose import with_frontend
from zoo.frontends.deep_spectrum import DeepSpectrum
from zoo.models import image_networks
from zoo.models.image_networks import NETWORKS, Network, body, layout
from zoo.models.weights.image import MEAN, checksum
from zoo.runs.model_file import load_model

SIDE = 16


def convolutions():
    images = keras.Input((SIDE, SIDE, 3))
    maps = keras.layers.Conv2D(4, 3, strides=2, activation="relu", name="conv1")(images)
    return keras.Model(images, keras.layers.Dropout(0.5, seed=1)(maps))


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    row = Network(convolutions, SIDE, {"fc6": 20, "fc7": 5}, "fc8", ("a", "b", "c"), 0)
    monkeypatch.setitem(NETWORKS, "tiny", row)


@pytest.fixture
def weights(tmp_path):
    """A file of weights, with features that differ between clips."""
    return written(tmp_path / "tiny.npz", seed=3)


def written(path, seed):
    np.savez(path, **dict(image_networks._random(layout("tiny"), seed)))
    return path


def classifier(frontend, n_classes=3):
    features = keras.Input((None, 5), name="features")
    n_frames = keras.Input((), dtype="int32", name="n_frames")
    vector = keras.layers.GlobalAveragePooling1D()(features)
    output = keras.layers.Dense(n_classes, activation="softmax", name="emotion")(vector)
    return with_frontend(frontend, keras.Model({"features": features, "n_frames": n_frames}, output, name="net"))


def values(tensor):
    return keras.ops.convert_to_numpy(tensor)


def clips(rng):
    return [(0.1 * rng.normal(size=samples)).astype("float32") for samples in (9_000, 16_000, 3_000)]


# Bodies


# The head, of 4,096 to 1,000, is in no file that is read: its size is added by hand.
@pytest.mark.parametrize("network", ["alexnet", "vgg16", "vgg19"])
def test_networks_have_their_published_size_and_shapes(network):
    shape = layout(network)
    assert sum(np.prod(size) for size in shape.shapes().values()) + 4096 * 1000 + 1000 == NETWORKS[network].parameters
    assert shape.grid == ((6, 6, 256) if network == "alexnet" else (7, 7, 512))
    n_convolutions = {"alexnet": 5, "vgg16": 13, "vgg19": 16}[network]
    assert [len(kernel) for kernel in shape.kernels.values()] == [4] * n_convolutions + [2, 2]
    assert list(shape.kernels.values())[-2:] == [(np.prod(shape.grid), 4096), (4096, 4096)]


def test_published_names_of_vgg16():
    """Of torchvision's vgg16().state_dict() and of MatConvNet's imagenet-vgg-verydeep-16."""
    shape = layout("vgg16")
    places = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    dense = ["classifier.0", "classifier.3", "classifier.6"]
    assert list(shape.torch.values()) == [f"features.{place}" for place in places] + dense
    blocks = enumerate((2, 2, 3, 3, 3), start=1)
    names = [f"conv{block}_{index}" for block, count in blocks for index in range(1, count + 1)]
    assert list(shape.matconvnet.values()) == [*names, "fc6", "fc7", "fc8"]
    assert list(shape.matconvnet)[-1] == shape.head == "predictions"


@pytest.mark.backend
def test_a_body_standardises_images_as_keras_applications_does(weights, rng):
    images = rng.uniform(0, 255, size=(2, SIDE, SIDE, 3)).astype("float32")
    with np.load(weights) as tensors:
        layers = [[tensors[f"{layer}/{part}"] for part in ("kernel", "bias")] for layer in ("conv1", "fc6", "fc7")]
    network = convolutions()
    network.get_layer("conv1").set_weights(layers[0])
    expected = values(network(images[..., ::-1] - np.float32(MEAN))).reshape(2, -1)
    for kernel, bias in layers[1:]:
        expected = np.maximum(expected @ kernel + bias, 0)
    found = values(body("tiny", weights)(images))
    assert found.shape == (2, 5)
    assert found.any()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.backend
def test_random_weights_are_those_of_their_seed(rng):
    images = rng.uniform(0, 255, size=(2, SIDE, SIDE, 3)).astype("float32")
    first, again, other = (values(body("tiny", "random", seed)(images)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1


def test_random_weights_are_glorots():
    kernel = dict(image_networks._random(layout("tiny"), 0))["conv1/kernel"]
    limit = (6 / (9 * (3 + 4))) ** 0.5
    assert kernel.dtype == np.float32
    assert 0.9 * limit < np.abs(kernel).max() <= limit
    assert abs(kernel.mean()) < 0.2 * limit


def test_a_body_is_frozen_and_in_float32_whatever_the_policy(rng):
    with half_precision():
        model = body("tiny", "random")
    images = rng.uniform(0, 255, size=(2, SIDE, SIDE, 3)).astype("float32")
    assert model.trainable_variables == []
    np.testing.assert_array_equal(values(model(images)), values(body("tiny", "random")(images)))


def test_unknown_networks_are_refused():
    with pytest.raises(UserError, match=r"unknown image network 'alexnett'. Did you mean 'alexnet'\? Known: alexnet, "):
        body("alexnett", "random")


# The front-end


def test_other_clips_do_not_change_the_description(weights, rng):
    layer, some = DeepSpectrum("tiny", weights), clips(rng)
    batch = np.zeros((3, 20_000), np.float32)
    for row, clip in zip(batch, some, strict=True):
        row[: len(clip)] = clip
    features, n_frames = layer(batch, np.array([len(clip) for clip in some], np.int32))
    assert features.shape == (3, 1, 5)
    assert values(n_frames).tolist() == [1, 1, 1]
    alone, _ = layer(some[2][None], np.array([len(some[2])], np.int32))
    np.testing.assert_allclose(values(alone)[0], values(features)[2], rtol=1e-3, atol=0.1)
    assert np.abs(values(features)[0] - values(features)[1]).max() > 1


@pytest.mark.backend
def test_a_model_comes_back_without_its_weights_in_the_file(weights, rng, tmp_path):
    model = classifier(DeepSpectrum("tiny", weights))
    model.save(tmp_path / "model.keras")
    again, some = load_model(tmp_path / "model.keras"), clips(rng)
    for found, expected in zip(predict(again, some), predict(model, some), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        archive.extract("model.weights.h5", tmp_path)
    with h5py.File(tmp_path / "model.weights.h5") as file:
        sizes = []
        file.visititems(lambda name, item: sizes.append(item.shape) if isinstance(item, h5py.Dataset) else None)
    assert sorted(sizes) == [(3,), (5, 3)]  # the head's: none of the image network's


def test_weights_that_are_gone_or_changed_are_named(weights, tmp_path):
    path = tmp_path / "model.keras"
    classifier(DeepSpectrum("tiny", weights)).save(path)
    written(weights, seed=4)
    with pytest.raises(UserError, match=r"tiny.npz: expected the weights that the model was made with .*found others"):
        load_model(path)
    weights.unlink()
    with pytest.raises(
        UserError, match=r"tiny.npz: the weights cannot be read .No such file.*put the file there again"
    ):
        load_model(path)
    with pytest.raises(UserError, match="cannot be read"):
        DeepSpectrum("tiny", weights)


@pytest.mark.parametrize("place", ["/dev/zero", "/etc/passwd", "PIPE.npz", "FOLDER.h5", "weights.pth"])
def test_a_model_can_name_nothing_but_files_of_weights(weights, tmp_path, place):
    """Models of others name any path; to read a device to its end would take for ever."""
    os.mkfifo(tmp_path / "PIPE.npz")
    (tmp_path / "FOLDER.h5").mkdir()
    path = tmp_path / place  # absolute ones stay as they are
    said = "a pickle" if path.suffix == ".pth" else "a folder, pipe or device|expected weights in .npz, .h5"
    with pytest.raises(UserError, match=f"{path}: .*({said})"):
        DeepSpectrum("tiny", path)
    settings = DeepSpectrum("tiny", weights).get_config()
    with pytest.raises(UserError, match=f"{path}: .*({said})"):
        DeepSpectrum.from_config({**settings, "weights": str(path)})


def test_settings_name_the_weights(weights):
    settings = DeepSpectrum("tiny", weights, colormap="magma", seed=5).get_config()
    assert settings["weights"] == str(weights)
    assert settings["weights_sha256"] == checksum(weights)
    assert (settings["network"], settings["colormap"], settings["seed"]) == ("tiny", "magma", 5)
    assert DeepSpectrum("tiny", "random").get_config()["weights_sha256"] is None
    assert DeepSpectrum.from_config(settings).get_config() == settings
    other = DeepSpectrum("tiny", weights, picture={"bands": 30, "hop_ms": 10.0})
    assert other.image.log_mel.bands == 30
    assert DeepSpectrum.from_config(other.get_config()).get_config()["picture"]["hop_ms"] == 10.0


def test_only_the_head_is_trained(weights, rng):
    model = classifier(DeepSpectrum("tiny", weights))
    frozen = [values(variable) for variable in model.non_trainable_variables]
    assert [variable.path for variable in model.trainable_variables] == ["emotion/kernel", "emotion/bias"]
    assert len(frozen) >= 6
    model.compile("adam", "sparse_categorical_crossentropy")
    batch = {"waveform": rng.normal(size=(4, 3_000)).astype("float32"), "n_samples": np.full(4, 3_000, np.int32)}
    model.fit(batch, np.array([0, 1, 2, 0]), verbose=0)
    for before, after in zip(frozen, model.non_trainable_variables, strict=True):
        np.testing.assert_array_equal(before, values(after))


def test_features_of_an_extractor(weights, rng):
    extractor = of_layer(DeepSpectrum("tiny", weights))
    (clip, *_), layer = clips(rng), DeepSpectrum("tiny", weights)
    expected, _ = layer(clip[None], np.array([len(clip)], np.int32))
    assert extractor.rate_hz == 16_000
    assert extractor.settings["weights_sha256"] == checksum(weights)
    np.testing.assert_allclose(extractor.features(clip), values(expected)[0], rtol=1e-3, atol=0.1)


def test_a_saved_model_holds_the_weights(weights, rng, tmp_path):
    """As the signatures attach them: by the variables of its layers. The file of weights is not needed to serve."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("SavedModels are made by TensorFlow")
    import tensorflow as tf

    from zoo.export.signatures import Plan, build
    from zoo.serving import graph_audit

    model = classifier(DeepSpectrum("tiny", weights))
    frontend, network = (next(layer for layer in model.layers if kind(layer)) for kind in (is_frontend, is_network))
    module, functions = build(frontend, [network], Plan(("a", "b", "c"), 400, 160_000))
    tf.saved_model.save(module, str(tmp_path / "1"), signatures=functions)
    weights.unlink()
    graph_audit.check(tmp_path / "1")
    serve = tf.saved_model.load(str(tmp_path / "1")).signatures["serving_default"]
    for clip in clips(rng):
        found = serve(waveform=tf.constant(clip[None]), n_samples=tf.constant([len(clip)], tf.int32))["probabilities"]
        np.testing.assert_allclose(found.numpy()[0], predict(model, [clip])[0], rtol=1e-3, atol=1e-4)


def is_frontend(layer):
    return isinstance(layer, DeepSpectrum)


def is_network(layer):
    return isinstance(layer, keras.Model)


@pytest.mark.slow
def test_a_real_network_describes_a_clip(rng):
    """AlexNet as it is, on random weights."""
    features = of_layer(DeepSpectrum("alexnet", "random")).features(clips(rng)[0])
    assert features.shape == (1, 4096)
    assert features.min() == 0
    assert 0.1 < np.mean(features > 0) < 0.9
