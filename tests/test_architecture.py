"""The arrows of the design hold, and what must run without TensorFlow does."""

import ast
import os
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Each part of zoo, and which parts of the project it may import. The longest name that fits a module is its part.
BASE = {"zoo.errors"}
DATA = BASE | {"zoo.config", "zoo.data", "zoo.data.source", "zoo.folder", "zoo.storage"}
FIGURES = {"zoo.metrics", "zoo.traces", "zoo.report", "zoo.trace_report", "zoo.postprocess"}
NETWORKS = {
    "zoo.registry",
    "zoo.frontends",
    "zoo.cepstra",
    "zoo.losses",
    "zoo.extractor",
    "zoo.predict",
    "zoo.trace_prediction",
}
EXPORTS = {
    "zoo.postprocess",
    "zoo.predict",
    "zoo.serving.saved_model",
    "zoo.serving.signatures",
    "zoo.serving.versions",
    "zoo.serving.trained_run",
    "zoo.serving.warmup",
}
ALLOWED = {
    "zoo.errors": set(),
    "zoo.archive": set(),
    "zoo.layers": set(),
    "zoo.mel": set(),
    "zoo.long_convolution": {"zoo.layers"},
    "zoo.frame_loop": set(),
    "zoo.recurrent": {"zoo.frame_loop", "zoo.layers"},
    "zoo.metrics": set(),
    "zoo.traces": set(),
    "zoo.progress": set(),
    "zoo.losses": BASE,
    "zoo.storage": BASE,
    "zoo.recipes": set(),
    "zoo.registry": BASE | {"zoo.recipes"},
    "zoo.run_config": {"zoo.registry"},
    "zoo.models": {"zoo.layers", "zoo.long_convolution", "zoo.recurrent"},
    # Packages of modules with rows of their own: what holds them together imports nothing.
    "zoo.baselines": set(),
    "zoo.noise": set(),
    "zoo.serving": set(),
    "zoo.frontends": {"zoo.layers", "zoo.mel"},
    "zoo.cepstra": {"zoo.layers", "zoo.frontends", "zoo.mel"},
    "zoo.baselines.window_statistics": {"zoo.layers"},
    "zoo.noise.clean_speech": {"zoo.cepstra", "zoo.layers"},
    "zoo.baselines.spectrogram_image": {"zoo.layers", "zoo.frontends"},
    "zoo.baselines.published_weights": BASE,
    "zoo.baselines.image_weights": BASE | {"zoo.baselines.published_weights", "zoo.storage"},
    "zoo.baselines.image_networks": BASE | {"zoo.baselines.image_weights", "zoo.models"},
    "zoo.baselines.deep_spectrum": BASE
    | {"zoo.baselines.image_networks", "zoo.baselines.image_weights", "zoo.layers", "zoo.baselines.spectrogram_image"},
    "zoo.report": BASE | {"zoo.storage"},
    "zoo.trace_report": {"zoo.report"},
    "zoo.postprocess": BASE | {"zoo.storage", "zoo.traces"},
    "zoo.checkpoint": BASE | {"zoo.storage"},
    "zoo.cli": BASE | {"zoo.registry"},
    "zoo.config": BASE | {"zoo.registry", "zoo.run_config"},
    "zoo.data": BASE | {"zoo.data", "zoo.storage"},
    "zoo.data.source": BASE | {"zoo.data", "zoo.config"},
    "zoo.extractor": {"zoo.data"},
    "zoo.batched": {"zoo.data"},
    "zoo.other_run": BASE | {"zoo.config", "zoo.data", "zoo.folder"},
    "zoo.folder": BASE | {"zoo.data"},
    "zoo.tables": {"zoo.data", "zoo.registry"},
    "zoo.trace_prediction": {"zoo.data"},
    "zoo.predict": BASE
    | {
        "zoo.config",
        "zoo.data",
        "zoo.folder",
        "zoo.frontends",
        "zoo.cepstra",
        "zoo.archive",
        "zoo.noise.clean_speech",
        "zoo.baselines.deep_spectrum",
        "zoo.long_convolution",
        "zoo.recurrent",
        "zoo.stream",
        "zoo.baselines.window_statistics",
    },
    # The kinds of task, and what serves any of them.
    "zoo.baselines.speakers": BASE | {"zoo.config", "zoo.data", "zoo.storage"},
    "zoo.emotion": BASE
    | {
        "zoo.config",
        "zoo.noise.copies",
        "zoo.data",
        "zoo.baselines.deep_spectrum",
        "zoo.baselines.joint",
        "zoo.baselines.speakers",
        "zoo.noise.enhancer",
    }
    | FIGURES
    | NETWORKS - {"zoo.trace_prediction"},
    "zoo.continuous": BASE
    | {"zoo.config", "zoo.data", "zoo.folder", "zoo.baselines.window_statistics"}
    | FIGURES
    | NETWORKS
    | {"zoo.noise.copies", "zoo.noise.enhancer", "zoo.noise.noisy_speech", "zoo.other_run", "zoo.rating_frames"},
    "zoo.baselines.joint": BASE | {"zoo.config", "zoo.other_run", "zoo.predict", "zoo.trace_prediction"},
    "zoo.noise.noisy_speech": BASE | {"zoo.config", "zoo.data"},
    "zoo.noise.copies": BASE | {"zoo.config", "zoo.data", "zoo.extractor", "zoo.noise.noisy_speech"},
    "zoo.noise.enhancer": BASE
    | {"zoo.batched", "zoo.noise.clean_speech", "zoo.predict", "zoo.trace_prediction"}
    | {"zoo.cepstra", "zoo.config", "zoo.data", "zoo.frontends", "zoo.other_run", "zoo.registry", "zoo.storage"},
    "zoo.noise.enhancement_figures": {"zoo.traces"},
    "zoo.noise.enhancement_report": {"zoo.report"},
    "zoo.enhancement": DATA - {"zoo.data.source"}
    | NETWORKS
    | {
        "zoo.noise.clean_speech",
        "zoo.noise.enhancer",
        "zoo.noise.enhancement_figures",
        "zoo.noise.enhancement_report",
        "zoo.noise.noisy_speech",
    },
    "zoo.noise.enhanced_ratings": DATA
    | {
        "zoo.continuous",
        "zoo.noise.enhancer",
        "zoo.evaluate",
        "zoo.fit",
        "zoo.frontends",
        "zoo.baselines.linear_fit",
        "zoo.noise.noisy_speech",
        "zoo.predict",
        "zoo.progress",
        "zoo.rating_frames",
        "zoo.trace_prediction",
    },
    "zoo.kinds": {"zoo.registry", "zoo.emotion", "zoo.continuous", "zoo.enhancement"},
    "zoo.predict_emotions": DATA - {"zoo.data.source", "zoo.storage"}
    | {"zoo.emotion", "zoo.predict", "zoo.baselines.speakers"},
    "zoo.predict_traces": DATA - {"zoo.data.source", "zoo.storage"} | {"zoo.continuous", "zoo.rating_frames"},
    "zoo.cells": DATA
    | {"zoo.continuous", "zoo.predict", "zoo.rating_frames", "zoo.registry", "zoo.report", "zoo.trace_prediction"},
    "zoo.evaluate": DATA | {"zoo.kinds"},
    "zoo.significance": {"zoo.metrics", "zoo.traces"},
    "zoo.comparison_runs": BASE | {"zoo.folder", "zoo.metrics", "zoo.registry", "zoo.significance", "zoo.traces"},
    "zoo.comparison": BASE | {"zoo.comparison_runs", "zoo.config", "zoo.folder", "zoo.metrics", "zoo.significance"},
    "zoo.comparison_table": BASE | {"zoo.comparison", "zoo.significance", "zoo.storage"},
    "zoo.fit": DATA - {"zoo.data.source", "zoo.folder"}
    | {"zoo.checkpoint", "zoo.kinds", "zoo.frontends", "zoo.progress"},
    "zoo.baselines.linear_fit": DATA - {"zoo.data.source", "zoo.folder"}
    | {"zoo.batched", "zoo.fit", "zoo.frontends", "zoo.kinds", "zoo.progress", "zoo.registry", "zoo.report"},
    # Exported models: what makes them, what runs without Keras, and what is proven of them.
    "zoo.serving.calibration": set(),
    "zoo.serving.c_api": set(),
    "zoo.serving.graph_audit": BASE,
    "zoo.serving.warmup": BASE,
    "zoo.serving.versions": BASE | {"zoo.storage"},
    "zoo.flags": {"zoo.config", "zoo.data.source"},
    "zoo.serving.saved_model": BASE | {"zoo.data", "zoo.serving.graph_audit", "zoo.serving.versions"},
    "zoo.serving.one_loop_lstm": {"zoo.layers", "zoo.recurrent"},
    "zoo.serving.stream_signature": {"zoo.looking_back", "zoo.serving.one_loop_lstm"},
    "zoo.serving.signatures": BASE
    | {
        "zoo.data",
        "zoo.serving.calibration",
        "zoo.postprocess",
        "zoo.serving.one_loop_lstm",
        "zoo.serving.stream_signature",
    },
    "zoo.serving.trained_run": BASE
    | {"zoo.config", "zoo.folder", "zoo.predict", "zoo.registry", "zoo.baselines.speakers", "zoo.trace_prediction"},
    "zoo.serving.export": DATA
    | EXPORTS
    | {"zoo.looking_back", "zoo.rating_frames", "zoo.serving.export_check", "zoo.registry", "zoo.trace_prediction"},
    "zoo.serving.export_check": BASE
    | EXPORTS
    | {"zoo.serving.calibration", "zoo.continuous", "zoo.extractor", "zoo.stream"},
    "zoo.serving.export_calibration": DATA
    | {"zoo.serving.calibration", "zoo.emotion", "zoo.registry", "zoo.baselines.speakers"},
    "zoo.serving.export_formats": BASE
    | EXPORTS
    | {"zoo.layers", "zoo.serving.export", "zoo.serving.serve_agreement", "zoo.serving.serve_requests"},
    "zoo.serving.model_card": DATA | {"zoo.flags", "zoo.serving.saved_model"},
    "zoo.serving.serve_processes": {"zoo.serving.c_api"},
    "zoo.serving.serve_requests": {"zoo.serving.saved_model", "zoo.serving.serve_processes"},
    "zoo.serving.serve_agreement": BASE | EXPORTS | {"zoo.serving.export_check"},
    "zoo.serving.serve_check": BASE
    | EXPORTS
    | {
        "zoo.serving.export_formats",
        "zoo.serving.serve_agreement",
        "zoo.serving.serve_processes",
        "zoo.serving.serve_requests",
    },
    # Prediction on many files and on streams, by runs and by exports.
    "zoo.bulk": BASE | {"zoo.data"},
    "zoo.running_postprocess": {"zoo.postprocess"},
    "zoo.rating_frames": {"zoo.config", "zoo.registry"},
    "zoo.live_model": BASE | {"zoo.postprocess", "zoo.running_postprocess", "zoo.serving.saved_model"},
    "zoo.stream": BASE | {"zoo.data", "zoo.live_model", "zoo.running_postprocess", "zoo.serving.saved_model"},
    "zoo.looking_back": {"zoo.live_model"},
    "zoo.answering": DATA
    | {
        "zoo.bulk",
        "zoo.predict_emotions",
        "zoo.predict_traces",
        "zoo.registry",
        "zoo.serving.saved_model",
        "zoo.baselines.speakers",
    },
    "zoo.live": DATA
    | NETWORKS
    | {"zoo.continuous", "zoo.emotion", "zoo.kinds", "zoo.baselines.speakers", "zoo.live_model", "zoo.looking_back"}
    | {"zoo.rating_frames"},
    "zoo.pretrained": BASE
    | {"zoo", "zoo.answering", "zoo.data", "zoo.serving.saved_model", "zoo.stream", "zoo.serving.versions"},
    "zoo.noise.robustness_grid": BASE | {"zoo.data", "zoo.noise.noisy_speech"},
    "zoo.noise.robustness_report": {"zoo.comparison", "zoo.report", "zoo.storage"},
    "zoo.noise.robustness": DATA
    | {
        "zoo.evaluate",
        "zoo.kinds",
        "zoo.progress",
        "zoo.registry",
        "zoo.noise.robustness_grid",
        "zoo.noise.robustness_report",
        "zoo.baselines.speakers",
    }
    | {"zoo.train"},
    "zoo.train": DATA
    | {"zoo.checkpoint", "zoo.noise.copies", "zoo.noise.enhanced_ratings", "zoo.evaluate", "zoo.extractor", "zoo.fit"}
    | {
        "zoo.kinds",
        "zoo.baselines.linear_fit",
        "zoo.other_run",
        "zoo.progress",
        "zoo.registry",
        "zoo.baselines.speakers",
    },
}
PACKAGES = ("zoo", "zoo.baselines", "zoo.data", "zoo.models", "zoo.noise", "zoo.serving")
# tf.data, graph decoding, deterministic kernels and loops without copies; everything else runs with TensorFlow absent.
TENSORFLOW = {
    f"zoo/{name}.py"
    for name in (
        "data/batches",
        "data/graph_audio",
        "serving/export",
        "serving/export_formats",
        "fit",
        "frame_loop",
        "serving/graph_audit",
        "serving/saved_model",
        "serving/serve_check",
        "serving/serve_processes",
        "serving/serve_requests",
        "serving/signatures",
        "serving/one_loop_lstm",
        "serving/stream_signature",
        "serving/warmup",
    )
}


def imports(path):
    """Modules a file imports, e.g. "zoo.errors" for `from zoo.errors import UserError` and `from zoo import errors`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (
                f"{node.module}.{alias.name}" if node.module in PACKAGES else node.module for alias in node.names
            )


def files(part):
    path = ROOT / part.replace(".", "/")
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def part_of(module):
    """The row of ALLOWED for a module, e.g. "zoo.data" for "zoo.data.scan"; None where it has none."""
    return max((part for part in ALLOWED if f"{module}.".startswith(f"{part}.")), key=len, default=None)


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


@pytest.mark.parametrize("part", ALLOWED)
def test_imports_point_one_way(part):
    for path in files(part):
        if part_of(module_of(path)) == part:
            inside = {part_of(name) or name for name in imports(path) if name.split(".")[0] in ("zoo", "tuning")}
            inside.discard("zoo.__version__")
            assert inside <= ALLOWED[part], f"{path.relative_to(ROOT)} imports {inside - ALLOWED[part]}"


def test_every_module_has_a_row_and_rows_make_no_circle():
    modules = {module_of(path) for path in files("zoo")} - {"zoo"}
    assert [module for module in sorted(modules) if not part_of(module)] == []
    TopologicalSorter({part: others - {part} for part, others in ALLOWED.items()}).prepare()  # raises CycleError


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
    """Except where batches are handed to it, data is files and arrays."""
    for path in set(files("zoo.data")) - {ROOT / "zoo/data/batches.py"}:
        assert not {name for name in imports(path) if name.split(".")[0] == "keras"}, path


WITHOUT_TENSORFLOW = """
import sys
from importlib.machinery import PathFinder

class Without(PathFinder):
    find_spec = lambda name, *where: None if name.split(".")[0] == "tensorflow" else PathFinder.find_spec(name, *where)

sys.meta_path[:] = [Without if finder is PathFinder else finder for finder in sys.meta_path]
import numpy as np
import zoo.frontends, zoo.losses, zoo.metrics, zoo.report
from zoo import registry
import zoo.traces, zoo.trace_report, zoo.postprocess, zoo.cepstra
network = registry.build("attention_blstm_fcn", 3, 40, recurrent_units=4)
model = zoo.frontends.with_frontend(zoo.frontends.LogMel(), network)
model.compile("adam", "sparse_categorical_crossentropy")
clips = {"waveform": np.ones((2, 3000), "float32"), "n_samples": np.array([3000, 1600], "int32")}
model.fit(clips, np.array([0, 1]), verbose=0)
assert model.predict(clips, verbose=0).shape == (2, 3)
network = registry.build("conv_lstm", 2, 1, recurrent_units=4)
model = zoo.frontends.with_frontend(zoo.frontends.StandardWaveform(), network)
model.compile("adam", zoo.losses.get_loss("ccc"))
model.fit(clips, np.random.normal(size=(2, 4, 2)), verbose=0)
assert model.predict(clips, verbose=0).shape == (2, 4, 2)

from zoo.config import from_flags
from zoo.train import train
flags = {"model": "rnn_mfcc", "corpus": "emodb", "synthetic": True, "clips": 70, "fold": "0", "epochs": 1}
run = train(from_flags({**flags, "option": {"recurrent_units": 4}, "out": sys.argv[1]}))
assert (run.folder / "metrics.json").is_file()
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_networks_run_with_tensorflow_absent(backend, tmp_path):
    pytest.importorskip(backend)
    environment = {**os.environ, "KERAS_BACKEND": backend}
    process = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW, str(tmp_path / "run")],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr


def test_modules_can_be_read_in_one_go():
    for path in [*files("zoo"), *files("tuning"), *files("scripts")]:
        assert len(path.read_text().splitlines()) <= 350, path
