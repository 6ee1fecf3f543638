"""Exports of networks on a speech encoder: what they hold, float16 storage, second forms, limits of formats."""

import json
import shutil

import numpy as np
import pytest
import tiny_runs
from quick_check import checked_with

from zoo.errors import UserError
from zoo.export import conversion, formats, half_weights, model_card, onnx_copy, onnx_writer
from zoo.export.export import export
from zoo.inference.open_predictor import open_predictor
from zoo.models.weights import encoder_folder
from zoo.runs.model_file import load_model
from zoo.serving import saved_model
from zoo.serving.description import DESCRIPTION, read_description
from zoo.serving.onnx_form import OnnxForm


@pytest.fixture(scope="module")
def run(tmp_path_factory, quick_check):
    """A run of two folds on a random tiny wav2vec 2.0, whose folder lies beside it."""
    folder = tmp_path_factory.mktemp("encoder-export")
    encoder_folder.make_random("wav2vec2", "tiny", folder / "w2v-tiny")
    tiny_runs.SMALL["wav2vec2"] = {"weights": str(folder / "w2v-tiny"), "option": ["hidden_units=8"]}
    return tiny_runs.make(folder / "run", "wav2vec2", "iemocap", n_folds=2)


@pytest.fixture(scope="module")
def half(run):
    with checked_with():
        return export(run, run.parent / "half", weights_dtype="float16", with_keras=True)


def answers(place, exported, clips):
    return np.array(open_predictor(place, exported).predict_waveforms(clips))


@pytest.fixture(scope="module")
def clips():
    rng = np.random.default_rng(2)
    return [rng.normal(0, 0.1, size).astype(np.float32) for size in (16_000, 5_321)]


def test_the_card_and_the_description_name_the_encoder_and_its_licence(run, half):
    found = encoder_folder.read(run.parent / "w2v-tiny")
    described = read_description(half)
    assert described["encoder"] == {
        "name": "w2v-tiny",
        "family": "wav2vec2",
        "licence": "none: random weights",
        "sha256": found.sha256,
    }
    every = "".join(path.read_text() for path in (half / "assets").iterdir())
    assert str(run.parent) not in every and described["frontend"]["weights"] == "w2v-tiny"
    card = "\n".join(model_card._encoder(described))
    assert "frozen wav2vec2 encoder w2v-tiny" in card and "none: random weights" in card and found.sha256 in card


def test_the_encoder_is_stored_once_for_all_folds_and_in_half_the_size(run, half):
    """The Keras models, which need the encoder's folder, stay behind."""
    encoder = (run.parent / "w2v-tiny" / "encoder.safetensors").stat().st_size
    heads = sum(path.stat().st_size for path in run.rglob("model.keras"))
    stored = sum(path.stat().st_size for path in (half / "variables").iterdir())
    assert 0.5 * encoder < stored < 0.62 * (encoder + heads)
    assert not list((half / "assets.extra").glob("*.keras"))
    assert "the weights of its speech encoder are outside" in read_description(half)["without_keras"]


def test_the_effect_of_half_weights_is_measured(run, half, clips):
    stored = read_description(half)["weights"]
    difference = np.abs(answers(half.parent, True, clips) - answers(run, False, clips)).max()
    assert stored["dtype"] == "float16" and 0 < stored["largest_difference"] < 0.01
    assert 0 < difference < 20 * stored["largest_difference"]
    card = "\n".join(model_card._head(half, read_description(half)))
    assert f"answers change by at most {stored['largest_difference']:.1e} (the example recording" in card


def test_half_weights_answer_as_weights_rounded_to_float16(run, half, clips):
    """The reference: every matrix of the saved models and of the encoder rounded by NumPy, in Python."""
    every = []
    for path in sorted(run.rglob("model.keras")):
        model = load_model(path)
        for variable in model.variables:
            if variable.dtype == "float32" and len(variable.shape) > 1:
                variable.assign(np.asarray(variable.value).astype(np.float16).astype(np.float32))
        alone = [{"waveform": clip[None], "n_samples": np.array([len(clip)], np.int32)} for clip in clips]
        every.append([model.predict_on_batch(one)[0] for one in alone])
    np.testing.assert_allclose(answers(half.parent, True, clips), np.mean(every, axis=0), atol=1e-5)


def test_weights_beyond_float16_and_runs_on_features_are_refused(run, functionals):
    import keras

    variable = keras.Variable(np.full((2, 2), 70_000.0), name="kernel")
    with pytest.raises(UserError, match=r"has a weight of 7e\+04, float16 holds 65504 at most; export it in float32"):
        half_weights._round(variable)
    with pytest.raises(UserError, match="--weights-dtype float16: for networks on waveforms"):
        export(functionals[0], functionals[1].parent / "half", weights_dtype="float16")


def test_weights_above_the_limit_have_a_second_form_only_where_asked(half, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_copy, "LARGEST_BYTES", 1_000)
    monkeypatch.setattr(onnx_copy, "_converted", lambda *_: (b"form", ["serving_default"]))
    version = shutil.copytree(half, tmp_path / "1")
    onnx_copy.add(saved_model.load(version, "tensorflow"))
    assert "MiB, more than 0" in json.loads((version / DESCRIPTION).read_text())["without_onnx"]
    onnx_copy.add(saved_model.load(version), large=True)
    assert json.loads((version / DESCRIPTION).read_text())["onnx"] == ["serving_default"]


def test_what_a_format_cannot_hold_is_refused_before_anything_is_made(run, monkeypatch):
    monkeypatch.setattr(conversion, "MOST_BYTES", 2**14)
    words = "holds at most 0 MiB, and the weights have 0 MiB. Give --format openvino, or one fold with --fold"
    with pytest.raises(UserError, match=words):
        formats.export(run, run.parent / "onnx", "onnx")
    with pytest.raises(UserError, match="--format onnx: a file of it holds"):
        export(run, run.parent / "onnx", with_onnx=True, large_forms=True)
    assert not (run.parent / "onnx").exists()


def test_large_weights_are_put_into_onnx_behind_the_conversion(half, clips, monkeypatch):
    """The graph's inputs and answers are those of weights that are converted as constants."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("tf2onnx")
    found = {}
    for name, most in (("constants", 2**40), ("initializers", 0)):
        monkeypatch.setattr(onnx_writer, "LARGE_BYTES", 2_000)
        monkeypatch.setattr(onnx_writer, "MOST_BYTES", most)
        path = half.parent / f"{name}.onnx"
        path.write_bytes(onnx_writer.onnx_of(half, "serving_default"))
        samples = {"waveform": clips[0][None], "n_samples": np.array([len(clips[0])], np.int32)}
        graph = onnx.load(path).graph
        found[name] = OnnxForm(path)(samples), [one.name for one in graph.input], len(graph.node)
    assert found["constants"][1] == found["initializers"][1] == ["n_samples", "waveform"]
    for name, values in found["constants"][0].items():
        np.testing.assert_allclose(found["initializers"][0][name], values, atol=1e-6)
    assert found["initializers"][2] != found["constants"][2]  # nothing was folded into the large weights


@pytest.mark.parametrize(
    "words, message",
    [
        (["--forms", "tflite"], "--forms tflite: expected onnx, keras, onnx,keras or none"),
        (["--forms", "onnx", "--format", "openvino"], "--forms is for SavedModels, and --format is openvino"),
        (["--weights-dtype", "float8"], "unknown --weights-dtype 'float8'"),
    ],
)
def test_words_that_mean_nothing_are_refused(run, script, words, message):
    code, _, error = script("export.py", run, "--out", run.parent / "no", *words)
    assert code == 2 and message in error
