"""Train without labels: predict hidden stretches of a log-mel spectrogram from the frames around them.

Liu, Yang, Chi, Hsu, Lee: "Mockingjay: Unsupervised Speech Representation Learning with Deep Bidirectional Transformer
Encoders", ICASSP 2020, section 2: some frames are hidden, and their absolute error is the loss. Here the encoder is a
network of the zoo, what is hidden are whole steps of its sequence, and hidden frames hold each band's mean.
"""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from zoo import registry
from zoo.config.run_config import RunConfig
from zoo.data.batches.by_length import padded
from zoo.data.batches.clips import Example, moments, shuffled_plan
from zoo.data.batches.prefetch import batches
from zoo.frontends.compose import with_normalization
from zoo.models.masked_prediction import MaskedError, frames_per_step, with_masked_prediction
from zoo.training.tasks.base import Figures, Fitting, FoldData, not_finite

HIDDEN = 0.5  # share of a clip's steps
_LEAST_VARIANCE = 1e-4  # as zoo.frontends.compose has it
_LONG = 4  # lengths of batches are multiples of so many steps: few shapes
_VALIDATION = 0  # in place of an epoch's number

FIGURES = Figures(score="validation_explained", compared=(), short=())


def _epoch_line(row: dict[str, float]) -> str:
    return f"validation loss {row['validation_loss']:.3f}  explained {100 * row['validation_explained']:.1f} %"


report = SimpleNamespace(epoch_line=_epoch_line)


def fitting(fold: FoldData, config: RunConfig) -> Fitting:
    """The network has a head of as many classes as `fold.outputs`, which stays untrained."""
    network = registry.build(config.model, len(fold.outputs), config.bands, **{"seed": config.seed, **config.option})
    factor, (mean, variance) = frames_per_step(network), moments(example.features for example in fold.train)
    model = with_normalization(mean, variance, network)
    crop_frames = fold.frontend.n_frames(round(config.crop_seconds * fold.frontend.rate_hz))

    def epoch_of(number: int) -> Any:
        lengths = np.array([min(example.features.n_frames, crop_frames) for example in fold.train])
        plan = shuffled_plan(lengths, config.batch_size, np.random.default_rng((config.seed, number)))
        return hidden_batches(fold.train, plan, lengths, mean, variance, factor, (config.seed, number))

    return Fitting(model, MaskedError(), epoch_of, lambda model: with_masked_prediction(model, config.bands))


def hidden_batches(
    examples: Sequence[Example],
    plan: Sequence[np.ndarray],
    lengths: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    factor: int,
    seed: tuple[int, ...],
) -> Any:
    """Return ({"features", "n_frames"}, truth, weight) batches; all draws depend on `seed` and the clip alone.

    Of each clip `lengths` frames are taken, at random, and half of its steps of `factor` frames are hidden, one at
    least. Truth is (batch, frames, bands + 1): standardised frames, and 1 where one is hidden.
    """
    deviation = np.sqrt(np.maximum(np.where(variance == 0, 1.0, variance), _LEAST_VARIANCE))

    def one(index: int) -> tuple[np.ndarray, np.ndarray]:
        rng, features = np.random.default_rng((*seed, index, 4)), examples[index].features
        length = int(lengths[index])
        frames = features.read(int(rng.integers(0, features.n_frames - length + 1)), length)
        n_steps = -(-length // factor)
        steps = rng.permutation(n_steps)[: max(1, round(HIDDEN * n_steps))]
        hidden = np.isin(np.arange(length) // factor, steps)
        truth = np.concatenate([(frames - mean) / deviation, hidden[:, None]], axis=1)
        return np.where(hidden[:, None], mean, frames).astype(np.float32), truth.astype(np.float32)

    def batch(number):
        seen, truth = zip(*(one(int(index)) for index in plan[number]), strict=True)
        rows, n_frames = padded(seen, _LONG * factor)
        return rows, n_frames, padded(truth, _LONG * factor)[0], np.ones(len(rows), np.float32)

    n_bands = len(mean)
    specs = [("float32", (None, None, n_bands)), ("int32", (None,)), ("float32", (None, None, n_bands + 1))]
    return batches(len(plan), batch, [*specs, ("float32", (None,))])


def validator(model: Any, fold: FoldData, config: RunConfig) -> Callable[[], dict[str, float]]:
    """Score the mean absolute error of the validation clips' hidden frames, the same ones after every epoch.

    `validation_explained` is its share of that of each band's mean, taken from one: 0 for a network that knows nothing.
    """
    normalize = model.get_layer("normalization").get_config()
    mean, variance = (np.asarray(normalize[name], np.float64).ravel() for name in ("mean", "variance"))
    network = next(layer for layer in model.layers if hasattr(layer, "layers"))
    lengths = np.array([example.features.n_frames for example in fold.validation])
    order = np.argsort(lengths, kind="stable")
    plan = np.array_split(order, -(-len(order) // config.batch_size))
    factor = frames_per_step(network)
    seed = (config.seed, _VALIDATION)

    def validate() -> dict[str, float]:
        error = nothing = count = 0.0
        for inputs, truth, _ in hidden_batches(fold.validation, plan, lengths, mean, variance, factor, seed):
            found, truth = (np.asarray(part, np.float64) for part in (model.predict_on_batch(inputs), truth))
            hidden, truth = truth[..., -1:], truth[..., :-1]
            found = found.reshape(truth.shape)
            error += float((hidden * np.abs(truth - found)).sum())
            nothing += float((hidden * np.abs(truth)).sum())
            count += float(hidden.sum()) * truth.shape[-1]
        if not np.isfinite(error):
            raise not_finite(fold, config)
        return {"validation_loss": error / count, FIGURES.score: 1 - error / nothing}

    return validate
