"""Pool frames by attention."""

from typing import Any

import keras
from keras import ops

from zoo.layers.masking import ExplicitMask, Weightless, register


@register
class AttentionMap(ExplicitMask):
    """Attention weights over the positions of a sequence or a grid; they sum to one per clip.

    With `hidden_units`: e = u^T tanh(W a + b), alpha = softmax(scale * e) over all real positions (Zhao et al. 2019,
    eq 8-9; `scale` is their lambda: 0 averages, 1 is the plain softmax). Without: e = w^T a (their eq 5).

    Call: vectors (batch, frames, ..., channels), mask (batch, frames) -> weights (batch, frames, ...) in float32,
    exactly zero on padding.
    """

    def __init__(self, hidden_units: int | None = None, scale: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.hidden_units = hidden_units
        self.scale = scale

    def build(self, vectors_shape, mask_shape=None):
        channels = vectors_shape[-1]
        if self.hidden_units:
            self.kernel = self.add_weight(shape=(channels, self.hidden_units), name="kernel")
            self.bias = self.add_weight(shape=(self.hidden_units,), initializer="zeros", name="bias")
            channels = self.hidden_units
        self.query = self.add_weight(shape=(channels, 1), name="query")

    def call(self, vectors, mask):
        if self.hidden_units:
            vectors = ops.tanh(ops.matmul(vectors, self.kernel) + self.bias)
        # bfloat16 has too few digits for a softmax over thousands of positions.
        scores = ops.cast(ops.matmul(vectors, self.query)[..., 0], "float32") * self.scale
        mask = ops.reshape(mask, (*ops.shape(mask), *(1,) * (len(scores.shape) - 2)))
        scores = ops.where(mask, scores, -1e9)
        flat = ops.reshape(scores, (ops.shape(scores)[0], -1))  # softmax over several axes needs static shapes
        return ops.reshape(ops.softmax(flat), ops.shape(scores))

    def compute_output_spec(self, vectors, mask):
        return keras.KerasTensor(vectors.shape[:-1], "float32")


@register
class WeightedSum(ExplicitMask):
    """Pools vectors by attention weights (Zhao et al. 2019, eq 6 and 10).

    Call: vectors (batch, frames, ..., channels), weights (batch, frames, ...) -> (batch, channels).
    """

    def call(self, vectors, weights):
        # A product, as TensorFlow's sums over other axes than the last take several times as long.
        batch, channels = ops.shape(vectors)[0], vectors.shape[-1]
        weights = ops.reshape(ops.cast(weights, vectors.dtype), (batch, 1, -1))
        return ops.matmul(weights, ops.reshape(vectors, (batch, -1, channels)))[:, 0]

    def compute_output_spec(self, vectors, weights):
        return keras.KerasTensor((vectors.shape[0], vectors.shape[-1]), vectors.dtype)


@register
class WeightedStatistics(Weightless, ExplicitMask):
    """Pools vectors to mean and standard deviation by attention weights (Okabe, Koshinaka, Shinoda 2018, eq 5 and 6).

    Call: vectors (batch, frames, channels), weights (batch, frames) -> (batch, 2 * channels), the means first. Computed
    in float32; variances are raised by 1e-5, since the root has no slope at the 0 of a single frame.
    """

    def call(self, vectors, weights):
        vectors, weights = ops.cast(vectors, "float32"), ops.cast(weights, "float32")[:, None]
        mean = ops.matmul(weights, vectors)
        variance = ops.matmul(weights, ops.square(vectors - mean))
        pooled = ops.concatenate([mean, ops.sqrt(variance + 1e-5)], axis=-1)[:, 0]
        return ops.cast(pooled, self.compute_dtype)

    def compute_output_spec(self, vectors, weights):
        return keras.KerasTensor((vectors.shape[0], 2 * vectors.shape[-1]), self.compute_dtype)
