"""The mean of several raters and their delay, compared with NumPy and by construction."""

import numpy as np
import pytest

from zoo.data.corpora.gold_standard import energy_contour, evaluator_weighted_mean, lag_correlations
from zoo.errors import UserError


def smooth(rng, steps, width=25):
    return np.convolve(rng.standard_normal(steps + width - 1), np.ones(width) / width, mode="valid")


@pytest.mark.parametrize("agreement", ["all", "others"])
def test_from_the_definition(rng, agreement):
    """By NumPy; raters of very different noise, of whom the two definitions think differently."""
    truth = smooth(rng, 500)
    ratings = np.stack([truth + noise * rng.standard_normal(500) for noise in (0.1, 0.1, 0.2, 0.3, 0.5, 1.0)], axis=1)
    counted = [[j for j in range(6) if agreement == "all" or j != k] for k in range(6)]
    correlations = [np.corrcoef(ratings[:, k], ratings[:, counted[k]].mean(axis=1))[0, 1] for k in range(6)]
    expected = sum(r * x for r, x in zip(correlations, ratings.T, strict=True)) / sum(correlations)
    gold, weights = evaluator_weighted_mean(ratings, agreement)
    np.testing.assert_allclose(gold, expected, rtol=1e-12)
    np.testing.assert_allclose(weights, np.array(correlations) / sum(correlations), rtol=1e-12)
    other = evaluator_weighted_mean(ratings, {"all": "others", "others": "all"}[agreement])[1]
    assert np.abs(weights - other).max() > 0.1  # the noisiest rater makes a good part of the mean of all


def test_by_hand():
    ratings = np.array([[0.0, 0.0, 1.0], [1.0, 1.0, 0.0], [2.0, 2.0, 2.0]])
    # With the mean of all, (1, 2, 6) / 3: (-1,0,1) and (0,-1,1) with (-2,-1,3) / 3 give 5 / sqrt(28) and 4 / sqrt(28).
    gold, weights = evaluator_weighted_mean(ratings)
    np.testing.assert_allclose(weights, [5 / 14, 5 / 14, 4 / 14])
    np.testing.assert_allclose(gold, [4 / 14, 10 / 14, 2.0])
    # With the others' mean: (0,1,2) with (1/2,1/2,2): 3/4 / sqrt(2 * 3/2) = sqrt(3)/2, and so on.
    same, other = 1.5 / np.sqrt(2 * 1.5), 1.0 / np.sqrt(2 * 2)
    gold, weights = evaluator_weighted_mean(ratings, "others")
    total = 2 * same + other
    np.testing.assert_allclose(weights, [same / total, same / total, other / total])
    np.testing.assert_allclose(gold, [other / total, 2 * same / total, 2.0])
    with pytest.raises(UserError, match=r"unknown agreement of raters 'other'. Did you mean 'others'"):
        evaluator_weighted_mean(ratings, "other")


@pytest.mark.parametrize("agreement", ["all", "others"])
def test_a_rater_who_contradicts_or_never_moves_has_no_weight(rng, agreement):
    truth = smooth(rng, 500)
    ratings = np.stack([truth, truth + 0.03, truth, -truth, np.full(500, 0.1)], axis=1)
    gold, weights = evaluator_weighted_mean(ratings, agreement)
    np.testing.assert_allclose(weights, [1 / 3, 1 / 3, 1 / 3, 0, 0], atol=1e-12)
    np.testing.assert_allclose(gold, truth + 0.01, atol=1e-12)


@pytest.mark.parametrize("agreement", ["all", "others"])
@pytest.mark.parametrize("ratings", [np.stack([np.arange(9.0), -np.arange(9.0)], axis=1), np.ones((9, 6))])
def test_raters_of_whom_none_agrees_are_refused(ratings, agreement):
    with pytest.raises(UserError, match="raters who agree, found none"):
        evaluator_weighted_mean(ratings, agreement)


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
