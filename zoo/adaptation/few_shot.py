"""Draw a few labelled clips of a speaker; fit a logistic regression to their vectors in front of a network's head."""

import numpy as np
from sklearn.linear_model import LogisticRegression

_LEAST = 1e-7  # deviation of a coordinate; below it, it is constant


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
    shares = np.zeros((len(others), n_classes))
    shares[:, model.classes_] = model.predict_proba((others - mean) / deviation)
    return shares
