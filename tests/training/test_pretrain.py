"""Pre-training without labels: what is hidden, the loss, resuming, and that test clips seen so are refused."""

import csv
import json
from dataclasses import replace

import keras
import numpy as np
import pytest

from zoo import registry
from zoo.config.flags import from_flags
from zoo.data.batches.clips import Example
from zoo.data.batches.feature_store import InMemory
from zoo.data.synthetic.corpora import synthesize
from zoo.errors import UserError
from zoo.models.masked_prediction import masked_error
from zoo.runs.dataset import open_source, resolve
from zoo.runs.model_file import load_model, network_of
from zoo.training import fit as fitting
from zoo.training import initial_model, pretrain, seen_before, transfer
from zoo.training.initial_model import bare, weights_of
from zoo.training.tasks.pretraining import hidden_batches

# TensorFlow (oneDNN) aborts in gradients of strided convolutions of still fewer channels and bands.
SMALL = {"stem_filters": 16, "filters": [32], "recurrent_units": 4, "attention_units": 4}


@pytest.mark.backend
def test_the_loss_is_the_mean_error_of_hidden_frames(rng):
    truth, found = rng.normal(size=(2, 4, 3)).astype("float32"), rng.normal(size=(2, 4, 3)).astype("float32")
    hidden = np.array([[1, 0, 1, 0], [0, 0, 0, 1]], "float32")
    packed = np.concatenate([truth, hidden[..., None]], axis=-1)
    expected = np.abs(truth - found)[hidden > 0].mean()
    assert float(masked_error(packed, found)) == pytest.approx(expected, rel=1e-5)
    assert float(masked_error(packed * 0, found)) == 0


def test_half_of_the_steps_are_hidden_and_a_batch_can_be_made_again(rng):
    clips = [rng.normal(3, 2, (n, 5)).astype("float32") for n in (9, 16, 30)]
    examples = [Example(InMemory(clip), 0) for clip in clips]
    mean, variance = np.full(5, 3.0), np.full(5, 4.0)
    given = (examples, [np.array([2, 0]), np.array([1])], np.array([9, 16, 20]), mean, variance, 4)
    made = [
        [np.asarray(part) for part in (one[0]["features"], one[0]["n_frames"], one[1])]
        for one in hidden_batches(*given, (0, 1))
    ]
    for number, (rows, n_frames, truth) in enumerate(made):
        assert rows.shape[1] % 16 == 0 and truth.shape == (*rows.shape[:2], 6)
        for row, count, own, clip in zip(rows, n_frames, truth, ([2, 0], [1])[number], strict=True):
            hidden = own[:, 5] > 0
            steps = [set(hidden[start : min(start + 4, count)]) for start in range(0, count, 4)]
            assert all(len(one) == 1 for one in steps)  # whole steps of 4 frames
            assert sum(True in one for one in steps) == max(1, round(0.5 * len(steps))) and not hidden[count:].any()
            frames = own[:count, :5] * 2 + 3
            starts = [s for s in range(len(clips[clip]) - count + 1) if np.allclose(clips[clip][s : s + count], frames)]
            assert len(starts) == 1, "a stretch of the clip, standardised"
            np.testing.assert_allclose(row[:count], np.where(hidden[:count, None], 3.0, frames), atol=1e-5)
    again = [np.asarray(one[0]["features"]) for one in hidden_batches(*given, (0, 1))]
    other = [np.asarray(one[0]["features"]) for one in hidden_batches(*given, (0, 2))]
    assert all(np.array_equal(a[0], b) for a, b in zip(made, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(again, other, strict=True))


@pytest.fixture(scope="module")
def emodb(tmp_path_factory):
    return synthesize("emodb", tmp_path_factory.mktemp("twin") / "emodb", 70, seconds=(0.3, 0.5))


def settings(emodb, out, **changes):
    given = {"model": "residual_bigru", "corpus": "emodb", "data_root": str(emodb), "bands": 32, "option": SMALL}
    given |= {"batch_size": 10, "learning_rate": 0.01, "cache_dir": f"{emodb}-cache", "out": str(out), "epochs": 4}
    config = from_flags({**given, "backend": keras.backend.backend(), **changes})
    return replace(config, patience=config.epochs, keep="last")


@pytest.fixture(scope="module")
def pretrained(emodb, tmp_path_factory):
    """Weights of a pre-training without speakers 03 and 08."""
    return pretrain.pretrain(settings(emodb, tmp_path_factory.mktemp("pretrained") / "weights"), ["03", "emodb:08"])


def test_the_loss_falls_and_the_record_names_every_speaker_and_recording(pretrained, emodb):
    with (pretrained / "history.csv").open() as file:
        history = [(float(row["loss"]), float(row["validation_explained"])) for row in csv.DictReader(file)]
    assert history[-1][0] < 0.97 * history[0][0] and history[-1][1] > history[0][1]
    record = json.loads((pretrained / "pretrained.json").read_text())
    (speakers,) = record["speakers"].values()
    assert len(speakers) == 8 and not {"03", "08"} & set(speakers)
    assert len(set(record["audio_sha256"])) == record["corpora"]["emodb"]["clips"] == 56
    assert not list(pretrained.glob("state*"))


def test_a_stopped_pretraining_ends_the_same(pretrained, emodb, tmp_path, monkeypatch):
    def stop():
        raise KeyboardInterrupt

    config, left_out = settings(emodb, tmp_path / "part"), ["03", "emodb:08"]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pretrain, "fit", lambda *given, task: fitting.fit(*given, after_epoch=stop, task=task))
        pretrain.pretrain(config, left_out)
    for changed, left in ((config, ["03"]), (replace(config, batch_size=11), left_out)):
        with pytest.raises(UserError, match="expected the pre-training it was started with, found other"):
            pretrain.pretrain(changed, left, resume=True)
    with pytest.raises(UserError, match="add --resume to go on with it"):
        pretrain.pretrain(config, left_out)
    found = pretrain.pretrain(config, left_out, resume=True)
    models = [load_model(folder / "model.keras") for folder in (pretrained, found)]
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(one, other)


def test_training_begins_with_its_weights_and_a_new_head(pretrained, emodb, tmp_path):
    config = settings(emodb, tmp_path / "run", init_from=str(pretrained), fold="0")
    source = open_source(resolve(config))
    (origin,) = transfer.origins(resolve(config), source).values()
    assert origin.about["kind"] == "pretraining" and "not_checked" not in origin.about
    assert len(origin.about["seen_speakers"]["emodb"]) == 8
    stored = weights_of(bare(network_of(load_model(pretrained / "model.keras"))))
    network = registry.build("residual_bigru", 7, 32, **SMALL)
    before = network.get_layer("probabilities").get_weights()
    transfer.put(initial_model.read(config, "0-03", network), network, source.protocol.classes)
    for name, arrays in weights_of(network).items():
        expected = before if name == "probabilities" else stored[name]
        assert all(np.array_equal(*pair) for pair in zip(arrays, expected, strict=True))


def test_a_test_speaker_or_recording_of_a_pretraining_is_refused(pretrained, emodb, tmp_path):
    allowed = resolve(settings(emodb, tmp_path, init_from=str(pretrained), fold="1"))  # tests speaker 08
    transfer.origins(allowed, open_source(allowed))
    refused = replace(allowed, fold="2")
    with pytest.raises(UserError, match="1 of 1 test speakers are known to it: 09"):
        transfer.origins(refused, open_source(refused))
    (fold,) = open_source(refused).folds
    record = json.loads((pretrained / "pretrained.json").read_text())
    about = initial_model.read(refused, fold.name).about
    seen = seen_before.of(about, refused, None)
    hashes = {clip.name: record["audio_sha256"][0] for clip in fold.test}
    (said,) = seen_before.same_audio(seen, fold, hashes, None, refused)
    assert said.startswith(f"{len(fold.test)} of {len(fold.test)} test recordings are known to it")
    assert seen_before.same_audio(seen, fold, dict.fromkeys(hashes, "0" * 64), None, refused) == []
    pooled = replace(refused, corpus="emodb+ravdess")
    clips = tuple(replace(clip, speaker=f"emodb:{clip.speaker}") for clip in fold.test)
    assert seen_before.same_speakers(seen, replace(fold, test=clips), pooled)[0].endswith("emodb:09")


REFUSED = {
    "no corpus": ([], "--corpus: expected one, found none"),
    "no out": (["--corpus", "emodb"], "--out: expected one, found none"),
    "other network": (
        ["--corpus", "emodb", "--out", "x", "--model", "fcn"],
        "expected a network with a recurrent layer",
    ),
    "features": (["--corpus", "emodb", "--out", "x", "--model", "rnn_mfcc"], "expected a network on log-mels"),
    "no folder": (["--corpus", "emodb", "--data-root", "absent", "--out", "x"], "absent"),
    "stranger": (
        ["--corpus", "emodb", "--out", "x", "--leave-out-speakers", "99"],
        "unknown speaker in --leave-out-sp",
    ),
    "table alone": (["--corpus", "table", "--out", "x"], "expected table:PATH in a pool"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_pretrained_on_is_refused(script, emodb, tmp_path, case):
    words, said = REFUSED[case]
    words = words if "--data-root" in words or not words else [*words, "--data-root", emodb]
    code, _, error = script("pretrain.py", *words)
    assert code == 2 and said in " ".join(error.split()), error
    assert not (tmp_path / "x").exists()
