"""Measures, fits and thresholds of confidence against definitions, scikit-learn and made answers."""

import doctest
import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, softmax
from scipy.stats import entropy as scipy_entropy
from sklearn.metrics import roc_auc_score

from zoo.confidence import fitting, measures, threshold
from zoo.confidence.fit import Engine, from_content
from zoo.confidence.fitting import Answered, fit
from zoo.errors import UserError

CLASSES = ("a", "b", "c")
HALF = {"coverage": 0.5}


def answered(rng, n=400, n_speakers=8, **more):
    """Draw answers of a calibrated model: each is right with its own probability."""
    scores = rng.normal(0, 1.5, (n, 3))
    probabilities = softmax(scores, axis=1)
    truth = np.array([rng.choice(3, p=row) for row in probabilities])
    speakers = tuple(f"s{number % n_speakers}" for number in range(n))
    return Answered(tuple(map(str, range(n))), speakers, truth, probabilities, **more)


def with_functionals(rng, n=400):
    """Answers whose errors one functional tells, and the agreement of raters too."""
    clips = answered(rng, n)
    functionals = rng.normal(size=(n, 88))
    functionals[:, 5] = np.where(clips.correct, 1.0, -1.0) + rng.normal(0, 0.5, n)
    agreement = np.clip(0.6 + 0.2 * functionals[:, 5] + rng.normal(0, 0.05, n), 0, 1)
    return Answered(clips.names, clips.speakers, clips.truth, clips.probabilities, functionals, agreement)


def test_examples_in_docstrings():
    assert doctest.testmod(measures).failed == 0


def test_scores_are_their_definitions(rng):
    shares = softmax(rng.normal(0, 2, (50, 4)), axis=1)
    ordered = np.sort(shares)
    np.testing.assert_allclose(measures.margin(shares), ordered[:, -1] - ordered[:, -2])
    np.testing.assert_allclose(measures.entropy(shares), 1 - scipy_entropy(shares, axis=1) / np.log(4), atol=1e-4)
    scores = rng.normal(size=(20, 4))
    top = np.sort(scores)
    np.testing.assert_allclose(measures.hyperplane(softmax(scores, axis=1)), top[:, -1] - top[:, -2])
    members = softmax(rng.normal(size=(3, 20, 4)), axis=2)
    mutual = scipy_entropy(members.mean(axis=0), axis=1) - scipy_entropy(members, axis=2).mean(axis=0)
    np.testing.assert_allclose(measures.disagreement(members), -mutual, atol=1e-9)


def test_the_map_to_a_probability_finds_the_true_one(rng):
    values = rng.normal(size=20_000)
    correct = rng.random(20_000) < expit(1.3 * values - 0.4)
    assert fitting.to_probability(values, correct) == pytest.approx((1.3, -0.4), abs=0.06)


def test_a_score_that_says_nothing_gives_all_clips_the_share_of_right_ones():
    values, correct = np.array([0.9, 0.8, 0.1, 0.2]), np.array([False, False, True, True])
    assert fitting.to_probability(values, correct) == (0.0, 0.0)
    assert fitting.to_probability(np.ones(4), np.array([True, True, True, False]))[0] == 0.0


def test_a_threshold_for_a_coverage_and_for_an_error_by_hand():
    confidence, correct = np.array([0.9, 0.8, 0.7, 0.6, 0.5]), np.array([True, True, False, True, False])
    assert threshold.choose(confidence, correct, {"coverage": 0.6}, "x") == pytest.approx(0.65)
    assert threshold.choose(confidence, correct, {"coverage": 1.0}, "x") == 0
    assert threshold.choose(confidence, correct, {"error": 0.3}, "x") == pytest.approx(0.55)  # 1 of 4 is wrong
    assert threshold.choose(confidence, correct, {"error": 0.4}, "x") == 0
    assert threshold.choose(confidence, correct, {"error": 0.1}, "x") == pytest.approx(0.75)


def test_an_error_out_of_reach_names_the_least():
    confidence = np.linspace(1, 0, 20)
    correct = np.tile([False, True], 10)
    with pytest.raises(
        UserError, match=r"run: no threshold on the validation clips reaches an error of 5 %; the least"
    ):
        threshold.choose(confidence, correct, {"error": 0.05}, "run")
    one_right = np.array([True] + 19 * [False])  # one clip in twenty is no evidence
    with pytest.raises(UserError, match=r"least is 50.0 %, at a coverage of 10 %"):
        threshold.choose(confidence, one_right, {"error": 0.05}, "run")


@pytest.mark.parametrize("wanted", [{"error": 0.0}, {"error": 1.0}, {"error": float("nan")}, {"coverage": 0.0}])
def test_shares_out_of_range_are_refused(wanted):
    with pytest.raises(UserError, match=r"--(abstain-at-error|coverage) is .*expected a share"):
        threshold.check(wanted)


@pytest.mark.parametrize("measure", ["maximum", "margin", "entropy", "hyperplane", "error_model"])
def test_fits_of_probabilities_rank_errors_and_keep_the_wanted_share(rng, measure):
    found = fit(answered(rng), CLASSES, measure, {"coverage": 0.8}, "run")
    unseen = answered(np.random.default_rng(1), 2000)
    confidence = found.confidence(unseen.probabilities)
    assert roc_auc_score(unseen.correct, confidence) > 0.65
    assert abs(confidence.mean() - unseen.correct.mean()) < 0.06
    assert (confidence >= found.threshold).mean() == pytest.approx(0.8, abs=0.06)
    assert found.validation["coverage"] == pytest.approx(0.8, abs=0.01)


def test_an_error_model_learns_errors_that_probabilities_do_not_show(rng):
    clips, unseen = with_functionals(rng), with_functionals(np.random.default_rng(1))
    found = fit(clips, CLASSES, "error_model_acoustic", HALF, "run")
    assert len(found.engines) == 4
    confidence = found.confidence(unseen.probabilities, unseen.functionals)
    own = roc_auc_score(unseen.correct, measures.maximum(unseen.probabilities))
    assert roc_auc_score(unseen.correct, confidence) > own + 0.1
    with pytest.raises(ValueError, match="needs functionals"):
        found.confidence(unseen.probabilities)


def test_estimates_behind_the_threshold_are_of_unseen_speakers(rng):
    """Where errors are pure chance, engines that saw their own clips would find some order in them."""
    clips = answered(rng, 200)
    chance = rng.random(200) < 0.5
    truth = np.where(chance, clips.prediction, (clips.prediction + 1) % 3)
    noise = rng.normal(size=(200, 88))
    made = Answered(clips.names, clips.speakers, truth, clips.probabilities, noise, None)
    _, values, _ = fitting._engines(made, "error_model_acoustic", "run", None)
    assert abs(roc_auc_score(chance, values) - 0.5) < 0.12


def test_agreement_of_raters_is_estimated(rng):
    clips, unseen = with_functionals(rng), with_functionals(np.random.default_rng(1))
    found = fit(clips, CLASSES, "agreement", HALF, "run")
    assert roc_auc_score(unseen.correct, found.confidence(unseen.probabilities, unseen.functionals)) > 0.8


def test_an_error_model_labels_recordings_itself(rng):
    clips, pool = answered(rng), answered(np.random.default_rng(2), 300).probabilities
    found = fit(clips, CLASSES, "error_model_self", HALF, "run", pool)
    before = fit(clips, CLASSES, "error_model", HALF, "run")
    assert not np.allclose(found.engines[0].weights, before.engines[0].weights)
    assert 0 < found.validation["self_labelled"] < 300
    unsure = np.full((5, 3), 1 / 3)
    again = fit(clips, CLASSES, "error_model_self", HALF, "run", unsure)
    assert again.validation["self_labelled"] == 0
    np.testing.assert_allclose(again.engines[0].weights, before.engines[0].weights)
    with pytest.raises(UserError, match="--pool"):
        fit(clips, CLASSES, "error_model_self", HALF, "run")


def test_recordings_are_labelled_where_all_engines_are_sure():
    engines = [Engine(np.array([1.0]), 0.0), Engine(np.array([1.0]), 1.0)]
    chosen, labels = fitting.self_labelled("error_model", engines, np.array([[3.0], [0.9], [0.0], [-2.0], [-9.0]]))
    assert (chosen.tolist(), labels.tolist()) == ([0, 4], [True, False])


@pytest.fixture(scope="module")
def found():
    return fit(answered(np.random.default_rng(0)), CLASSES, "error_model", {"coverage": 0.7}, "run")


def test_a_fit_comes_back_from_json(rng, found):
    again = from_content(json.loads(json.dumps(found.content())), CLASSES)
    shares = answered(rng, 20).probabilities
    np.testing.assert_array_equal(again.confidence(shares), found.confidence(shares))
    assert again.content() == found.content()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"measure": "luck"}, "the measure 'luck', not one of maximum"),
        ({"measure": []}, "the measure"),
        ({"classes": ["a", "c", "b"]}, "for the classes a, c, b, not a, b, c"),
        ({"slope": -1.0}, "slope -1"),
        ({"slope": None}, "slope None, not a number"),
        ({"threshold": 2}, "threshold 2"),
        ({"threshold": float("nan")}, "threshold nan"),
        ({"engines": []}, "engines that are not those of error_model"),
        ({"engines": [{"weights": [1.0], "bias": 0.0}]}, "with 6 inputs"),
        ({"engines": [{"weights": ["x"], "bias": 0.0}]}, "engines without"),
        ({"engines": 3}, "engines without"),
        ({"wanted": {"error": "much"}}, "wanted that is no mapping"),
    ],
)
def test_damaged_fits_are_refused(found, change, said):
    content = found.content()
    with pytest.raises(ValueError, match=said):
        from_content({**content, **change}, CLASSES)
    with pytest.raises(ValueError, match="no confidence with"):
        from_content({name: content[name] for name in content if name not in change}, CLASSES)


def test_clips_that_confidence_cannot_be_fitted_on_are_refused(rng):
    clips = answered(rng)
    none = Answered((), (), np.zeros(0, int), np.zeros((0, 3)))
    right = Answered(clips.names, clips.speakers, clips.prediction, clips.probabilities)
    undefined = Answered(clips.names, clips.speakers, clips.truth, np.full_like(clips.probabilities, np.nan))
    alone = Answered(clips.names, ("s",) * 400, clips.truth, clips.probabilities)
    voteless = replace(with_functionals(rng), agreement=None)
    for made, measure, found in (
        (none, "maximum", "no validation clips"),
        (right, "maximum", "all 400 validation clips are right"),
        (undefined, "maximum", "found NaN"),
        (alone, "error_model", "at least 2 speakers"),
        (voteless, "agreement", "raters' votes"),
    ):
        with pytest.raises(UserError, match=f"run: .*{found}"):
            fit(made, CLASSES, measure, HALF, "run")
