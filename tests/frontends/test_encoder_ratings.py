"""Frames of a frozen encoder along recordings: means over 40 ms, windows, padding; a run of ratings on them."""

import numpy as np
import pytest
from keras import ops
from networks import once

from zoo.features.extractor import of_layer
from zoo.frontends import encoder_ratings
from zoo.frontends.encoder_ratings import SpeechEncoderFrames
from zoo.inference.open_predictor import open_predictor
from zoo.layers.speech_encoder import LayerMixture
from zoo.models.wav2vec2 import speech_encoder
from zoo.models.weights import encoder_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder") / "hubert-tiny"
    encoder_folder.make_random("hubert", "tiny", folder)
    return folder


@pytest.fixture(scope="module")
def states_of(folder):
    """A function from samples (n,) to hidden states: layers, then (frames of 20 ms, hidden)."""
    found = encoder_folder.read(folder)
    network = speech_encoder(found.config)
    encoder_folder.load_into(network, found)

    def run(clip):
        outputs = network({"features": clip[None, :, None], "n_frames": np.array([len(clip)], np.int32)})
        return [ops.convert_to_numpy(one)[0] for one in outputs[:-1]]

    return run


def averaged(states):
    """Means of two frames of 20 ms, of the last one what there is; layers side by side."""
    n_frames = (len(states[0]) + 1) // 2
    return np.stack([np.concatenate([one[2 * j : 2 * j + 2].mean(axis=0) for one in states]) for j in range(n_frames)])


def values(layer, clips, counts):
    features, n_frames = layer(clips, np.array(counts, np.int32))
    return ops.convert_to_numpy(features), list(ops.convert_to_numpy(n_frames))


@pytest.mark.backend
def test_frames_are_means_over_40_ms_whatever_the_padding(folder, states_of, rng):
    clips = rng.normal(0, 0.3, (2, 16_000)).astype(np.float32)
    layer = SpeechEncoderFrames(folder, layer="all")
    features, n_frames = values(layer, clips, [16_000, 7_000])
    assert n_frames == [25, 10] == [layer.n_frames(16_000), layer.n_frames(7_000)]
    assert features.shape == (2, 25, 3 * 32) and not features[1, 10:].any()
    np.testing.assert_allclose(features[0], averaged(states_of(clips[0])), atol=2e-5)
    np.testing.assert_allclose(features[1, :10], averaged(states_of(clips[1, :6_400])), atol=2e-5)


def test_long_recordings_are_computed_in_windows(folder, states_of, rng, monkeypatch):
    monkeypatch.setattr(encoder_ratings, "WINDOW_FRAMES", 20)
    monkeypatch.setattr(encoder_ratings, "MARGIN_FRAMES", 5)
    clip = rng.normal(0, 0.3, 47 * 640).astype(np.float32)  # inner parts of 10 frames: five windows, the last of 7
    features, _ = values(SpeechEncoderFrames(folder, layer="last"), clip[None], [len(clip)])
    expected = []
    for first in range(0, 47, 10):
        start = max(first - 5, 0)
        window = averaged(states_of(clip[start * 640 : (start + 20) * 640])[-1:])
        expected.append(window[first - start :][: min(10, 47 - first)])
    np.testing.assert_allclose(features[0], np.concatenate(expected), atol=2e-5)


def test_features_do_not_depend_on_where_the_weights_lie(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    for path in folder.iterdir():
        (tmp_path / "elsewhere" / path.name).write_bytes(path.read_bytes())
    there, here = (of_layer(SpeechEncoderFrames(place)) for place in (tmp_path / "elsewhere", folder))
    assert {**there.settings, "name": ""} == {**here.settings, "name": ""} and here.stored_as == "float16"


@pytest.mark.backend
def test_the_average_of_layers_is_by_a_softmax():
    layer = LayerMixture()
    states = np.arange(12, dtype=np.float32).reshape(1, 2, 3, 2)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(states)), states.mean(axis=2), rtol=1e-6)
    layer.scores.assign([0.0, np.log(2), np.log(5)])
    expected = (states * np.array([1, 2, 5])[:, None] / 8).sum(axis=2)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(states)), expected, rtol=1e-6)


@once
def test_a_run_of_ratings(folder, script, tmp_path):
    train = ["--model", "encoder_lstm", "--corpus", "recola", "--synthetic", "--fold", "0", "--epochs", "1"]
    train += ["--weights", folder, "--encoder-layer", "all", "--option", "recurrent_units=4"]
    code, out, err = script("train.py", *train, "--out", tmp_path / "run")
    assert code == 0, err
    assert "RANDOM" in out
    clip = np.random.default_rng(0).normal(0, 0.1, 20_000).astype(np.float32)
    rows = list(open_predictor(tmp_path / "run", False).predict([clip]))
    assert len(rows) == 31 and {"arousal", "valence", "time"} <= rows[0].keys()


def test_weights_are_asked_for(script):
    code, _, err = script("train.py", "--model", "encoder_lstm", "--corpus", "recola", "--synthetic")
    assert code == 2 and "--model encoder_lstm needs --weights FOLDER" in err
