"""Adapt the answers to a speaker by the mean vector of each class, found from the answers themselves or from labels.

Liang, Hu, Feng: "Do we really need to access the source data? Source hypothesis transfer for unsupervised domain
adaptation", ICML 2020, section 3.2: means of each class weighted by the probabilities, clips nearest to them by cosine,
means again. There the nearest mean is the answer; here its cosine is evidence beside the network's probability. With
balanced classes it is the iteration of Hu, Gripon, Pateux: "Leveraging the feature distribution in transfer-based
few-shot learning", ICANN 2021, section 3.3. NumPy only.
"""

from dataclasses import dataclass, replace

import numpy as np

from zoo.adaptation import prior

ROUNDS = 5
_LEAST = 1e-7  # deviation of a coordinate, and length of a vector; below it, it is constant, or has no direction


@dataclass(frozen=True)
class ClassMeans:
    """A speaker's classes: unit vectors (classes, width) about the `centre` (width,), in units of the `deviation`.

    `weights` (classes,) multiply the probabilities, by an assumption about how often each class occurs; 1 without one.
    """

    centre: np.ndarray
    deviation: np.ndarray
    means: np.ndarray
    weights: np.ndarray
    strength: float

    def probabilities(self, vectors: np.ndarray, given: np.ndarray) -> np.ndarray:
        """Return probabilities (n, classes), in proportion to given * exp(strength * cosine) * weights.

        `vectors` (n, width) are those in front of the network's head, `given` (n, classes) its probabilities.
        """
        cosines = _unit((vectors - self.centre) / self.deviation) @ self.means.T
        return prior.reweighted(np.maximum(given, _LEAST) * np.exp(self.strength * cosines), self.weights)


def fit(
    vectors: np.ndarray, given: np.ndarray, strength: float, shares: np.ndarray | None = None, rounds: int = ROUNDS
) -> ClassMeans:
    """Find the class means of a speaker's unlabelled clips, beginning with the network's probabilities `given`.

    With `shares` (classes,), an assumption, every round weights the probabilities so that their mean is these.
    """
    found = _around(vectors, given.shape[1], strength)
    answers = given if shares is None else prior.reweighted(given, prior.weights_for(given, shares))
    for _ in range(rounds):
        found = replace(found, means=_means(found, vectors, answers), weights=np.ones(given.shape[1]))
        answers = found.probabilities(vectors, given)
        if shares is not None:
            found = replace(found, weights=prior.weights_for(answers, shares))
            answers = found.probabilities(vectors, given)
    return found


def fit_labelled(vectors: np.ndarray, labels: np.ndarray, n_classes: int, strength: float) -> ClassMeans:
    """Take the class means of a speaker's labelled clips; `labels` are class indices (n,)."""
    found = _around(vectors, n_classes, strength)
    return replace(found, means=_means(found, vectors, np.eye(n_classes)[labels]))


def _around(vectors: np.ndarray, n_classes: int, strength: float) -> ClassMeans:
    """Return centre and deviation of vectors, with means of length 0, which say nothing."""
    deviation = np.maximum(vectors.std(axis=0), _LEAST)
    nothing = np.zeros((n_classes, vectors.shape[1]))
    return ClassMeans(vectors.mean(axis=0), deviation, nothing, np.ones(n_classes), strength)


def _means(found: ClassMeans, vectors: np.ndarray, answers: np.ndarray) -> np.ndarray:
    return _unit(answers.T @ _unit((vectors - found.centre) / found.deviation))


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _LEAST)
