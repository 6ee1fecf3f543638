"""Train a linear support vector machine for one corpus with the help of another: methods on feature vectors.

Every method is given the same: the source's labelled clips, the target's clips of training speakers without labels, and
few of these with labels. All predict the target's test clips, which take part in nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from sklearn.decomposition import PCA
from sklearn.svm import LinearSVC

from zoo.learning.transfer.features import (
    AutoencoderDifferences,
    ClassAutoencoders,
    CorpusCorrelation,
    SharedAutoencoder,
)
from zoo.metrics.classification import confusion_matrix, unweighted_accuracy

_MOST_ITERATIONS = 5_000
_CLASS_STEPS = 100  # of a class's autoencoder, which sees a few clips


@dataclass(frozen=True)
class Domains:
    """Vectors of both corpora, (clips, features), and class indices (clips,) of the source.

    `source` is standardised by the source's clips, `pool` and `test` by those of the pool, the target's clips of
    training speakers; `test_by_source` by the source's. All are on the same principal components.
    """

    source: np.ndarray
    source_labels: np.ndarray
    pool: np.ndarray
    test: np.ndarray
    test_by_source: np.ndarray
    complexity: float
    seed: int = 0

    @cached_property
    def unit(self) -> float:
        """Root mean square of the source's values, by which autoencoders' inputs are divided."""
        return float(np.sqrt(np.square(self.source).mean()))

    @cached_property
    def shared(self) -> SharedAutoencoder:
        """The autoencoder of both corpora; it needs no labels."""
        return SharedAutoencoder(seed=self.seed).fit(self.source / self.unit, self.pool / self.unit)

    @cached_property
    def moved(self) -> np.ndarray:
        """The source's clips moved by differences of autoencoders; they need no labels."""
        fitted = AutoencoderDifferences(seed=self.seed).fit(self.source / self.unit, self.pool / self.unit)
        return fitted.transform(self.source / self.unit) * self.unit


@dataclass(frozen=True)
class Labelled:
    """The target's clips with labels: indices into the pool (n,), and their class indices (n,)."""

    clips: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Method:
    """A way to predict the test clips' class indices; `needs_labels` says whether of the target's clips."""

    title: str
    predict: Callable[[Domains, Labelled], np.ndarray]
    needs_labels: bool = True


def standardized(
    source: np.ndarray, pool: np.ndarray, test: np.ndarray, components: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return source, pool, test, and test by the source's statistics, on leading principal components of the first two.

    `components` 0 keeps all features. Features without variance in a corpus keep their size there.
    """
    by = [_statistics(source), _statistics(pool)]
    found = [(source - by[0][0]) / by[0][1], (pool - by[1][0]) / by[1][1], (test - by[1][0]) / by[1][1]]
    found.append((test - by[0][0]) / by[0][1])
    if components:
        both = np.concatenate(found[:2])
        pca = PCA(min(components, *both.shape), svd_solver="randomized", random_state=0).fit(both)
        found = [pca.transform(one) for one in found]
    return tuple(found)  # type: ignore[return-value]


def choose_complexity(
    train: tuple[np.ndarray, np.ndarray], validation: tuple[np.ndarray, np.ndarray], candidates: Sequence[float]
) -> float:
    """Return the C of the best UA on the source's own validation speakers; on a tie, the first.

    It holds for vectors of a mean squared length of 1, as all here are scaled.
    """
    scores = [_ua(validation[1], _fit(*train, c)(validation[0])) for c in candidates]
    return candidates[int(np.argmax(scores))]


def _ua(truth: np.ndarray, prediction: np.ndarray) -> float:
    size = int(max(truth.max(), prediction.max())) + 1
    return float(unweighted_accuracy(confusion_matrix(truth, prediction, size)))


def _statistics(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    deviation = vectors.std(axis=0)
    return vectors.mean(axis=0), np.where(deviation < 1e-7, 1.0, deviation)


def _fit(
    vectors: np.ndarray, labels: np.ndarray, c: float, weights: np.ndarray | None = None
) -> Callable[[np.ndarray], np.ndarray]:
    """Fit one against the rest with classes of equal weight; return the function that predicts class indices."""
    if len(set(labels.tolist())) == 1:
        return lambda some: np.full(len(some), labels[0])
    scale = np.sqrt(np.square(vectors).sum(axis=1).mean()) or 1.0
    machine = LinearSVC(C=c, dual="auto", class_weight="balanced", max_iter=_MOST_ITERATIONS, random_state=0)
    machine.fit(vectors / scale, labels, sample_weight=weights)
    return lambda some: machine.predict(some / scale)


def _both(domains: Domains, given: Labelled, source: np.ndarray, target: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Train on source and labelled target clips, each corpus with half of the weight."""
    labels = np.concatenate([domains.source_labels, given.labels])
    n_source, n_target = len(domains.source_labels), len(given.labels)
    half = (n_source + n_target) / 2
    weights = np.concatenate([np.full(n_source, half / n_source), np.full(n_target, half / n_target)])
    return _fit(np.concatenate([source, target]), labels, domains.complexity, weights)(test)


def _target(domains: Domains, given: Labelled) -> np.ndarray:
    return _fit(domains.pool[given.clips], given.labels, domains.complexity)(domains.test)


def _source(domains: Domains, given: Labelled) -> np.ndarray:
    return _fit(domains.source, domains.source_labels, domains.complexity)(domains.test_by_source)


def _own_statistics(domains: Domains, given: Labelled) -> np.ndarray:
    return _fit(domains.source, domains.source_labels, domains.complexity)(domains.test)


def _pooled(domains: Domains, given: Labelled) -> np.ndarray:
    return _both(domains, given, domains.source, domains.pool[given.clips], domains.test)


def _autoencoder(domains: Domains, given: Labelled) -> np.ndarray:
    def code(vectors: np.ndarray) -> np.ndarray:
        return domains.shared.transform(vectors / domains.unit)

    sides = [code(one) for one in (domains.source, domains.pool, domains.test)]
    mean, deviation = _statistics(np.concatenate(sides[:2]))
    source, pool, test = ((one - mean) / deviation for one in sides)
    return _both(domains, given, source, pool[given.clips], test)


def _class_autoencoders(domains: Domains, given: Labelled) -> np.ndarray:
    labelled = domains.pool[given.clips]
    fitted = ClassAutoencoders(seed=domains.seed, steps=_CLASS_STEPS).fit(labelled / domains.unit, _words(given.labels))
    moved = fitted.transform(domains.source / domains.unit, _words(domains.source_labels)) * domains.unit
    return _both(domains, given, moved, labelled, domains.test)


def _differences(domains: Domains, given: Labelled) -> np.ndarray:
    return _both(domains, given, domains.moved, domains.pool[given.clips], domains.test)


def _correlation(domains: Domains, given: Labelled) -> np.ndarray:
    labelled = domains.pool[given.clips]
    names = _words(domains.source_labels), _words(given.labels)
    if len(set(names[0]) & set(names[1])) < 2:  # no two classes in common: nothing to correlate
        return _pooled(domains, given)
    fitted = CorpusCorrelation(seed=domains.seed).fit(domains.source, names[0], labelled, names[1], domains.pool)
    source, target = fitted.transform_source(domains.source), fitted.transform_target(labelled)
    return _both(domains, given, source, target, fitted.transform_target(domains.test))


def _words(labels: np.ndarray) -> list[str]:
    return [str(label) for label in labels]


METHODS: dict[str, Method] = {
    "nothing": Method("the target's labelled clips alone", _target),
    "source": Method("the source alone, by its own statistics", _source, needs_labels=False),
    "source-adapted": Method("the source alone, each corpus by its own statistics", _own_statistics, False),
    "pooled": Method("both corpora, each with half of the weight", _pooled),
    "autoencoder": Method("the code of a sparse autoencoder of both corpora", _autoencoder),
    "class-autoencoders": Method("source clips through an autoencoder of the target's class", _class_autoencoders),
    "differences": Method("source clips moved by the differences of two autoencoders", _differences),
    "correlation": Method("canonical variates of paired class prototypes", _correlation),
}
