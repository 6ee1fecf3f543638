"""Score how far a classification may be believed, from its probabilities or the clip itself: higher is surer.

Scores have units of their own; `zoo.confidence.fit` maps them to the probability that the answer is right.
MixedEmotions D4.2, section 2.4, has three kinds: the classifier's own (there the distance to the separating
hyperplane), the agreement of raters, estimated (2.4.1), and engines that learn its errors (2.4.2).
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

LEAST = 1e-6  # smaller probabilities count as this one: predictions.csv has six decimals

Probabilities = np.ndarray  # (n, classes)


class Measure(NamedTuple):
    """A row of `MEASURES`: what it is, what engines take ("" without engines), and whether a graph can hold it."""

    title: str
    of_probabilities: Callable[[Probabilities], np.ndarray] | None = None
    takes_probabilities: bool = False
    takes_functionals: bool = False
    of_agreement: bool = False
    self_labelled: bool = False

    @property
    def has_engines(self) -> bool:
        return self.takes_probabilities or self.takes_functionals

    @property
    def in_graph(self) -> bool:
        """Whether it is computed from probabilities alone, so that an export's graph can hold it."""
        return not self.takes_functionals


def maximum(probabilities: Probabilities) -> np.ndarray:
    """Return the largest probability, (n,).

    >>> maximum(np.array([[0.7, 0.2, 0.1]])).item()
    0.7
    """
    return probabilities.max(axis=-1)


def margin(probabilities: Probabilities) -> np.ndarray:
    """Return the largest probability less the second largest, (n,).

    >>> margin(np.array([[0.7, 0.2, 0.1]])).round(6).item()
    0.5
    """
    first, second = _two_largest(probabilities)
    return first - second


def entropy(probabilities: Probabilities) -> np.ndarray:
    """Return 1 - H / log C, (n,): 1 where one class has all, 0 where C classes have the same (Shannon 1948).

    >>> entropy(np.array([[0.5, 0.5], [1.0, 0.0]])).round(4).tolist()
    [0.0, 1.0]
    """
    shares = np.maximum(probabilities, LEAST)
    return 1 + (shares * np.log(shares)).sum(axis=-1) / np.log(shares.shape[-1])


def hyperplane(probabilities: Probabilities) -> np.ndarray:
    """Return the best class's score before the softmax less the next best one's, log p1 - log p2, (n,).

    For a linear model the scores are its decision values: the distance to the hyperplane of the winning class compared
    with the next best one's (MixedEmotions D4.2, section 2.4).

    >>> hyperplane(np.array([[0.8, 0.1, 0.1]])).round(4).item()  # log 8
    2.0794
    """
    first, second = _two_largest(np.maximum(probabilities, LEAST))
    return np.log(first) - np.log(second)


def inputs_of_engines(probabilities: Probabilities) -> np.ndarray:
    """Return what engines learn errors from: log-probabilities of the classes, maximum, margin, entropy: (n, C + 3)."""
    logs = np.log(np.maximum(probabilities, LEAST))
    measures = (measure(probabilities) for measure in (maximum, margin, entropy))
    return np.concatenate([logs, np.stack(list(measures), axis=-1)], axis=-1)


def disagreement(members: np.ndarray) -> np.ndarray:
    """Return minus the mutual information of an ensemble's answers, (n,): 0 where all agree, lower where they differ.

    `members` are probabilities (members, n, classes); H(mean) - mean(H) in nats (Lakshminarayanan, Pritzel and Blundell
    2017 for ensembles; Houlsby et al. 2011 for the measure).

    >>> disagreement(np.array([[[1.0, 0.0]], [[0.0, 1.0]]])).round(3).item()  # -log 2
    -0.693
    """

    def entropies(values: np.ndarray) -> np.ndarray:
        shares = np.maximum(values, LEAST)
        return -(shares * np.log(shares)).sum(axis=-1)

    return entropies(members).mean(axis=0) - entropies(members.mean(axis=0))


def _two_largest(probabilities: Probabilities) -> tuple[np.ndarray, np.ndarray]:
    ordered = np.sort(probabilities, axis=-1)
    return ordered[..., -1], ordered[..., -2]


MEASURES: Mapping[str, Measure] = {
    "maximum": Measure("largest probability", maximum),
    "margin": Measure("largest probability less the second", margin),
    "entropy": Measure("1 less the normalised entropy", entropy),
    "hyperplane": Measure("score before the softmax less the next best one's (linear: decision values)", hyperplane),
    "error_model": Measure("engines that learn errors from probabilities", takes_probabilities=True),
    "error_model_acoustic": Measure(
        "engines that learn errors from probabilities and eGeMAPS functionals",
        takes_probabilities=True,
        takes_functionals=True,
    ),
    "error_model_self": Measure(
        "error_model, trained again on recordings that it labelled itself", takes_probabilities=True, self_labelled=True
    ),
    "agreement": Measure(
        "share of raters that agree, estimated from eGeMAPS functionals", takes_functionals=True, of_agreement=True
    ),
}
