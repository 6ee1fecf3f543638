"""Test the difference between two systems on the same utterances, paired by speaker. NumPy and SciPy only.

A system is a sequence of runs that differ in their seed; runs, parts and pools are those of `zoo.metrics.bootstrap`.
Resampling and swapping speakers are weighted sums over parts.
"""

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
import scipy  # its parts are imported when used: scipy.stats takes a second
from numpy.typing import ArrayLike

from zoo.metrics.bootstrap import Parts, Pool, draws, figures, mean_figures, percentiles

N_RESAMPLES = 10_000
MOST_EXACT = 16  # speakers; with more, flips are drawn at random
_CHUNK = 4_096  # swaps at once, which bounds memory
_ROUNDING = 1e-10  # figures this close are equal: sums in another order differ in their last digits


def paired_bootstrap(
    reference: Sequence[Parts], other: Sequence[Parts], pool: Pool, paired: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Paired bootstrap over speakers (Efron and Tibshirani 1993, chapters 13 and 16): (low, high, p), each (figures,).

    Both systems are pooled over the same speakers, drawn with replacement; `low` and `high` hold 95 % of the
    differences other - reference. p is two-sided: twice the share of differences on the rarer side of 0, the one
    observed counted among them, so at least 2 / (N_RESAMPLES + 1). NaN with one speaker, where there is nothing to
    resample, and for a figure that is undefined in a resample. `paired`: run i of both has the same seed, and both are
    given the same draws of runs; else each has its own.

    >>> from zoo.metrics.classification import accuracies
    >>> one, two = ([[[n, 10 - n], [0, 0]] for n in hits] for hits in ((4, 5, 6), (7, 9, 6)))  # correct, of ten each
    >>> low, high, p = paired_bootstrap([one], [two], accuracies)
    >>> round(abs(float(low[0])), 3), round(float(high[0]), 3)  # 1/27 of the draws are the third speaker alone
    (0.0, 0.4)
    """
    if len(reference[0]) == 1:
        nothing = np.full(figures(reference, pool).shape[1], np.nan)
        return nothing, nothing, nothing
    rng = np.random.default_rng(0)
    speakers, runs = draws(rng, len(reference[0]), N_RESAMPLES), draws(rng, len(reference), N_RESAMPLES)
    runs_of_other = runs if paired else draws(rng, len(other), N_RESAMPLES)
    differences = mean_figures(other, pool, speakers, runs_of_other) - mean_figures(reference, pool, speakers, runs)
    low, high = percentiles(differences)
    rarer = np.minimum(np.sum(differences <= _ROUNDING, axis=0), np.sum(differences >= -_ROUNDING, axis=0))
    p = np.minimum(1.0, 2 * (1 + rarer) / (1 + N_RESAMPLES))
    return low, high, np.where(np.isnan(low), np.nan, p)


def sign_flips(reference: Sequence[Parts], other: Sequence[Parts], pool: Pool, paired: bool = True) -> np.ndarray:
    """Permutation test over speakers: two-sided p of each figure, (figures,).

    If the systems were alike, a speaker's predictions could as well be the other system's: a flip swaps them, and the
    figures of both are pooled anew. p is the share of flips whose difference is at least as large as the one observed:
    of all 2^n of n speakers up to `MOST_EXACT`, else of `N_RESAMPLES` drawn at random and the one observed. At least
    2^-(n-1); NaN for a figure that is undefined under a flip. With `paired` a flip swaps a speaker between runs of
    the same seed, else between any two, and the differences are averaged.

    >>> from zoo.metrics.classification import accuracies
    >>> one, two = ([[[n, 10 - n], [0, 0]] for n in hits] for hits in ((4, 5, 6), (7, 9, 6)))  # correct, of ten each
    >>> sign_flips([one], [two], accuracies).tolist()  # WA and UA: 4 of 8 flips leave the first two speakers together
    [0.5, 0.5]
    """
    n_speakers = len(reference[0])
    observed = _swapped(reference, other, pool, paired, np.zeros((1, n_speakers)))[0]
    n_flips, n_as_large = 0, np.zeros(len(observed))
    for flips in _flips(n_speakers):
        differences = _swapped(reference, other, pool, paired, flips)
        n_flips += len(flips)
        n_as_large += np.sum(np.abs(differences) >= np.abs(observed) - _ROUNDING, axis=0)
        observed = np.where(np.isnan(differences).any(axis=0), np.nan, observed)
    if n_speakers > MOST_EXACT:
        n_flips, n_as_large = n_flips + 1, n_as_large + 1
    return np.where(np.isnan(observed), np.nan, n_as_large / n_flips)


def smallest_p(n_speakers: int) -> float:
    """The least p that `sign_flips` can reach: only the flip of no speaker and that of all are as extreme.

    >>> [round(smallest_p(n), 5) for n in (1, 5, 6, 40)]  # six speakers are needed for 5 %
    [1.0, 0.0625, 0.03125, 0.0001]
    """
    return max(2.0 ** (1 - n_speakers), 1 / (1 + N_RESAMPLES) if n_speakers > MOST_EXACT else 0.0)


def mcnemar(reference: ArrayLike, other: ArrayLike, paired: bool = True) -> float:
    """McNemar's exact test (McNemar 1947; Dietterich 1998, section 3.1): two-sided p, utterances taken as independent.

    Both systems are bool (runs, utterances), true where an utterance is classified correctly. Of those that only one
    classifies correctly, half should be each one's: p is binomial. Several runs are tested two by two, `paired` as in
    `paired_bootstrap`, and p is twice the median of theirs, which holds however they depend on each other
    (Meinshausen, Meier and Bühlmann 2009, section 2.2).

    >>> mcnemar([[1, 1, 1, 1, 0, 0]], [[0, 0, 0, 0, 0, 1]])  # 4 against 1: 2 (C(5, 0) + C(5, 1)) / 2^5
    0.375
    """
    reference, other = np.asarray(reference, bool), np.asarray(other, bool)
    p = []
    for a, b in _pairs(len(reference), len(other), paired):
        only = np.count_nonzero(reference[a] & ~other[b]), np.count_nonzero(other[b] & ~reference[a])
        p.append(min(1.0, 2 * float(scipy.stats.binom.cdf(min(only), sum(only), 0.5))))
    return p[0] if len(p) == 1 else min(1.0, 2 * float(np.median(p)))


def correlation_z(
    reference: float, other: float, n: int, between: float | None = None, kind: str = "pearson"
) -> tuple[float, float]:
    """z-test of two correlations with the same truth over `n` frames each: z of other - reference, one-tailed p.

    Fisher's atanh of a correlation is nearly normal, with a variance of 1 / (n - 3) of Pearson's r (Fisher 1921) and of
    .437 / (n - 4) of Kendall's tau (Fieller, Hartley and Pearson 1957). Without `between` the two are taken as
    independent, as of two samples. `between`, Pearson's r of the two systems' predictions, takes them as of one sample
    with one truth: Dunn and Clark's test (1969) with the average r of Steiger (1980, eq 14). Frames of a recording are
    not independent, so that p is too small: an interval over speakers is the safer figure. p is of `other` being above.

    Raises ValueError for a correlation beyond -1..1, too few frames, an unknown kind, or `between` with Kendall's.

    >>> z, p = correlation_z(0.5, 0.6, 103)  # (.6931 - .5493) sqrt(100 / 2)
    >>> round(z, 3), round(p, 3)
    (1.017, 0.155)
    """
    if kind not in ("pearson", "kendall") or (kind == "kendall" and between is not None):
        raise ValueError(f"kind is {kind!r}, expected pearson, or kendall without `between`")
    if not all(-1 < r < 1 for r in (reference, other, 0.0 if between is None else between)) or n < 5:
        given = (reference, other) if between is None else (reference, other, between)
        raise ValueError(f"expected correlations within -1..1 and at least 5 frames, found {given} and {n}")
    variance, covariance = 1 / (n - 3) if kind == "pearson" else 0.437 / (n - 4), 0.0
    if between is not None:
        mean = (reference + other) / 2
        joint = between * (1 - 2 * mean**2) - mean**2 / 2 * (1 - 2 * mean**2 - between**2)
        covariance = joint / (1 - mean**2) ** 2
    spread = 2 * variance * (1 - covariance)
    if spread <= 0:
        raise ValueError(f"correlations {reference} and {other} cannot be of predictions that correlate by {between}")
    z = float((np.arctanh(other) - np.arctanh(reference)) / np.sqrt(spread))
    return z, float(scipy.special.ndtr(-z))


def holm(p: ArrayLike) -> np.ndarray:
    """Holm's step-down correction (Holm 1979) of the p of several tests, shape (tests,). NaN is no test and stays.

    The k-th smallest of n is max over j <= k of (n - j + 1) p_j, at most 1.

    >>> holm([0.03, 0.01, 0.04, 0.02]).tolist()
    [0.06, 0.04, 0.06, 0.06]
    """
    p = np.asarray(p, np.float64)
    corrected = np.full(p.shape, np.nan)
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]  # NaN comes last
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(np.arange(len(order), 0, -1) * p[order]))
    return corrected


def _pairs(n_reference: int, n_other: int, paired: bool) -> list[tuple[int, int]]:
    every = range(n_reference), range(n_other)
    return list(zip(*every, strict=True) if paired else product(*every))


def _flips(n_speakers: int) -> Iterator[np.ndarray]:
    """Yields which speakers are swapped, 0 or 1, shape (flips, speakers). Complementary flips give differences of
    opposite sign, so that of all flips the half that leaves the last speaker is enough."""
    if n_speakers > MOST_EXACT:
        every = np.random.default_rng(0).integers(0, 2, (N_RESAMPLES, n_speakers))
    else:
        every = (np.arange(2 ** (n_speakers - 1))[:, None] >> np.arange(n_speakers)) & 1
    for start in range(0, len(every), _CHUNK):
        yield every[start : start + _CHUNK].astype(np.float64)


def _swapped(
    reference: Sequence[Parts], other: Sequence[Parts], pool: Pool, paired: bool, flips: np.ndarray
) -> np.ndarray:
    """Differences other - reference with speakers swapped, averaged over pairs of runs, shape (flips, figures)."""
    as_reference, as_other = np.hstack([1 - flips, flips]), np.hstack([flips, 1 - flips])
    differences = []
    for a, b in _pairs(len(reference), len(other), paired):
        parts = [*reference[a], *other[b]]
        differences.append(pool(parts, as_other) - pool(parts, as_reference))
    return np.mean(differences, axis=0)
