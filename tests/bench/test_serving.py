"""The bench's ONNX row: of the network that the SavedModel serves, left out where ONNX is not installed."""

import keras
import numpy as np
import pytest
import tiny_runs
from quick_check import checked_with

if keras.backend.backend() != "tensorflow":
    pytest.skip("exports are made by TensorFlow", allow_module_level=True)

import tensorflow as tf

from zoo.export.export import export
from zoo.utils import extras

serving = pytest.importorskip("bench.serving")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    with checked_with():
        return export(tiny_runs.make(folder / "run", "fcn", "iemocap"), folder / "out")


def test_onnx_and_the_saved_model_take_turns_on_the_same_clip(exported, tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    path = serving.in_onnx(exported, tmp_path / "onnx")
    loaded, asked = tf.saved_model.load(str(exported)), []
    waveform = np.random.default_rng(0).normal(0, 0.1, (1, 8_000)).astype(np.float32)

    def serve(**request):
        asked.append(request)
        return loaded.signatures["serving_default"](**request)

    one = {"waveform": tf.constant(waveform), "n_samples": tf.constant([8_000], tf.int32)}
    result = serving.onnx_clip(path, serve, one, quick=True)
    assert (result.name, result.unit, result.target) == ("served ONNX", "ms", None)
    assert 0.01 < result.ours < 10_000 and 0.01 < result.reference < 10_000
    assert len(asked) == 6 and all(request == one for request in asked)
    assert "onnxruntime" in result.note


def test_without_onnx_there_is_nothing_to_ask(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    assert serving.in_onnx(exported, tmp_path / "onnx") is None
    assert not (tmp_path / "onnx").exists()
