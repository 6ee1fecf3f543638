"""Fit a head to a few labelled clips of a speaker, on the vectors in front of a network's head."""

from collections.abc import Sequence

import numpy as np
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

_LEAST = 1e-7  # deviation of a coordinate; below it, it is constant
HEADS = ("logistic", "nearest_mean")


def draw(labels: np.ndarray, per_class: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `per_class` clips of every class in `labels` (n,); return their positions, in order.

    Raises ValueError where a class has no clip beyond those, so that it could not be tested.
    """
    drawn = []
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        if len(own) <= per_class:
            raise ValueError(f"class {label} has {len(own)} clips, expected more than {per_class}")
        drawn.append(rng.choice(own, per_class, replace=False))
    return np.sort(np.concatenate(drawn))


def logistic(vectors: np.ndarray, labels: np.ndarray, others: np.ndarray, n_classes: int, c: float) -> np.ndarray:
    """Return probabilities (m, n_classes) of `others` (m, width) by a logistic regression on `vectors` (n, width).

    Coordinates are standardised by `vectors`; `c` is scikit-learn's inverse strength of the regulariser. A class
    without a clip in `labels` has the probability 0.
    """
    mean, deviation = vectors.mean(axis=0), vectors.std(axis=0)
    deviation = np.where(deviation < _LEAST, 1.0, deviation)
    model = LogisticRegression(C=c, max_iter=1000).fit((vectors - mean) / deviation, labels)
    return _columns(model.predict_proba((others - mean) / deviation), model.classes_, n_classes)


def nearest_mean(vectors: np.ndarray, labels: np.ndarray, others: np.ndarray, n_classes: int, c: float) -> np.ndarray:
    """Return probabilities (m, n_classes) by the cosine to each class's mean vector, times 1 / `c` in a softmax.

    Snell, Swersky, Zemel: "Prototypical networks for few-shot learning", NIPS 2017, section 2.3, with cosines.
    """
    centre = vectors.mean(axis=0)
    classes = np.unique(labels)
    means = np.stack([vectors[labels == label].mean(axis=0) for label in classes]) - centre
    cosines = _unit(others - centre) @ _unit(means).T
    return _columns(softmax(cosines / c, axis=1), classes, n_classes)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _LEAST)


def _columns(found: np.ndarray, classes: Sequence[int] | np.ndarray, n_classes: int) -> np.ndarray:
    shares = np.zeros((len(found), n_classes))
    shares[:, np.asarray(classes, int)] = found
    return shares
