"""A run killed several times ends with the weights of an uninterrupted one."""

import csv
import json
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from kill_driver import MOMENTS

import zoo.frontends.stft  # noqa: F401  the saved model's layers
from zoo import registry
from zoo.errors import UserError
from zoo.runs import same_data
from zoo.runs.folder import read_record
from zoo.training import checkpoint
from zoo.utils.atomic_files import ASIDE

JIT = keras.backend.backend() == "jax"  # without it every operation of a step is compiled by itself there
DRIVER = Path(__file__).parents[1] / "helpers" / "kill_driver.py"
FLAGS = {
    "model": "fcn",
    "corpus": "iemocap",
    "clips": 60,
    "fold": "0,1",
    "bands": 12,
    "epochs": 3,
    "batch-size": 12,
    "augment": "specaugment",
    "band-shift": 2,
    "tempo": 0.2,
    "mixup": 0.3,
    "label-smoothing": 0.1,
    "schedule": "one_cycle",
    "weight-average": 0.9,
    "seed": 5,
}
GIVEN = ["--synthetic", "--option", "hidden_units=8", *(f"--{name}={value}" for name, value in FLAGS.items())]


@pytest.fixture
def train():
    """Returns (moment, out, flags) -> exit status and errors of a run that is killed at that moment.

    Each run has a cache of its own, so that none finds the other's features.
    """
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, str(DRIVER)], text=True, **pipes) as driver:

        def run(moment, out, flags=()):
            cache, errors = (str(out.with_name(f"{what}-of-{out.name}")) for what in ("cache", "errors"))
            line = json.dumps([moment, [*flags, "--out", str(out), "--resume"], cache, errors])
            driver.stdin.write(f"{line}\n")
            driver.stdin.flush()
            return int(driver.stdout.readline()), Path(errors).read_text()

        yield run


def weights(out):
    paths = sorted(out.glob("fold-*/model.keras"))
    assert len(paths) == 2
    return [array for path in paths for array in keras.saving.load_model(path, compile=False).get_weights()]


def without_times(record):
    if isinstance(record, dict):
        return {key: without_times(value) for key, value in record.items() if not key.startswith("seconds")}
    return [without_times(value) for value in record] if isinstance(record, list) else record


def histories(out):
    return [
        [without_times(row) for row in csv.DictReader(path.open(newline=""))]
        for path in sorted(out.glob("fold-*/history.csv"))
    ]


@pytest.mark.slow
def test_a_run_killed_at_every_moment_ends_the_same(train, tmp_path):
    """After the first kill it needs --out and --resume only."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    status, errors = train("never", whole, GIVEN)
    assert status == 0, errors
    for number, moment in enumerate(MOMENTS):
        status, errors = train(moment, killed, () if number else GIVEN)
        assert status == -signal.SIGKILL, f"{moment}: {errors}"
        assert not (killed / "metrics.json").exists()
    assert len(list(killed.glob("fold-*/metrics.json"))) == 2
    status, errors = train("never", killed)
    assert status == 0, errors

    for one, other in zip(weights(whole), weights(killed), strict=True):
        np.testing.assert_array_equal(one, other)
    assert without_times(read_record(whole)) == without_times(read_record(killed))
    assert (whole / "predictions.csv").read_text() == (killed / "predictions.csv").read_text()
    assert histories(whole) == histories(killed) and [len(rows) for rows in histories(killed)] == [3, 3]
    files = [{path.relative_to(run) for path in run.rglob("*")} for run in (whole, killed)]
    assert files[0] == files[1]
    assert not [path for path in files[1] if path.name.startswith((ASIDE, "state"))]


def small_model():
    """A network with dropout, the random state of which must be saved."""
    keras.utils.set_random_seed(3)
    options = {"recurrent_units": 3, "hidden_units": 8, "block_dropout": 0.5, "dropout": 0.5}
    model = registry.build("attention_blstm_fcn_1layer", 2, 4, **options)
    model.compile(keras.optimizers.Adam(0.1), "sparse_categorical_crossentropy", jit_compile=JIT)
    model.optimizer.build(model.trainable_variables)
    return model


def steps(model, count, rng):
    for _ in range(count):
        clips = {"features": rng.normal(size=(8, 9, 4)).astype("float32"), "n_frames": np.full(8, 9, "int32")}
        model.train_on_batch(clips, np.arange(8) % 2)
    return model.get_weights()


@pytest.mark.parametrize("name", ["data", "noise", "responses", "copies", "from_run", "enhancer", "weights"])
def test_resuming_on_other_data_is_refused(tmp_path, name):
    of_all = {f"{key}_sha256": "1" for key in ("data", name)}
    same_data.check(tmp_path, of_all)
    same_data.check(tmp_path, of_all)
    for other in ({**of_all, f"{name}_sha256": "2"}, {"data_sha256": "1"} if name != "data" else {}):
        with pytest.raises(UserError, match="are not those this run was started on"):
            same_data.check(tmp_path, other)


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


def test_a_damaged_state_is_replaced_by_the_one_before(tmp_path):
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
