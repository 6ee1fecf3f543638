"""Layers of emotion2vec: learned tokens in front of the frames, and linear biases of attention with learned scales."""

import math
from typing import Any

import keras
from keras import ops

from zoo.layers.masking import ExplicitMask, InFloat32, Weightless, register


@register
class ExtraTokens(ExplicitMask):
    """Puts learned vectors in front of the frames (Ma et al. 2024, section 3.2, utterance embeddings).

    Call: (batch, frames, channels) -> (batch, count + frames, channels).
    """

    def __init__(self, count: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.count = count

    def build(self, shape):
        self.tokens = self.add_weight(shape=(self.count, shape[-1]), initializer="random_normal", name="tokens")

    def call(self, frames):
        tokens = ops.cast(self.tokens, frames.dtype)[None]
        tokens = ops.broadcast_to(tokens, (ops.shape(frames)[0], self.count, frames.shape[-1]))
        return ops.concatenate([tokens, frames], axis=1)

    def compute_output_spec(self, frames):
        batch, length, channels = frames.shape
        return keras.KerasTensor((batch, None if length is None else length + self.count, channels), self.compute_dtype)


@register
class WithoutTokens(Weightless, ExplicitMask):
    """Leaves out the vectors that `ExtraTokens` put in front.

    Call: (batch, count + frames, channels) -> (batch, frames, channels).
    """

    def __init__(self, count: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.count = count

    def call(self, frames):
        return frames[:, self.count :]

    def compute_output_spec(self, frames):
        batch, length, channels = frames.shape
        return keras.KerasTensor((batch, None if length is None else length - self.count, channels), self.compute_dtype)


@register
class LinearPositionBias(InFloat32, ExplicitMask):
    """Lowers attention in proportion to the distance of two frames: ALiBi (Press, Smith, Lewis 2022), in both ways.

    The bias of a head is -slope * scale * |distance in frames|. Slopes are fixed; scales are learned, those below zero
    count as zero. Extra tokens in front have no distance to anything: their bias is zero.

    Call: (batch, tokens + frames, channels) -> (1, heads, tokens + frames, tokens + frames) in float32.

    Args:
        heads: of the attention.
        tokens: number of extra tokens in front of the frames.
        per_head: whether each head has a scale of its own.
    """

    def __init__(self, heads: int, tokens: int, per_head: bool = True, **kwargs: Any):
        super().__init__(**kwargs)
        self.heads, self.tokens, self.per_head = heads, tokens, per_head

    def build(self, shape):
        self.scale = self.add_weight(shape=(self.heads if self.per_head else 1,), initializer="ones", name="scale")

    def call(self, frames):
        places = ops.arange(ops.shape(frames)[1], dtype="int32") - self.tokens
        distance = ops.cast(ops.abs(places[None, :] - places[:, None]), "float32")
        of_frames = ops.cast(places >= 0, "float32")
        distance = distance * of_frames[None, :] * of_frames[:, None]
        slopes = ops.convert_to_tensor(alibi_slopes(self.heads), "float32") * ops.maximum(self.scale, 0.0)
        return -slopes[None, :, None, None] * distance[None, None]

    def compute_output_spec(self, frames):
        return keras.KerasTensor((1, self.heads, frames.shape[1], frames.shape[1]), self.compute_dtype)


def alibi_slopes(heads: int) -> list[float]:
    """Return the slope of each head: 2 ** (-8 * i / heads) for i = 1, 2, ... (Press et al. 2022, section 3).

    Where `heads` is no power of two: those of the power below, then every other one of the power above, from its first,
    as the authors' code has it.

    >>> alibi_slopes(3)
    [0.0625, 0.00390625, 0.25]
    """
    power = 2 ** int(math.log2(heads))
    further = [2.0 ** (-4 * index / power) for index in range(1, 2 * power, 2)]
    return [2.0 ** (-8 * index / power) for index in range(1, power + 1)] + further[: heads - power]
