"""Exported models by name, in Python and predict.py, without Keras."""

import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import streams
import tiny_runs
from predictions import predict_run

import zoo
from zoo import pretrained
from zoo.data.batches.by_length import padded
from zoo.errors import UserError
from zoo.export.export import export
from zoo.inference.reading import Reading
from zoo.inference.recordings import rows
from zoo.inference.run_predictor import of_run
from zoo.inference.stream import Stream
from zoo.keras_metrics import UA
from zoo.runs.model_file import bare, head_of, load_model, network_of

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def emotions(tmp_path_factory):
    """A run, and its export among the named models."""
    folder = tmp_path_factory.mktemp("models")
    run = tiny_runs.make(folder / "run", "fcn", "emodb")
    export(run, folder / "named" / "fcn-tiny", with_keras=True)
    (folder / "named" / "notes").mkdir()
    return run, folder / "named"


@pytest.fixture(scope="module")
def ratings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ratings")
    run = tiny_runs.make(folder / "run", "conv_lstm", "recola", label_delay_seconds=0.12)
    return run, zoo.load(export(run, folder / "export", max_seconds=6.0))


@pytest.fixture
def named(emotions, monkeypatch):
    monkeypatch.setenv(pretrained.MODELS_VARIABLE, str(emotions[1]))
    return emotions[0]


@pytest.fixture
def clips(tmp_path):
    paths = [tmp_path / f"{number}.wav" for number in range(2)]
    for number, path in enumerate(paths):
        soundfile.write(path, streams.speech(0.6 + 0.3 * number, number), 16_000)
    return paths


def test_one_or_several_utterances_are_predicted_as_by_the_run(named, clips):
    expected = list(rows(of_run(named), clips, Reading("never", any_sound=True)))
    model = zoo.load("fcn-tiny")
    assert model.outputs == list(expected[0]["probabilities"]) and model.rate_hz == 16_000
    found = [model.predict(str(clips[0]), any_sound=True), *model.predict(clips, any_sound=True)]
    for row, right in zip(found, [expected[0], *expected], strict=True):
        columns = ["file", "channel", "start", "end", "emotion", "probabilities", "confidence", "abstained", "reason"]
        assert list(row) == [*columns, "speech_seconds", "quality", "trained_on"]
        assert row.pop("probabilities") == pytest.approx(right["probabilities"], abs=1e-5)
        assert row == {key: right[key] for key in row}
    assert model.predict([]) == []


def test_samples_at_any_rate_and_number_of_channels(named, clips):
    model = zoo.load("fcn-tiny")
    samples = streams.speech(0.6)
    expected = model.predict(clips[0], any_sound=True)["probabilities"]
    for clip in (samples, np.stack([samples, samples], axis=1), samples.astype(float)):
        answer = model.predict(clip, any_sound=True)
        assert answer["file"] == "#0" and answer["probabilities"] == pytest.approx(expected, abs=1e-5)
    soundfile.write(clips[1], samples, 22_050)
    resampled = model.predict(clips[1], any_sound=True)["probabilities"]
    found = model.predict(samples, rate_hz=22_050, any_sound=True)
    assert found["probabilities"] == pytest.approx(resampled, abs=1e-4)
    for clip, rate_hz, found in (
        (np.zeros(9, "int16"), None, "found int16"),
        (np.zeros((2, 2, 2)), None, r"found the shape \(2, 2, 2\)"),
        (None, None, "found NoneType"),
        ({clips[0]}, None, "found set"),
        (b"no audio", None, "#0: expected"),
        (samples, True, "rate_hz is True"),
        (samples, 3_999, "rate_hz is 3999"),
        (samples, 0, "rate_hz is 0"),
        (np.full(16_000, np.nan), None, "NaN"),
        ("absent.wav", None, "absent"),
    ):
        with pytest.raises(UserError, match=found):
            model.predict(clip, rate_hz=rate_hz)


class OneWay:
    """Bytes that come once, a few at a time, as from a pipe."""

    def __init__(self, path):
        self._file = path.open("rb")

    def read(self, size=-1, /):
        return self._file.read(min(size, 1000) if size > 0 else 1000)


def test_open_files_and_contents_are_read_as_paths_are(named, clips):
    model = zoo.load("fcn-tiny")
    expected = model.predict(clips[0])
    data = clips[0].read_bytes()
    with clips[0].open("rb") as seekable:
        found = model.predict([str(clips[0]), data, memoryview(data), io.BytesIO(data), OneWay(clips[0]), seekable])
    files = [row["file"] for row in found]
    assert files == [str(clips[0]), "#1", "#2", "#3", "#4", str(clips[0])]
    for row in (*found, model.predict(OneWay(clips[0]))):
        assert row["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-5)
    used = io.BytesIO(data)
    used.read()
    for clip, wrong in (
        (io.StringIO("text"), "found one of str; open it by 'rb'"),
        (seekable, r"found one that cannot \(read of closed file\)"),
        (used, "expected.*found"),
    ):
        with pytest.raises(UserError, match=wrong):
            model.predict(clip)


def test_embeddings_are_what_the_last_layer_takes(named, clips):
    """Softmax of the last layer's weights on them gives the probabilities; a run gives the same vectors."""
    model = zoo.load("fcn-tiny")
    vectors = model.embed([*clips, soundfile.read(clips[0])[0]])
    assert vectors.dtype == np.float32 and vectors.shape == (3, 128) and model.embed(clips[0]).shape == (1, 128)
    kernel, bias = head_of(bare(network_of(model.trainable()))).get_weights()
    scores = np.exp(vectors @ kernel + bias)
    expected = [list(row["probabilities"].values()) for row in model.predict(clips, any_sound=True)]
    np.testing.assert_allclose((scores / scores.sum(axis=1, keepdims=True))[:2], expected, atol=1e-5)
    run = zoo.load(named)
    np.testing.assert_allclose(run.embed(clips), vectors[:2], atol=1e-5)
    of_run, of_export = (one.predict(clips[1], any_sound=True)["probabilities"] for one in (run, model))
    assert of_run == pytest.approx(of_export, abs=1e-5)
    assert run.outputs == model.outputs and run.description["trained_on"] == "synthetic emodb"
    with pytest.raises(UserError, match="found silence"):
        model.embed(np.zeros(9_600))


def test_embeddings_of_ratings_are_means_over_frames(ratings):
    """The last layer is linear: of their mean it makes the mean of the ratings before the delay is taken off."""
    run, exported = ratings
    samples = streams.speech(0.8)
    vectors = exported.embed(samples)
    np.testing.assert_allclose(vectors, zoo.load(run).embed(samples), atol=1e-5)
    network = network_of(load_model(next(run.glob("fold-*")) / "model.keras"))
    kernel, bias = head_of(network).get_weights()
    standard = (samples - samples.mean()) / samples.std()
    frames = network.predict_on_batch({"features": standard[None, :, None], "n_frames": np.array([len(samples)])})
    np.testing.assert_allclose(vectors @ kernel + bias, np.asarray(frames).mean(axis=1), atol=1e-4)


def test_an_export_is_trained_further_for_an_epoch(named, clips):
    """It changes the caller's copy alone."""
    model = zoo.load("fcn-tiny")
    network, before = model.trainable(), model.predict(clips[0])
    rows, lengths = padded([soundfile.read(path)[0] for path in clips])
    inputs = {"waveform": rows, "n_samples": lengths}
    expected = [list(model.predict(path, any_sound=True)["probabilities"].values()) for path in clips]
    np.testing.assert_allclose(np.asarray(network.predict_on_batch(inputs)), expected, atol=1e-5)
    weights = network.get_weights()
    network.compile("adam", "sparse_categorical_crossentropy", metrics=[UA(len(model.outputs))])
    history = network.fit(inputs, np.array([0, 1]), epochs=1, batch_size=2, verbose=0).history
    assert np.isfinite(history["loss"][0]) and 0 <= history["ua"][0] <= 1
    assert any(not np.array_equal(one, other) for one, other in zip(weights, network.get_weights(), strict=True))
    assert model.predict(clips[0]) == before


def test_what_older_exports_lack_is_said(named, clips):
    exported = zoo.load("fcn-tiny", "tensorflow").exported
    signatures = {name: one for name, one in exported.description["signatures"].items() if name != "embedding"}
    old = {name: value for name, value in exported.description.items() if name != "keras"}
    model = pretrained.Pretrained(replace(exported, description={**old, "signatures": signatures}))
    with pytest.raises(UserError, match=r"holds no embeddings.*Make such an export anew: scripts/export.py RUN"):
        model.embed(clips)
    with pytest.raises(UserError, match=r"holds no Keras model.*earlier version.*export it again"):
        model.trainable()
    files = {"0-a": Path("a.keras"), "1-b": Path("b.keras")}
    assert pretrained.chosen_fold(files, "1", "here") == Path("b.keras")
    for fold, wrong in ((None, r"has the folds 0, 1; name one, as in trainable\(fold='0'\)"), ("7", "unknown fold")):
        with pytest.raises(UserError, match=wrong):
            pretrained.chosen_fold(files, fold, "here")


def test_names_are_listed(named, tmp_path, monkeypatch):
    assert pretrained.names() == ["fcn-tiny"]
    for place, found in (
        ("fcn-tin", r"unknown model 'fcn-tin'\. Did you mean 'fcn-tiny'\? Known: fcn-tiny"),
        (tmp_path / "absent", "no such folder"),
    ):
        with pytest.raises(UserError, match=found):
            zoo.load(place)
    monkeypatch.setenv(pretrained.MODELS_VARIABLE, str(tmp_path / "none"))
    with pytest.raises(UserError, match="no such model, for none is in"):
        zoo.load("fcn-tiny")
    monkeypatch.delenv(pretrained.MODELS_VARIABLE)
    assert pretrained.folder() == ROOT / "saved_models"


@pytest.mark.parametrize(("seconds", "atol"), [(0.6, 1e-5), (14.1, 1e-3)])
def test_ratings_of_a_recording_within_and_beyond_the_limit_of_an_export(ratings, tmp_path, seconds, atol):
    """The second in windows of six seconds, of which 1.5 at each end only give context."""
    path = streams.written(streams.speech(seconds), tmp_path)
    expected = list(predict_run(ratings[0], [path]))
    found = ratings[1].predict(path)
    assert found["time"] == [row["time"] for row in expected] and found["file"] == str(path)
    for name in ("arousal", "valence"):
        np.testing.assert_allclose(found["ratings"][name], [row[name] for row in expected], atol=atol)


def test_ratings_of_a_stream_by_windows_are_near_those_of_the_whole(ratings, tmp_path):
    """As for networks that look ahead. The delay is in the export's graph."""
    run, exported = ratings[0], ratings[1].exported
    stateless = {name: value for name, value in exported.description.items() if name != "stream"}
    exported = replace(exported, description=stateless)
    samples = streams.speech(9)
    expected = streams.values(list(predict_run(run, [streams.written(samples, tmp_path)])))
    options = {"hop_seconds": 0.4, "window_seconds": 6.0, "look_ahead_seconds": 0.04}
    opened = Stream(exported, **options)
    assert (opened.live.way, opened.latency_seconds) == ("windows", pytest.approx(0.44))
    found = streams.pushed(exported, samples, streams.CUTS["odd"], level=streams.level_of(samples), **options)
    np.testing.assert_allclose(streams.values(found), expected, atol=1e-4)
    with pytest.raises(UserError, match="model's delay"):
        Stream(exported, 0.4, window_seconds=0.48, look_ahead_seconds=0.04)


def test_streams_of_classes(named):
    model = zoo.load("fcn-tiny")
    samples = streams.speech(1.5)
    stream = model.stream(0.5, window_seconds=1.0)
    found = stream.push(samples) + stream.finish()
    for row, start in zip(found, (0, 8000), strict=True):
        expected = model.predict(samples[start : start + 16_000], any_sound=True)
        assert row["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-5)


WITHOUT_KERAS = """
import json, sys
import zoo
assert not {"tensorflow", "keras", "numpy"} & set(sys.modules)
sys.modules["keras"] = None  # TensorFlow takes it where it is there; an import fails from now on
answer = zoo.load("fcn-tiny").predict(sys.argv[1], any_sound=True)
print(json.dumps(answer))
"""


def test_needs_no_keras(named, clips):
    process = subprocess.run([sys.executable, "-c", WITHOUT_KERAS, clips[0]], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    expected = next(predict_run(named, clips))
    assert json.loads(process.stdout)["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-5)


def test_the_command_takes_names_and_folders(script, named, emotions, clips):
    expected = zoo.load("fcn-tiny").predict(clips)
    for place in ("fcn-tiny", emotions[1] / "fcn-tiny", emotions[1] / "fcn-tiny" / "1"):
        code, out, _ = script("predict.py", place, "--json", *clips)
        assert code == 0 and [json.loads(line) for line in out.splitlines()] == expected
    code, _, err = script("predict.py", "fcn-tiny", clips[0], "--fold", "0")
    assert code == 2 and "--fold: for runs" in err


def test_loading_registers_every_layer():
    """In a process that has built none of them."""
    files = [path for path in (ROOT / "zoo").rglob("*.py") if path.name != "losses.py"]
    names = [name for path in files for name in re.findall(r"^@register\nclass (\w+)", path.read_text(), re.MULTILINE)]
    assert {"AttentionMap", "LongConv1D", "DeepSpectrum"} <= set(names)
    program = "import sys, zoo.runs.saved_layers, keras\nfor name in sys.argv[1:]:\n"
    program += "    assert keras.saving.get_registered_object(f'zoo>{name}'), name"
    found = subprocess.run([sys.executable, "-c", program, *names], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr[-500:]
