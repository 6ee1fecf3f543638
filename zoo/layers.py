"""Layers the networks share: frame masks and attention poolings. They run on every Keras backend."""

import keras
from keras import ops

register = keras.saving.register_keras_serializable("zoo")


class ExplicitMask(keras.layers.Layer):
    """A layer whose masks are arguments. Keras's implicit ones, lost by many layers, end here without a warning."""

    supports_masking = True

    def compute_mask(self, *inputs, **options):
        return None


@register
class FrameMask(ExplicitMask):
    """Tells real frames from padding.

    Call: any tensor (batch, frames, ...), frame counts (batch,) -> bool (batch, frames), true where a frame is real.
    A count below one is read as one, so that no softmax is ever taken over nothing.
    """

    def call(self, frames, n_frames):
        positions = ops.arange(ops.shape(frames)[1], dtype="int32")
        return positions[None, :] < ops.maximum(ops.cast(n_frames, "int32"), 1)[:, None]

    def compute_output_spec(self, frames, n_frames):
        return keras.KerasTensor(frames.shape[:2], "bool")


@register
class ZeroPadding(ExplicitMask):
    """Sets padded frames to zero, as a convolution sees them beyond the end of a clip that stands alone.

    Call: (batch, frames, ...), mask (batch, frames) -> same shape.
    """

    def call(self, frames, mask):
        mask = ops.reshape(mask, (*ops.shape(mask), *(1,) * (len(frames.shape) - 2)))
        return ops.where(mask, frames, ops.zeros((), frames.dtype))

    def compute_output_spec(self, frames, mask):
        return keras.KerasTensor(frames.shape, frames.dtype)


@register
class MaskedBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation over the last axis whose moments leave padding out.

    Keras's own takes a mask too, but as large as its input and in several passes over it; two products with the mask as
    a vector make the convolutional networks' step 1.2 times faster on TensorFlow.

    Call: (batch, frames, ..., channels), mask (batch, frames) -> same shape.
    """

    def call(self, inputs, mask, training=None):
        inputs = ops.cast(inputs, "float32")
        if training and self.trainable:
            mean, variance = self._masked_moments(inputs, mask)
            for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving * self.momentum + value * (1 - self.momentum))
        else:
            mean, variance = ops.convert_to_tensor(self.moving_mean), ops.convert_to_tensor(self.moving_variance)
        outputs = ops.batch_normalization(inputs, mean, variance, -1, self.beta, self.gamma, self.epsilon)
        return ops.cast(outputs, self.compute_dtype)

    def _masked_moments(self, inputs, mask):
        mask = ops.reshape(mask, (*ops.shape(mask), *(1,) * (len(inputs.shape) - 3)))
        weights = ops.reshape(ops.broadcast_to(ops.cast(mask, "float32"), ops.shape(inputs)[:-1]), (1, -1))
        weights = weights / ops.sum(weights)
        vectors = ops.reshape(inputs, (-1, inputs.shape[-1]))
        mean = ops.matmul(weights, vectors)[0]
        return mean, ops.matmul(weights, ops.square(vectors - mean))[0]

    def compute_output_spec(self, inputs, mask, training=None):
        return keras.KerasTensor(inputs.shape, self.compute_dtype)


@register
class AttentionMap(ExplicitMask):
    """Attention weights over the positions of a sequence or a grid; they sum to one per clip.

    With `hidden_units`: e = u^T tanh(W a + b), alpha = softmax(scale * e) over all real positions (Zhao et al. 2019,
    eq 8-9; `scale` is their lambda: 0 averages, 1 is the plain softmax). Without: e = w^T a (their eq 5).

    Call: vectors (batch, frames, ..., channels), mask (batch, frames) -> weights (batch, frames, ...) in float32,
    exactly zero on padding.
    """

    def __init__(self, hidden_units=None, scale=1.0, **kwargs):
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
        flat = ops.reshape(scores, (ops.shape(scores)[0], -1))  # softmax over several axes wants static shapes
        return ops.reshape(ops.softmax(flat), ops.shape(scores))

    def compute_output_spec(self, vectors, mask):
        return keras.KerasTensor(vectors.shape[:-1], "float32")

    def get_config(self):
        return {**super().get_config(), "hidden_units": self.hidden_units, "scale": self.scale}


@register
class WeightedSum(ExplicitMask):
    """Pools vectors by attention weights (Zhao et al. 2019, eq 6 and 10).

    Call: vectors (batch, frames, ..., channels), weights (batch, frames, ...) -> (batch, channels).
    """

    def call(self, vectors, weights):
        weights = ops.cast(weights, vectors.dtype)[..., None]
        return ops.sum(vectors * weights, axis=tuple(range(1, len(vectors.shape) - 1)))

    def compute_output_spec(self, vectors, weights):
        return keras.KerasTensor((vectors.shape[0], vectors.shape[-1]), vectors.dtype)
