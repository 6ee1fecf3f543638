"""Facts that every network of the registry shares, on every backend."""

import os
import subprocess
import sys
from functools import cache

import keras
import numpy as np
import pytest
from networks import ELSEWHERE, JIT, for_any_length, half_precision, once, outputs

from zoo import registry
from zoo.losses import get_loss

pytestmark = pytest.mark.backend

# By builder: outputs, inputs, and options that make the network small, without dropout and noise.
FCN = {"hidden_units": 8, "block_dropout": 0.0, "dropout": 0.0, "recurrent_units": 6}
BIGRU = {"filters": (4, 3, 3), "fft_filters": 5, "channel_pool": 2, "dropouts": (0, 0, 0), "fft_dropout": 0}
BLSTM = {"filters": 4, "channel_pool": 2, "dropout": 0, "second_kernel_size": 300, "recurrent_units": 5}
RESIDUAL = {"stem_filters": 4, "filters": (4, 5), "recurrent_units": 5, "attention_units": 6, "dropout": 0}
SMALL = {
    "attention_blstm_fcn": (3, 10, FCN),
    "residual_bigru": (3, 10, RESIDUAL),
    "cnn1d_mfcc": (3, 5, {"n_coefficients": 40, "dropout": 0}),
    "rnn_mfcc": (3, 5, {"n_coefficients": 20, "recurrent_units": 5}),
    "conv_lstm": (2, 1, {"filters": (4, 5, 6), "dropout": 0, "recurrent_units": 5}),
    "conv_bigru": (2, 1, {**BIGRU, "kernel_sizes": (5, 40, 90), "recurrent_units": 5}),
    "conv_blstm": (2, 1, BLSTM),
    "lstm_drnn": (2, 7, {"input_noise": 0, "recurrent_units": 5}),
    "denoising_autoencoder": (4, 4, {"input_noise": 0, "recurrent_units": 5}),
    "encoder_head": (3, 6, {"hidden_units": 5, "attention_units": 4, "dropout": 0}),
    "encoder_lstm": (2, 6, {"states": 2, "dropout": 0, "recurrent_units": 5}),
    "linear_classifier": (3, 9, {}),
    "linear_regressor": (2, 9, {}),
}
PAPER_TAPS = {"conv_bigru": {"kernel_sizes": (16, 512, 1024)}, "conv_blstm": {"second_kernel_size": 4000}}
OUTPUT = {"emotion": "probabilities", "continuous": "arousal_valence", "enhancement": "clean"}
LOSS = {"emotion": "sparse_categorical_crossentropy", "continuous": get_loss("ccc"), "enhancement": "mse"}
# On other backends one of each builder: other rows differ by options, not by what a backend computes.
ONE_EACH = (
    *ELSEWHERE,
    "residual_bigru",
    "cnn1d_mfcc",
    "rnn_mfcc",
    "denoising_autoencoder",
    "wavlm",
    "compare_pca_svm",
    "egemaps_svr",
)
# Rows of the same builder and options differ by size only, and are the same when small.
DIFFERENT = {(entry.builder, str(entry.options)): name for name, entry in registry.MODELS.items()}.values()
NETWORKS = [name for name in DIFFERENT if keras.backend.backend() == "tensorflow" or name in ONE_EACH]
# The spectrum of a whole segment depends on where it begins and ends.
ANYWHERE = [name for name in NETWORKS if name != "conv_bigru"]
FRAME = {name: 640 for name in NETWORKS if registry.get(name).frontend == "waveform"}  # samples
LOCAL = [name for name in ANYWHERE if name in FRAME]


def builder_of(name):
    return registry.get(name).builder.rpartition(":")[2]


def new(name, **options):
    keras.utils.set_random_seed(1)
    n_outputs, n_inputs, small = SMALL[builder_of(name)]
    return registry.build(name, n_outputs, n_inputs, **{**small, **options})


build = cache(new)  # for tests that leave the network as it is


def inputs(name, *lengths):
    """Random clips of so many frames, or of the only length that the network takes, padded with anything but zeros."""
    _, fixed, channels = build(name).get_layer("features").output.shape
    lengths = [fixed or length for length in lengths or ((5, 3, 1) if name in FRAME else (21, 9, 1))]
    n_frames = np.array(lengths, "int32") * FRAME.get(name, 1)
    features = np.random.default_rng(0).normal(size=(len(lengths), n_frames.max(), channels))
    return {"features": features.astype("float32"), "n_frames": n_frames}


@once
@pytest.mark.parametrize("name", registry.MODELS)
def test_size_is_the_papers(name):
    entry = registry.get(name)
    assert registry.build(name, *entry.shape).count_params() == entry.parameters


@pytest.mark.parametrize("name", NETWORKS)
def test_output_is_named_and_in_range(name):
    task, batch = registry.get(name).task, inputs(name)
    batch["features"] *= 10  # untrained batch normalisation passes everything: makes differences visible
    output = outputs(build(name), batch)
    assert build(name).output_names == [OUTPUT[task]]
    assert output.dtype == "float32"
    n_outputs, n_frames = SMALL[builder_of(name)][0], batch["n_frames"].max() // FRAME.get(name, 1)
    # The spreads guard the tests of equality below, which a network that ignores its input would pass.
    if task == "emotion":
        assert output.shape == (3, n_outputs) and np.ptp(output, axis=0).max() > 1e-4
        np.testing.assert_allclose(output.sum(axis=1), 1, rtol=1e-6)
    else:
        assert output.shape == (3, n_frames, n_outputs) and np.ptp(output[0], axis=0).min() > 1e-4


@pytest.mark.parametrize("name", ANYWHERE)
def test_padding_and_other_clips_do_not_change_the_output(name):
    answers, together = for_any_length(build(name)), inputs(name)
    longest = together["n_frames"].max() + (1500 if name in FRAME else 27)
    fixed = build(name).get_layer("features").output.shape[1]
    for length, clip, expected in zip(together["n_frames"], together["features"], answers(together), strict=True):
        for size, filling in ((length, 0), (length + 1, 100), (longest, 100), (longest, np.nan))[: 1 if fixed else 4]:
            padded = np.pad(clip[:length], [(0, size - length), (0, 0)], constant_values=filling)
            (found,) = answers({"features": padded[None], "n_frames": np.array([length], "int32")})
            n_frames = length // FRAME.get(name, 1) if found.ndim == 2 else None
            np.testing.assert_allclose(found[:n_frames], expected[:n_frames], atol=1e-5)


@pytest.mark.parametrize("name", LOCAL)
def test_frames_of_segments_and_whole_recordings_are_the_same(name):
    """With the paper's taps, a second away from a segment's edges."""
    model = new(name, **PAPER_TAPS.get(builder_of(name), {}))
    local = keras.Model(model.inputs, model.get_layer("frames").output)
    recording, margin, start, end = inputs(name, 90)["features"], 25, 20, 75

    def frames(waveform):
        return local.predict_on_batch([waveform, np.array([waveform.shape[1]], "int32")])[0]

    whole, segment = frames(recording), frames(recording[:, start * 640 : end * 640])
    scale = np.abs(whole).max()
    assert scale > 0.1
    inside = whole[start + margin : end - margin]
    np.testing.assert_allclose(segment[margin:-margin], inside, atol=1e-5 * scale, rtol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_moves_every_weight_and_lowers_the_loss(name):
    # In a graph, but for siblings: to trace one takes longer than its steps.
    unmoved = weights_a_step_leaves(name, eagerly=not JIT and name not in (*ONE_EACH, "conv_bigru"))
    # A bias in front of batch normalisation has no gradient while that subtracts the batch's mean.
    assert not (unmoved and unmoved & weights_a_step_leaves(name, eagerly=not JIT, frozen_norm=True))


def weights_a_step_leaves(name, eagerly, frozen_norm=False):
    model, task, batch = new(name), registry.get(name).task, inputs(name)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = not frozen_norm
    # Adam's first step is as long for the smallest gradient as for the largest.
    model.compile(keras.optimizers.Adam(1e-4, epsilon=1e-30), LOSS[task], jit_compile=JIT, run_eagerly=eagerly)
    ratings = np.random.default_rng(1).normal(size=outputs(build(name), batch).shape)
    labels = np.arange(3) if task == "emotion" else ratings
    before = model.get_weights()
    loss = model.train_on_batch(batch, labels)
    after = model.get_weights()
    assert model.train_on_batch(batch, labels) < loss
    assert all(np.isfinite(value).all() for value in after)
    same = {w.path for w, old, new in zip(model.weights, before, after, strict=True) if np.array_equal(old, new)}
    return {path for path in same if not path.endswith(("moving_mean", "moving_variance", "generator_state"))}


@pytest.mark.parametrize("name", NETWORKS)
def test_half_precision_builds_and_agrees_roughly(name):
    batch = inputs(name)
    with half_precision():
        half = new(name)
    half.set_weights(build(name).get_weights())
    assert keras.backend.standardize_dtype(half.output.dtype) == "float32"
    np.testing.assert_allclose(outputs(half, batch), outputs(build(name), batch), atol=0.05)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with a file of each network, and of its inputs."""
    folder = tmp_path_factory.mktemp("saved")
    for name in NETWORKS:
        build(name).save(folder / f"{name}.keras")
        np.savez(folder / f"{name}.npz", **inputs(name))
    return folder


@pytest.mark.parametrize("name", NETWORKS)
def test_a_saved_and_reloaded_network_has_the_same_output(name, saved):
    reloaded = keras.saving.load_model(saved / f"{name}.keras")
    np.testing.assert_allclose(outputs(reloaded, inputs(name)), outputs(build(name), inputs(name)), atol=1e-6)


OTHER = {"tensorflow": "jax", "torch": "tensorflow"}  # each pair takes a process that imports both
ANSWER = """
import sys, keras, numpy as np, zoo.runs.saved_layers
for path in sys.argv[1:]:
    batch = dict(np.load(f"{path}.npz"))
    np.save(f"{path}.npy", keras.saving.load_model(f"{path}.keras").predict_on_batch(batch))
"""


@pytest.mark.skipif(keras.backend.backend() not in OTHER, reason="TensorFlow is compared with both others")
def test_another_backend_has_the_same_output(saved):
    environment = {**os.environ, "KERAS_BACKEND": OTHER[keras.backend.backend()]}
    paths = [str(saved / name) for name in NETWORKS]
    subprocess.run([sys.executable, "-c", ANSWER, *paths], env=environment, check=True)
    for name in NETWORKS:
        found = np.load(saved / f"{name}.npy")
        np.testing.assert_allclose(found, outputs(build(name), inputs(name)), atol=1e-4, err_msg=name)
