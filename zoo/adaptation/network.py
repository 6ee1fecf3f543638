"""Adapt a fold's network to a speaker by the features of unlabelled clips: moments, batch normalisation, entropy.

Features are (frames, bands) as the front-end gives them, before the standardisation by training's moments.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np

from zoo.data.batches.by_length import in_batches, padded
from zoo.errors import UserError
from zoo.frontends.compose import with_frontend, with_normalization
from zoo.runs.model_file import bare, frontend, head_of, load_model, network_of
from zoo.training import batch_statistics

_LEAST_VARIANCE = 1e-4  # as zoo.frontends.compose.with_normalization has it for logarithms of energies
_EPSILON = 1e-7  # of a probability in its logarithm

Features = Sequence[np.ndarray]


@dataclass(frozen=True)
class FoldNetwork:
    """A fold's saved model: its front-end, the network behind the standardisation, and what that subtracts and divides.

    `trained` are the network's weights as training left them, `answers` the model from standardised features to the
    vector in front of the head and to the outputs.
    """

    layer: keras.layers.Layer
    network: keras.Model
    answers: keras.Model
    trained: tuple[np.ndarray, ...]
    mean: np.ndarray
    variance: np.ndarray
    n_classes: int

    def standardized(self, features: Features) -> list[np.ndarray]:
        """Return features as the network takes them, float32."""
        deviation = np.sqrt(self.variance)
        return [((values - self.mean) / deviation).astype(np.float32) for values in features]

    def outputs(self, features: Features) -> tuple[np.ndarray, np.ndarray]:
        """Return the vectors in front of the head (n, width) and the probabilities of classes (n, n_classes)."""

        def run(rows: np.ndarray, n_frames: np.ndarray) -> list[tuple[np.ndarray, ...]]:
            found = self.answers.predict_on_batch({"features": rows, "n_frames": n_frames})
            return list(zip(*(np.asarray(keras.ops.convert_to_numpy(part)) for part in found), strict=True))

        vectors, outputs = zip(*in_batches(run, self.standardized(features), multiple=100), strict=True)
        return np.stack(vectors).astype(np.float64), np.stack(outputs).astype(np.float64)[:, : self.n_classes]

    def model(self) -> keras.Model:
        """Return a model from waveforms to outputs, as train.py saves it, by the moments and weights of now."""
        inner = keras.models.clone_model(self.network)
        inner.set_weights(self.network.get_weights())
        return with_frontend(self.layer, with_normalization(self.mean, self.variance, inner, least_variance=0.0))


def open_network(path: Path, columns: Sequence[str], n_classes: int) -> FoldNetwork:
    """Open a fold's model.keras, whose first `n_classes` columns are classes.

    Raises UserError for one without standardised features, as a linear model has none.
    """
    model = load_model(path, True, columns)
    standardized = network_of(model)
    network = bare(standardized)
    if network is standardized or len(head_of(network).input.shape) != 2:
        raise UserError(
            f"{path}: expected a network of classes on log-mel features, found {network.name}; give its run"
        )
    settings = standardized.get_layer("normalization").get_config()
    mean, variance = (np.asarray(settings[name], np.float64) for name in ("mean", "variance"))
    answers = keras.Model(network.inputs, [head_of(network).input, network.output], name=f"{network.name}_answers")
    return FoldNetwork(frontend(model), network, answers, tuple(network.get_weights()), mean, variance, n_classes)


def as_trained(fold: FoldNetwork, features: Features, strength: float) -> FoldNetwork:
    """Return the network as training left it."""
    fold.network.set_weights(list(fold.trained))
    return fold


def by_moments(fold: FoldNetwork, features: Features, strength: float) -> FoldNetwork:
    """Standardise features by mean and variance of each band over the speaker's frames, in place of training's.

    With a `strength` below 1, in 0..1: strength * speaker's + (1 - strength) * training's. Where the front-end removes
    each clip's mean, the speaker's is 0 too, and variances alone change.
    """
    frames = np.concatenate(features).astype(np.float64)
    mean, variance = frames.mean(axis=0), np.maximum(frames.var(axis=0), _LEAST_VARIANCE)
    fold = as_trained(fold, features, strength)
    return replace(
        fold,
        mean=strength * mean + (1 - strength) * fold.mean,
        variance=strength * variance + (1 - strength) * fold.variance,
    )


def by_batch_norm(fold: FoldNetwork, features: Features, strength: float) -> FoldNetwork:
    """Mix the statistics of batch normalisation with those of the speaker's clips, as `batch_statistics.adapt` does."""
    fold = as_trained(fold, features, strength)
    check_batch_norm(fold)
    batch_statistics.adapt(fold.network, fold.standardized(features), strength)
    return fold


def by_entropy(
    fold: FoldNetwork, features: Features, strength: float, epochs: int = 10, learning_rate: float = 1e-3
) -> FoldNetwork:
    """Lower the entropy of the answers to the speaker's clips, by the scale and shift of batch normalisation alone.

    Wang, Shelhamer, Liu, Olshausen, Darrell: "Tent: fully test-time adaptation by entropy minimization", ICLR 2021,
    section 3. The statistics are those of `by_batch_norm`, held while Adam takes one step per epoch over all clips;
    the paper takes those of each batch instead, and one pass.
    """
    fold = by_batch_norm(fold, features, strength)
    for layer in fold.network.layers:
        layer.trainable = isinstance(layer, keras.layers.BatchNormalization)
    model = InUse(fold.network, fold.n_classes)
    # XLA takes longer to compile a few steps on TensorFlow's CPU than they take.
    jit = keras.backend.backend() == "jax"
    model.compile(keras.optimizers.Adam(learning_rate), loss=_entropy, jit_compile=jit)
    rows, n_frames = padded(fold.standardized(features))
    given = {"features": rows, "n_frames": n_frames}
    model.fit(given, np.zeros((len(rows), 1)), batch_size=len(rows), epochs=epochs, shuffle=False, verbose=0)
    for layer in fold.network.layers:
        layer.trainable = True
    return fold


class InUse(keras.Model):
    """A network as it answers in use, also while it is fitted: without dropout, its statistics held.

    A functional model around it would be given fit's training=True for every layer.
    """

    def __init__(self, network: keras.Model, n_classes: int):
        super().__init__(name="in_use")
        self.network, self.n_classes = network, n_classes

    def call(self, inputs):
        return self.network(inputs, training=False)[:, : self.n_classes]


def check_batch_norm(fold: FoldNetwork) -> None:
    """Raise UserError for a network without batch normalisation."""
    if not any(isinstance(layer, keras.layers.BatchNormalization) for layer in fold.network.layers):
        raise UserError(f"{fold.network.name} has no batch normalisation to adapt; choose another --method")


def _entropy(ignored, probabilities):
    """Return the entropy of each row's probabilities in nats."""
    logarithms = keras.ops.log(keras.ops.maximum(probabilities, _EPSILON))
    return -keras.ops.sum(probabilities * logarithms, axis=-1)


Adapt = Callable[[FoldNetwork, Features, float], FoldNetwork]
ADAPT: Mapping[str, Adapt] = {
    "statistics": by_moments,
    "batch_norm": by_batch_norm,
    "entropy": by_entropy,
}
