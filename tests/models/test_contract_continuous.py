"""What every network that rates frames must do, on every backend."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from networks import JIT, for_any_length, outputs, rows

from zoo import registry
from zoo.losses import get_loss

pytestmark = pytest.mark.backend

FRAME = 640
NETWORKS = rows("continuous")
WAVEFORM = rows("continuous", "waveform")
# The spectrum of a whole segment depends on where it begins and ends.
WHOLE = {"conv_bigru"}
LOCAL = [name for name in WAVEFORM if name not in WHOLE]
BIGRU = {"filters": (4, 3, 3), "fft_filters": 5, "channel_pool": 2, "dropouts": (0, 0, 0), "fft_dropout": 0}
NARROW = {
    "conv_lstm": {"filters": (4, 5, 6), "dropout": 0},
    "conv_bigru": {**BIGRU, "kernel_sizes": (5, 40, 90)},
    "conv_blstm": {"filters": 4, "channel_pool": 2, "dropout": 0, "second_kernel_size": 300},
    "lstm_drnn": {"input_noise": 0},
}
PAPER_TAPS = {"conv_bigru": {"kernel_sizes": (16, 512, 1024)}, "conv_blstm": {"second_kernel_size": 4000}}


def builder_of(name):
    return registry.MODELS[name].builder.rpartition(":")[2]


def build(name, **options):
    keras.utils.set_random_seed(1)
    channels = 1 if name in WAVEFORM else 7
    return registry.build(name, 2, channels, **{"recurrent_units": 5, **NARROW[builder_of(name)], **options})


def inputs(name, lengths, seed=0):
    """Random clips of so many frames, padded with anything but zeros."""
    frame, channels = (FRAME, 1) if name in WAVEFORM else (1, 7)
    features = np.random.default_rng(seed).normal(size=(len(lengths), frame * max(lengths), channels))
    return {"features": features.astype("float32"), "n_frames": frame * np.array(lengths, "int32")}


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_frame_is_rated(name):
    model = build(name)
    output = outputs(model, inputs(name, [4, 3]))
    assert model.output_names == ["arousal_valence"]
    assert output.dtype == "float32" and output.shape == (2, 4, 2)
    assert np.ptp(output[0], axis=0).min() > 1e-4  # guards the tests of equality below


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in WHOLE])
def test_a_clip_is_the_same_alone_padded_and_in_company(name):
    answers = for_any_length(build(name))
    together = inputs(name, [5, 3, 1])
    expected = answers(together)
    for row, length in enumerate(together["n_frames"]):
        alone = {
            "features": together["features"][row : row + 1, :length],
            "n_frames": together["n_frames"][row : row + 1],
        }
        found = answers(alone)[0]
        np.testing.assert_allclose(found, expected[row, : len(found)], atol=1e-5)
    for padding in (1, 1500) if name in WAVEFORM else (1, 7):
        padded = np.pad(together["features"], [(0, 0), (0, padding), (0, 0)], constant_values=100.0)
        found = answers({**together, "features": padded})
        for row, n_frames in enumerate((5, 3, 1)):
            np.testing.assert_allclose(found[row, :n_frames], expected[row, :n_frames], atol=1e-5)


@pytest.mark.parametrize("name", LOCAL)
def test_samples_behind_the_last_whole_frame_change_nothing(name):
    model, batch = build(name), inputs(name, [3])
    longer = {"features": np.pad(batch["features"], [(0, 0), (0, 639), (0, 0)], constant_values=9.0)}
    longer["n_frames"] = np.array([3 * FRAME + 639], "int32")
    padded = {"features": np.pad(longer["features"], [(0, 0), (0, FRAME), (0, 0)]), "n_frames": longer["n_frames"]}
    expected = outputs(model, batch)
    assert outputs(model, longer).shape == (1, 3, 2)
    np.testing.assert_allclose(outputs(model, longer), expected, atol=1e-5)
    np.testing.assert_allclose(outputs(model, padded)[:, :3], expected, atol=1e-5)


@pytest.mark.parametrize("name", LOCAL)
def test_segments_and_whole_recordings_have_the_same_frames(name):
    """With the paper's taps, a second away from a segment's edges."""
    model = build(name, **PAPER_TAPS.get(builder_of(name), {}))
    local = keras.Model(model.inputs, model.get_layer("frames").output)
    recording, margin, start, end = inputs(name, [90])["features"], 25, 20, 75

    def frames(waveform):
        return local.predict_on_batch([waveform, np.array([waveform.shape[1]], "int32")])[0]

    whole, segment = frames(recording), frames(recording[:, start * FRAME : end * FRAME])
    scale = np.abs(whole).max()
    assert scale > 0.1
    np.testing.assert_allclose(
        segment[margin:-margin], whole[start + margin : end - margin], atol=1e-5 * scale, rtol=1e-4
    )


@pytest.mark.parametrize("name", LOCAL)
def test_all_behind_the_frames_needs_only_them(name):
    model, batch = build(name), inputs(name, [4, 2])
    frames = model.get_layer("frames").output
    n_frames = model.get_layer("n_frames").output
    local = keras.Model(model.inputs, frames)
    rest = keras.Model([frames, n_frames], model.output)
    in_two = outputs(rest, [outputs(local, batch), batch["n_frames"]])
    np.testing.assert_allclose(in_two, outputs(model, batch), atol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_saved_and_reloaded_it_answers_the_same(name, tmp_path):
    model, batch = build(name), inputs(name, [4, 2])
    model.save(tmp_path / "model.keras")
    reloaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(outputs(reloaded, batch), outputs(model, batch), atol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_moves_every_weight_and_lowers_the_loss(name):
    model = build(name)
    if builder_of(name) == "conv_bigru":
        # A bias in front of batch normalisation has no gradient while that subtracts the batch's mean.
        for layer in model.layers:
            layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    before = {weight.path: numpy(weight) for weight in model.trainable_weights}
    # Adam's first step is as long for the smallest gradient as for the largest.
    model.compile(keras.optimizers.Adam(1e-4, epsilon=1e-30), get_loss("ccc"), jit_compile=JIT)
    batch, labels = inputs(name, [4, 4, 3]), np.random.default_rng(1).normal(size=(3, 4, 2))
    loss = model.train_on_batch(batch, labels)
    after = {weight.path: numpy(weight) for weight in model.trainable_weights}
    assert all(np.isfinite(value).all() for value in after.values())
    assert not [path for path, value in before.items() if np.array_equal(value, after[path])]
    assert model.train_on_batch(batch, labels) < loss


@pytest.mark.parametrize("name", NETWORKS)
def test_half_precision_builds_and_agrees_roughly(name):
    full, batch = build(name), inputs(name, [4, 2])
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = build(name)
    finally:
        keras.config.set_dtype_policy("float32")
    half.set_weights(full.get_weights())
    assert keras.backend.standardize_dtype(half.output.dtype) == "float32"
    np.testing.assert_allclose(outputs(half, batch), outputs(full, batch), atol=0.05)


OTHER = {"tensorflow": "jax", "torch": "tensorflow"}
ANSWER = """
import sys, keras, numpy as np, zoo.runs.model_file
folder, names = sys.argv[1], sys.argv[2:]
for name in names:
    batch = dict(np.load(f"{folder}/{name}.npz"))
    np.save(f"{folder}/{name}.npy", keras.saving.load_model(f"{folder}/{name}.keras").predict(batch, verbose=0))
"""


@pytest.mark.skipif(keras.backend.backend() not in OTHER, reason="TensorFlow is compared with both others")
def test_another_backend_answers_the_same(tmp_path):
    expected = {}
    for name in NETWORKS:
        model, batch = build(name), inputs(name, [4, 2])
        model.save(tmp_path / f"{name}.keras")
        np.savez(tmp_path / f"{name}.npz", **batch)
        expected[name] = outputs(model, batch)
    environment = {**os.environ, "KERAS_BACKEND": OTHER[keras.backend.backend()]}
    subprocess.run([sys.executable, "-c", ANSWER, str(tmp_path), *NETWORKS], env=environment, check=True)
    for name in NETWORKS:
        np.testing.assert_allclose(np.load(tmp_path / f"{name}.npy"), expected[name], atol=1e-4, err_msg=name)
