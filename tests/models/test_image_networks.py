"""Bodies of image networks, and the front-end that keeps one out of the files of models."""

import os
import zipfile

import h5py
import keras
import numpy as np
import pytest
from networks import half_precision
from predictions import predict

from zoo.config.flags import from_flags
from zoo.errors import UserError
from zoo.features import from_config
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


def written(path, seed=3):
    np.savez(path, **dict(image_networks._random(layout("tiny"), seed)))
    return path


@pytest.fixture
def weights(tmp_path):
    return written(tmp_path / "tiny.npz")


def classifier(frontend):
    features = keras.Input((None, 5), name="features")
    n_frames = keras.Input((), dtype="int32", name="n_frames")
    vector = keras.layers.GlobalAveragePooling1D()(features)
    output = keras.layers.Dense(3, activation="softmax", name="emotion")(vector)
    return with_frontend(frontend, keras.Model({"features": features, "n_frames": n_frames}, output, name="net"))


def values(tensor):
    return keras.ops.convert_to_numpy(tensor)


def clips(rng):
    return [(0.1 * rng.normal(size=samples)).astype("float32") for samples in (9_000, 16_000, 3_000)]


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
    assert found.shape == (2, 5) and found.any()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.backend
def test_random_weights_are_glorots_and_those_of_their_seed():
    first, again, other = (values(body("tiny", "random", seed).layers[-1].weights[0]) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1
    limit = (6 / (9 * (3 + 4))) ** 0.5
    assert 0.9 * limit < np.abs(first).max() <= limit and abs(first.mean()) < 0.2 * limit


def test_a_body_is_frozen_and_in_float32_whatever_the_policy(rng):
    with half_precision():
        model = body("tiny", "random")
    images = rng.uniform(0, 255, size=(2, SIDE, SIDE, 3)).astype("float32")
    assert model.trainable_variables == [] and len(model.weights) == 6
    np.testing.assert_array_equal(values(model(images)), values(body("tiny", "random")(images)))


def test_unknown_networks_are_refused():
    with pytest.raises(UserError, match=r"unknown image network 'alexnett'. Did you mean 'alexnet'\? Known: alexnet, "):
        body("alexnett", "random")


def test_other_clips_do_not_change_the_description(weights, rng):
    layer, some = DeepSpectrum("tiny", weights), clips(rng)
    batch = np.zeros((3, 20_000), np.float32)
    for row, clip in zip(batch, some, strict=True):
        row[: len(clip)] = clip
    features, n_frames = layer(batch, np.array([len(clip) for clip in some], np.int32))
    assert features.shape == (3, 1, 5) and values(n_frames).tolist() == [1, 1, 1]
    alone, _ = layer(some[2][None], np.array([len(some[2])], np.int32))
    np.testing.assert_allclose(values(alone)[0], values(features)[2], rtol=1e-3, atol=0.1)
    assert np.abs(values(features)[0] - values(features)[1]).max() > 1


@pytest.mark.backend
def test_a_model_comes_back_without_its_weights_in_the_file(weights, rng, tmp_path):
    model = classifier(DeepSpectrum("tiny", weights))
    assert [variable.path for variable in model.trainable_variables] == ["emotion/kernel", "emotion/bias"]
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
    for attempt in (lambda: load_model(path), lambda: DeepSpectrum("tiny", weights)):
        with pytest.raises(UserError, match=r"tiny.npz: the weights cannot be read .No such file.*put the file there"):
            attempt()


@pytest.mark.parametrize("place", ["/dev/zero", "/etc/passwd", "PIPE.npz", "FOLDER.h5", "weights.pth"])
def test_a_model_can_name_nothing_but_files_of_weights(weights, tmp_path, place):
    """Models of others name any path; reading a device to its end would never return."""
    os.mkfifo(tmp_path / "PIPE.npz")
    (tmp_path / "FOLDER.h5").mkdir()
    path = tmp_path / place  # absolute ones stay as they are
    said = "a pickle" if path.suffix == ".pth" else "a folder, pipe or device|expected weights in .npz, .h5"
    settings = DeepSpectrum("tiny", weights).get_config()
    with pytest.raises(UserError, match=f"{path}: .*({said})"):
        DeepSpectrum.from_config({**settings, "weights": str(path)})


def test_settings_name_the_weights(weights):
    layer = DeepSpectrum("tiny", weights, colormap="magma", seed=5, picture={"bands": 30, "hop_ms": 10.0})
    settings, expected = layer.get_config(), {"network": "tiny", "colormap": "magma", "seed": 5}
    expected |= {"weights": str(weights), "weights_sha256": checksum(weights)}
    assert expected.items() <= settings.items() and settings["picture"]["hop_ms"] == 10.0
    assert layer.image.log_mel.bands == 30
    assert DeepSpectrum.from_config(settings).get_config() == settings
    assert DeepSpectrum("tiny", "random").get_config()["weights_sha256"] is None


def test_bands_are_a_setting_of_the_front_end(monkeypatch, rng):
    monkeypatch.setitem(NETWORKS, "alexnet", NETWORKS["tiny"])
    clip = clips(rng)[0]
    features = {}
    for given in ({}, {"image_bands": 30}):
        layer = from_config.frontend(from_flags({"model": "alexnet_svm", "weights": "random", **given}))
        assert layer.image.log_mel.bands == layer.get_config()["picture"]["bands"] == given.get("image_bands", 128)
        features[layer.image.log_mel.bands] = values(layer(clip[None], np.array([len(clip)], np.int32))[0])
    assert np.abs(features[30] - features[128]).max() > 1
    assert np.array_equal(features[128], values(DeepSpectrum("alexnet", "random")(clip[None], np.array([9_000]))[0]))


@pytest.mark.parametrize(
    ("model", "bands", "said"),
    [
        ("alexnet_svm", 0, "--image-bands is 0, expected a finite number, at least 1"),
        ("alexnet_svm", 9_000, "front-end: 9000 htk bands are too narrow for a window of 512 samples: use fewer"),
        ("fcn", 40, "--image-bands has no effect on fcn; it belongs to the front-end of image networks"),
    ],
)
def test_bands_that_no_picture_has_are_refused(monkeypatch, model, bands, said):
    monkeypatch.setitem(NETWORKS, "alexnet", NETWORKS["tiny"])
    weights = {"weights": "random"} if model == "alexnet_svm" else {}
    with pytest.raises(UserError) as caught:
        from_config.frontend(from_flags({"model": model, "image_bands": bands, **weights}))
    assert said in str(caught.value)


def test_features_of_an_extractor(weights, rng):
    (clip, *_), layer = clips(rng), DeepSpectrum("tiny", weights)
    extractor, (expected, _) = of_layer(layer), layer(clip[None], np.array([len(clip)], np.int32))
    assert extractor.rate_hz == 16_000 and extractor.settings["weights_sha256"] == checksum(weights)
    np.testing.assert_allclose(extractor.features(clip), values(expected)[0], rtol=1e-3, atol=0.1)


def test_a_saved_model_holds_the_weights(weights, rng, tmp_path):
    """By the variables of its layers, so that serving does not need the file of weights."""
    tf = pytest.importorskip("tensorflow")
    from zoo.export.signatures import Plan, build
    from zoo.serving import graph_audit

    model = classifier(DeepSpectrum("tiny", weights))
    (frontend,) = (layer for layer in model.layers if isinstance(layer, DeepSpectrum))
    (network,) = (layer for layer in model.layers if isinstance(layer, keras.Model))
    module, functions = build(frontend, [network], Plan(("a", "b", "c"), 400, 160_000))
    tf.saved_model.save(module, str(tmp_path / "1"), signatures=functions)
    weights.unlink()
    graph_audit.check(tmp_path / "1")
    serve = tf.saved_model.load(str(tmp_path / "1")).signatures["serving_default"]
    for clip in clips(rng):
        found = serve(waveform=tf.constant(clip[None]), n_samples=tf.constant([len(clip)], tf.int32))["probabilities"]
        np.testing.assert_allclose(found.numpy()[0], predict(model, [clip])[0], rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_a_real_network_describes_a_clip(rng):
    """AlexNet as it is, on random weights."""
    features = of_layer(DeepSpectrum("alexnet", "random")).features(clips(rng)[0])
    assert features.shape == (1, 4096) and features.min() == 0
    assert 0.1 < np.mean(features > 0) < 0.9
