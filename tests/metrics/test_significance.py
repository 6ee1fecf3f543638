"""Paired tests against SciPy, scikit-learn, literal loops over flips and clips, and cases worked by hand."""

import math
from itertools import product

import audmetric
import numpy as np
import pytest
from scipy.stats import binomtest, permutation_test
from sklearn.metrics import recall_score

from zoo.metrics import classification, regression, significance
from zoo.metrics.bootstrap import bootstrap_interval, figures
from zoo.metrics.classification import accuracies
from zoo.metrics.regression import concordances
from zoo.metrics.significance import correlation_z, holm, mcnemar, paired_bootstrap, sign_flips

CLASSES = 3


def labels(n_speakers, n_clips, skill, seed):
    """Truth and a prediction that is right with a chance of `skill`, by speaker."""
    rng = np.random.default_rng(seed)
    truth = np.random.default_rng(0).integers(0, CLASSES, (n_speakers, n_clips))
    return truth, np.where(rng.random(truth.shape) < skill, truth, rng.integers(0, CLASSES, truth.shape))


def confusions(truth, prediction):
    return [classification.confusion_matrix(a, b, CLASSES) for a, b in zip(truth, prediction, strict=True)]


def ratings(n_speakers, noise, seed, n_frames=40):
    truth = np.random.default_rng(1).normal(size=(n_speakers, n_frames, 2)).cumsum(axis=1)
    return truth, truth + noise * np.random.default_rng(seed).normal(size=truth.shape)


def ccc_of_all(truth, prediction):
    each = [audmetric.concordance_cc(truth[..., k].ravel(), prediction[..., k].ravel()) for k in range(2)]
    return np.array([np.mean(each), *each])


def hits(*right):
    """A run's matrices of speakers: so many of ten clips of class 0 are right."""
    return [np.array([[n, 10 - n], [0, 0]]) for n in right]


@pytest.mark.parametrize("n_speakers", [2, 7, 11])
def test_sign_flips_are_scipys_exact_permutation_test_of_wa(n_speakers):
    truth, one = labels(n_speakers, 12, 0.5, 2)
    two = labels(n_speakers, 12, 0.75, 3)[1]
    right = (one == truth).mean(axis=1), (two == truth).mean(axis=1)
    expected = permutation_test(
        right, lambda a, b, axis: np.mean(b - a, axis=axis), permutation_type="samples", n_resamples=np.inf, axis=0
    )
    p = sign_flips([confusions(truth, one)], [confusions(truth, two)], accuracies)
    assert p[0] == pytest.approx(expected.pvalue) and p[0] >= significance.smallest_p(n_speakers)


def test_sign_flips_of_ua_and_ccc_pool_the_swapped_predictions_anew():
    """A literal loop over all flips, on labels and frames instead of matrices and moments."""

    def by_hand(truth, one, two, score):
        def difference(flips):
            swap = np.array(flips, bool).reshape(-1, *[1] * (truth.ndim - 1))
            return score(truth, np.where(swap, one, two)) - score(truth, np.where(swap, two, one))

        every = np.abs([difference(flips) for flips in product((0, 1), repeat=len(truth))])
        return np.mean(every >= every[0] - 1e-9, axis=0)

    truth, one = labels(6, 15, 0.5, 4)
    two = labels(6, 15, 0.65, 5)[1]
    ua = by_hand(truth, one, two, lambda a, b: recall_score(a.ravel(), b.ravel(), average="macro"))
    assert sign_flips([confusions(truth, one)], [confusions(truth, two)], accuracies)[1] == pytest.approx(ua)

    truth, one = ratings(6, 2.0, 6)
    two = ratings(6, 1.7, 7)[1]
    systems = [[list(map(regression.moments, truth, prediction))] for prediction in (one, two)]
    np.testing.assert_allclose(figures(systems[1], concordances)[0], ccc_of_all(truth, two))
    expected = by_hand(truth, one, two, ccc_of_all)
    np.testing.assert_allclose(sign_flips(*systems, concordances), expected)
    assert expected.min() >= 1 / 32 and expected.max() < 1


def test_many_speakers_are_flipped_at_random_close_to_the_exact_p(monkeypatch):
    truth, one = labels(12, 12, 0.5, 8)
    two = labels(12, 12, 0.6, 9)[1]
    systems = [confusions(truth, one)], [confusions(truth, two)]
    exact = sign_flips(*systems, accuracies)
    monkeypatch.setattr(significance, "MOST_EXACT", 11)
    drawn = sign_flips(*systems, accuracies)
    assert (drawn != exact).any()
    np.testing.assert_allclose(drawn, exact, atol=0.02)


def test_bootstrap_draws_the_same_speakers_for_both():
    """Speakers are of very different difficulty, and the second system has 2 more of ten clips right of each."""
    low, high, p = paired_bootstrap([hits(0, 2, 4, 6, 8)], [hits(2, 4, 6, 8, 10)], accuracies)
    np.testing.assert_allclose([low, high], 0.2)  # no spread
    np.testing.assert_allclose(p, 2 / 10_001)
    p = paired_bootstrap([hits(4, 5, 6)], [hits(7, 9, 6)], accuracies)[2]
    np.testing.assert_allclose(p, 2 / 27, rtol=0.2)  # where all three draws are the third speaker, nothing differs


def test_alike_systems_do_not_differ():
    for pool, parts in (
        (accuracies, confusions(*labels(7, 9, 0.5, 1))),
        (concordances, list(map(regression.moments, *ratings(7, 1.0, 1)))),
    ):
        low, high, p = paired_bootstrap([parts], [list(parts)], pool)
        assert (low == 0).all() and (high == 0).all() and (p == 1).all()
        assert (sign_flips([parts], [list(parts)], pool) == 1).all()
    assert mcnemar([[True, False]], [[True, False]]) == 1


def test_several_seeds_are_averaged_and_drawn():
    reference, other = [hits(*[4] * 6), hits(*[6] * 6)], [hits(*[5] * 6), hits(*[9] * 6)]
    low, high, _ = paired_bootstrap(reference, other, accuracies)
    np.testing.assert_allclose([low, high], [[0.1, 0.1], [0.3, 0.3]])  # (5 - 4, 9 - 6) of ten: the same seeds of both
    low, high, _ = paired_bootstrap(reference, other, accuracies, paired=False)
    np.testing.assert_allclose([low, high], [[-0.1, -0.1], [0.5, 0.5]])  # 5 - 6 and 9 - 4
    np.testing.assert_allclose(sign_flips(reference, other, accuracies), 2 / 2**6)
    np.testing.assert_allclose(sign_flips(reference, other[:1], accuracies, paired=False), 1.0)  # 5 - (4 + 6) / 2


def test_one_speaker_has_no_interval_and_no_test():
    assert np.isnan(paired_bootstrap([hits(1)], [hits(9)], accuracies)).all()
    assert np.isnan(bootstrap_interval([hits(1)], accuracies)).all()
    assert (sign_flips([hits(1)], [hits(9)], accuracies) == 1).all()


def test_a_constant_rating_predicted_exactly_has_no_ccc_and_no_p():
    constant = [regression.moments(np.ones((4, 1)), np.ones((4, 1)))] * 3
    assert np.isnan(paired_bootstrap([constant], [constant], concordances)).all()
    assert np.isnan(sign_flips([constant], [constant], concordances)).all()


@pytest.mark.parametrize(("only_one", "only_two", "both"), [(0, 0, 5), (1, 0, 2), (3, 9, 4), (10, 2, 0), (40, 61, 7)])
def test_mcnemar_is_the_binomial_test_of_discordant_clips(only_one, only_two, both):
    one = np.repeat([True, False, True], [only_one, only_two, both])
    two = np.repeat([False, True, True], [only_one, only_two, both])
    n = only_one + only_two
    expected = binomtest(only_one, n).pvalue if n else 1.0
    assert mcnemar([one], [two]) == pytest.approx(expected) == mcnemar([two], [one])


def test_mcnemar_of_several_seeds_is_twice_the_median():
    n = 8
    none, some, every = np.zeros(n, bool), np.arange(n) < 6, np.ones(n, bool)  # p are 2 / 2^8, 2 / 2^6 and 1
    assert mcnemar([none, none, every], [every, some, every]) == pytest.approx(2 * 2 / 2**6)
    assert mcnemar([none], [every, some], paired=False) == pytest.approx(2 / 2**8 + 2 / 2**6)


def test_holm_by_hand():
    np.testing.assert_allclose(holm([0.4, math.nan, 0.6]), [0.8, math.nan, 0.8])
    np.testing.assert_allclose(holm([0.9, 0.8]), [1.0, 1.0])
    assert holm([0.2]) == [0.2] and len(holm([])) == 0


def test_correlations_are_compared_by_fisher_s_z():
    """Independent ones by hand; published tau of D4.2, Table 5.2, on 125 songs of 45 s at 1 Hz."""
    z, p = correlation_z(0.5, 0.6, 103)
    assert z == pytest.approx((math.atanh(0.6) - math.atanh(0.5)) / math.sqrt(2 / 100))
    assert p == pytest.approx(0.5 * math.erfc(z / math.sqrt(2)))
    assert correlation_z(0.6, 0.5, 103)[0] == -z and correlation_z(0.6, 0.5, 103)[1] == pytest.approx(1 - p)
    n = 125 * 45
    assert correlation_z(0.221, 0.251, n, kind="kendall")[1] < 0.05 < correlation_z(0.189, 0.199, n, kind="kendall")[1]
    assert correlation_z(0.221, 0.251, n, kind="kendall")[0] > correlation_z(0.221, 0.251, n)[0], "tau varies less"


@pytest.mark.parametrize("between", [None, 0.9])
def test_z_of_correlations_is_standard_normal_where_they_are_alike(between):
    """2,000 samples of one truth with two predictions that correlate by .5 with it, and by .9 or not of one sample."""
    rng, n = np.random.default_rng(0), 80
    covariance = np.array([[1, 0.5, 0.5], [0.5, 1, 0.9], [0.5, 0.9, 1]])
    samples = rng.multivariate_normal(np.zeros(3), covariance, (2, 2000, n))
    found = []
    for one, another in zip(*samples, strict=True):
        first = np.corrcoef(one.T)
        second = first if between else np.corrcoef(another.T)
        found.append(correlation_z(first[0, 1], second[0, 2], n, first[1, 2] if between else None))
    z, p = np.array(found).T
    assert abs(z.mean()) < 0.07 and z.std() == pytest.approx(1, abs=0.06)
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((1.0, 0.5, 100), "within -1..1"),
        ((0.5, 0.5, 4), "at least 5 frames, found .* and 4"),
        ((0.5, 0.5, 100, 0.3, "kendall"), "kendall without"),
        ((0.5, 0.5, 100, None, "spearman"), "'spearman'"),
        ((0.5, 0.5, 100, -1.0), "within"),
    ],
)
def test_correlations_that_cannot_be_are_refused(given, words):
    with pytest.raises(ValueError, match=words):
        correlation_z(*given)
