"""Calibration against its definitions."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from zoo.export.calibration import expected_calibration_error, fit_temperature, log_loss, with_temperature


@pytest.fixture
def clips(rng):
    """Probabilities three times as sure as they may be: the labels are drawn from softmax(scores)."""
    scores = rng.normal(0, 1.5, (4000, 4))
    labels = np.array([rng.choice(4, p=row) for row in softmax(scores, axis=1)])
    return softmax(3 * scores, axis=1), labels


def by_definition(probabilities, labels, bins):
    """Guo et al. 2017, equations 2 to 5, bin by bin."""
    total = 0.0
    for m in range(1, bins + 1):
        chosen = [i for i, row in enumerate(probabilities) if (m - 1) / bins < max(row) <= m / bins]
        if chosen:
            accuracy = np.mean([np.argmax(probabilities[i]) == labels[i] for i in chosen])
            confidence = np.mean([max(probabilities[i]) for i in chosen])
            total += len(chosen) / len(labels) * abs(accuracy - confidence)
    return total


@pytest.mark.parametrize("bins", [1, 5, 15])
def test_ece_is_its_definition(clips, bins):
    probabilities, labels = clips[0][:500], clips[1][:500]
    assert expected_calibration_error(probabilities, labels, bins) == pytest.approx(
        by_definition(probabilities, labels, bins), abs=1e-12
    )


def test_ece_by_hand():
    """Two clips at 0.9, one right: a gap of 0.4; two at 0.6, both right: 0.4 too."""
    probabilities = [[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]]
    assert expected_calibration_error(probabilities, [0, 1, 0, 0]) == pytest.approx(0.4)
    assert expected_calibration_error([[1.0, 0.0]], [0]) == 0
    assert expected_calibration_error([[1.0, 0.0]], [1]) == 1


def test_temperature_is_the_one_the_clips_were_made_with(clips):
    temperature = fit_temperature(*clips)
    assert temperature == pytest.approx(3, rel=0.06)
    after = with_temperature(clips[0], temperature)
    assert log_loss(after, clips[1]) < log_loss(clips[0], clips[1])
    assert expected_calibration_error(after, clips[1]) < 0.25 * expected_calibration_error(*clips)


def test_no_temperature_near_it_is_better(clips):
    best = fit_temperature(*clips)
    loss = log_loss(with_temperature(clips[0], best), clips[1])
    for other in (0.98 * best, 1.02 * best):
        assert log_loss(with_temperature(clips[0], other), clips[1]) > loss


def test_softening_is_a_softmax_of_divided_scores(rng):
    scores = rng.normal(size=(5, 3))
    np.testing.assert_allclose(
        with_temperature(softmax(scores, axis=1), 2.5), np.exp(log_softmax(scores / 2.5, axis=1)), atol=1e-12
    )
    assert (with_temperature([[1.0, 0.0]], 3.0) > 0).all()


@pytest.mark.parametrize(
    ("probabilities", "labels"),
    [
        ([], []),
        ([[0.5, 0.5]], [2]),
        ([[0.5, 0.5]], [0, 1]),
        ([[0.5, 0.9]], [0]),
        ([[np.nan, 0.5]], [0]),
        ([[1.0]], [0.0]),
    ],
)
def test_what_is_no_probability_is_refused(probabilities, labels):
    for function in (expected_calibration_error, fit_temperature, log_loss):
        with pytest.raises(ValueError, match="expected"):
            function(probabilities, labels)
