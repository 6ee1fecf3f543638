"""A training on two devices is that on one: on TensorFlow by replicas, on JAX by arrays of the whole batch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from zoo.config.flags import from_flags, resume
from zoo.config.saved import differences
from zoo.errors import UserError
from zoo.training import devices
from zoo.utils.atomic_files import write_json

HELPER = Path(__file__).parents[1] / "helpers" / "two_devices.py"
BACKEND = keras.backend.backend()


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Return the largest differences between training on two virtual devices and on one, from a separate process."""
    if BACKEND == "torch":
        pytest.skip("Keras shares no batches on PyTorch")
    paths = os.pathsep.join([str(HELPER.parents[2]), str(HELPER.parent)])
    environment = {**os.environ, "KERAS_BACKEND": BACKEND, "PYTHONPATH": paths}
    command = [sys.executable, HELPER, tmp_path_factory.mktemp("devices")]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


@pytest.mark.backend
@pytest.mark.parametrize("network", ["classes", "ratings"])
def test_weights_and_losses_of_two_devices_are_those_of_one(found, network):
    """Batches that do not divide, weights of classes and frames, batch normalisation, CCC over the batch."""
    assert found[network] < 1e-5


@pytest.mark.backend
def test_what_began_on_two_devices_goes_on_on_one(found):
    assert found["resumed"] < 1e-5


@pytest.mark.backend
def test_more_devices_than_there_are_name_those_found(found):
    assert "--devices 3: expected so many devices" in found["refused"]
    assert "found 2 (" in found["refused"] and found["refused"].lower().count("cpu:") == 2


@pytest.mark.skipif(BACKEND != "tensorflow", reason="only TensorFlow has replicas")
@pytest.mark.parametrize(
    "loss", ["sse", "ccc", "ccc_sum", "summed", "cross_entropy", "soft", "several", "without_rows", "normalization"]
)
def test_losses_and_moments_of_replicas_are_those_of_the_whole_batch(found, loss):
    """Values and gradients, of replicas with 3 and 2 of 5 rows, and once with 5 and none."""
    assert found[loss] < 1e-5


@pytest.mark.backend
@pytest.mark.skipif(BACKEND != "jax", reason="only JAX has arrays of several devices")
def test_each_device_has_a_part_of_the_batch(found):
    assert found["rows_of_devices"] == [2, 2]


@pytest.mark.skipif(BACKEND != "tensorflow", reason="only TensorFlow has replicas")
def test_replicas_draw_different_dropout(found):
    assert found["same_draws"] < 0.8, "of 1000 values, both kept or both dropped: half by chance"


@pytest.mark.backend
def test_one_device_changes_nothing():
    built, loss = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]), object()
    one = devices.several(1)
    assert one.network(built) is built and one.loss(loss) is loss


def test_where_one_device_alone_can_be_used():
    with pytest.raises(UserError, match=r"--devices 2: expected --backend tensorflow or jax, found torch"):
        from_flags({"model": "fcn", "devices": 2, "backend": "torch"})
    with pytest.raises(UserError, match=r"--devices 2 has no effect on egemaps_svm, a linear model"):
        from_flags({"model": "egemaps_svm", "devices": 2})
    with pytest.raises(UserError, match=r"--devices is 0, expected 1 to"):
        from_flags({"devices": 0})


def test_a_run_goes_on_with_another_number_of_devices(tmp_path):
    begun = from_flags({"model": "fcn", "devices": 2, "backend": "tensorflow"})
    write_json(tmp_path / "config.json", begun.saved())
    assert resume({"out": str(tmp_path)}).devices == 2
    assert resume({"out": str(tmp_path), "devices": 1}).devices == 1
    assert differences(begun, from_flags({"model": "fcn", "backend": "tensorflow"})) == []
