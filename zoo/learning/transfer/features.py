"""Carry feature vectors of one corpus to another: sparse autoencoders, differences of autoencoders, correlation.

MixedEmotions D4.2, section 2.3.1, names the methods and gives no equation. They are taken from

- Deng, Zhang, Marchi, Schuller: "Sparse Autoencoder-based Feature Transfer Learning for Speech Emotion Recognition",
  ACII 2013: `ClassAutoencoders`; with one code for both domains, `SharedAutoencoder`
- the deliverable's own words, "the training of several autoencoders and the learning of the differences with an
  additional neural network": `AutoencoderDifferences`
- Hotelling: "Relations between two sets of variates", Biometrika 28, 1936, as the deliverable's predecessor D4.1 used
  it between corpora of two languages: `CorpusCorrelation`

All take standardised vectors (clips, features), each corpus by its own statistics. The source is the corpus with many
labels, the target the one to be recognised. Nothing here may be fitted on clips that are tested.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import keras
import numpy as np
from scipy.special import expit
from sklearn.cross_decomposition import CCA
from sklearn.decomposition import PCA

from zoo.errors import UserError
from zoo.layers.sparsity import KLSparsity

_BATCH = 64


class SparseAutoencoder:
    """One hidden layer of sigmoid units that are seldom active, and a linear output of the inputs.

        h = sigmoid(W x + b),  y = W' h + b'
        loss = mean (x - y)^2 + weight * sum over units of KL(activity || mean activation of the unit)

    `zoo.layers.sparsity.KLSparsity` is the second term. Adam takes `steps` batches of 64 clips, the same ones repeated
    where there are fewer.
    """

    def __init__(
        self,
        units: int = 64,
        activity: float = 0.05,
        weight: float = 0.1,
        steps: int = 300,
        learning_rate: float = 3e-3,
        seed: int = 0,
    ):
        self.units, self.activity, self.weight = units, activity, weight
        self.steps, self.learning_rate, self.seed = steps, learning_rate, seed

    def fit(self, vectors: np.ndarray) -> "SparseAutoencoder":
        """Train on vectors (clips, features), without labels. Raises UserError for fewer than two clips."""
        if len(vectors) < 2:
            raise UserError(f"an autoencoder: expected at least 2 clips to be fitted on, found {len(vectors)}")
        network = autoencoder(vectors.shape[1], self.units, self.activity, self.weight, self.learning_rate)
        self.weights = _trained(network, vectors, vectors, self.steps, self.seed)
        return self

    def transform(self, vectors: np.ndarray) -> np.ndarray:
        """Return codes (clips, units), in 0..1."""
        return expit(np.asarray(vectors, np.float32) @ self.weights[0] + self.weights[1])

    def reconstruct(self, vectors: np.ndarray) -> np.ndarray:
        """Return reconstructions (clips, features)."""
        return self.transform(vectors) @ self.weights[2] + self.weights[3]


@cache
def autoencoder(features: int, units: int, activity: float, weight: float, learning_rate: float) -> keras.Model:
    """Build and compile the network of a `SparseAutoencoder`, once: to compile takes longer than to train."""
    inputs = keras.Input((features,), name="vectors")
    hidden = keras.layers.Dense(units, activation="sigmoid", name="code")(inputs)
    hidden = KLSparsity(activity, weight, name="sparsity")(hidden)
    outputs = keras.layers.Dense(features, name="reconstruction")(hidden)
    return _compiled(keras.Model(inputs, outputs), learning_rate)


class SharedAutoencoder:
    """One sparse autoencoder of both domains: its code is the common space, in which the classifier is trained.

    Neither domain weighs more: clips of the smaller one are repeated.
    """

    def __init__(self, **options: Any):
        self.autoencoder = SparseAutoencoder(**options)

    def fit(self, source: np.ndarray, target: np.ndarray) -> "SharedAutoencoder":
        """Train on unlabelled vectors of both domains, (clips, features) each."""
        size = max(len(source), len(target))
        both = [np.resize(np.arange(len(one)), size) for one in (source, target)]
        self.autoencoder.fit(np.concatenate([source[both[0]], target[both[1]]]))
        return self

    def transform(self, vectors: np.ndarray) -> np.ndarray:
        """Return the code (clips, units) of vectors of either domain."""
        return self.autoencoder.transform(vectors)


class ClassAutoencoders:
    """A sparse autoencoder for each class of the target: source clips become what those of the target look like.

    Deng et al. 2013: with the autoencoder r_k fitted on the few labelled target clips of class k,

        x' = r_k(x)    for each source clip x of class k,

    and the classifier is trained on x' with the target's own clips. Source clips of a class with fewer than two
    labelled target clips stay as they are.
    """

    def __init__(self, **options: Any):
        self.options = options

    def fit(self, target: np.ndarray, labels: Sequence[str]) -> "ClassAutoencoders":
        """Train an autoencoder for each class with at least two labelled target clips."""
        given = np.asarray(labels)
        counts = {name: int((given == name).sum()) for name in dict.fromkeys(labels)}
        enough = [name for name, count in counts.items() if count >= 2]
        self.of_class = {name: SparseAutoencoder(**self.options).fit(target[given == name]) for name in enough}
        return self

    def transform(self, source: np.ndarray, labels: Sequence[str]) -> np.ndarray:
        """Return the source's labelled vectors (clips, features) as the target's."""
        found, given = np.array(source, np.float32), np.asarray(labels)
        for name, autoencoder in self.of_class.items():
            if (given == name).any():
                found[given == name] = autoencoder.reconstruct(source[given == name])
        return found


class AutoencoderDifferences:
    """Autoencoders of each domain, and a network that learns in what their reconstructions differ.

        d(x) = r_target(x) - r_source(x),    g fitted to minimise mean |g(x) - d(x)|^2 over clips of both,
        x' = x + g(x)    for each source clip x

    D4.2 gives no equation; this is our reading of its sentence. The network g has one hidden layer of as many ReLU
    units as the autoencoders.
    """

    def __init__(self, **options: Any):
        self.source, self.target = SparseAutoencoder(**options), SparseAutoencoder(**options)

    def fit(self, source: np.ndarray, target: np.ndarray) -> "AutoencoderDifferences":
        """Train on unlabelled vectors of both domains, (clips, features) each."""
        self.source.fit(source)
        self.target.fit(target)
        both, own = np.concatenate([source, target]), self.target
        network = _difference_network(both.shape[1], own.units, own.learning_rate)
        self.weights = _trained(network, both, self.differences(both), own.steps, own.seed)
        return self

    def differences(self, vectors: np.ndarray) -> np.ndarray:
        """Return what the target's autoencoder gives less what the source's gives, (clips, features)."""
        return self.target.reconstruct(vectors) - self.source.reconstruct(vectors)

    def transform(self, source: np.ndarray) -> np.ndarray:
        """Return source vectors (clips, features) moved into the target domain."""
        source = np.asarray(source, np.float32)
        hidden = np.maximum(source @ self.weights[0] + self.weights[1], 0)
        return source + hidden @ self.weights[2] + self.weights[3]


class CorpusCorrelation:
    """Canonical correlation analysis between two corpora: projections of both that correlate most.

    For paired rows X (source) and Y (target), centred, find a_i and b_i that maximise corr(X a_i, Y b_i), one pair of
    directions after the other, uncorrelated with those before (Hotelling 1936; scikit-learn's `CCA`).

    Clips of two corpora are no pairs. Here a pair is made of class prototypes: of each class with labelled clips in
    both corpora, its clips are divided at random into `pairs_per_class` groups in either corpus, at most as many as
    the rarer one has clips, and the means of the groups are paired in their order. Vectors are projected on the leading
    principal components of either corpus before, as there are fewer pairs than features.
    """

    def __init__(self, components: int = 10, principal: int = 20, pairs_per_class: int = 5, seed: int = 0):
        self.components, self.principal, self.pairs_per_class, self.seed = components, principal, pairs_per_class, seed

    def fit(
        self,
        source: np.ndarray,
        source_labels: Sequence[str],
        target: np.ndarray,
        target_labels: Sequence[str],
        unlabelled: np.ndarray | None = None,
    ) -> "CorpusCorrelation":
        """Fit on labelled vectors (clips, features) of both; the target's principal components on `unlabelled` too.

        Raises UserError where fewer than two pairs can be made.
        """
        pool = target if unlabelled is None else np.concatenate([target, unlabelled])
        self.pca = [self._pca(source), self._pca(pool)]
        pairs = self.pairs(source, source_labels, target, target_labels)
        projected = [pca.transform(side) for pca, side in zip(self.pca, pairs, strict=True)]
        rank = min(len(pairs[0]) - 1, *(one.shape[1] for one in projected))
        if rank < 1:
            raise UserError(
                f"canonical correlation: expected at least 2 pairs of class prototypes, found {len(pairs[0])}. Give "
                "labelled clips of more classes that both corpora have"
            )
        self.cca = CCA(min(self.components, rank), scale=True, max_iter=2_000).fit(*projected)
        return self

    def pairs(self, source: Any, source_labels: Any, target: Any, target_labels: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the paired class prototypes of both corpora, (pairs, features) each."""
        rng = np.random.default_rng(self.seed)
        found: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        sides = (np.asarray(source), np.asarray(source_labels)), (np.asarray(target), np.asarray(target_labels))
        for name in sorted(set(source_labels) & set(target_labels)):
            chosen = [rng.permutation(np.flatnonzero(labels == name)) for _, labels in sides]
            count = min(self.pairs_per_class, *map(len, chosen))
            for rows, (vectors, _), indices in zip(found, sides, chosen, strict=True):
                rows += [vectors[group].mean(axis=0) for group in np.array_split(indices, count)]
        width = sides[0][0].shape[1]
        return np.reshape(found[0], (-1, width)), np.reshape(found[1], (-1, width))

    def transform_source(self, vectors: np.ndarray) -> np.ndarray:
        """Return canonical variates (clips, components) of source vectors."""
        return self._variates(0, vectors)

    def transform_target(self, vectors: np.ndarray) -> np.ndarray:
        """Return canonical variates (clips, components) of target vectors, in the same space."""
        return self._variates(1, vectors)

    def _variates(self, side: int, vectors: np.ndarray) -> np.ndarray:
        """Standardise as scikit-learn's `CCA` does, and rotate; it transforms Y only together with X."""
        cca, values = self.cca, self.pca[side].transform(vectors)
        mean, deviation = (cca._x_mean, cca._x_std) if side == 0 else (cca._y_mean, cca._y_std)
        return ((values - mean) / deviation) @ (cca.x_rotations_ if side == 0 else cca.y_rotations_)

    def _pca(self, vectors: np.ndarray) -> PCA:
        count = min(self.principal, *vectors.shape)
        return PCA(count, svd_solver="full", random_state=self.seed).fit(vectors)


@cache
def _difference_network(features: int, units: int, learning_rate: float) -> keras.Model:
    inputs = keras.Input((features,), name="vectors")
    hidden = keras.layers.Dense(units, activation="relu")(inputs)
    return _compiled(keras.Model(inputs, keras.layers.Dense(features, name="difference")(hidden)), learning_rate)


def _compiled(network: keras.Model, learning_rate: float) -> keras.Model:
    # One call for many steps: a step takes less time than what TensorFlow does around it.
    several = 20 if keras.backend.backend() == "tensorflow" else 1
    optimizer = keras.optimizers.Adam(learning_rate)
    network.compile(optimizer, loss="mean_squared_error", jit_compile=False, steps_per_execution=several)
    network.optimizer.build(network.trainable_variables)
    network.initial_state = [keras.ops.convert_to_numpy(one) for one in network.optimizer.variables]
    return network


def _trained(network: keras.Model, inputs: np.ndarray, outputs: np.ndarray, steps: int, seed: int) -> list[np.ndarray]:
    """Train a network from a start of its own (Glorot and Bengio 2010); return its kernels and biases."""
    rng = np.random.default_rng(seed)
    shapes = [array.shape for array in network.get_weights()]
    limits = [np.sqrt(6 / sum(shape)) if len(shape) == 2 else 0.0 for shape in shapes]
    network.set_weights([rng.uniform(-limit, limit, shape) for limit, shape in zip(limits, shapes, strict=True)])
    for variable, value in zip(network.optimizer.variables, network.initial_state, strict=True):
        variable.assign(value)
    whole = -(-steps * _BATCH // len(inputs))
    order = np.concatenate([rng.permutation(len(inputs)) for _ in range(whole)])[: steps * _BATCH]
    rows = (np.asarray(one, np.float32)[order] for one in (inputs, outputs))
    network.fit(*rows, batch_size=_BATCH, shuffle=False, verbose=0)
    return network.get_weights()
