"""What every network of the registry for emotions from log-mels must do, on every backend; those for ratings are in
tests/models/test_contract_continuous.py.
"""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from networks import ELSEWHERE, JIT, for_any_length, once, outputs, rows

from zoo import registry

pytestmark = pytest.mark.backend

BANDS, CLASSES, FRAMES = 10, 3, 21
EMOTION = rows("emotion", "log_mel")
NARROW = {"recurrent_units": 6, "hidden_units": 8, "block_dropout": 0.0, "dropout": 0.0}


LENGTHS = [FRAMES, 9, 1]
LONGEST = FRAMES + 27  # so that clips are padded by nothing, by one frame and by many


def build(name, **options):
    keras.utils.set_random_seed(1)
    return registry.build(name, CLASSES, BANDS, **{**NARROW, **options})


def inputs(lengths, seed=0, frames=None):
    """Random clips of these lengths, padded with anything but zeros."""
    clips = np.random.default_rng(seed).normal(size=(len(lengths), frames or max(lengths), BANDS)).astype("float32")
    return {"features": clips, "n_frames": np.array(lengths, "int32")}


@pytest.fixture(params=EMOTION)
def name(request):
    return request.param


@once
@pytest.mark.parametrize("row", rows("emotion") + rows("continuous"))
def test_size_is_the_papers(row):
    entry = registry.MODELS[row]
    assert registry.build(row, *entry.shape).count_params() == entry.parameters


def test_output_is_named_and_a_distribution(name):
    model = build(name)
    output = outputs(model, inputs([FRAMES, 20]))
    assert model.output_names == ["probabilities"]
    assert output.shape == (2, CLASSES)
    np.testing.assert_allclose(output.sum(axis=1), 1, rtol=1e-6)


def test_a_clip_is_the_same_alone_padded_and_in_company(name):
    answers = for_any_length(build(name))
    together = inputs(LENGTHS)
    expected = answers(together)
    for row, length in enumerate(LENGTHS):
        clip = together["features"][row : row + 1, :length]
        for padded_to in (length, length + 1, LONGEST):
            padded = np.pad(clip, [(0, 0), (0, padded_to - length), (0, 0)], constant_values=100.0)
            alone = answers({"features": padded, "n_frames": np.array([length], "int32")})
            np.testing.assert_allclose(alone[0], expected[row], atol=1e-5)


def test_clips_differ(name):
    """Guards the test above: a network that ignores its input would pass it."""
    model = build(name)
    # Untrained batch normalisation passes everything; a large input makes the difference visible.
    batch = inputs([FRAMES, FRAMES])
    batch["features"] *= 10
    first, second = outputs(model, batch)
    assert np.abs(first - second).max() > 1e-4


def test_saved_and_reloaded_it_answers_the_same(name, tmp_path):
    model, batch = build(name), inputs([FRAMES, 12])
    model.save(tmp_path / "model.keras")
    reloaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(outputs(reloaded, batch), outputs(model, batch), atol=1e-6)


def test_a_gradient_reaches_every_weight(name):
    untouched = _weights_a_step_leaves(build(name), frozen_norm=False)
    # A bias in front of batch normalisation has no gradient while that subtracts the batch's mean.
    untouched &= _weights_a_step_leaves(build(name), frozen_norm=True)
    assert not untouched


def _weights_a_step_leaves(model, frozen_norm):
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = not frozen_norm
    before = {weight.path: keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights}
    model.compile(keras.optimizers.SGD(100.0), "sparse_categorical_crossentropy", jit_compile=JIT, run_eagerly=not JIT)
    model.train_on_batch(inputs([FRAMES, 18, 8]), np.array([0, 1, 2]))
    after = {weight.path: keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights}
    frozen = {weight.path for weight in model.weights} - set(before)
    same = {path for path, value in before.items() if np.array_equal(value, after[path])}
    trainable_kinds = ("kernel", "bias", "gamma", "beta", "query")
    return same | {path for path in frozen if path.endswith(trainable_kinds)}


def test_a_step_lowers_the_loss(name):
    """In a graph, but for the siblings of the paper's network: to trace one takes longer than its steps."""
    model, batch, labels = build(name), inputs([FRAMES] * 6), np.arange(6) % CLASSES
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(1e-3), loss, jit_compile=JIT, run_eagerly=not JIT and name not in ELSEWHERE)
    before = model.train_on_batch(batch, labels)
    assert model.train_on_batch(batch, labels) < before


def test_half_precision_builds_and_agrees_roughly(name):
    full, batch = build(name), inputs([FRAMES, 16])
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = build(name)
    finally:
        keras.config.set_dtype_policy("float32")
    half.set_weights(full.get_weights())
    assert half.outputs[0].dtype == "float32"
    np.testing.assert_allclose(outputs(half, batch), outputs(full, batch), atol=0.05)


OTHER = {"tensorflow": "jax", "torch": "tensorflow"}  # each pair takes a process that imports both
ANSWER = """
import sys, keras, numpy as np, zoo.runs.model_file
folder, names = sys.argv[1], sys.argv[2:]
batch = dict(np.load(f"{folder}/batch.npz"))
answers = {n: keras.saving.load_model(f"{folder}/{n}.keras").predict_on_batch(batch) for n in names}
np.savez(f"{folder}/answers.npz", **answers)
"""


@pytest.mark.skipif(keras.backend.backend() not in OTHER, reason="TensorFlow is compared with both others")
def test_another_backend_answers_the_same(tmp_path):
    batch = inputs([FRAMES, 21])
    expected = {}
    for name in EMOTION:
        model = build(name)
        model.save(tmp_path / f"{name}.keras")
        expected[name] = outputs(model, batch)
    np.savez(tmp_path / "batch.npz", **batch)
    environment = {**os.environ, "KERAS_BACKEND": OTHER[keras.backend.backend()]}
    subprocess.run([sys.executable, "-c", ANSWER, str(tmp_path), *EMOTION], env=environment, check=True)
    answers = np.load(tmp_path / "answers.npz")
    for name in EMOTION:
        np.testing.assert_allclose(answers[name], expected[name], atol=1e-4, err_msg=name)
