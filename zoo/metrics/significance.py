"""Whether one system does better than another on the same clips: the difference, its interval, and tests of it.

A run is a sequence of parts, one per speaker in one order: confusion matrices (C, C), or
`zoo.metrics.regression.Moments`. A system is a sequence of runs, which differ in their seed. A `Pool` turns parts and
how often each of them counts into figures, so that resampling and swapping speakers are weighted sums and never touch
clips or frames again. NumPy and SciPy only: no backend is needed here.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binom

from zoo.metrics import classification, regression

Parts = Sequence[Any]
# (parts, counts (n, parts)) -> figures (n, figures)
Pool = Callable[[Parts, np.ndarray], np.ndarray]

LEVEL = 0.95
N_RESAMPLES = 10_000
MOST_EXACT = 16  # speakers; with more, flips are drawn at random
_CHUNK = 4_096  # swaps at once, which bounds memory
_ROUNDING = 1e-10  # figures this close are equal: sums in another order differ in their last digits


def accuracies(parts: Parts, counts: np.ndarray) -> np.ndarray:
    """Pool of confusion matrices: WA and UA in 0..1, shape (n, 2). A class without a clip is left out of UA."""
    stacked = np.stack(parts).astype(np.float64)
    confusions = (counts @ stacked.reshape(len(stacked), -1)).reshape(-1, *stacked.shape[1:])
    return np.stack(
        [classification.weighted_accuracy(confusions), classification.unweighted_accuracy(confusions)], axis=-1
    )


def concordances(parts: Parts, counts: np.ndarray) -> np.ndarray:
    """Pool of moments: the mean CCC, then that of each dimension, in -1..1, shape (n, 1 + dims). NaN: no CCC."""
    by_dimension = regression.merged(parts, counts).ccc
    return np.concatenate([by_dimension.mean(axis=-1, keepdims=True), by_dimension], axis=-1)


def figures(system: Sequence[Parts], pool: Pool) -> np.ndarray:
    """Returns each run's figures over all speakers, shape (runs, figures)."""
    return np.concatenate([pool(run, np.ones((1, len(run)))) for run in system])


def interval(system: Sequence[Parts], pool: Pool, n_resamples: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Percentile bootstrap over speakers and, of several, runs: (low, high) of the runs' mean figures, (figures,).

    Of one run, the same as `zoo.metrics.classification.bootstrap_interval` and
    `zoo.metrics.regression.bootstrap_interval`: with few speakers too narrow, with one speaker NaN.
    """
    if len(system[0]) == 1:
        return _undefined(system, pool), _undefined(system, pool)
    rng = np.random.default_rng(seed)
    resampled = _mean_figures(
        system, pool, _draws(rng, len(system[0]), n_resamples), _draws(rng, len(system), n_resamples)
    )
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return low, high


def paired_bootstrap(
    reference: Sequence[Parts],
    other: Sequence[Parts],
    pool: Pool,
    paired: bool = True,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Paired bootstrap over speakers (Efron and Tibshirani 1993, chapters 13 and 16): (low, high, p), each (figures,).

    Both systems are pooled over the same speakers, drawn with replacement; `low` and `high` hold 95 % of the
    differences other - reference. p is two-sided: twice the share of differences on the rarer side of 0, the one
    observed counted among them, so at least 2 / (n_resamples + 1).

    Args:
        paired: run i of both has the same seed, and both are given the same draws of runs; else each has its own.

    Returns:
        NaN with one speaker, where there is nothing to resample, and for a figure that a resample does not have.
    """
    n_speakers = len(reference[0])
    if n_speakers == 1:
        nothing = _undefined(reference, pool)
        return nothing, nothing, nothing
    rng = np.random.default_rng(seed)
    speakers, runs = _draws(rng, n_speakers, n_resamples), _draws(rng, len(reference), n_resamples)
    runs_of_other = runs if paired else _draws(rng, len(other), n_resamples)
    differences = _mean_figures(other, pool, speakers, runs_of_other) - _mean_figures(reference, pool, speakers, runs)
    low, high = np.quantile(differences, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    rarer = np.minimum(np.sum(differences <= _ROUNDING, axis=0), np.sum(differences >= -_ROUNDING, axis=0))
    p = np.minimum(1.0, 2 * (1 + rarer) / (1 + n_resamples))
    return low, high, np.where(np.isnan(low), np.nan, p)


def sign_flips(
    reference: Sequence[Parts],
    other: Sequence[Parts],
    pool: Pool,
    paired: bool = True,
    n_random: int = N_RESAMPLES,
    seed: int = 0,
) -> np.ndarray:
    """Permutation test over speakers: two-sided p of each figure, (figures,).

    If the systems were alike, a speaker's predictions could as well be the other system's: a flip swaps them, and the
    figures of both are pooled anew. For WA and UA that flips the sign of the speaker's share of the difference. p is
    the share of flips whose difference is at least as large as the one observed: of all 2^n of n speakers up to
    `MOST_EXACT`, else of `n_random` drawn at random and the one observed. At least 2^-(n-1).

    Args:
        paired: as `paired_bootstrap`. A flip swaps a speaker between runs of the same seed; else between any two runs,
            and the differences are averaged.

    Returns:
        NaN for a figure that is undefined under a flip.
    """
    n_speakers = len(reference[0])
    observed = _swapped(reference, other, pool, paired, np.zeros((1, n_speakers)))[0]
    n_flips, n_as_large = 0, np.zeros(len(observed))
    for flips in _flips(n_speakers, n_random, seed):
        differences = _swapped(reference, other, pool, paired, flips)
        n_flips += len(flips)
        n_as_large += np.sum(np.abs(differences) >= np.abs(observed) - _ROUNDING, axis=0)
        observed = np.where(np.isnan(differences).any(axis=0), np.nan, observed)
    if n_speakers > MOST_EXACT:
        n_flips, n_as_large = n_flips + 1, n_as_large + 1
    return np.where(np.isnan(observed), np.nan, n_as_large / n_flips)


def smallest_p(n_speakers: int) -> float:
    """The least p that `sign_flips` can reach: only the flip of no speaker and that of all are as extreme."""
    return max(2.0 ** (1 - n_speakers), 1 / (1 + N_RESAMPLES) if n_speakers > MOST_EXACT else 0.0)


def mcnemar(reference: ArrayLike, other: ArrayLike, paired: bool = True) -> float:
    """McNemar's exact test on clips (McNemar 1947; Dietterich 1998, section 3.1): two-sided p. Takes clips as
    independent.

    Of the clips that one alone has right, half should be each one's: p is binomial. Several runs are tested two by
    two, and p is twice the median of theirs, which holds however they depend on each other (Meinshausen, Meier and
    Bühlmann 2009, section 2.2).

    Args:
        reference: which clips are right, bool, shape (runs, clips).
        other: the same clips, shape (runs, clips).
        paired: as `paired_bootstrap`.
    """
    reference, other = np.asarray(reference, bool), np.asarray(other, bool)
    p = []
    for a, b in _pairs(len(reference), len(other), paired):
        only_reference = np.count_nonzero(reference[a] & ~other[b])
        only_other = np.count_nonzero(other[b] & ~reference[a])
        tail = binom.cdf(min(only_reference, only_other), only_reference + only_other, 0.5)
        p.append(min(1.0, 2 * float(tail)))
    return p[0] if len(p) == 1 else min(1.0, 2 * float(np.median(p)))


def holm(p: ArrayLike) -> np.ndarray:
    """Holm's step-down correction (Holm 1979) of the p of several tests, shape (tests,). NaN is no test and stays."""
    p = np.asarray(p, np.float64)
    corrected = np.full(p.shape, np.nan)
    order = [index for index in np.argsort(p) if not math.isnan(p[index])]
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p[index]))
        corrected[index] = largest
    return corrected


def _draws(rng: np.random.Generator, n: int, n_resamples: int) -> np.ndarray:
    """How often each of n is drawn in n draws with replacement, shape (n_resamples, n)."""
    return rng.multinomial(n, np.full(n, 1 / n), n_resamples).astype(np.float64)


def _mean_figures(system: Sequence[Parts], pool: Pool, speakers: np.ndarray, runs: np.ndarray) -> np.ndarray:
    """Figures averaged over the runs drawn, each pooled over the speakers drawn, shape (n_resamples, figures)."""
    total = sum(runs[:, number, None] * pool(run, speakers) for number, run in enumerate(system))
    return np.asarray(total / len(system))


def _undefined(system: Sequence[Parts], pool: Pool) -> np.ndarray:
    return np.full(figures(system[:1], pool).shape[1], np.nan)


def _pairs(n_reference: int, n_other: int, paired: bool) -> list[tuple[int, int]]:
    if paired and n_reference != n_other:
        raise ValueError(f"runs of the same seeds: {n_reference} and {n_other} cannot be paired")
    return [(i, i) for i in range(n_reference)] if paired else list(product(range(n_reference), range(n_other)))


def _flips(n_speakers: int, n_random: int, seed: int) -> Iterator[np.ndarray]:
    """Yields which speakers are swapped, 0 or 1, shape (flips, speakers). Flips that differ in every speaker give
    differences of opposite sign, so of those that are all, the half that leaves the last speaker stands for both."""
    if n_speakers > MOST_EXACT:
        every = np.random.default_rng(seed).integers(0, 2, (n_random, n_speakers))
    else:
        every = (np.arange(2 ** (n_speakers - 1))[:, None] >> np.arange(n_speakers)) & 1
    for start in range(0, len(every), _CHUNK):
        yield every[start : start + _CHUNK].astype(np.float64)


def _swapped(
    reference: Sequence[Parts], other: Sequence[Parts], pool: Pool, paired: bool, flips: np.ndarray
) -> np.ndarray:
    """Differences other - reference with speakers swapped, averaged over pairs of runs, shape (flips, figures)."""
    as_reference, as_other = np.hstack([1 - flips, flips]), np.hstack([flips, 1 - flips])
    pairs = _pairs(len(reference), len(other), paired)
    differences = []
    for a, b in pairs:
        parts = [*reference[a], *other[b]]
        differences.append(pool(parts, as_other) - pool(parts, as_reference))
    return np.mean(differences, axis=0)
