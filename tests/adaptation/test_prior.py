"""Corrections of class probabilities, against numbers worked by hand and a form in NumPy."""

import numpy as np
import pytest

from zoo.adaptation.prior import estimate_prior, reweighted, weights_for


def shares(rng, n, n_classes):
    return rng.dirichlet(np.ones(n_classes), n)


def test_two_steps_of_expectation_maximisation_by_hand():
    """Three clips, of which two lean to the first class; trained on as many of each.

    First step: the mean of the rows, (0.9 + 0.9 + 0.2) / 3 = 2/3. Second: odds 9 and 1/4 are doubled to 18 and 1/2, so
    shares 18/19 and 1/3, and their mean (2 * 18/19 + 1/3) / 3.
    """
    given = [[0.9, 0.1], [0.9, 0.1], [0.2, 0.8]]
    assert estimate_prior(given, [1, 1], n_iterations=1)[0] == pytest.approx(2 / 3)
    assert estimate_prior(given, [1, 1], n_iterations=2)[0] == pytest.approx((2 * 18 / 19 + 1 / 3) / 3)


def test_the_estimate_is_the_fixed_point_of_saerens(rng):
    given, trained = shares(rng, 40, 4), np.array([0.1, 0.2, 0.3, 0.4])
    found = estimate_prior(given, trained)
    one_more = given * found / trained
    np.testing.assert_allclose((one_more / one_more.sum(axis=1, keepdims=True)).mean(axis=0), found, atol=1e-7)
    assert found.sum() == pytest.approx(1)


def test_the_estimate_has_a_higher_likelihood_than_other_shares(rng):
    given, trained = shares(rng, 30, 3), np.array([0.5, 0.3, 0.2])

    def likelihood(candidate):
        return np.log(given @ (candidate / trained)).sum()

    best = likelihood(estimate_prior(given, trained))
    assert all(likelihood(other) <= best + 1e-6 for other in shares(rng, 200, 3))


def test_of_exact_probabilities_the_estimate_finds_the_shares_that_clips_were_drawn_with(rng):
    """Classes are normal variables; the probabilities are exact for equal shares, the clips 90 % of one class."""
    values = np.concatenate([rng.normal(-1, 1, 1800), rng.normal(1, 1, 200)])
    first = 1 / (1 + np.exp(2 * values))
    assert estimate_prior(np.stack([first, 1 - first], axis=1), [0.5, 0.5])[0] == pytest.approx(0.9, abs=0.03)


def test_weights_give_the_mean_that_is_wanted(rng):
    given, wanted = shares(rng, 25, 5), np.array([0.1, 0.1, 0.2, 0.2, 0.4])
    weights = weights_for(given, wanted)
    np.testing.assert_allclose(reweighted(given, weights).mean(axis=0), wanted, atol=1e-8)
    assert np.prod(weights) == pytest.approx(1)


def test_weights_of_two_clips_by_hand():
    """Odds 9 and 4 times w sum to one of each: 1 / (1 + 9 w) + 1 / (1 + 4 w) = 1, so w = 1/6."""
    weights = weights_for([[0.9, 0.1], [0.8, 0.2]], [1, 1])
    assert weights[0] / weights[1] == pytest.approx(1 / 6)


def test_probabilities_with_the_wanted_mean_stay_and_a_class_of_probability_0_is_no_nan():
    given = [[0.7, 0.3], [0.3, 0.7]]
    np.testing.assert_allclose(weights_for(given, [0.5, 0.5]), [1, 1])
    assert np.isfinite(reweighted([[1.0, 0.0], [1.0, 0.0]], weights_for([[1.0, 0.0], [1.0, 0.0]], [0.5, 0.5]))).all()


@pytest.mark.parametrize(
    ("given", "wanted"),
    [([[0.5, 0.5]], [1.0]), ([0.5, 0.5], [0.5, 0.5]), (np.zeros((0, 2)), [1, 1]), ([[0.5, 0.5]], [1.0, 0.0])],
)
def test_other_arrays_are_refused(given, wanted):
    for function in (estimate_prior, weights_for):
        with pytest.raises(ValueError, match="expected probabilities"):
            function(given, wanted)
    with pytest.raises(ValueError, match="expected probabilities from 0"):
        weights_for([[np.nan, 0.5]], [0.5, 0.5])
