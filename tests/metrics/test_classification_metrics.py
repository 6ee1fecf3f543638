"""Metrics against scikit-learn, audmetric, SciPy, literal loops and cases worked by hand."""

import json
import math

import audmetric
import numpy as np
import pytest
from scipy.stats import chi2_contingency, norm
from sklearn import metrics as reference

from zoo.metrics import classification

NAMES = ("weighted_accuracy", "unweighted_accuracy", "macro_f1", "recalls", "precisions", "f1_scores")
STATISTICS = [getattr(classification, name) for name in NAMES]


def random_cases(n_cases=60):
    """Truth and prediction of every awkward kind: classes absent from either side, constants, one clip."""
    rng = np.random.default_rng(7)
    for case in range(n_cases):
        n_classes, n_clips = int(rng.integers(1, 8)), int(rng.integers(1, 40))
        truth = rng.choice(rng.permutation(n_classes)[: rng.integers(1, n_classes + 1)], n_clips)
        prediction = rng.choice(rng.permutation(n_classes)[: rng.integers(1, n_classes + 1)], n_clips)
        yield pytest.param(truth, prediction, n_classes, id=f"random{case}")


DEGENERATE = [
    pytest.param(np.array([0, 0, 0]), np.array([0, 0, 0]), 1, id="one class only"),
    pytest.param(np.array([0, 2, 2, 0]), np.array([0, 2, 0, 0]), 3, id="a class in neither"),
    pytest.param(np.array([0, 2, 2, 0]), np.array([1, 1, 1, 1]), 3, id="always wrong, never a true class"),
    pytest.param(np.array([0, 1, 2, 2]), np.array([2, 2, 2, 2]), 3, id="constant prediction"),
    pytest.param(np.array([1]), np.array([1]), 4, id="one clip, right"),
    pytest.param(np.array([1]), np.array([3]), 4, id="one clip, wrong"),
    pytest.param(np.array([1, 0], np.uint64), np.array([0, 0], np.uint8), 2, id="unsigned"),
]
CASES = [*random_cases(), *DEGENERATE]


@pytest.mark.filterwarnings("ignore:A single label was found")
@pytest.mark.parametrize(("truth", "prediction", "n_classes"), CASES)
def test_equals_scikit_learn_and_audmetric(truth, prediction, n_classes):
    confusion = classification.confusion_matrix(truth, prediction, n_classes)
    every, in_truth = list(range(n_classes)), sorted(set(truth.tolist()))
    present = sorted(set(truth.tolist()) | set(prediction.tolist()))
    absent, unseen = np.setdiff1d(every, in_truth), np.setdiff1d(every, present)

    assert np.issubdtype(confusion.dtype, np.integer)
    np.testing.assert_array_equal(confusion, reference.confusion_matrix(truth, prediction, labels=every))

    wa, ua, f1, recalls, precisions, f1_scores = (statistic(confusion) for statistic in STATISTICS)
    assert wa == pytest.approx(reference.accuracy_score(truth, prediction))
    assert wa == pytest.approx(audmetric.accuracy(truth, prediction))
    assert ua == pytest.approx(reference.recall_score(truth, prediction, labels=in_truth, average="macro"))
    # Averaged here: given `labels`, audmetric would drop the clips that are predicted as another class.
    found_by_class = audmetric.recall_per_class(truth, prediction, every)
    assert ua == pytest.approx(np.mean([found_by_class[label] for label in in_truth]))
    if in_truth == present:
        assert ua == pytest.approx(audmetric.unweighted_average_recall(truth, prediction))
    assert f1 == pytest.approx(reference.f1_score(truth, prediction, labels=present, average="macro", zero_division=0))
    assert f1 == pytest.approx(audmetric.unweighted_average_fscore(truth, prediction))

    options = {"labels": every, "average": None, "zero_division": 0}
    for ours, function, undefined in (
        (recalls, reference.recall_score, absent),
        (precisions, reference.precision_score, unseen),
        (f1_scores, reference.f1_score, unseen),
    ):
        expected = np.array(function(truth, prediction, **options), dtype=float)
        expected[undefined] = np.nan
        np.testing.assert_allclose(ours, expected)


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.filterwarnings("error")
def test_leading_axes_equal_a_loop_and_a_matrix_without_utterances_is_nan(statistic):
    confusions = np.random.default_rng(0).integers(0, 3, (2, 5, 4, 4))
    looped = [[statistic(one) for one in row] for row in confusions]
    np.testing.assert_array_equal(statistic(confusions), looped)
    assert np.isnan(statistic(np.zeros((3, 3), int))).all()


def test_z_test_equals_scipy():
    rng = np.random.default_rng(0)
    for n_a, n_b in rng.integers(2, 3000, (50, 2)):
        hits_a, hits_b = rng.integers(1, n_a), rng.integers(1, n_b)
        z, p = classification.z_test(hits_a / n_a, n_a, hits_b / n_b, n_b)
        table = [[hits_a, n_a - hits_a], [hits_b, n_b - hits_b]]
        assert z**2 == pytest.approx(chi2_contingency(table, correction=False).statistic)
        assert (z > 0) == (hits_b / n_b > hits_a / n_a)
        assert p == pytest.approx(norm.sf(z))


@pytest.mark.parametrize("accuracy", [0.0, 0.3, 1.0])
def test_z_test_of_equal_accuracies(accuracy):
    assert classification.z_test(accuracy, 7, accuracy, 11) == (0.0, 0.5)


CLASSES = ["neutral", "happy", "sad"]


def test_evaluate_by_hand():
    found = classification.evaluate(
        ["neutral", "neutral", "happy", "happy"], ["neutral", "happy", "happy", "happy"], CLASSES, ["b", "a", "a", "b"]
    )
    json.dumps(found, allow_nan=False)
    assert (found["n_clips"], found["n_speakers"]) == (4, 2)
    assert found["wa"]["value"] == found["ua"]["value"] == 0.75
    # Four equally likely resamples: aa scores 1/2, bb 1, ab and ba 3/4.
    assert (found["wa"]["low"], found["wa"]["high"]) == (0.5, 1.0)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert found["per_class"]["neutral"] == {"n": 2, "recall": 0.5, "precision": 1.0, "f1": pytest.approx(2 / 3)}
    assert found["per_class"]["sad"] == {"n": 0, "recall": None, "precision": None, "f1": None}
    assert found["per_speaker"] == {"a": {"n": 2, "wa": 0.5, "ua": 0.5}, "b": {"n": 2, "wa": 1.0, "ua": 1.0}}
    assert found["confusion"] == [[1, 1, 0], [0, 2, 0], [0, 0, 0]]
    assert found["classes"] == CLASSES
    assert found["absent_classes"] == ["sad"]


@pytest.mark.parametrize(("truth", "prediction", "n_classes"), CASES[::6] + DEGENERATE)
@pytest.mark.filterwarnings("error")
def test_evaluate_is_strict_json_and_adds_up(truth, prediction, n_classes):
    speakers = np.arange(len(truth)) % 3
    found = classification.evaluate(truth, prediction, [f"class {index}" for index in range(n_classes)], speakers)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    for speaker, row in found["per_speaker"].items():
        own = speakers == int(speaker)
        hits = [np.mean(prediction[own & (truth == label)] == label) for label in np.unique(truth[own])]
        wa = reference.accuracy_score(truth[own], prediction[own])
        assert row == {"n": own.sum(), "wa": pytest.approx(wa), "ua": pytest.approx(np.mean(hits))}
    assert sum(row["n"] for row in found["per_speaker"].values()) == len(truth) == found["n_clips"]


def test_evaluate_takes_names_or_indices_and_one_speaker_has_no_interval():
    truth, prediction = [0, 2, 1, 2], [0, 2, 2, 1]
    names = [CLASSES[index] for index in truth], np.array(CLASSES)[prediction]
    found = classification.evaluate(*names, CLASSES, np.array(list("aaaa")))
    assert found == classification.evaluate(truth, np.array(prediction), CLASSES, list("aaaa"))
    assert found["wa"] == {"value": 0.5, "low": None, "high": None}


@pytest.mark.parametrize(
    ("truth", "prediction", "classes", "speakers", "message"),
    [
        ([], [], CLASSES, [], "at least one"),
        ([0, 1], [0], CLASSES, ["a", "b"], "2 true labels, 1 predictions and 2 speakers"),
        ([0, 1], [0, 1], CLASSES, ["a"], "and 1 speakers"),
        ([0, 3], [0, 1], CLASSES, ["a", "b"], r"0\.\.2, found 0\.\.3"),
        ([0, 1], [-1, 1], CLASSES, ["a", "b"], r"0\.\.2, found -1\.\.1"),
        ([0, 1], [0, math.nan], CLASSES, ["a", "b"], "label"),
        ([0, 0.5], [0, 1], CLASSES, ["a", "b"], "label"),
        (["sad", "glad"], [0, 1], CLASSES, ["a", "b"], "'glad' at position 1"),
        (["sad", None], [0, 1], CLASSES, ["a", "b"], "None at position 1"),
        ([[0], [1]], [0, 1], CLASSES, ["a", "b"], r"shape \(2, 1\)"),
        ([0, 1], [0, 1], CLASSES, ["a", None], "speaker at position 1"),
        ([0, 1], [0, 1], CLASSES, ["a", math.nan], "speaker at position 1"),
        ([0, 1], [0, 1], CLASSES, ["", "a"], "speaker at position 0"),
    ],
)
def test_evaluate_refuses(truth, prediction, classes, speakers, message):
    with pytest.raises(ValueError, match=message):
        classification.evaluate(truth, prediction, classes, speakers)
