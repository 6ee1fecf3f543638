"""Networks are trained and run on JAX and PyTorch where TensorFlow is not installed."""

import os
import subprocess
import sys

import pytest

WITHOUT_TENSORFLOW = """
import sys
from importlib.machinery import PathFinder

class Without(PathFinder):
    find_spec = lambda name, *where: None if name.split(".")[0] == "tensorflow" else PathFinder.find_spec(name, *where)

sys.meta_path[:] = [Without if finder is PathFinder else finder for finder in sys.meta_path]
import numpy as np
from zoo import losses, registry
from zoo.frontends.compose import with_frontend
from zoo.frontends.log_mel import LogMel
from zoo.frontends.waveform import StandardWaveform
network = registry.build("attention_blstm_fcn", 3, 40, recurrent_units=4)
model = with_frontend(LogMel(), network)
model.compile("adam", "sparse_categorical_crossentropy")
clips = {"waveform": np.ones((2, 3000), "float32"), "n_samples": np.array([3000, 1600], "int32")}
model.fit(clips, np.array([0, 1]), verbose=0)
assert model.predict(clips, verbose=0).shape == (2, 3)
network = registry.build("conv_lstm", 2, 1, recurrent_units=4)
model = with_frontend(StandardWaveform(), network)
model.compile("adam", losses.get_loss("ccc"))
model.fit(clips, np.random.normal(size=(2, 4, 2)), verbose=0)
assert model.predict(clips, verbose=0).shape == (2, 4, 2)

from zoo.config.flags import from_flags
from zoo.training.train import train
flags = {"model": "rnn_mfcc", "corpus": "emodb", "synthetic": True, "clips": 70, "fold": "0", "epochs": 1}
run = train(from_flags({**flags, "option": {"recurrent_units": 4}, "out": sys.argv[1]}))
assert (run.folder / "metrics.json").is_file()
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_networks_run_with_tensorflow_absent(backend, tmp_path):
    pytest.importorskip(backend)
    command = [sys.executable, "-c", WITHOUT_TENSORFLOW, str(tmp_path / "run")]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    process = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
