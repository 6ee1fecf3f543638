"""Calibration against its definitions."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from zoo.confidence.temperature import expected_calibration_error, fit_temperature, log_loss, with_temperature


@pytest.fixture
def clips(rng):
    """Overconfident probabilities: the labels are drawn from softmax(scores), the logits are three times those."""
    scores = rng.normal(0, 1.5, (4000, 4))
    labels = np.array([rng.choice(4, p=row) for row in softmax(scores, axis=1)])
    return softmax(3 * scores, axis=1), labels


def by_definition(probabilities, labels, n_bins):
    """Guo et al. 2017, equations 2 to 5, bin by bin."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bins = [((m - 1) / n_bins < confidence) & (confidence <= m / n_bins) for m in range(1, n_bins + 1)]
    return sum(chosen.mean() * abs(right[chosen].mean() - confidence[chosen].mean()) for chosen in bins if chosen.any())


@pytest.mark.parametrize("bins", [1, 5, 15])
def test_ece_is_its_definition(clips, bins):
    probabilities, labels = clips[0][:500], clips[1][:500]
    expected = by_definition(probabilities, labels, bins)
    assert expected_calibration_error(probabilities, labels, bins) == pytest.approx(expected, abs=1e-12)


def test_ece_by_hand():
    """Two clips at 0.9, one right: a gap of 0.4; two at 0.6, both right: 0.4 too."""
    probabilities = [[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]]
    assert expected_calibration_error(probabilities, [0, 1, 0, 0]) == pytest.approx(0.4)
    assert expected_calibration_error([[1.0, 0.0]], [0]) == 0
    assert expected_calibration_error([[1.0, 0.0]], [1]) == 1


def test_the_fitted_temperature_is_the_true_one_and_no_other_near_it_is_better(clips):
    probabilities, labels = clips
    best = fit_temperature(probabilities, labels)
    assert best == pytest.approx(3, rel=0.06)
    after = with_temperature(probabilities, best)
    assert expected_calibration_error(after, labels) < 0.25 * expected_calibration_error(probabilities, labels)
    for other in (1.0, 0.98 * best, 1.02 * best):
        assert log_loss(with_temperature(probabilities, other), labels) > log_loss(after, labels)


def test_temperature_divides_the_logits(rng):
    scores = rng.normal(size=(5, 3))
    found = with_temperature(softmax(scores, axis=1), 2.5)
    np.testing.assert_allclose(found, np.exp(log_softmax(scores / 2.5, axis=1)), atol=1e-12)
    assert (with_temperature([[1.0, 0.0]], 3.0) > 0).all()
