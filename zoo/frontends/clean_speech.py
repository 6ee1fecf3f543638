"""Distinguish clean from noisy utterances by their cepstral coefficients, so that clean ones are not enhanced.

MixedEmotions D4.2, section 3, suggests a detector, as enhancement degrades clean speech, but not which. This is a
logistic regression on the variation within the utterance: noise fills pauses, so that level and spectrum vary less.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from zoo.frontends.mfcc import Statistics
from zoo.layers.masking import InFloat32, Weightless, register

KINDS = 5  # of statistics
_BATCH_FRAMES = 200_000


@register
class Variation(Weightless, InFloat32):
    """Variation of each channel over a clip: deviation, depth below and height above its mean, skewness, kurtosis.

    None depends on a constant offset, that is on gain or a microphone's stationary filter.

    Call: (batch, frames, channels), frame counts (batch,) -> (batch, 5 * channels). In float32.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.six = Statistics("six")

    def call(self, frames, n_frames):
        statistics = self.six(frames, n_frames)
        mean, deviation, least, most, skewness, kurtosis = (statistics[..., kind] for kind in range(6))
        return ops.concatenate([deviation, mean - least, most - mean, skewness, kurtosis], axis=-1)

    def compute_output_spec(self, frames, n_frames):
        return keras.KerasTensor((frames.shape[0], KINDS * frames.shape[2]), "float32")


@register
class CleanSpeech(InFloat32):
    """Scores a clip: above 0 where it is taken for clean.

    Call: (batch, frames, channels), frame counts (batch,) -> (batch,). In float32. `fit` makes one with its weights.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**{**kwargs, "trainable": False})
        self.variation = Variation()

    def build(self, frames_shape, n_frames_shape=None):
        shape = (KINDS * frames_shape[-1],)
        self.kernel = self.add_weight(shape=shape, initializer="zeros", trainable=False, name="kernel")
        self.bias = self.add_weight(shape=(), initializer="zeros", trainable=False, name="bias")

    def call(self, frames, n_frames):
        return ops.sum(self.variation(frames, n_frames) * self.kernel, axis=-1) + self.bias

    def compute_output_spec(self, frames, n_frames):
        return keras.KerasTensor((frames.shape[0],), "float32")


@register
class UnlessClean(keras.layers.Layer):
    """Leaves a clip as it is where its score is above 0, and takes its enhanced frames elsewhere.

    Call: frames and enhanced frames (batch, frames, channels), scores (batch,) -> (batch, frames, channels).
    """

    def call(self, frames, enhanced, score):
        return ops.where(score[:, None, None] > 0, frames, enhanced)

    def compute_output_spec(self, frames, enhanced, score):
        return keras.KerasTensor(frames.shape, frames.dtype)


def fit(
    train: tuple[Iterable[np.ndarray], Iterable[np.ndarray]],
    validation: tuple[Iterable[np.ndarray], Iterable[np.ndarray]],
) -> CleanSpeech:
    """Fit a detector on training clips, and its threshold on validation clips.

    Both are clean clips and noisy clips, each (frames, channels). However many there are of either, both count alike.
    """
    clean, noisy = (_variations(clips) for clips in train)
    seen = np.concatenate([clean, noisy]).astype(np.float64)
    scaler = StandardScaler().fit(seen)
    regression = LogisticRegression(class_weight="balanced", max_iter=1000)
    regression.fit(scaler.transform(seen), np.arange(len(seen)) < len(clean))
    kernel = regression.coef_[0] / scaler.scale_
    bias = regression.intercept_[0] - kernel @ scaler.mean_
    held_out = [_variations(clips) @ kernel + bias for clips in validation]
    layer = CleanSpeech(name="clean_speech")
    layer.build((None, None, seen.shape[1] // KINDS))
    layer.set_weights([kernel, np.array(bias - threshold(*held_out))])
    return layer


def never(channels: int) -> CleanSpeech:
    """Return a detector that takes no clip for clean."""
    layer = CleanSpeech(name="clean_speech")
    layer.build((None, None, channels))
    layer.set_weights([np.zeros(KINDS * channels), np.array(-1.0)])
    return layer


def threshold(clean: Sequence[float] | np.ndarray, noisy: Sequence[float] | np.ndarray) -> float:
    """Return the score above which a clip is taken for clean: that of the fewest errors, both kinds counting alike.

    The score lies midway between two neighbours; of several as good, the widest gap is taken. Both are (n,), not empty.
    """
    values = np.unique(np.concatenate([clean, noisy]))
    if len(values) == 1:
        return float(values[0])
    between = (values[:-1] + values[1:]) / 2
    missed = np.searchsorted(np.sort(clean), between, side="right") / len(clean)
    let_through = 1 - np.searchsorted(np.sort(noisy), between, side="right") / len(noisy)
    errors = missed + let_through
    best = np.flatnonzero(errors <= errors.min() + 1e-12)
    return float(between[best[np.argmax(np.diff(values)[best])]])


def _variations(clips: Iterable[np.ndarray]) -> np.ndarray:
    """Return the statistics of clips, (clips, 5 * channels), as the layer computes them."""
    layer, found = Variation(), []
    for batch in _batches(clips):
        lengths = np.array([len(clip) for clip in batch], np.int32)
        rows = np.stack([np.pad(clip, [(0, lengths.max() - len(clip)), (0, 0)]) for clip in batch])
        found.append(ops.convert_to_numpy(layer(rows.astype(np.float32), lengths)))
    return np.concatenate(found)


def _batches(clips: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
    batch: list[np.ndarray] = []
    for clip in clips:
        if batch and max(len(clip), *map(len, batch)) * (len(batch) + 1) > _BATCH_FRAMES:
            yield batch
            batch = []
        batch.append(clip)
    yield batch
