"""Draw speakers by bootstrap, for intervals of every figure that can be pooled over them.

A run is a sequence of parts, one per speaker in one order: confusion matrices (C, C), or `Moments` of ratings. Several
runs of one system differ in their seed. A `Pool` maps the parts and how often each of them counts to figures: weighted
sums replace copies of utterances or frames.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

Parts = Sequence[Any]
# (parts, counts (n, parts)) -> figures (n, figures)
Pool = Callable[[Parts, np.ndarray], np.ndarray]


def bootstrap_interval(
    runs: Sequence[Parts], pool: Pool, n_resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile bootstrap over speakers (Efron and Tibshirani 1993, chapter 13): (low, high), each (figures,).

    The utterances of a speaker are not independent, so whole speakers are drawn with replacement; of several runs, runs
    are drawn too, and the figure is their mean. With few speakers the interval is too narrow. It is NaN with one
    speaker, where there is nothing to resample, and for a figure that is undefined in a resample.

    >>> def accuracy(parts, counts):  # of speakers with ten utterances each, parts: those classified correctly
    ...     return counts @ np.reshape(parts, (-1, 1)) / (10 * counts.sum(axis=1, keepdims=True))
    >>> [bound.tolist() for bound in bootstrap_interval([[4, 5, 6]], accuracy)]
    [[0.4], [0.6]]
    """
    if len(runs[0]) == 1:
        nothing = np.full(figures(runs[:1], pool).shape[1], np.nan)
        return nothing, nothing
    rng = np.random.default_rng(seed)
    speakers = draws(rng, len(runs[0]), n_resamples)
    return percentiles(mean_figures(runs, pool, speakers, draws(rng, len(runs), n_resamples)), level)


def figures(runs: Sequence[Parts], pool: Pool) -> np.ndarray:
    """Return each run's figures over all speakers, shape (runs, figures)."""
    return np.concatenate([pool(run, np.ones((1, len(run)))) for run in runs])


def draws(rng: np.random.Generator, n: int, n_resamples: int) -> np.ndarray:
    """Count how often each of n is drawn in n draws with replacement, shape (n_resamples, n)."""
    return rng.multinomial(n, np.full(n, 1 / n), n_resamples).astype(np.float64)


def mean_figures(runs: Sequence[Parts], pool: Pool, speakers: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Average figures over the runs drawn (`counts`), each pooled over the speakers drawn, (n_resamples, figures)."""
    total = sum(counts[:, number, None] * pool(run, speakers) for number, run in enumerate(runs))
    return np.asarray(total / len(runs))


def percentiles(resampled: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds (low, high) of the middle `level` of resampled figures (n_resamples, figures)."""
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def check_speakers(speakers: Iterable[object]) -> None:
    """Raise ValueError where a speaker is missing: None, NaN or empty."""
    for position, speaker in enumerate(speakers):
        if speaker is None or speaker == "" or speaker != speaker:
            raise ValueError(f"the speaker at position {position} is missing: {speaker!r}")
