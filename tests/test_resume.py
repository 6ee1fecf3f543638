"""A run killed again and again ends with the weights of a run left alone."""

import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from kill_driver import MOMENTS

import zoo.frontends  # noqa: F401  the saved model's layers
from zoo import checkpoint
from zoo.evaluate import read_record

DRIVER = Path(__file__).parent / "kill_driver.py"
FLAGS = {
    "model": "attention_blstm_fcn_1layer",
    "corpus": "iemocap",
    "clips": 60,
    "fold": 0,
    "bands": 12,
    "epochs": 3,
    "batch-size": 12,
    "augment": "specaugment",
    "seed": 5,
}
SMALL = ["--synthetic", "--option", "recurrent_units=4", "--option", "hidden_units=8"]


def train(moment, out):
    flags = [word for name, value in FLAGS.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, str(DRIVER), moment, *flags, *SMALL, "--out", str(out), "--resume"]
    return subprocess.run(command, capture_output=True, text=True)


def weights(out):
    (path,) = out.glob("fold-*/model.keras")
    return keras.saving.load_model(path, compile=False).get_weights()


@pytest.mark.slow
def test_killed_at_every_moment_it_ends_the_same(tmp_path):
    whole = train("never", tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    for moment in MOMENTS:
        killed = train(moment, tmp_path / "killed")
        assert killed.returncode == -signal.SIGKILL, f"{moment}: {killed.stderr}"
        assert not (tmp_path / "killed" / "metrics.json").exists()
    resumed = train("never", tmp_path / "killed")
    assert resumed.returncode == 0, resumed.stderr

    for one, other in zip(weights(tmp_path / "whole"), weights(tmp_path / "killed"), strict=True):
        np.testing.assert_array_equal(one, other)
    first, second = (read_record(tmp_path / name) for name in ("whole", "killed"))
    assert first["confusion"] == second["confusion"]
    assert (tmp_path / "whole" / "predictions.csv").read_text() == (tmp_path / "killed" / "predictions.csv").read_text()
    leftovers = {path.name for path in (tmp_path / "killed").rglob("*") if path.is_file()}
    assert not {"state.npz", "state-before.npz"} & leftovers


def small_model():
    keras.utils.set_random_seed(3)
    layers = [keras.Input((4,)), keras.layers.Dense(5), keras.layers.Dropout(0.5), keras.layers.Dense(2)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.Adam(0.1), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def steps(model, count, rng):
    for _ in range(count):
        model.train_on_batch(rng.normal(size=(8, 4)), rng.normal(size=(8, 2)))
    return model.get_weights()


@pytest.mark.backend
def test_state_holds_optimizer_and_dropout_seeds(tmp_path):
    """Without Adam's moments or the dropout generator's state, the weights after the next steps differ."""
    model = small_model()
    best = steps(model, 3, np.random.default_rng(0))
    checkpoint.save(tmp_path, model, [{"epoch": 1}], best)
    expected = steps(model, 3, np.random.default_rng(1))

    other = small_model()
    history, kept = checkpoint.restore(tmp_path, other)
    assert history == [{"epoch": 1}]
    for one, two in zip(kept, best, strict=True):
        np.testing.assert_array_equal(one, two)
    for one, two in zip(steps(other, 3, np.random.default_rng(1)), expected, strict=True):
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-7)


def test_a_damaged_state_gives_way_to_the_one_before(tmp_path):
    model = small_model()
    for epoch in (1, 2):
        checkpoint.save(tmp_path, model, [{"epoch": n + 1} for n in range(epoch)], model.get_weights())
    state = tmp_path / "state.npz"
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 1  # one flipped bit
    state.write_bytes(content)
    history, _ = checkpoint.restore(tmp_path, small_model())
    assert len(history) == 1
    state.write_bytes(content[:1000])
    assert len(checkpoint.restore(tmp_path, small_model())[0]) == 1
    (tmp_path / "state-before.npz").unlink()
    assert checkpoint.restore(tmp_path, small_model()) is None
