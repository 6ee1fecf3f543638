"""Measure the calibration of probabilities, and fit the temperature that improves it.

Guo, Pleiss, Sun, Weinberger: "On Calibration of Modern Neural Networks", ICML 2017: temperature scaling (section 4.2)
and the expected calibration error (section 2).
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

LEAST_PROBABILITY = 1e-12  # smaller ones are raised to it before their logarithm is taken
_RANGE = (0.05, 20.0)  # of temperatures


def with_temperature(probabilities: ArrayLike, temperature: float) -> np.ndarray:
    """Returns softmax(log p / T) over the last axis: flatter for a `temperature` above 1, the same for 1."""
    scores = np.log(np.maximum(np.asarray(probabilities, np.float64), LEAST_PROBABILITY)) / temperature
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return shares / shares.sum(axis=-1, keepdims=True)


def log_loss(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Returns the mean negative logarithm (natural) of the probability given to the true class."""
    shares, truth = _checked(probabilities, labels)
    return float(-np.log(np.maximum(shares[np.arange(len(truth)), truth], LEAST_PROBABILITY)).mean())


def fit_temperature(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Returns the temperature, in 0.05..20, of the least log loss on validation clips.

    Args:
        probabilities: (clips, classes), uncalibrated.
        labels: class indices (clips,).

    Raises:
        ValueError: no clips, shapes that do not fit, rows that are no probabilities, a label out of range.
    """
    shares, truth = _checked(probabilities, labels)

    def loss(log_temperature: float) -> float:
        return log_loss(with_temperature(shares, np.exp(log_temperature)), truth)

    found = minimize_scalar(loss, bounds=tuple(np.log(_RANGE)), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def expected_calibration_error(probabilities: ArrayLike, labels: ArrayLike, bins: int = 15) -> float:
    """Returns the ECE in 0..1: |accuracy - confidence| in each bin of confidence, weighted by its share of the clips.

    A clip's confidence is its largest probability; the `bins` are equally wide and closed on the right, as the paper
    has them. Raises as `fit_temperature` does, and for less than one bin.
    """
    shares, truth = _checked(probabilities, labels)
    if bins < 1:
        raise ValueError(f"bins is {bins}, expected 1 or more")
    confidence, right = shares.max(axis=1), shares.argmax(axis=1) == truth
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(index, right - confidence, bins)  # per bin, the number of its clips times the gap
    return float(np.abs(gaps).sum() / len(truth))


def _checked(probabilities: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    shares, truth = np.asarray(probabilities, np.float64), np.asarray(labels)
    if shares.ndim != 2 or not len(shares) or truth.shape != (len(shares),) or truth.dtype.kind not in "iu":
        raise ValueError(
            f"expected probabilities (clips, classes) and an integer label for each, found {shares.shape} and "
            f"{truth.dtype} {truth.shape}"
        )
    if not (shares >= 0).all() or not np.allclose(shares.sum(axis=1), 1, atol=1e-3):
        raise ValueError("expected probabilities that are 0 or more and sum to 1 in each row")
    if truth.min() < 0 or truth.max() >= shares.shape[1]:
        raise ValueError(f"labels: expected indices 0..{shares.shape[1] - 1}, found {truth.min()}..{truth.max()}")
    return shares, truth
