"""Networks adapted to a speaker, against NumPy, and the command from a run to its figures and to predict.py."""

import csv
import json
from dataclasses import replace

import keras
import numpy as np
import pytest
import tiny_runs

from zoo import registry
from zoo.adaptation import network as networks
from zoo.data.synthetic.corpora import synthesize
from zoo.errors import UserError

FOLD = "0-Actor_01-Actor_04"
RNG = np.random.default_rng(3)
CLIPS = [RNG.normal(1, 2, (length, 12)).astype("float32") for length in (30, 21, 40)]


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    return synthesize("ravdess", tmp_path_factory.mktemp("twin") / "ravdess", 192, seconds=(0.3, 0.4))


@pytest.fixture(scope="module")
def run(twin, tmp_path_factory):
    flags = {"data_root": str(twin), "synthetic": False, "fold": "0"}
    flags |= {"cache_dir": str(tmp_path_factory.mktemp("cache"))}
    return tiny_runs.make(tmp_path_factory.mktemp("run") / "run", "fcn", "ravdess", names=[FOLD], **flags)


@pytest.fixture
def fold(run):
    classes = json.loads((run / "metrics.json").read_text()).get("classes") or range(8)
    return networks.open_network(run / f"fold-{FOLD}" / "model.keras", [str(name) for name in classes], 8)


def norms(fold):
    return [layer for layer in fold.network.layers if isinstance(layer, keras.layers.BatchNormalization)]


def saved(fold, clips):
    """Return what the model as it would be saved, without its front-end, answers to features."""
    standardized = networks.network_of(fold.model())
    given = [{"features": clip[None], "n_frames": np.array([len(clip)], "int32")} for clip in clips]
    return np.concatenate([np.asarray(standardized(one, training=False)) for one in given])


def test_a_fold_answers_as_its_saved_model_and_its_head_takes_the_vectors(fold):
    vectors, probabilities = fold.outputs(CLIPS)
    np.testing.assert_allclose(probabilities, saved(fold, CLIPS), atol=1e-5)
    kernel, bias = networks.head_of(fold.network).get_weights()
    logits = vectors @ kernel + bias
    by_hand = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, by_hand, atol=1e-5)


def test_moments_are_the_speakers_over_all_frames_mixed_with_training(fold):
    frames = np.concatenate(CLIPS).astype(np.float64)
    whole, half = networks.by_moments(fold, CLIPS, 1.0), networks.by_moments(fold, CLIPS, 0.5)
    np.testing.assert_allclose(np.concatenate(whole.standardized(CLIPS)).mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(np.concatenate(whole.standardized(CLIPS)).std(axis=0), 1, atol=1e-5)
    np.testing.assert_allclose(half.mean, (frames.mean(axis=0) + fold.mean) / 2)
    np.testing.assert_allclose(half.variance, (frames.var(axis=0) + fold.variance) / 2)
    np.testing.assert_allclose(saved(half, CLIPS), half.outputs(CLIPS)[1], atol=1e-5)
    assert not np.allclose(fold.outputs(CLIPS)[1], half.outputs(CLIPS)[1], atol=1e-4)


def test_statistics_of_batch_normalisation_are_mixed_and_the_next_speaker_begins_with_training(fold):
    trained = [np.array(layer.moving_variance) for layer in norms(fold)]
    networks.by_batch_norm(fold, CLIPS, 1.0)
    first = norms(fold)[0]
    inside = keras.Model(fold.network.inputs, first.input)
    values = []
    for clip in fold.standardized(CLIPS):
        given = {"features": clip[None], "n_frames": np.array([len(clip)], "int32")}
        values.append(np.asarray(keras.tree.flatten(inside(given))[0]).reshape(-1, trained[0].shape[0]))
    expected = np.concatenate(values).astype(np.float64)
    np.testing.assert_allclose(first.moving_mean, expected.mean(axis=0), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(first.moving_variance, expected.var(axis=0), rtol=1e-3, atol=1e-6)
    networks.by_batch_norm(fold, CLIPS, 0.25)
    mixed = 0.25 * expected.var(axis=0) + 0.75 * trained[0]
    np.testing.assert_allclose(first.moving_variance, mixed, rtol=1e-3, atol=1e-6)
    networks.as_trained(fold, CLIPS, 0.0)
    for layer, before in zip(norms(fold), trained, strict=True):
        np.testing.assert_array_equal(layer.moving_variance, before)


def test_entropy_falls_by_scale_and_shift_alone(rng):
    keras.utils.set_random_seed(0)
    network = registry.build("residual_bigru", 8, 12, stem_filters=4, filters=[4, 4, 8], recurrent_units=4)
    answers = keras.Model(network.inputs, [networks.head_of(network).input, network.output])
    weights = tuple(weight + rng.normal(0, 0.02, weight.shape) for weight in network.get_weights())
    fold = networks.FoldNetwork(None, network, answers, weights, np.zeros(12), np.ones(12), 8)

    def entropy():
        shares = fold.outputs(CLIPS)[1]
        return -(shares * np.log(shares)).sum(axis=1).mean()

    networks.by_batch_norm(fold, CLIPS, 0.5)
    before, held = entropy(), {layer.name: layer.get_weights() for layer in network.layers}
    networks.by_entropy(fold, CLIPS, 0.5, epochs=5)
    assert entropy() < before - 1e-4
    for layer in network.layers:
        same = slice(2, None) if layer in norms(fold) else slice(None)  # moving mean and variance
        for was, now in zip(held[layer.name][same], layer.get_weights()[same], strict=True):
            np.testing.assert_array_equal(was, now)
        assert layer.trainable


def test_a_network_without_batch_normalisation_is_refused(fold):
    without = replace(fold, network=keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)], name="plain"))
    with pytest.raises(UserError, match="plain has no batch normalisation to adapt"):
        networks.check_batch_norm(without)


def test_one_command_scores_speakers_as_strangers_and_adapted(run, tmp_path, script):
    words = ("--method", "batch_norm+prior", "prior_estimated", "--clips", "3,all", "--draws", "2")
    code, printed, errors = script("adapt.py", run, *words, "--out", tmp_path / "out")
    assert code == 0, errors
    assert "ADAPTED TO THE SPEAKER" in printed and "ASSUMES" in printed and "transductive" in printed
    record = json.loads((tmp_path / "out" / "adaptation.json").read_text())
    assert (record["n_speakers"], record["clips"], record["folds"]) == (4, 32, [FOLD])
    rows = [row for method in record["methods"].values() for row in method["figures"]]
    assert [(row["adapted_on"], row["clips"]) for row in rows] == [("3", 20), ("all", 32)] * 2
    assert rows[1]["stranger"] == rows[3]["stranger"]
    with (tmp_path / "out" / "adaptation.csv").open() as file:
        assert float(list(csv.DictReader(file))[1]["adapted_ua"]) == rows[1]["adapted"]["ua"]["value"]
    table = (tmp_path / "out" / "adaptation.md").read_text()
    assert "| method | setting | clips | draws | scored | UA as a stranger | UA adapted |" in table
    assert "| batch_norm+prior | transductive | all | 1 | 32 |" in table


def test_a_run_adapted_to_ones_own_speaker_is_opened_by_predict(run, twin, tmp_path, script):
    recordings, out = twin / "Actor_01", tmp_path / "mine"
    words = (run, "--method", "statistics", "--speaker", recordings, "--save", out)
    code, printed, errors = script("adapt.py", *words)
    assert code == 0, errors
    assert "adapted to 8 recordings of one speaker" in printed
    answers = [
        json.loads(line)["probabilities"]
        for place in (run, out)
        for line in script("predict.py", place, recordings, "--json")[1].splitlines()
    ]
    assert len(answers) == 16 and answers[:8] != answers[8:]
    assert "adapted to 8 recordings" in json.loads((out / "metrics.json").read_text())["warnings"][-1]
    code, _, errors = script("adapt.py", *words)
    assert code == 2 and "is there already" in errors


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--method", "batch_norm"), "expected --out DIR for figures"),
        (("--method", "batch_norm", "--out", "o", "--speaker", "x"), "need each other"),
        (("--method", "prior", "--speaker", "x", "--save", "s"), "one method of the network: statistics, batch_norm"),
        (("--method", "entropy", "--speaker", "x", "--save", "s", "--clips", "3"), "are for figures, and --save makes"),
        (("--method", "few_shot", "--out", "o"), "--clips 1: expected less than speaker Actor_01 has, 1 clips of a"),
        (("--method", "batch_norm", "--clips", "8", "--out", "o"), "expected less than speaker Actor_01 has, 8 clips"),
        (("--method", "batch_norm", "--draws", "0", "--out", "o"), "--draws is 0, expected 1 or more"),
        (("--method", "batch_norm", "--speaker", "absent", "--save", "s"), "absent: no such file or folder"),
    ],
)
def test_mistakes_are_one_message(run, script, words, said):
    code, _, errors = script("adapt.py", run, *words)
    assert (code, errors.count("error:")) == (2, 1) and said in errors
