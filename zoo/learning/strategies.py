"""Choose the clips to label next: strategies of active learning on one interface.

MixedEmotions D4.2, section 2.3.2, names sparse instances, novelty against neutral speech and the expected change of
the model; the others are the usual ones (Settles 2009, "Active Learning Literature Survey", sections 3.1 to 3.5).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.svm import OneClassSVM

from zoo.errors import UserError, unknown

NEUTRAL = ("neutral", "neu")  # names of the class that novelty is measured against, in lower case


@dataclass(frozen=True)
class Pool:
    """Clips without labels, and what is known so far.

    Args:
        probabilities: of every class for each clip of the pool, (n, classes), rows sum to 1; None without a model.
        vectors: standardised features of the clips of the pool, (n, features).
        labelled_vectors: the same of the clips that have a label, (m, features).
        labels: class indices of these, (m,).
        classes: names of the classes.
    """

    probabilities: np.ndarray | None
    vectors: np.ndarray
    labelled_vectors: np.ndarray
    labels: np.ndarray
    classes: Sequence[str]


# (pool, count, rng) -> indices (count,) into the pool, the most wanted first. `rng` breaks ties and draws.
Strategy = Callable[[Pool, int, np.random.Generator], np.ndarray]


def choose(strategy: str, pool: Pool, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return the indices into the pool of the clips to label next, (count,), the most wanted first.

    Raises UserError for an unknown strategy, for more clips than the pool has, and for a strategy without what it
    needs: probabilities, or a neutral clip among the labelled ones.
    """
    if strategy not in STRATEGIES:
        raise unknown("strategy", strategy, STRATEGIES)
    if not 0 <= count <= len(pool.vectors):
        raise UserError(
            f"{count} clips are wanted to be labelled, and {len(pool.vectors)} are without a label; ask for 0 to "
            f"{len(pool.vectors)}"
        )
    if strategy in NEED_PROBABILITIES and pool.probabilities is None:
        raise UserError(
            f"strategy {strategy} needs a model that gives probabilities of classes, and there is none. Train one on "
            f"the labels so far, or choose {', '.join(name for name in STRATEGIES if name not in NEED_PROBABILITIES)}"
        )
    if pool.probabilities is not None:
        _check_probabilities(pool)
    return STRATEGIES[strategy](pool, count, rng)


def random(pool: Pool, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw clips without replacement, all equally likely: what every other strategy is compared with."""
    return rng.permutation(len(pool.vectors))[:count]


def least_certain(pool: Pool, count: int, rng: np.random.Generator) -> np.ndarray:
    """Take the clips whose most probable class is least probable (Lewis and Gale 1994)."""
    return _highest(-_probabilities(pool).max(axis=1), count, rng)


def margin(pool: Pool, count: int, rng: np.random.Generator) -> np.ndarray:
    """Take the clips whose two most probable classes are closest (Scheffer, Decomain and Wrobel 2001)."""
    ordered = np.sort(_probabilities(pool), axis=1)
    return _highest(ordered[:, -2] - ordered[:, -1], count, rng)


def entropy(pool: Pool, count: int, rng: np.random.Generator) -> np.ndarray:
    """Take the clips whose classes have the highest entropy, -sum p ln p (Shannon 1948; Settles 2009, section 3.1)."""
    shares = _probabilities(pool)
    return _highest(-(shares * np.log(np.where(shares > 0, shares, 1))).sum(axis=1), count, rng)


def sparse_class(pool: Pool, count: int, rng: np.random.Generator) -> np.ndarray:
    """Take clips predicted to be of the class with the fewest labels, the most probable first.

    MixedEmotions D4.2, section 2.3.2; sparse instance tracking (Zhang and Schuller 2012, "Active learning by sparse
    instance tracking and classifier confidence in acoustic emotion recognition"). Each clip taken counts as a label of
    its predicted class, so that a batch does not go to one class alone.
    """
    shares = _probabilities(pool)
    predicted = shares.argmax(axis=1)
    ranked = _highest(shares.max(axis=1), len(shares), rng)
    waiting = [[int(clip) for clip in ranked if predicted[clip] == label] for label in range(len(pool.classes))]
    counts = np.bincount(pool.labels, minlength=len(pool.classes))
    taken: list[int] = []
    while len(taken) < count:
        label = min((label for label, clips in enumerate(waiting) if clips), key=lambda label: counts[label])
        taken.append(waiting[label].pop(0))
        counts[label] += 1
    return np.array(taken, int)


def novelty(pool: Pool, count: int, rng: np.random.Generator) -> np.ndarray:
    """Take the clips that are least like neutral speech, by a one-class model of the neutral labelled clips.

    MixedEmotions D4.2, section 2.3.2; one-class support vector machine (Schoelkopf and others 2001), radial kernel.
    Raises UserError without a neutral clip.
    """
    neutral = [label for label, name in enumerate(pool.classes) if name.casefold() in NEUTRAL]
    of_neutral = pool.labelled_vectors[np.isin(pool.labels, neutral)]
    if not len(of_neutral):
        found = f"the classes are {', '.join(pool.classes)}" if not neutral else "no labelled clip is of it"
        raise UserError(
            f"strategy novelty needs labelled clips of a class named {' or '.join(NEUTRAL)}, and {found}. Label some, "
            "or choose another strategy"
        )
    return _highest(-OneClassSVM().fit(of_neutral).decision_function(pool.vectors), count, rng)


def expected_change(pool: Pool, count: int, rng: np.random.Generator) -> np.ndarray:
    """Take the clips with the largest expected gradient of a softmax layer on their vectors.

    Expected gradient length (Settles, Craven and Ray 2008; Settles 2009, section 3.3). The gradient of the
    cross-entropy of class y is (p - e_y) x' for the weights and p - e_y for the bias, so that its expected length is
    sqrt(|x|^2 + 1) sum_y p_y |p - e_y|, with |p - e_y|^2 = |p|^2 - 2 p_y + 1.
    """
    shares = _probabilities(pool)
    residual = np.sqrt(np.maximum(np.square(shares).sum(axis=1, keepdims=True) - 2 * shares + 1, 0))
    length = np.sqrt(np.square(pool.vectors).sum(axis=1) + 1)
    return _highest(length * (shares * residual).sum(axis=1), count, rng)


def diversity(pool: Pool, count: int, rng: np.random.Generator) -> np.ndarray:
    """Take, one after the other, the clip farthest from all that are labelled or taken (k-centre greedy).

    Sener and Savarese 2018, "Active Learning for Convolutional Neural Networks: A Core-Set Approach", algorithm 1;
    Euclidean distances. Without labelled clips, the first clip is drawn.
    """
    taken: list[int] = []
    nearest = np.full(len(pool.vectors), np.inf)
    if len(pool.labelled_vectors):
        for vector in pool.labelled_vectors:
            nearest = np.minimum(nearest, _squared_distances(pool.vectors, vector))
    while len(taken) < count:
        clip = int(_highest(nearest, 1, rng)[0])
        taken.append(clip)
        nearest = np.minimum(nearest, _squared_distances(pool.vectors, pool.vectors[clip]))
        nearest[taken] = -1.0  # once each, even where clips are equal
    return np.array(taken, int)


STRATEGIES: Mapping[str, Strategy] = {
    "random": random,
    "least-certain": least_certain,
    "margin": margin,
    "entropy": entropy,
    "sparse-class": sparse_class,
    "novelty": novelty,
    "expected-change": expected_change,
    "diversity": diversity,
}
NEED_PROBABILITIES = ("least-certain", "margin", "entropy", "sparse-class", "expected-change")


def _highest(scores: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return the indices of the highest scores, the highest first; equal ones in a drawn order."""
    order = rng.permutation(len(scores))
    return order[np.argsort(-scores[order], kind="stable")][:count]


def _probabilities(pool: Pool) -> np.ndarray:
    assert pool.probabilities is not None  # checked in `choose`
    return pool.probabilities


def _check_probabilities(pool: Pool) -> None:
    shares, expected = np.asarray(pool.probabilities), (len(pool.vectors), len(pool.classes))
    if shares.shape != expected or not np.all(shares >= 0) or not np.allclose(shares.sum(axis=1), 1, atol=1e-3):
        raise UserError(
            f"expected probabilities of shape {expected}, at least 0, which sum to 1 for each clip; found shape "
            f"{shares.shape}, from {np.min(shares, initial=np.inf)} to {np.max(shares, initial=-np.inf)}. Train the "
            "model again, or choose strategy random"
        )


def _squared_distances(vectors: np.ndarray, vector: np.ndarray) -> np.ndarray:
    return np.square(vectors - vector).sum(axis=1)
