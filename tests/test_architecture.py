"""The arrows of the design hold, and what must run without TensorFlow does."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Each part of zoo, and which parts of the project it may import.
BASE = {"zoo.errors"}
ALLOWED = {
    "zoo.models": {"zoo.layers"},
    "zoo.layers": set(),
    "zoo.frontends": {"zoo.layers"},
    "zoo.losses": BASE,
    "zoo.metrics": BASE,
    "zoo.registry": BASE,
    "zoo.storage": BASE,
    "zoo.report": BASE | {"zoo.storage"},
    "zoo.checkpoint": {"zoo.storage"},
}
# tf.data, graph decoding and deterministic kernels; everything else runs with TensorFlow absent.
TENSORFLOW = {"zoo/data/pipeline.py", "zoo/data/graph_audio.py", "zoo/fit.py"}


def imports(path):
    """Modules a file imports, e.g. "zoo.errors" for `from zoo.errors import UserError`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" if node.module == "zoo" else node.module for alias in node.names)


def files(part):
    path = ROOT / part.replace(".", "/")
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


@pytest.mark.parametrize("part", ALLOWED)
def test_imports_point_one_way(part):
    for path in files(part):
        inside = {name for name in imports(path) if name.startswith(("zoo", "tuning"))}
        assert inside <= ALLOWED[part], f"{path.relative_to(ROOT)} imports {inside - ALLOWED[part]}"


def test_nothing_below_imports_scripts_or_tuning():
    for path in files("zoo"):
        assert not {name for name in imports(path) if name.split(".")[0] in ("scripts", "tuning", "bench", "tests")}


def test_tensorflow_only_where_its_data_and_formats_are():
    found = {
        path.relative_to(ROOT).as_posix()
        for path in files("zoo")
        if any(name.split(".")[0].startswith("tensorflow") for name in imports(path))
    }
    assert found <= TENSORFLOW


def test_data_modules_do_not_know_keras():
    """Except features in batches, data is files and arrays."""
    for path in files("zoo.data"):
        assert not {name for name in imports(path) if name.split(".")[0] == "keras"}, path


WITHOUT_TENSORFLOW = """
import sys
sys.modules["tensorflow"] = None  # any import of it now fails
import numpy as np
import zoo.frontends, zoo.losses, zoo.metrics, zoo.report
from zoo import registry
for name in registry.MODELS:
    network = registry.build(name, 3, 40, recurrent_units=4)
    model = zoo.frontends.with_frontend(zoo.frontends.LogMel(), network)
    model.compile("adam", "sparse_categorical_crossentropy")
clips = {"waveform": np.ones((2, 3000), "float32"), "n_samples": np.array([3000, 1600], "int32")}
model.fit(clips, np.array([0, 1]), verbose=0)
assert model.predict(clips, verbose=0).shape == (2, 3)
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_networks_run_with_tensorflow_absent(backend):
    pytest.importorskip(backend)
    environment = {**os.environ, "KERAS_BACKEND": backend}
    process = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW], env=environment, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr


def test_modules_can_be_read_in_one_go():
    for path in [*files("zoo"), *files("tuning"), *files("scripts")]:
        assert len(path.read_text().splitlines()) <= 350, path
