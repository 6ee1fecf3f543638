"""The mean of several raters and their delay, against NumPy and by construction."""

import numpy as np
import pytest

from zoo.data.corpora.gold_standard import energy_contour, estimate_delay, evaluator_weighted_mean
from zoo.errors import UserError


def smooth(rng, steps, width=25):
    return np.convolve(rng.standard_normal(steps + width - 1), np.ones(width) / width, mode="valid")


def test_from_the_definition(rng):
    truth = smooth(rng, 500)
    ratings = np.stack([truth + 0.1 * rng.standard_normal(500) for _ in range(6)], axis=1)
    agreement = [
        np.corrcoef(ratings[:, k], np.mean([ratings[:, j] for j in range(6) if j != k], axis=0))[0, 1] for k in range(6)
    ]
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


def test_a_rater_who_is_noise_counts_little(rng):
    truth = smooth(rng, 2_000)
    ratings = np.stack([*(truth + 0.05 * rng.standard_normal(2_000) for _ in range(5)), rng.standard_normal(2_000)], 1)
    gold, weights = evaluator_weighted_mean(ratings)
    assert weights[5] < 0.05 < 0.15 < weights[:5].min()
    assert np.abs(gold - truth).mean() < 0.5 * np.abs(ratings.mean(axis=1) - truth).mean()


def test_a_rater_who_contradicts_or_never_moves_has_no_weight(rng):
    truth = smooth(rng, 500)
    ratings = np.stack([truth, truth + 0.03, truth, -truth, np.full(500, 0.1)], axis=1)
    gold, weights = evaluator_weighted_mean(ratings)
    np.testing.assert_allclose(weights, [1 / 3, 1 / 3, 1 / 3, 0, 0], atol=1e-12)
    np.testing.assert_allclose(gold, truth + 0.01, atol=1e-12)


def test_weights_do_not_depend_on_scale_or_offset(rng):
    ratings = smooth(rng, 500)[:, None] + 0.1 * rng.standard_normal((500, 3))
    np.testing.assert_allclose(
        evaluator_weighted_mean(ratings)[1], evaluator_weighted_mean(1e-3 * ratings + 1e3)[1], atol=1e-9
    )


def test_raters_that_give_no_mean():
    with pytest.raises(UserError, match="two raters or more, found 1"):
        evaluator_weighted_mean(np.ones((9, 1)))
    with pytest.raises(UserError, match="raters who agree, found none"):
        evaluator_weighted_mean(np.stack([np.arange(9.0), -np.arange(9.0)], axis=1))
    with pytest.raises(UserError, match="raters who agree, found none"):
        evaluator_weighted_mean(np.ones((9, 6)))


@pytest.mark.parametrize("delay", [0.0, 2.0, 3.28, 10.0])
def test_delay_that_was_put_in(rng, delay):
    energies = [smooth(rng, 1_000) for _ in range(3)]
    lag = round(delay / 0.04)
    arousals = [np.concatenate([np.zeros(lag), e])[:1_000] + 0.02 * rng.standard_normal(1_000) for e in energies]
    assert estimate_delay(energies, arousals) == pytest.approx(delay)


def test_delay_counts_correlation_without_its_sign_and_uneven_ends(rng):
    energy = smooth(rng, 1_000)
    arousal = 5 - np.concatenate([np.zeros(50), energy])
    assert estimate_delay([energy], [arousal]) == pytest.approx(2.0)
    assert estimate_delay([energy, energy], [arousal[:980], arousal]) == pytest.approx(2.0)


def test_delay_is_within_its_bound(rng):
    energy = smooth(rng, 1_000)
    arousal = np.concatenate([np.zeros(100), energy])[:1_000]
    assert estimate_delay([energy], [arousal], max_seconds=2.0) <= 2.0
    assert estimate_delay([energy], [arousal], step_seconds=0.1) == pytest.approx(10.0)


def test_delay_that_cannot_be_estimated(rng):
    energy = smooth(rng, 499)
    with pytest.raises(UserError, match=r"lasts 19\.96 s, expected at least 20 s"):
        estimate_delay([energy], [energy])
    with pytest.raises(UserError, match="recordings to estimate the label delay from, found none"):
        estimate_delay([], [])
    with pytest.raises(UserError, match="that change, found constants"):
        estimate_delay([np.ones(500)], [np.ones(500)])


def test_energy_contour():
    waveform = np.repeat([1.0, 0.1, 0.0], 4)
    np.testing.assert_allclose(energy_contour(np.append(waveform, [1, 1]), 4), [0, -20, -100], atol=1e-6)


def test_delay_of_sound():
    """Bursts of noise, and arousal that follows each of them by 1.2 s."""
    rng = np.random.default_rng(1)
    loud = np.repeat(rng.random(40) < 0.5, 25).astype(float)  # steps of 40 ms
    waveform = np.repeat(0.01 + loud, 640) * rng.standard_normal(640_000) * 0.1
    arousal = np.concatenate([np.zeros(30), loud])[:1_000]
    assert estimate_delay([energy_contour(waveform, 640)], [arousal]) == pytest.approx(1.2)
