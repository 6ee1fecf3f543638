"""Layers that hold a speech encoder back in training alone, and the means of its hidden states."""

from typing import Any

import keras
from keras import ops

from zoo.layers.masking import ExplicitMask, Weightless, frame_mask, register

_LEAST_SPANS = 2  # of frames; transformers' mask_time_min_masks


@register
class SpanMask(ExplicitMask):
    """Replaces spans of frames by a learned vector, and spans of channels by zero, in training alone.

    SpecAugment as wav2vec 2.0 is fine-tuned (Baevski et al. 2020, section 4.3 and appendix B). Shares mean what
    `mask_time_prob` and `mask_feature_prob` do in transformers: share * length / span spans of each clip, a fraction by
    chance, at least two of frames, begin at random places, different ones; spans may overlap.

    Call: (batch, frames, channels), counts of real frames (batch,) -> same shape.

    Args:
        frames_share, frames_span: of real frames, 0..1, and the frames of a span.
        channels_share, channels_span: of channels, alike.
        seed: of the draws.
    """

    def __init__(
        self,
        frames_share: float = 0.05,
        frames_span: int = 10,
        channels_share: float = 0.0,
        channels_span: int = 10,
        seed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.frames_share, self.frames_span = frames_share, frames_span
        self.channels_share, self.channels_span = channels_share, channels_span
        self.seed = seed
        self._generator = keras.random.SeedGenerator(seed)

    def build(self, frames_shape, counts_shape=None):
        uniform = keras.initializers.RandomUniform(0.0, 1.0, seed=self.seed)  # as transformers has it without weights
        self.embedding = self.add_weight(shape=(frames_shape[-1],), initializer=uniform, name="embedding")

    def call(self, frames, counts, training=False):
        if not training:
            return frames
        batch, length = ops.shape(frames)[:2]
        if self.frames_share:
            masked = self._spans(batch, length, counts, self.frames_share, self.frames_span, _LEAST_SPANS)
            vector = ops.cast(self.embedding, frames.dtype)
            frames = ops.where(masked[..., None], vector, frames)
        if self.channels_share:
            width = frames.shape[-1]
            every = ops.zeros_like(counts) + width
            masked = self._spans(batch, width, every, self.channels_share, self.channels_span, 0)
            frames = ops.where(masked[:, None, :], ops.zeros((), frames.dtype), frames)
        return frames

    def _spans(self, batch, length, counts, share: float, span: int, least: int):
        """Return where spans of each row of `counts` real places are, bool (batch, length)."""
        counts = ops.cast(counts, "int32")[:, None]
        wanted = share * ops.cast(counts, "float32") / span + keras.random.uniform((), seed=self._generator)
        wanted = ops.maximum(ops.cast(ops.floor(wanted), "int32"), least)
        wanted = ops.minimum(wanted, counts // span)
        places = ops.arange(length, dtype="int32")[None]
        draws = keras.random.uniform((batch, length), seed=self._generator)
        draws = ops.where(places <= counts - span, draws, -1.0)
        rank = ops.argsort(ops.argsort(-draws, axis=1), axis=1)
        begun = ops.cumsum(ops.cast(ops.cast(rank, "int32") < wanted, "int32"), axis=1)
        return begun > ops.pad(begun, [[0, 0], [span, 0]])[:, :length]

    def compute_output_spec(self, frames, counts, training=False):
        return keras.KerasTensor(frames.shape, self.compute_dtype)


@register
class LayerDrop(Weightless, ExplicitMask):
    """Leaves out a layer for a whole batch in training, with probability `share` (Fan, Grave, Joulin 2020, LayerDrop).

    Call: frames in front of the layer, frames behind it, of one shape -> one of both.
    """

    def __init__(self, share: float, seed: int = 0, **kwargs: Any):
        super().__init__(**kwargs)
        self.share, self.seed = share, seed
        self._generator = keras.random.SeedGenerator(seed)

    def call(self, before, behind, training=False):
        if not training:
            return behind
        return ops.where(keras.random.uniform((), seed=self._generator) < self.share, before, behind)

    def compute_output_spec(self, before, behind, training=False):
        return keras.KerasTensor(behind.shape, self.compute_dtype)


@register
class StateMeans(Weightless, ExplicitMask):
    """Averages hidden states over a clip's real frames.

    Call: a list of states (batch, frames, channels), counts of real frames (batch,) -> (batch, states, channels).
    """

    def call(self, states, counts):
        real = ops.cast(frame_mask(states[0], counts), "float32")
        shares = (real / ops.sum(real, axis=1, keepdims=True))[:, None, :]
        means = [ops.matmul(shares, ops.cast(state, "float32")) for state in states]
        return ops.cast(ops.concatenate(means, axis=1), self.compute_dtype)

    def compute_output_spec(self, states, counts):
        return keras.KerasTensor((states[0].shape[0], len(states), states[0].shape[2]), self.compute_dtype)
