"""Build linear models of features: what support vector machines and regressions are once they are fitted.

They are never trained by gradient here: zoo/training/fit_linear.py has scikit-learn fit them and sets their weights.
"""

from typing import TYPE_CHECKING

from zoo.models.option_ranges import checked
from zoo.utils.lazy import lazy

if TYPE_CHECKING:
    import keras
    from keras import layers
else:
    keras, layers = lazy("keras"), lazy("keras.layers")


@checked
def linear_classifier(
    n_classes: int, n_inputs: int, /, *, components: int | None = None, seed: int = 0, name: str = "linear_classifier"
) -> "keras.Model":
    """Build the model: one vector per clip to a score per class, and their softmax.

    It maps {"features": (batch, 1, n_inputs), "n_frames": (batch,)} to (batch, n_classes). Layer "scores" gives the
    margins; the softmax ranks classes as they do, unless they are over 100 apart, and is no calibrated probability
    (export.py --calibrate fits one).

    Args:
        components: of a projection before the scores, layer "projection": principal components.
        seed: of the weights before they are fitted.
    """
    features, n_frames = _inputs((1, n_inputs))
    vector = layers.Reshape((n_inputs,), dtype="float32", name="vector")(features)
    scores = _linear(n_classes, vector, components, seed, "scores")
    output = layers.Softmax(dtype="float32", name="probabilities")(scores)
    return keras.Model({"features": features, "n_frames": n_frames}, output, name=name)


@checked
def linear_regressor(
    n_targets: int, n_inputs: int, /, *, components: int | None = None, seed: int = 0, name: str = "linear_regressor"
) -> "keras.Model":
    """Build the model: a rating per dimension for every frame, from that frame's features.

    It maps {"features": (batch, frames, n_inputs), "n_frames": (batch,)} to (batch, frames, n_targets). `components`
    and `seed` are those of `linear_classifier`.
    """
    features, n_frames = _inputs((None, n_inputs))
    output = _linear(n_targets, features, components, seed, "arousal_valence")
    return keras.Model({"features": features, "n_frames": n_frames}, output, name=name)


def _inputs(shape):
    return keras.Input(shape, name="features"), keras.Input((), dtype="int32", name="n_frames")


def _linear(n_outputs, features, components, seed, name):
    if components is not None:
        if components < 1:
            raise ValueError(f"components is {components}, expected 1 or more")
        project = keras.initializers.GlorotUniform(seed)
        features = layers.Dense(components, kernel_initializer=project, dtype="float32", name="projection")(features)
    scale = keras.initializers.GlorotUniform(seed + 1)
    return layers.Dense(n_outputs, kernel_initializer=scale, dtype="float32", name=name)(features)
