"""Make one trace of several raters' ratings, and estimate its delay."""

from collections.abc import Sequence

import numpy as np

from zoo.errors import UserError, unknown

MAX_DELAY_SECONDS = 10.0
AGREEMENTS = ("all", "others")


def evaluator_weighted_mean(ratings: np.ndarray, agreement: str = "all") -> tuple[np.ndarray, np.ndarray]:
    """Return the evaluator-weighted mean (steps,) of ratings (steps, raters), and the weights (raters,), of sum 1.

    It is sum_k r_k x_k / sum_k r_k. With the `agreement` "all", r_k is the correlation of rater k with the mean of all
    raters, as Grimm and Kroschel 2005 (ASRU), "Evaluation of natural emotions using self assessment manikins", have it.
    With "others" it is the correlation with the mean of the other raters: a variant, not published there, in which
    nobody agrees with themselves. A rater who contradicts that mean (r_k < 0) or never moves has the weight 0.

    Raises UserError where no rater agrees, and for another `agreement`.
    """
    if agreement not in AGREEMENTS:
        raise unknown("agreement of raters", agreement, AGREEMENTS)
    ratings = ratings.astype(np.float64)
    means = [ratings.mean(axis=1)] * ratings.shape[1]
    if agreement == "others":
        means = [np.delete(ratings, rater, axis=1).mean(axis=1) for rater in range(ratings.shape[1])]
    weights = np.array([max(_correlation(own, mean), 0.0) for own, mean in zip(ratings.T, means, strict=True)])
    if not weights.any():
        raise UserError(f"expected raters who agree, found none whose ratings correlate with the mean of {agreement}")
    weights /= weights.sum()
    return ratings @ weights, weights


def energy_contour(waveform: np.ndarray, hop: int) -> np.ndarray:
    """Return the energy in dB of each whole `hop` samples of a waveform (samples,), as (samples // hop,) float64."""
    frames = waveform[: len(waveform) // hop * hop].reshape(-1, hop).astype(np.float64)
    return 10 * np.log10(np.mean(frames**2, axis=1) + 1e-10)  # the floor, -100 dB, is for digital silence


def lag_correlations(energies: Sequence[np.ndarray], ratings: Sequence[np.ndarray], step_seconds: float) -> np.ndarray:
    """Return how ratings correlate with the energy of lags of 0, 1, ... steps before: float64 (lags,), 0..1.

    `energies` and `ratings` are contours (steps,) of the same recordings, with the same step; of the longer one the
    end is not used. The result is the mean absolute correlation over the recordings, up to `MAX_DELAY_SECONDS`;
    constants have the correlation 0. Give it training recordings only: a delay fitted to test labels leaks them.
    """
    lags = range(round(MAX_DELAY_SECONDS / step_seconds) + 1)
    correlations = np.zeros(len(lags))
    for energy, rating in zip(energies, ratings, strict=True):
        steps = min(len(energy), len(rating))
        correlations += [abs(_correlation(energy[: steps - lag], rating[lag:steps])) for lag in lags]
    return correlations / len(energies)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation; 0 where one side is constant and says nothing."""
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 1e-12 * len(a) else 0.0
