"""Published emotion heads, converted: what they answer, in rows of classes or of ratings, and what they refuse."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from keras import ops

import zoo
from zoo.errors import UserError
from zoo.inference import published_head
from zoo.inference.in_words import for_terminal
from zoo.inference.open_predictor import is_continuous, open_predictor
from zoo.inference.predictions_file import as_csv
from zoo.models.encoder_config import EncoderConfig, EncoderHead
from zoo.models.wav2vec2 import speech_encoder, with_head
from zoo.models.weights import encoder_folder
from zoo.models.weights.families import SIZES

RATE_HZ = 16_000
CLASSES = EncoderHead("projector", ("angry", "happy", "sad"), 8)
RATINGS = EncoderHead("dense", ("arousal", "dominance", "valence"), 8, regression=True)


def write(folder, head, licence="cc-by-nc-sa-4.0"):
    """Writes a converted folder with random weights, a head among them; returns its network."""
    config = EncoderConfig(**SIZES["tiny"])
    network = with_head(speech_encoder(config), head)
    rng = np.random.default_rng(1)
    found = {}
    for layer in network.layers:
        for weight in layer.weights:
            weight.assign(rng.normal(0, 0.3, weight.shape))
            found[f"{layer.name}/{weight.name}"] = ops.convert_to_numpy(weight)
    folder.mkdir(parents=True)
    items = [(name, one.shape, lambda one=one: one) for name, one in found.items()]
    encoder_folder._write(folder / encoder_folder.WEIGHTS, items, "float32")
    encoder_folder._describe(folder, config, head, licence, "float32")
    return network


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    """Folders and networks of a head of classes and one of ratings."""
    home = tmp_path_factory.mktemp("heads")
    return {name: (home / name, write(home / name, head)) for name, head in (("c", CLASSES), ("r", RATINGS))}


@pytest.fixture(scope="module")
def loaded(heads):
    """The same, loaded once: classes, ratings."""
    return zoo.load(heads["c"][0]), zoo.load(heads["r"][0])


@pytest.fixture(scope="module")
def speech():
    return soundfile.read(zoo.example_clip(), dtype="float32")[0][: 2 * RATE_HZ]


def reference(network, clip):
    return ops.convert_to_numpy(network({"features": clip[None, :, None], "n_frames": np.array([len(clip)])}))[0]


def test_classes_are_answered_as_by_every_model(heads, loaded, speech):
    folder, network = heads["c"]
    row = loaded[0].predict(speech)
    expected = reference(network, speech)
    assert list(row["probabilities"]) == ["angry", "happy", "sad"]
    np.testing.assert_allclose(list(row["probabilities"].values()), expected, atol=2e-6)
    assert row["emotion"] == CLASSES.labels[expected.argmax()]
    assert row["trained_on"] == "published weights c" and row["reason"] is None
    assert not is_continuous(folder, False)


def test_ratings_of_a_clip_in_the_published_order_and_range(heads, loaded, speech):
    _, network = heads["r"]
    model = loaded[1]
    row = model.predict(speech)
    assert list(row) == [
        *("file", "channel", "start", "end", "ratings", "reason", "speech_seconds", "quality", "trained_on")
    ]
    assert list(row["ratings"]) == ["arousal", "dominance", "valence"]
    np.testing.assert_allclose(list(row["ratings"].values()), reference(network, speech), atol=2e-6)
    assert model.description["licence"] == "cc-by-nc-sa-4.0" and model.description["task"] == "ratings of a clip"
    silent = model.predict(np.zeros(8_000, np.float32))
    assert silent["ratings"] == dict.fromkeys(RATINGS.labels) and silent["reason"].startswith("silent")
    assert model.segments(speech)[0]["ratings"].keys() == row["ratings"].keys()


def test_batches_do_not_change_answers(heads, loaded, speech):
    _, network = heads["r"]
    clips = [speech[:n] for n in (9_000, 20_001, 32_000, 8_500)]
    rows = loaded[1].predict(clips)
    for clip, row in zip(clips, rows, strict=True):
        np.testing.assert_allclose(list(row["ratings"].values()), reference(network, clip), atol=5e-6)


def test_ratings_of_a_clip_as_text_and_as_a_table(loaded, speech):
    row = loaded[1].predict(speech)
    values = row["ratings"].values()
    words = "  ".join(f"{name} {value:.3f}" for name, value in zip(RATINGS.labels, values, strict=True))
    assert words in for_terminal(row)
    header, cells = (line.split(",") for line in as_csv()(row).splitlines())
    found = dict(zip(header, cells, strict=True))
    assert [float(found[name]) for name in RATINGS.labels] == list(values) and header[-1] == "reason"


def test_the_embedding_is_what_the_last_layer_takes(heads, loaded, speech):
    _, network = heads["c"]
    vectors = loaded[0].embed([speech, speech[:9_000]])
    out = network.get_layer("head_out")
    scores = vectors @ ops.convert_to_numpy(out.kernel) + ops.convert_to_numpy(out.bias)
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    expected = [reference(network, clip) for clip in (speech, speech[:9_000])]
    np.testing.assert_allclose(shares / shares.sum(axis=1, keepdims=True), expected, atol=1e-5)


def test_a_stream_is_classified_by_windows(heads, speech):
    folder, network = heads["c"]
    rows = zoo.load(folder).stream(1.0, window_seconds=1.0).push(speech)
    assert [(row["start"], row["end"]) for row in rows] == [(0, 1), (1, 2)]
    for row, clip in zip(rows, np.split(speech, 2), strict=True):
        np.testing.assert_allclose(list(row["probabilities"].values()), reference(network, clip), atol=2e-6)
    with pytest.raises(UserError, match="r rates clips as wholes: arousal, dominance, valence"):
        zoo.load(heads["r"][0]).stream()


def test_the_command_says_the_licence(heads, script, tmp_path):
    clip = str(zoo.example_clip())
    code, out, err = script("predict.py", heads["r"][0], clip, "--json")
    assert code == 0 and "published weights, licence cc-by-nc-sa-4.0" in err
    assert json.loads(out)["ratings"].keys() == {"arousal", "dominance", "valence"}
    code, out, err = script("predict.py", heads["r"][0], clip, "--out", f"{tmp_path}/shards/")
    assert code == 0 and list((tmp_path / "shards" / "shards").iterdir()), err
    code, _, err = script("predict.py", heads["c"][0], clip, "--fold", "0")
    assert code == 2 and "--fold: for runs" in err
    code, _, err = script("predict.py", heads["c"][0], clip, "--runtime", "onnx")
    assert code == 2 and "--runtime: for exports" in err
    code, _, err = script("export.py", heads["c"][0], "--out", tmp_path / "export")
    assert code == 2 and "found published weights, which predict as they are" in err


def test_an_encoder_without_a_head_is_refused_with_what_to_do(tmp_path):
    encoder_folder.make_random("wavlm", "tiny", tmp_path / "w")
    with pytest.raises(UserError, match="found a wavlm encoder alone; train a head on it: ser train --model wavlm"):
        open_predictor(tmp_path / "w", False)


def test_a_published_folder_is_to_be_converted_first(tmp_path, script):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "whisper"}))
    with pytest.raises(UserError, match="convert them first: ser convert-weights"):
        zoo.load(tmp_path)
    train = ("--corpus", "emodb", "--synthetic", "--clips", "70")
    for command in (("predict.py", tmp_path, "x.wav"), ("train.py", "--model", "wavlm", "--weights", tmp_path, *train)):
        code, _, err = script(*command)
        assert code == 2 and "convert them first" in err


def test_classes_that_are_no_known_emotions_are_said(heads, tmp_path):
    assert len(published_head.notices(heads["c"][0])) == len(published_head.notices(heads["r"][0])) == 1
    write(tmp_path / "words", replace(CLASSES, labels=("yes", "no", "LABEL_2")))
    assert "none of its classes, yes, no, LABEL_2, is an emotion that is known here" in "".join(
        published_head.notices(tmp_path / "words")
    )


def test_clips_shorter_than_a_frame_are_refused(loaded):
    with pytest.raises(UserError, match=r"399 samples|0\.025 s"):
        loaded[0].predict(np.ones(399, np.float32))


def test_too_little_memory_is_said_before_it_is_needed(heads, monkeypatch):
    monkeypatch.setattr("zoo.utils.memory.free_bytes", lambda: 2**20)
    with pytest.raises(UserError, match=r"c: expected 0\.\d GiB of free memory, found 0\.0 GiB"):
        zoo.load(heads["c"][0])


def test_heads_score_a_corpus_as_exports_do(heads, script, tmp_path):
    command = ("evaluate.py", heads["c"][0], "--corpus", "emodb", "--synthetic", "--clips", "70", "--json")
    code, out, err = script(*command)
    assert code == 0, err
    found = json.loads(out)
    assert found["kind"] == "published weights" and next(iter(found["label_map"].values()))["anger"] == "angry"
    assert found["clips"]["not_trained_on"] > 0 and "cannot be checked" in found["said_of_training"]
    code, _, err = script("evaluate.py", heads["r"][0], *command[2:])
    assert code == 2 and "rates clips as wholes" in err
