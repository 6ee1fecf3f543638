"""Figures of adapted speakers beside those of strangers, by networks made up of their answers."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from zoo.adaptation import class_means, few_shot, prior, study
from zoo.adaptation.methods import plan_of
from zoo.adaptation.network import as_trained
from zoo.adaptation.speakers import Speaker
from zoo.adaptation.study import Amount, as_stranger, check_amounts, summary
from zoo.data.schema import Clip
from zoo.errors import UserError

TRUTH = np.tile([0, 1, 2], 6)
TRAINED = np.array([0.5, 0.3, 0.2])


class Answers:
    """A network whose vectors are the features, and whose probabilities are drawn."""

    def __init__(self, rng):
        self.probabilities = rng.dirichlet(np.ones(3), len(TRUTH))
        self.network = type("Weights", (), {"set_weights": lambda self, weights: None})()
        self.trained = ()

    def outputs(self, features):
        return np.stack(features), self.probabilities


def speaker(rng, name="a", truth=TRUTH, n_networks=2):
    clips = tuple(Clip(None, f"{name}{number}", name, "") for number in range(len(truth)))
    features = [list(rng.normal(size=(len(truth), 4)) + truth[:, None]) for _ in range(n_networks)]
    return Speaker(name, "0", clips, truth, [Answers(rng) for _ in range(n_networks)], features, TRAINED)


def score(one, plan, amount, draws, seed):
    return study.score(one, as_stranger(one), plan, amount, draws, seed)


def mean(of):
    return np.mean([network.probabilities for network in of.networks], axis=0)


def test_prior_of_all_clips_is_that_of_the_mean_probabilities(rng):
    one = speaker(rng)
    (found,) = score(one, plan_of("prior"), Amount(0), 5, 0)
    np.testing.assert_allclose(found.adapted.mean(axis=0), TRAINED, atol=1e-7)
    np.testing.assert_allclose(found.adapted, prior.reweighted(mean(one), prior.weights_for(mean(one), TRAINED)))
    np.testing.assert_array_equal(found.stranger, mean(one))
    assert found.scored.tolist() == list(range(len(TRUTH)))


def test_estimated_prior_assumes_nothing_of_the_shares(rng):
    one = speaker(rng)
    (found,) = score(one, plan_of("prior_estimated"), Amount(0), 5, 0)
    shares = prior.estimate_prior(mean(one), TRAINED)
    np.testing.assert_allclose(found.adapted, prior.reweighted(mean(one), shares / TRAINED))


def test_of_some_clips_the_others_are_scored(rng):
    one = speaker(rng)
    draws = score(one, plan_of("prior:0.5"), Amount(5), 4, 0)
    assert len({tuple(found.own) for found in draws}) > 1
    for found in draws:
        assert sorted([*found.own, *found.scored]) == list(range(len(TRUTH)))
        weights = prior.weights_for(mean(one)[found.own], TRAINED) ** 0.5
        np.testing.assert_allclose(found.adapted, prior.reweighted(mean(one), weights)[found.scored])
    again = score(one, plan_of("prior_estimated"), Amount(5), 4, 0)
    assert [found.own.tolist() for found in again] == [found.own.tolist() for found in draws]


@pytest.mark.parametrize("method", ["prior", "prior_estimated", "class_means", "class_means_prior", "batch_norm+prior"])
@pytest.mark.parametrize("amount", [Amount(0), Amount(7)])
def test_no_label_of_the_speaker_is_read_without_few_shot(method, amount, monkeypatch):
    monkeypatch.setattr("zoo.adaptation.study.ADAPT", {"batch_norm": as_trained})
    one = speaker(np.random.default_rng(1))
    other = replace(one, truth=np.roll(TRUTH, 1), clips=[replace(clip, label="wrong") for clip in one.clips])
    found = [score(each, plan_of(method), amount, 3, 0) for each in (one, other)]
    for right, shuffled in zip(*found, strict=True):
        np.testing.assert_array_equal(right.adapted, shuffled.adapted)
        np.testing.assert_array_equal(right.own, shuffled.own)


def test_few_shot_methods_fit_to_the_drawn_clips_alone(rng):
    one = speaker(rng)
    vectors = np.concatenate([np.stack(of) for of in one.features], axis=1)
    for found in score(one, plan_of("few_shot_logistic:0.3"), Amount(2, per_class=True), 3, 0):
        assert np.bincount(TRUTH[found.own]).tolist() == [2, 2, 2]
        assert not set(found.own) & set(found.scored)
        head = few_shot.logistic(vectors[found.own], TRUTH[found.own], vectors[found.scored], 3, 0.3)
        expected = head * mean(one)[found.scored]
        np.testing.assert_allclose(found.adapted, expected / expected.sum(axis=1, keepdims=True), atol=1e-6)
    for found in score(one, plan_of("few_shot:2"), Amount(2, per_class=True), 3, 0):
        fitted = class_means.fit_labelled(vectors[found.own], TRUTH[found.own], 3, 2.0)
        expected = fitted.probabilities(vectors[found.scored], mean(one)[found.scored])
        np.testing.assert_allclose(found.adapted, expected)


def test_class_means_of_some_clips_answer_the_others(rng):
    one = speaker(rng)
    vectors = np.concatenate([np.stack(of) for of in one.features], axis=1)
    for method, shares in (("class_means", None), ("class_means_prior", TRAINED)):
        for found in score(one, plan_of(method), Amount(9), 2, 0):
            fitted = class_means.fit(vectors[found.own], mean(one)[found.own], 5.0, shares)
            expected = fitted.probabilities(vectors[found.scored], mean(one)[found.scored])
            np.testing.assert_allclose(found.adapted, expected)


def test_figures_are_means_over_draws_with_intervals_over_speakers(rng):
    speakers = [speaker(rng, name) for name in "abc"]
    amount = Amount(6)
    outcomes = [score(one, plan_of("prior"), amount, 4, 0) for one in speakers]
    found = summary(speakers, outcomes, amount)
    by_draw = {"stranger": [], "adapted": []}
    for draw in range(4):
        truth = np.concatenate([TRUTH[of[draw].scored] for of in outcomes])
        for kind, values in by_draw.items():
            answered = np.concatenate([getattr(of[draw], kind) for of in outcomes]).argmax(axis=1)
            values.append(balanced_accuracy_score(truth, answered))
    for kind, values in by_draw.items():
        assert found[kind]["ua"]["value"] == pytest.approx(np.mean(values))
        assert found[kind]["ua"]["low"] <= np.mean(values) <= found[kind]["ua"]["high"]
    change = np.mean(by_draw["adapted"]) - np.mean(by_draw["stranger"])
    assert found["change"]["ua"]["value"] == pytest.approx(change)
    assert (found["setting"], found["adapted_on"], found["clips"], found["draws"]) == ("inductive", "6", 36, 4)
    own = [balanced_accuracy_score(TRUTH[of.scored], of.adapted.argmax(axis=1)) for of in outcomes[1]]
    assert found["per_speaker"]["b"]["adapted"] == pytest.approx(np.mean(own))


def test_more_clips_than_a_speaker_has_are_refused(rng):
    with pytest.raises(
        UserError, match="--clips 18: expected less than speaker a has, 18 clips, so that some are left"
    ):
        check_amounts([speaker(rng)], [Amount(18)])
    with pytest.raises(UserError, match="--clips 6: expected less than speaker a has, 6 clips of a class"):
        check_amounts([speaker(rng)], [Amount(6, per_class=True)])
    check_amounts([speaker(rng)], [Amount(0), Amount(17), Amount(5, per_class=True)])
