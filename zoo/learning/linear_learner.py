"""Fit a linear support vector machine hundreds of times on parts of one pool, in the span of its clips.

With fewer clips than features, the weights of every fit lie in the span of the pool's vectors: a rotation into that
span leaves the margins, and the regulariser |w|^2, as they are, and a fit takes milliseconds (kernel trick, Schoelkopf
and Smola 2002, section 2.2; the rotation is that of principal components without any left out).
"""

import warnings
from collections.abc import Sequence

import numpy as np
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from zoo.learning.learner import Predictions, calibrated, check_classes
from zoo.metrics.classification import confusion_matrix, unweighted_accuracy

_MOST_ITERATIONS = 2_000
_SMALLEST = 1e-9  # eigenvalues below this share of the largest are rounding


class LinearLearner:
    """A `zoo.learning.learner.Learner`: one-against-rest LinearSVC on standardised vectors.

    Args:
        pool, validation, test: vectors (clips, features); mean and deviation are those of the pool, which needs no
            labels for that.
        truth: class indices of the validation clips, which choose C and fit the temperature.
        complexities: values of C to choose from; on a tie, the first.
    """

    def __init__(
        self,
        pool: np.ndarray,
        validation: np.ndarray,
        test: np.ndarray,
        truth: np.ndarray,
        n_classes: int,
        complexities: Sequence[float],
    ):
        mean, deviation = pool.mean(axis=0), pool.std(axis=0)
        deviation = np.where(deviation < 1e-7, 1.0, deviation)
        sides = [(np.asarray(side, np.float64) - mean) / deviation for side in (pool, validation, test)]
        rotation = in_span(sides[0])
        self.vectors, self._validation, self._test = (side @ rotation for side in sides)
        self._truth, self._n_classes, self._complexities = truth, n_classes, complexities

    def fit(self, clips: np.ndarray, labels: np.ndarray, seed: int) -> Predictions:
        """Fit for every C, keep the best by validation UA; probabilities are the softmax of margins, calibrated."""
        check_classes(labels)
        best: tuple[float, float, np.ndarray, np.ndarray] | None = None
        rotation, triangle = np.linalg.qr(self.vectors[clips].T)  # into the span of these clips: fewer dimensions yet
        for c in self._complexities:
            weights, bias = _solve(triangle.T, labels, c, self._n_classes, seed)
            weights = rotation @ weights
            score = self._score(self._validation @ weights + bias)
            if best is None or score > best[0]:
                best = (score, c, weights, bias)
        assert best is not None  # there is at least one C
        score, c, weights, bias = best
        margins = {
            side: vectors @ weights + bias
            for side, vectors in (("pool", self.vectors), ("validation", self._validation), ("test", self._test))
        }
        known = np.isfinite(bias)
        # Margins of a small C are all close to each other: in deviations, a temperature of usual size fits them.
        deviation = float(margins["validation"][:, known].std()) or 1.0
        shares = {side: softmax(values / deviation, axis=1) for side, values in margins.items()}
        return calibrated(shares, self._truth, {"c": c, "validation_ua": score})

    def _score(self, margins: np.ndarray) -> float:
        return float(unweighted_accuracy(confusion_matrix(self._truth, margins.argmax(axis=1), self._n_classes)))


def in_span(vectors: np.ndarray) -> np.ndarray:
    """Return a rotation (features, rank) into the span of vectors (n, features), from their Gram matrix.

    Inner products of what lies in the span stay as they are.
    """
    values, eigenvectors = np.linalg.eigh(vectors @ vectors.T)
    kept = values > max(values[-1], 0) * _SMALLEST
    return vectors.T @ (eigenvectors[:, kept] / np.sqrt(values[kept]))


def _solve(
    vectors: np.ndarray, labels: np.ndarray, c: float, n_classes: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (features, classes) and bias (classes,), -inf for a class without a label."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a large C is as good as it got; validation decides
        machine = LinearSVC(C=c, dual=True, tol=1e-3, max_iter=_MOST_ITERATIONS, random_state=seed)
        machine.fit(vectors, labels)
    coefficients, biases = machine.coef_, machine.intercept_
    if len(coefficients) == 1:  # of two classes, scikit-learn keeps the second one's
        coefficients, biases = np.concatenate([-coefficients, coefficients]), np.concatenate([-biases, biases])
    weights, bias = np.zeros((vectors.shape[1], n_classes)), np.full(n_classes, -np.inf)
    weights[:, machine.classes_], bias[machine.classes_] = coefficients.T, biases
    return weights, bias
