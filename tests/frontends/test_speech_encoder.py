"""The front-end of frozen speech encoders, and a run on a random one from training to its export."""

import json

import numpy as np
import pytest
from keras import ops
from networks import once

from zoo.errors import UserError
from zoo.frontends.speech_encoder import SpeechEncoder
from zoo.inference.open_predictor import open_predictor
from zoo.models.wav2vec2 import speech_encoder
from zoo.models.weights import encoder_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder") / "wavlm-tiny"
    encoder_folder.make_random("wavlm", "tiny", folder)
    return folder


@pytest.fixture(scope="module")
def clips():
    return np.random.default_rng(0).normal(0, 0.3, (2, 5_000)).astype(np.float32), np.array([5_000, 3_000], np.int32)


@pytest.fixture(scope="module")
def states(folder, clips):
    """Hidden states of each clip alone: layers, then (frames, hidden)."""
    found = encoder_folder.read(folder)
    network = speech_encoder(found.config)
    encoder_folder.load_into(network, found)
    alone = [network({"features": clip[None, :n, None], "n_frames": n[None]}) for clip, n in zip(*clips, strict=True)]
    return [[ops.convert_to_numpy(state)[0] for state in one[:-1]] for one in alone]


def values(layer, clips):
    features, n_frames = layer(*clips)
    return ops.convert_to_numpy(features), list(ops.convert_to_numpy(n_frames))


@pytest.mark.backend
def test_all_layers_are_means_over_real_frames(folder, clips, states):
    features, n_frames = values(SpeechEncoder(folder), clips)
    assert features.shape == (2, 3, 32) and n_frames == [3, 3]
    expected = [[state.mean(axis=0) for state in one] for one in states]
    np.testing.assert_allclose(features, expected, atol=1e-5)


@pytest.mark.parametrize("layer, index", [("last", 2), ("middle", 1), ("0", 0)])
def test_one_layer(folder, clips, states, layer, index):
    features, n_frames = values(SpeechEncoder(folder, layer=layer), clips)
    np.testing.assert_allclose(features[:, 0], [one[index].mean(axis=0) for one in states], atol=1e-5)
    assert n_frames == [1, 1]


def test_frames_of_one_layer(folder, clips, states):
    layer = SpeechEncoder(folder, layer="last", frames=True)
    features, n_frames = values(layer, clips)
    assert n_frames == [(5_000 - 400) // 320 + 1, (3_000 - 400) // 320 + 1] == [layer.n_frames(5_000), 9]
    for clip in range(2):
        np.testing.assert_allclose(features[clip, : n_frames[clip]], states[clip][-1], atol=1e-5)


def test_its_weights_are_not_trained_and_not_saved(folder, clips):
    layer = SpeechEncoder(folder)
    values(layer, clips)
    assert not layer.trainable_variables and not layer.weights and layer.variables


@pytest.mark.parametrize(
    "options, message",
    [
        ({"layer": "3"}, r"--encoder-layer 3: expected all, last, middle or a number in 0\.\.2"),
        ({"layer": "first"}, "--encoder-layer first"),
        ({"frames": True}, "choose one layer for frames"),
        ({"weights_sha256": "0" * 64}, r"expected the encoder that the model was made with \(SHA-256 000000000000"),
    ],
)
def test_what_cannot_be_had_is_refused(folder, options, message):
    with pytest.raises(UserError, match=message):
        SpeechEncoder(folder, **options)


def test_random_encoders_say_so(folder, tmp_path):
    assert encoder_folder.is_random(folder) and not encoder_folder.is_random(tmp_path)
    with pytest.raises(UserError, match="--random whisper-base: expected one of wav2vec2, hubert, wavlm"):
        encoder_folder.make_random("whisper", "base", tmp_path / "out")
    with pytest.raises(UserError, match="holds a converted encoder already"):
        encoder_folder.make_random("wavlm", "tiny", folder)


@once
@pytest.mark.slow
def test_a_run_from_training_to_its_export(folder, script, tmp_path):
    """On a random encoder, which every figure says; the export answers as the run, in ONNX too."""
    train = ["--corpus", "emodb", "--synthetic", "--fold", "0", "--clips", "70", "--epochs", "1", "--weights", folder]
    code, out, err = script("train.py", "--model", "wavlm", *train, "--out", tmp_path / "run")
    assert code == 0, err
    assert "RANDOM" in out and "random weights: features of an untrained network" in out
    code, _, err = script("export.py", tmp_path / "run", "--out", tmp_path / "export")
    assert code == 0, err
    clip = np.random.default_rng(0).normal(0, 0.1, 20_000).astype(np.float32)
    assert (tmp_path / "export" / "1" / "assets.extra" / "model.onnx").is_file()
    of_export = open_predictor(tmp_path / "export", True).predict_waveforms([clip])[0]
    of_run = open_predictor(tmp_path / "run", False).predict_waveforms([clip])[0]
    np.testing.assert_allclose(of_export, of_run, atol=1e-5)


@pytest.mark.parametrize(
    "words, message",
    [
        (["--model", "hubert"], "expected hubert, found wavlm; give --model wavlm"),
        (["--model", "wavlm", "--weights", ""], "--model wavlm needs --weights FOLDER"),
        (["--model", "wavlm", "--weights", "nowhere"], "nowhere: expected an encoder that ser convert-weights made"),
    ],
)
def test_other_weights_are_refused(folder, script, words, message):
    code, _, err = script("train.py", "--weights", folder, *words, "--corpus", "emodb", "--synthetic", "--clips", "70")
    assert code == 2 and message in err


def test_conversion_by_command(script, tmp_path):
    code, out, err = script("convert_weights.py", "--random", "hubert-tiny", "--out", tmp_path / "hubert")
    assert code == 0 and "hubert, 2 layers of 32; licence none: random weights" in out
    code, out, err = script("convert_weights.py", tmp_path / "hubert", "--out", tmp_path / "again")
    assert code == 2 and "config.json: absent" in err
    code, out, err = script("convert_weights.py", "--out", tmp_path / "again")
    assert code == 2 and "expected a published folder or --random" in err
    record = json.loads((tmp_path / "hubert" / "encoder.json").read_text())
    assert record["random"] and record["config"]["family"] == "hubert"
