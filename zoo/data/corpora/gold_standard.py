"""From several raters to one trace, and how late that trace is."""

from collections.abc import Sequence

import numpy as np

from zoo.errors import UserError

MAX_DELAY_SECONDS = 10.0


def evaluator_weighted_mean(ratings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the evaluator-weighted mean (steps,) of ratings (steps, raters), and the weights (raters,), of sum 1.

    Grimm and Kroschel 2005 (ASRU), "Evaluation of natural emotions using self assessment manikins": sum_k r_k x_k /
    sum_k r_k, where r_k is the correlation of rater k with the others' mean. A rater who contradicts the others
    (r_k < 0) or never moves (r_k undefined) gets the weight 0.

    Raises UserError for fewer than two raters and where no rater agrees with the others.
    """
    if ratings.shape[1] < 2:
        raise UserError(f"expected two raters or more, found {ratings.shape[1]}")
    ratings = ratings.astype(np.float64)
    others = [np.delete(ratings, rater, axis=1).mean(axis=1) for rater in range(ratings.shape[1])]
    agreement = [_correlation(own, rest) for own, rest in zip(ratings.T, others, strict=True)]
    weights = np.maximum(agreement, 0.0)
    if not weights.any():
        raise UserError("expected raters who agree, found none whose ratings correlate with the others' mean")
    weights /= weights.sum()
    return ratings @ weights, weights


def energy_contour(waveform: np.ndarray, hop: int) -> np.ndarray:
    """Returns the energy in dB of each whole `hop` samples of a waveform (samples,), as (samples // hop,) float64."""
    frames = waveform[: len(waveform) // hop * hop].reshape(-1, hop).astype(np.float64)
    return 10 * np.log10(np.mean(frames**2, axis=1) + 1e-10)  # the floor, -100 dB, is for digital silence


def estimate_delay(
    energies: Sequence[np.ndarray],
    arousals: Sequence[np.ndarray],
    step_seconds: float = 0.04,
    max_seconds: float = MAX_DELAY_SECONDS,
) -> float:
    """Returns by how many seconds, 0 to `max_seconds`, the raters' arousal follows the speakers' energy.

    `energies` and `arousals` are contours (steps,) of the same recordings, with the same step; of the longer one the
    end is not used. The delay is the lag with the highest mean absolute correlation over the recordings, the shortest
    of equal ones. Give it training recordings only: a delay fitted to test labels is test knowledge.

    Raises UserError without recordings, for one shorter than twice `max_seconds`, and where no contour changes.
    """
    correlations = lag_correlations(energies, arousals, step_seconds, max_seconds)
    if not correlations.any():
        raise UserError("no label delay can be estimated: expected energy and arousal that change, found constants")
    return float(np.argmax(correlations) * step_seconds)


def lag_correlations(
    energies: Sequence[np.ndarray],
    arousals: Sequence[np.ndarray],
    step_seconds: float = 0.04,
    max_seconds: float = MAX_DELAY_SECONDS,
) -> np.ndarray:
    """Returns the mean absolute correlation over the recordings, 0..1, at lags of 0, 1, ... steps: float64 (lags,).

    What is given and raised is as for `estimate_delay`, but constants have the correlation 0.
    """
    if not energies:
        raise UserError("expected recordings to estimate the label delay from, found none")
    max_lag = round(max_seconds / step_seconds)
    correlations = np.zeros(max_lag + 1)
    for energy, arousal in zip(energies, arousals, strict=True):
        steps = min(len(energy), len(arousal))
        if steps < 2 * max_lag:
            raise UserError(
                f"a recording lasts {steps * step_seconds:.4g} s, expected at least {2 * max_seconds:g} s to look for "
                f"a label delay of up to {max_seconds:g} s. Leave it out or look for a shorter delay."
            )
        lags = range(max_lag + 1)
        correlations += [abs(_correlation(energy[: steps - lag], arousal[lag:steps])) for lag in lags]
    return correlations / len(energies)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation; 0 where one side is constant and says nothing."""
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 1e-12 * len(a) else 0.0
