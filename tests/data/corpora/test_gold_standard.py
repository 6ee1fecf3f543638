"""The mean of several raters and their delay, compared with NumPy and by construction."""

import numpy as np
import pytest

from zoo.data.corpora.gold_standard import energy_contour, evaluator_weighted_mean, lag_correlations
from zoo.errors import UserError


def smooth(rng, steps, width=25):
    return np.convolve(rng.standard_normal(steps + width - 1), np.ones(width) / width, mode="valid")


def test_from_the_definition(rng):
    truth = smooth(rng, 500)
    ratings = np.stack([truth + 0.1 * rng.standard_normal(500) for _ in range(6)], axis=1)
    others = [np.mean([ratings[:, j] for j in range(6) if j != k], axis=0) for k in range(6)]
    agreement = [np.corrcoef(own, rest)[0, 1] for own, rest in zip(ratings.T, others, strict=True)]
    expected = sum(r * x for r, x in zip(agreement, ratings.T, strict=True)) / sum(agreement)
    gold, weights = evaluator_weighted_mean(ratings)
    np.testing.assert_allclose(gold, expected, rtol=1e-12)
    np.testing.assert_allclose(weights, np.array(agreement) / sum(agreement), rtol=1e-12)


def test_by_hand():
    # Correlations with the others' mean: (0,1,2) with (1/2,1/2,2): 3/4 / sqrt(2 * 3/2) = sqrt(3)/2, and so on.
    ratings = np.array([[0.0, 0.0, 1.0], [1.0, 1.0, 0.0], [2.0, 2.0, 2.0]])
    same, other = 1.5 / np.sqrt(2 * 1.5), 1.0 / np.sqrt(2 * 2)
    gold, weights = evaluator_weighted_mean(ratings)
    total = 2 * same + other
    np.testing.assert_allclose(weights, [same / total, same / total, other / total])
    np.testing.assert_allclose(gold, [other / total, 2 * same / total, 2.0])


def test_a_rater_who_contradicts_or_never_moves_has_no_weight(rng):
    truth = smooth(rng, 500)
    ratings = np.stack([truth, truth + 0.03, truth, -truth, np.full(500, 0.1)], axis=1)
    gold, weights = evaluator_weighted_mean(ratings)
    np.testing.assert_allclose(weights, [1 / 3, 1 / 3, 1 / 3, 0, 0], atol=1e-12)
    np.testing.assert_allclose(gold, truth + 0.01, atol=1e-12)


@pytest.mark.parametrize("ratings", [np.stack([np.arange(9.0), -np.arange(9.0)], axis=1), np.ones((9, 6))])
def test_raters_of_whom_none_agrees_are_refused(ratings):
    with pytest.raises(UserError, match="raters who agree, found none"):
        evaluator_weighted_mean(ratings)


@pytest.mark.parametrize("lag", [0, 50, 82, 250])
def test_correlation_is_highest_at_the_lag_of_the_ratings(rng, lag):
    energies = [smooth(rng, 1_000) for _ in range(3)]
    ratings = [np.concatenate([np.zeros(lag), e])[:1_000] + 0.02 * rng.standard_normal(1_000) for e in energies]
    ratings = [5 - ratings[0], ratings[1][:980], ratings[2]]  # the sign and uneven ends make no difference
    correlations = lag_correlations(energies, ratings, 0.04)
    assert correlations.shape == (251,) and np.argmax(correlations) == lag
    assert not lag_correlations(energies, [np.ones(1_000)] * 3, 0.04).any()


def test_energy_contour():
    waveform = np.repeat([1.0, 0.1, 0.0], 4)
    np.testing.assert_allclose(energy_contour(np.append(waveform, [1, 1]), 4), [0, -20, -100], atol=1e-6)
