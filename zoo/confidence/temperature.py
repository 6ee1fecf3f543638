"""Measure the calibration of probabilities, and fit the temperature that improves it.

Guo, Pleiss, Sun, Weinberger: "On Calibration of Modern Neural Networks", ICML 2017: temperature scaling (section 4.2)
and the expected calibration error (section 2).
"""

import numpy as np
import scipy  # its parts are imported when used
from numpy.typing import ArrayLike

from zoo.metrics import confidence

LEAST_PROBABILITY = 1e-12  # smaller ones are raised to it before their logarithm is taken
_RANGE = (0.05, 20.0)  # of temperatures


def with_temperature(probabilities: ArrayLike, temperature: float | np.ndarray) -> np.ndarray:
    """Returns softmax(log p / T) over the last axis: flatter for a `temperature` above 1, the same for 1.

    Several temperatures are of a shape that is broadcast to the probabilities', such as (clips, 1).
    """
    scores = np.log(np.maximum(np.asarray(probabilities, np.float64), LEAST_PROBABILITY)) / temperature
    return scipy.special.softmax(scores, axis=-1)


def log_loss(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Returns the mean negative logarithm (natural) of the probability given to the true class."""
    of_true = np.take_along_axis(np.asarray(probabilities, np.float64), np.asarray(labels)[:, None], axis=1)
    return float(-np.log(np.maximum(of_true, LEAST_PROBABILITY)).mean())


def fit_temperature(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Returns the temperature, in 0.05..20, of the least log loss on validation clips.

    `probabilities` (clips, classes) are uncalibrated; `labels` (clips,) are the indices of the true classes.
    """

    def loss(log_temperature: float) -> float:
        return log_loss(with_temperature(probabilities, np.exp(log_temperature)), labels)

    found = scipy.optimize.minimize_scalar(
        loss, bounds=tuple(np.log(_RANGE)), method="bounded", options={"xatol": 1e-6}
    )
    return float(np.exp(found.x))


def expected_calibration_error(probabilities: ArrayLike, labels: ArrayLike, bins: int = confidence.BINS) -> float:
    """Returns the ECE in 0..1 of largest probabilities (zoo.metrics.confidence.expected_calibration_error)."""
    shares = np.asarray(probabilities, np.float64)
    return float(confidence.expected_calibration_error(shares.max(axis=1), shares.argmax(axis=1) == labels, bins))
