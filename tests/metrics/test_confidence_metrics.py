"""Figures of confidence against scikit-learn, their definitions, and numbers worked by hand."""

import doctest

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from zoo.metrics import confidence as metrics
from zoo.metrics.bootstrap import draws
from zoo.metrics.confidence_figures import FIGURES, evaluate, evaluate_abstaining


@pytest.fixture
def clips(rng):
    """Three classes, 60 speakers' clips; confidences with ties, higher where right."""
    truth, prediction = rng.integers(0, 3, 300), rng.integers(0, 3, 300)
    prediction = np.where(rng.random(300) < 0.5, truth, prediction)
    return np.clip(np.round(0.5 + 0.2 * (truth == prediction) + 0.2 * rng.normal(size=300), 1), 0, 1), truth, prediction


def test_examples_in_docstrings():
    assert doctest.testmod(metrics).failed == 0


def test_auroc_is_that_of_scikit_learn(clips):
    confidence, correct = clips[0], clips[1] == clips[2]
    assert metrics.auroc_of_errors(confidence, correct) == pytest.approx(roc_auc_score(correct, confidence))
    assert metrics.auroc_of_errors(confidence, correct == False) == pytest.approx(  # noqa: E712
        1 - roc_auc_score(correct, confidence)
    )


def test_auroc_is_undefined_where_all_are_right_or_wrong():
    assert np.isnan(metrics.auroc_of_errors([0.1, 0.2], [True, True]))
    assert np.isnan(metrics.auroc_of_errors([0.1, 0.2], [False, False]))


def test_risk_at_every_coverage_is_the_error_of_those_kept(clips):
    confidence, correct = clips[0], clips[1] == clips[2]
    curve = metrics.risk_coverage(confidence, correct)
    assert list(curve.threshold) == sorted(set(confidence), reverse=True)
    for threshold, coverage, risk in zip(*curve, strict=True):
        kept = confidence >= threshold
        assert coverage == pytest.approx(kept.mean())
        assert risk == pytest.approx(1 - correct[kept].mean())


def test_area_under_the_curve_is_the_mean_over_orders_of_ties(clips, rng):
    """By its definition for the order of each shuffle, averaged."""
    confidence, correct = clips[0], clips[1] == clips[2]
    areas = []
    for _ in range(800):
        shuffled = rng.permutation(len(confidence))
        order = shuffled[np.argsort(-confidence[shuffled], kind="stable")]
        areas.append(np.mean(np.cumsum(~correct[order]) / np.arange(1, len(order) + 1)))
    assert metrics.area_under_risk_coverage(confidence, correct) == pytest.approx(np.mean(areas), abs=1e-3)


def test_area_by_hand():
    assert metrics.area_under_risk_coverage([3, 2, 1], [True, True, False]) == pytest.approx((0 + 0 + 1 / 3) / 3)
    assert metrics.area_under_risk_coverage([1, 1], [True, False]) == pytest.approx((0.5 + 0.5) / 2)


def test_accuracies_at_a_coverage(clips):
    """At 70 %: the threshold is the confidence of the 210th clip."""
    confidence, truth, prediction = clips
    kept = confidence >= np.sort(confidence)[::-1][209]
    found = metrics.accuracy_at_coverage(confidence, truth, prediction, 3, 0.7)
    assert found.coverage == pytest.approx(kept.mean())
    assert found.wa == pytest.approx((truth == prediction)[kept].mean())
    assert found.ua == pytest.approx(balanced_accuracy_score(truth[kept], prediction[kept]))
    whole = metrics.accuracy_at_coverage(confidence, truth, prediction, 3, 1.0)
    assert (whole.coverage, whole.ua) == (1, pytest.approx(balanced_accuracy_score(truth, prediction)))
    above = metrics.accuracy_above(confidence, truth, prediction, 3, 0.6)
    assert above.ua == pytest.approx(balanced_accuracy_score(truth[confidence >= 0.6], prediction[confidence >= 0.6]))
    nothing = metrics.accuracy_above(confidence, truth, prediction, 3, 2.0)
    assert nothing.coverage == 0 and np.isnan(nothing.ua)


def test_calibration_is_its_definition(clips):
    confidence, correct = clips[0], clips[1] == clips[2]
    bins = [(low, low + 0.1) for low in np.arange(10) / 10]
    members = [(confidence > low + 1e-9) & (confidence <= high + 1e-9) for low, high in bins]
    members[0] |= confidence == 0
    gaps = [m.mean() * abs(correct[m].mean() - confidence[m].mean()) for m in members if m.any()]
    assert metrics.expected_calibration_error(confidence + 0, correct, 10) == pytest.approx(sum(gaps), abs=1e-9)


def test_reliability_table_is_that_of_scikit_learn(rng):
    """Without values on edges, which scikit-learn puts into the other bin."""
    confidence = rng.random(500)
    correct = rng.random(500) < confidence
    table = metrics.reliability_table(confidence, correct, 5)
    accuracy, mean = calibration_curve(correct, confidence, n_bins=5)
    np.testing.assert_allclose(table.accuracy, accuracy)
    np.testing.assert_allclose(table.confidence, mean)
    assert table.n.sum() == 500


def test_weights_count_clips_so_often(clips, rng):
    confidence, truth, prediction = clips
    weights = draws(rng, 300, 3)
    correct = truth == prediction
    for row in range(3):
        copies = np.repeat(np.arange(300), weights[row].astype(int))
        for measure in (metrics.auroc_of_errors, metrics.area_under_risk_coverage, metrics.expected_calibration_error):
            found = measure(confidence, correct, weights=weights)[row]
            assert found == pytest.approx(measure(confidence[copies], correct[copies]))
        found = metrics.accuracy_at_coverage(confidence, truth, prediction, 3, 0.6, weights)
        alone = metrics.accuracy_at_coverage(confidence[copies], truth[copies], prediction[copies], 3, 0.6)
        assert [float(item[row]) for item in found] == pytest.approx(list(map(float, alone)))


def test_evaluation_has_intervals_over_speakers(clips):
    speakers = np.repeat(np.arange(6), 50)
    found = evaluate(*clips, speakers, 3)
    assert tuple(found) == FIGURES
    assert all(item["low"] <= item["value"] <= item["high"] for item in found.values())
    assert found["ua_gain"]["value"] == pytest.approx(found["ua_at_coverage"]["value"] - found["ua"]["value"])
    one = evaluate(*clips, ["a"] * 300, 3)
    assert one["auroc"]["low"] is None and one["auroc"]["value"] == found["auroc"]["value"]
    none_wrong = evaluate(clips[0], clips[1], clips[1], speakers, 3)
    assert none_wrong["auroc"] == {"value": None, "low": None, "high": None} and none_wrong["ua"]["value"] == 1


def test_what_abstaining_gains(clips):
    confidence, truth, prediction = clips
    kept = confidence >= 0.5
    found = evaluate_abstaining(kept, truth, prediction, np.repeat(np.arange(6), 50), 3)
    ua = balanced_accuracy_score(truth[kept], prediction[kept])
    assert found["coverage"]["value"] == pytest.approx(kept.mean())
    assert found["ua"]["value"] == pytest.approx(ua)
    assert found["ua_gain"]["value"] == pytest.approx(ua - balanced_accuracy_score(truth, prediction))
    assert found["ua_gain"]["low"] < found["ua_gain"]["value"] < found["ua_gain"]["high"]
    none = evaluate_abstaining(np.zeros(300, bool), truth, prediction, np.repeat(np.arange(6), 50), 3)
    assert none["coverage"]["value"] == 0 and none["ua"]["value"] is None


@pytest.mark.parametrize(
    ("confidence", "correct", "found"),
    [
        ([], [], "one length"),
        ([0.5], [True, False], "one length"),
        ([[0.5]], [[True]], "one length"),
        ([0.5, float("nan")], [True, False], "finite numbers, found nan"),
        ([0.5, 0.6], [1, 2], "true or false"),
    ],
)
def test_bad_input_is_refused(confidence, correct, found):
    for measure in (metrics.auroc_of_errors, metrics.risk_coverage, metrics.area_under_risk_coverage):
        with pytest.raises(ValueError, match=found):
            measure(confidence, correct)


def test_bad_values_are_refused():
    with pytest.raises(ValueError, match=r"expected 0\.\.1, found 0.5 to 1.5"):
        metrics.expected_calibration_error([0.5, 1.5], [True, False])
    for coverage in (0, -1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="coverage: expected"):
            metrics.accuracy_at_coverage([0.5], [0], [0], 2, coverage)
    with pytest.raises(ValueError, match=r"truth: expected class indices 0\.\.1"):
        metrics.accuracy_at_coverage([0.5], [2], [0], 2, 0.5)
    with pytest.raises(ValueError, match="1 true labels and 2 predictions"):
        metrics.accuracy_at_coverage([0.5], [0], [0, 1], 2, 0.5)
    with pytest.raises(ValueError, match="whole numbers"):
        metrics.auroc_of_errors([0.5, 0.6], [True, False], [0.5, 1])
    with pytest.raises(ValueError, match="a speaker for each clip"):
        evaluate([0.5, 0.6], [0, 1], [0, 1], ["a"], 2)
    with pytest.raises(ValueError, match="speaker at position 1 is missing"):
        evaluate([0.5, 0.6], [0, 1], [0, 1], ["a", None], 2)
