"""Other formats give the run's output in their own runtimes, or are refused with the reason."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tiny_rows

if keras.backend.backend() != "tensorflow":
    pytest.skip("exports are made by TensorFlow", allow_module_level=True)

import tensorflow as tf
from predictions import predict

from zoo.data.batches.by_length import padded
from zoo.errors import UserError
from zoo.export import formats
from zoo.export.formats import FORMATS, RefusedError, export
from zoo.runs.model_file import load_model


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("formats")
    return {name: tiny_rows.make(folder / name, name) for name in ("fcn", "conv_blstm", "lstm_drnn")}


def installed(format):
    try:
        formats.check_installed(format)
    except UserError as error:
        pytest.skip(str(error))


def clips():
    rng = np.random.default_rng(3)
    return [rng.normal(0, 0.1, n).astype(np.float32) for n in (5_001, 12_345)]


def request_of(rows):
    return dict(zip(("waveform", "n_samples"), padded(rows), strict=True))


@pytest.mark.parametrize("format", FORMATS)
def test_formats_answer_as_the_run(runs, tmp_path, format):
    """The runtimes read the files that were written, here with other clips than those of the check."""
    installed(format)
    folder = export(runs["fcn"], tmp_path / "out", format)
    assert folder == tmp_path / "out" / "1" and (folder / "assets" / "description.json").is_file()
    path = next(path for path in folder.iterdir() if path.suffix in (".onnx", ".xml", ".tflite"))
    expected = predict(load_model(runs["fcn"] / "fold-0-x" / "model.keras"), clips())
    for count in (1, 2):
        answers = run(path, request_of(clips()[:count]))
        np.testing.assert_allclose(answers["probabilities"], expected[:count], atol=1e-5)
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["1"]


def run(path: Path, request):
    if path.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return dict(zip([item.name for item in session.get_outputs()], session.run(None, request), strict=True))
    if path.suffix == ".xml":
        import openvino

        found = openvino.compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(request)
        return {port.get_any_name(): rows for port, rows in found.items()}
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(model_path=str(path)).get_signature_runner("serving_default")(**request)


@pytest.mark.slow
def test_long_convolutions_are_written_without_transforms(runs, tmp_path):
    """ONNX has no real FFT; the same kernels, convolved directly, are within the tolerance."""
    installed("onnx")
    folder = export(runs["conv_blstm"], tmp_path / "out", "onnx")
    request = request_of(clips())
    answers = run(folder / "model.onnx", request)
    assert answers["n_frames"].tolist() == [7, 19]
    model = load_model(runs["conv_blstm"] / "fold-0-x" / "model.keras")
    right = predict(model, clips()[1:])[0]
    np.testing.assert_allclose(answers["arousal_valence"][1], right[:19], atol=1e-4)


def test_an_output_called_as_an_input_is_found(runs, tmp_path):
    installed("openvino")
    folder = export(runs["lstm_drnn"], tmp_path / "out", "openvino")
    features = np.random.default_rng(0).normal(size=(2, 9, 88)).astype(np.float32)
    request = {"features": features, "n_frames": np.array([9, 4], np.int32)}
    answers = formats.openvino_answers(folder / "model.xml", [request])[0]
    assert set(answers) == {"arousal_valence", "n_frames"} and answers["n_frames"].tolist() == [9, 4]
    model = load_model(runs["lstm_drnn"] / "fold-0-x" / "model.keras", waveforms=False)
    np.testing.assert_allclose(answers["arousal_valence"][0], model.predict_on_batch(request)[0], atol=1e-5)


def test_what_a_format_cannot_hold_is_refused(runs, tmp_path):
    installed("litert")
    with pytest.raises(RefusedError, match="LiteRT: op TensorListReserve needs"):
        export(runs["lstm_drnn"], tmp_path / "out", "litert")
    assert list((tmp_path / "out").iterdir()) == []


def saved(folder, function, *inputs):
    module = tf.Module()
    module.function = tf.function(function, input_signature=inputs)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.function})
    return folder


def test_what_a_runtime_cannot_run_is_refused(tmp_path):
    """ONNX has no complex numbers, so no transforms that go on with them, as conv_bigru's spectrum does."""
    installed("onnx")

    def whiten(waveform):
        return {"white": tf.signal.irfft(tf.math.sign(tf.signal.rfft(waveform)))}

    source = saved(tmp_path / "saved", whiten, tf.TensorSpec((None, None), tf.float32, "waveform"))
    (tmp_path / "out").mkdir()
    with pytest.raises(RefusedError, match=r"ONNX: no operation for .*RFFT"):
        FORMATS["onnx"].write(source, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_other_answers_are_not_published(runs, tmp_path, monkeypatch):
    """Guards the check, for every format by the one whose runtime is asked first."""
    installed("openvino")
    right = formats.openvino_answers

    def wrong(path, requests):
        return [{name: rows + 2e-4 for name, rows in answer.items()} for answer in right(path, requests)]

    monkeypatch.setitem(FORMATS, "openvino", formats.Format(("openvino",), formats._write_openvino, wrong))
    with pytest.raises(RefusedError, match=r"openvino: probabilities for a request of shape .* by 0.0002"):
        export(runs["fcn"], tmp_path / "out", "openvino")
    assert list((tmp_path / "out").iterdir()) == []


def test_unknown_formats_and_absent_runtimes_are_refused(runs, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"unknown --format 'onyx'. Did you mean 'onnx'"):
        export(runs["fcn"], tmp_path / "out", "onyx")
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    for format in FORMATS:
        with pytest.raises(UserError, match=rf"--format {format} needs .*pip install -e '\.\[{format}\]'"):
            export(runs["fcn"], tmp_path / "out", format)
    assert not (tmp_path / "out").exists()


def test_whole_numbers_are_divided_downwards(tmp_path):
    """tf2onnx alone gives -3 for -7 // 2."""
    installed("onnx")
    inputs = [tf.TensorSpec((None,), tf.int32, name) for name in ("left", "right")]
    source = saved(tmp_path / "saved", lambda left, right: {"quotient": left // right}, *inputs)
    path = FORMATS["onnx"].write(source, tmp_path)
    left, right = np.meshgrid(np.arange(-9, 10, dtype=np.int32), np.array([-4, -3, -1, 1, 2, 5], np.int32))
    request = {"left": left.ravel(), "right": right.ravel()}
    assert np.array_equal(FORMATS["onnx"].run(path, [request])[0]["quotient"], request["left"] // request["right"])
