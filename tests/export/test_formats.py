"""Other formats give the export's output in their own runtimes, or are refused with the reason."""

import numpy as np
import pytest
import tensorflow as tf

from zoo.data.batches.by_length import padded
from zoo.errors import UserError
from zoo.export import formats
from zoo.export.conversion import RefusedError
from zoo.export.formats import FORMATS, export
from zoo.serving import saved_model
from zoo.utils import extras


@pytest.fixture(scope="module")
def long_kernels(exported):
    return exported("conv_blstm")


@pytest.fixture
def made(monkeypatch):
    """The SavedModels of runs, which test_export compares with them, are not made again."""
    monkeypatch.setattr("zoo.export.export.export", lambda run, *_: next(run.parent.glob("*/1")))


def installed(format):
    try:
        formats.check_installed(format)
    except UserError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    ("name", "format", "sizes"),
    [
        *(("emotion", format, (5_001, 12_345)) for format in FORMATS),
        ("functionals", "openvino", (9, 4)),  # it has an output that is called as an input
        # ONNX has no real FFT; the same kernels, convolved directly, are within the tolerance.
        pytest.param("long_kernels", "onnx", (5_001, 12_345), marks=pytest.mark.slow),
    ],
)
def test_formats_answer_as_the_export(made, request, tmp_path, rng, name, format, sizes):
    """The runtimes read the files that were written, here with other input than that of the check."""
    installed(format)
    source, version = request.getfixturevalue(name)
    folder = export(source, tmp_path / "out", format)
    assert folder == tmp_path / "out" / "1" and (folder / "assets" / "description.json").is_file()
    exported, shape = saved_model.load(version), (88,) if name == "functionals" else ()
    clips = [rng.normal(0, 0.1, (size, *shape)).astype(np.float32) for size in sizes]
    expected = exported.on_features(clips) if shape else exported.on_waveforms(clips)
    names = ("features", "n_frames") if shape else ("waveform", "n_samples")
    (path,) = (path for path in folder.iterdir() if path.suffix in (".onnx", ".xml", ".tflite"))
    requests = [dict(zip(names, padded(clips[:count]), strict=True)) for count in (1, 2)]
    for answers in FORMATS[format].run(path, requests):
        assert set(answers) == set(exported.description["signatures"]["serving_default"]["outputs"])
        rows = answers["arousal_valence" if exported.continuous else "probabilities"]
        for row, right in zip(rows, expected, strict=False):
            np.testing.assert_allclose(row[: len(right)], right, atol=1e-4 if name == "long_kernels" else 1e-5)
        if exported.continuous:
            assert answers["n_frames"].tolist() == [len(right) for right in expected[: len(rows)]]
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["1"]


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

    monkeypatch.setitem(FORMATS, "openvino", formats.Format(formats._write_openvino, wrong))
    with pytest.raises(RefusedError, match=r"openvino: probabilities for a request of shape .* by 0.0002"):
        export(emotion[0], tmp_path / "out", "openvino")
    assert list((tmp_path / "out").iterdir()) == []


def test_unknown_formats_and_absent_runtimes_are_refused(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"unknown --format 'onyx'. Did you mean 'onnx'"):
        export(tmp_path, tmp_path / "out", "onyx")
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    for format in FORMATS:
        with pytest.raises(UserError, match=rf"--format {format} needs .*pip install 'speech-emotion-zoo\[{format}\]'"):
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
