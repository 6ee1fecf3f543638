"""Other formats give the export's output in their own runtimes, or are refused with the reason."""

import keras
import numpy as np
import pytest

if keras.backend.backend() != "tensorflow":
    pytest.skip("exports are made by TensorFlow", allow_module_level=True)

import tensorflow as tf

from zoo.data.batches.by_length import padded
from zoo.errors import UserError
from zoo.export import formats
from zoo.export.formats import FORMATS, RefusedError, export
from zoo.serving import saved_model


@pytest.fixture
def made(monkeypatch, emotion, functionals):
    """Runs whose SavedModels, which test_export compares with them, are not made again."""
    monkeypatch.setattr("zoo.export.export.export", lambda run, *_: dict([emotion, functionals])[run])


def installed(format):
    try:
        formats.check_installed(format)
    except UserError as error:
        pytest.skip(str(error))


def clips():
    rng = np.random.default_rng(3)
    return [rng.normal(0, 0.1, n).astype(np.float32) for n in (5_001, 12_345)]


def request_of(rows, names=("waveform", "n_samples")):
    return dict(zip(names, padded(rows), strict=True))


def run(folder, request):
    """Answers of the runtime itself to one request."""
    (path,) = (path for path in folder.iterdir() if path.suffix in (".onnx", ".xml", ".tflite"))
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


@pytest.mark.parametrize("format", FORMATS)
def test_formats_answer_as_the_export(made, emotion, tmp_path, format):
    """The runtimes read the files that were written, here with other clips than those of the check."""
    installed(format)
    folder = export(emotion[0], tmp_path / "out", format)
    assert folder == tmp_path / "out" / "1" and (folder / "assets" / "description.json").is_file()
    expected = saved_model.load(emotion[1]).on_waveforms(clips())
    for count in (1, 2):
        answers = run(folder, request_of(clips()[:count]))
        np.testing.assert_allclose(answers["probabilities"], expected[:count], atol=1e-5)
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["1"]


@pytest.mark.slow
def test_long_convolutions_are_written_without_transforms(exported, tmp_path):
    """ONNX has no real FFT; the same kernels, convolved directly, are within the tolerance."""
    installed("onnx")
    source, version = exported("conv_blstm")
    answers = run(export(source, tmp_path / "out", "onnx"), request_of(clips()))
    assert answers["n_frames"].tolist() == [7, 19]
    right = saved_model.load(version).on_waveforms(clips()[1:])[0]
    np.testing.assert_allclose(answers["arousal_valence"][1], right, atol=1e-4)


def test_an_output_called_as_an_input_is_found(made, functionals, tmp_path, rng):
    installed("openvino")
    folder = export(functionals[0], tmp_path / "out", "openvino")
    features = [rng.normal(size=(size, 88)).astype(np.float32) for size in (9, 4)]
    (answers,) = formats.openvino_answers(folder / "model.xml", [request_of(features, ("features", "n_frames"))])
    assert set(answers) == {"arousal_valence", "n_frames"} and answers["n_frames"].tolist() == [9, 4]
    right = saved_model.load(functionals[1]).on_features(features)[0]
    np.testing.assert_allclose(answers["arousal_valence"][0], right, atol=1e-5)


def test_what_a_format_cannot_hold_is_refused(made, functionals, tmp_path):
    installed("litert")
    with pytest.raises(RefusedError, match="LiteRT: op TensorListReserve needs"):
        export(functionals[0], tmp_path / "out", "litert")
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
    with pytest.raises(RefusedError, match=r"ONNX: no operation for .*RFFT"):
        FORMATS["onnx"].write(source, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_other_answers_are_not_published(made, emotion, tmp_path, monkeypatch):
    installed("openvino")
    right = formats.openvino_answers

    def wrong(path, requests):
        return [{name: rows + 2e-4 for name, rows in answer.items()} for answer in right(path, requests)]

    monkeypatch.setitem(FORMATS, "openvino", formats.Format(("openvino",), formats._write_openvino, wrong))
    with pytest.raises(RefusedError, match=r"openvino: probabilities for a request of shape .* by 0.0002"):
        export(emotion[0], tmp_path / "out", "openvino")
    assert list((tmp_path / "out").iterdir()) == []


def test_unknown_formats_and_absent_runtimes_are_refused(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"unknown --format 'onyx'. Did you mean 'onnx'"):
        export(tmp_path, tmp_path / "out", "onyx")
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    for format in FORMATS:
        with pytest.raises(UserError, match=rf"--format {format} needs .*pip install -e '\.\[{format}\]'"):
            export(tmp_path, tmp_path / "out", format)


def test_whole_numbers_are_divided_downwards(tmp_path):
    """tf2onnx alone gives -3 for -7 // 2."""
    installed("onnx")
    inputs = [tf.TensorSpec((None,), tf.int32, name) for name in ("left", "right")]
    source = saved(tmp_path / "saved", lambda left, right: {"quotient": left // right}, *inputs)
    path = FORMATS["onnx"].write(source, tmp_path)
    left, right = np.meshgrid(np.arange(-9, 10, dtype=np.int32), np.array([-4, -3, -1, 1, 2, 5], np.int32))
    request = {"left": left.ravel(), "right": right.ravel()}
    assert np.array_equal(FORMATS["onnx"].run(path, [request])[0]["quotient"], request["left"] // request["right"])
