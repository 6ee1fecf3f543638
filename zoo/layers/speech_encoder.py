"""Layers of speech encoders: clip standardisation, masked instance normalisation, positional convolution, attention."""

import math
from typing import Any

import keras
from keras import ops

from zoo.layers.masking import ExplicitMask, InFloat32, Weightless, frame_mask, register


@register
class ClipStandardization(Weightless, InFloat32, ExplicitMask):
    """Standardises each waveform over its real samples, (x - mean) / sqrt(variance + epsilon); sets padding to zero.

    Call: waveforms (batch, samples, 1), sample counts (batch,) -> same shape, float32. `enabled` is false for encoders
    that were trained on waveforms as they are (`do_normalize` in preprocessor_config.json): these only lose padding.
    """

    def __init__(self, enabled: bool = True, epsilon: float = 1e-7, **kwargs: Any):
        super().__init__(**kwargs)
        self.enabled, self.epsilon = enabled, epsilon

    def call(self, waveform, n_samples):
        real = ops.cast(frame_mask(waveform, n_samples), "float32")[..., None]
        waveform = ops.where(real > 0, ops.cast(waveform, "float32"), 0.0)
        if not self.enabled:
            return waveform
        count = ops.sum(real, axis=1, keepdims=True)
        mean = ops.sum(waveform, axis=1, keepdims=True) / count
        centred = (waveform - mean) * real
        variance = ops.sum(ops.square(centred), axis=1, keepdims=True) / count
        return centred / ops.sqrt(variance + self.epsilon)

    def compute_output_spec(self, waveform, n_samples):
        return keras.KerasTensor(waveform.shape, "float32")


@register
class InstanceNormalization(ExplicitMask):
    """Normalises each channel of each clip over its real frames, then scales and shifts it.

    It is group normalisation with a group per channel, as the first convolution of wav2vec 2.0's base models has it
    (Baevski et al. 2020, section 4.2), restricted to real frames: a clip's answer then does not depend on the padding
    that its batch needs.

    Call: (batch, frames, channels), mask (batch, frames) or None for all frames -> same shape, zero where masked.
    """

    def __init__(self, epsilon: float = 1e-5, **kwargs: Any):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, inputs_shape, mask_shape=None):
        self.gamma = self.add_weight(shape=(inputs_shape[-1],), initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=(inputs_shape[-1],), initializer="zeros", name="beta")

    def call(self, inputs, mask=None):
        values = ops.cast(inputs, "float32")
        if mask is None:
            mean, variance = ops.moments(values, axes=[1], keepdims=True)
            return self._scaled(values, mean, variance)
        real = ops.cast(mask, "float32")[..., None]
        count = ops.sum(real, axis=1, keepdims=True)
        mean = ops.sum(values * real, axis=1, keepdims=True) / count
        variance = ops.sum(ops.square(values - mean) * real, axis=1, keepdims=True) / count
        return self._scaled(values, mean, variance) * ops.cast(real, self.compute_dtype)

    def _scaled(self, values, mean, variance):
        scale = ops.cast(self.gamma, "float32") * ops.rsqrt(variance + self.epsilon)
        return ops.cast((values - mean) * scale + ops.cast(self.beta, "float32"), self.compute_dtype)

    def compute_output_spec(self, inputs, mask=None):
        return keras.KerasTensor(inputs.shape, self.compute_dtype)


@register
class Gelu(Weightless, ExplicitMask):
    """Computes x times the normal distribution function of x (Hendrycks, Gimpel 2016), exactly.

    By erf: Keras's own takes erfc on TensorFlow, which ONNX has not. With `recompute` the backward pass repeats it.
    """

    def __init__(self, recompute: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.recompute = recompute

    def call(self, inputs, training=False):
        return keras.remat(_gelu)(inputs) if training and self.recompute else _gelu(inputs)

    def compute_output_spec(self, inputs, training=False):
        return keras.KerasTensor(inputs.shape, self.compute_dtype)


def _gelu(inputs):
    half = ops.cast(0.5, inputs.dtype)
    return half * inputs * (1 + ops.erf(inputs * ops.cast(math.sqrt(0.5), inputs.dtype)))


@register
class PositionalConvolution(ExplicitMask):
    """Convolves frames in groups of channels, as wav2vec 2.0 encodes positions (Baevski et al. 2020, section 2).

    Each frame sees kernel_size // 2 frames before it and as many behind, of an even kernel one fewer; beyond the clip
    they are zero. Call: (batch, frames, channels) -> same shape.
    """

    def __init__(self, kernel_size: int = 128, groups: int = 16, **kwargs: Any):
        super().__init__(**kwargs)
        self.kernel_size, self.groups = kernel_size, groups

    def build(self, shape):
        channels = shape[-1]
        self.kernel = self.add_weight(shape=(self.kernel_size, channels // self.groups, channels), name="kernel")
        self.bias = self.add_weight(shape=(channels,), initializer="zeros", name="bias")

    def call(self, frames):
        before = self.kernel_size // 2
        padded = ops.pad(frames, [[0, 0], [before, self.kernel_size - 1 - before], [0, 0]])
        if keras.backend.backend() == "tensorflow":  # its CPU takes a hundred times as long for the grouped gradient
            parts = zip(ops.split(padded, self.groups, -1), ops.split(self.kernel, self.groups, -1), strict=True)
            outputs = ops.concatenate([ops.conv(part, kernel, padding="valid") for part, kernel in parts], axis=-1)
        else:
            outputs = ops.conv(padded, self.kernel, padding="valid")
        return outputs + self.bias

    def compute_output_spec(self, frames):
        return keras.KerasTensor(frames.shape, self.compute_dtype)


@register
class AttentionProduct(Weightless, ExplicitMask):
    """Scaled dot-product attention of several heads (Vaswani et al. 2017, section 3.2), without its projections.

    Call: queries, keys, values (batch, frames, channels), mask (batch, frames) of the keys or None, and a bias of the
    scores, (batch or 1, heads, frames, frames), or None -> (batch, frames, channels). `recompute`: as in Gelu.
    """

    def __init__(self, heads: int, dropout: float = 0.0, seed: int = 0, recompute: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.heads, self.dropout, self.seed, self.recompute = heads, dropout, seed, recompute
        self._generator = keras.random.SeedGenerator(seed)

    def call(self, queries, keys, values, mask=None, bias=None, training=False):
        queries, keys, values = (self._by_head(one) for one in (queries, keys, values))
        kept = None
        if training and self.dropout:  # drawn here, as the backward pass would draw another one
            shape = (*ops.shape(queries)[:3], ops.shape(keys)[2])
            kept = keras.random.uniform(shape, seed=self._generator) >= self.dropout

        def product(queries, keys, values, *bias):  # of what has a gradient alone, which TensorFlow asks for
            return self._product(queries, keys, values, mask, bias[0] if bias else None, kept)

        product = keras.remat(product) if training and self.recompute else product
        return product(queries, keys, values, *([] if bias is None else [bias]))

    def _product(self, queries, keys, values, mask, bias, kept):
        scale = ops.cast(1 / math.sqrt(queries.shape[-1]), queries.dtype)
        scores = ops.cast(ops.matmul(queries * scale, ops.transpose(keys, (0, 1, 3, 2))), "float32")
        if bias is not None:
            scores = scores + ops.cast(bias, "float32")
        if mask is not None:
            scores = ops.where(mask[:, None, None, :], scores, -1e9)
        shares = ops.cast(ops.softmax(scores, axis=-1), values.dtype)
        if kept is not None:
            shares = ops.where(kept, shares / (1 - self.dropout), ops.zeros((), shares.dtype))
        outputs = ops.transpose(ops.matmul(shares, values), (0, 2, 1, 3))
        return ops.reshape(outputs, (ops.shape(outputs)[0], -1, outputs.shape[2] * outputs.shape[3]))

    def _by_head(self, frames):
        grouped = ops.reshape(frames, (ops.shape(frames)[0], -1, self.heads, frames.shape[-1] // self.heads))
        return ops.transpose(grouped, (0, 2, 1, 3))

    def compute_output_spec(self, queries, keys, values, mask=None, bias=None, training=False):
        return keras.KerasTensor(values.shape, self.compute_dtype)


@register
class LayerAverage(ExplicitMask):
    """Averages hidden states by learned weights, a softmax over layers (Yang et al. 2021, SUPERB, section 3).

    Call: a list of arrays (batch, frames, channels), one per layer -> one such array.
    """

    def build(self, shapes):
        self.weights_of_layers = self.add_weight(shape=(len(shapes),), initializer="zeros", name="weights_of_layers")

    def call(self, states):
        shares = ops.unstack(ops.softmax(self.weights_of_layers))
        return sum(share * state for share, state in zip(shares, states, strict=True))

    def compute_output_spec(self, states):
        return keras.KerasTensor(states[0].shape, self.compute_dtype)


@register
class LayerMixture(ExplicitMask):
    """Averages the hidden states of each frame by learned weights, a softmax over layers (Yang et al. 2021, SUPERB).

    Call: (batch, frames, layers, channels) -> (batch, frames, channels).
    """

    def build(self, shape):
        self.scores = self.add_weight(shape=(shape[2],), initializer="zeros", name="scores")

    def call(self, states):
        shares = ops.cast(ops.softmax(ops.cast(self.scores, "float32")), states.dtype)
        return ops.sum(states * shares[:, None], axis=2)

    def compute_output_spec(self, states):
        return keras.KerasTensor((*states.shape[:2], states.shape[3]), self.compute_dtype)


@register
class LayerWeights(ExplicitMask):
    """Learns a weight for each layer of an encoder, a softmax over those that are there (Yang et al. 2021, SUPERB).

    Call: a clip's vectors (batch, layers, channels), at most `most_layers`, mask (batch, layers) -> weights (batch,
    layers) in float32.
    """

    def __init__(self, most_layers: int = 64, **kwargs: Any):
        super().__init__(**kwargs)
        self.most_layers = most_layers

    def build(self, vectors_shape, mask_shape=None):
        self.scores = self.add_weight(shape=(self.most_layers,), initializer="zeros", name="scores")

    def call(self, vectors, mask):
        scores = ops.cast(self.scores, "float32")[None, : ops.shape(vectors)[1]]
        return ops.softmax(ops.where(mask, scores, -1e9), axis=-1)

    def compute_output_spec(self, vectors, mask):
        return keras.KerasTensor(vectors.shape[:2], "float32")


@register
class RelativePositionBias(ExplicitMask):
    """A learned bias of attention scores by the bucketed distance between frames (Chen et al. 2022, WavLM, eq 3-5).

    Buckets grow logarithmically up to `max_distance`; half of them are for frames ahead. Call: (batch, frames,
    channels) -> (1, heads, frames, frames).
    """

    def __init__(self, heads: int, buckets: int = 320, max_distance: int = 800, **kwargs: Any):
        super().__init__(**kwargs)
        self.heads, self.buckets, self.max_distance = heads, buckets, max_distance

    def build(self, shape):
        self.embedding = self.add_weight(shape=(self.buckets, self.heads), name="embedding")

    def call(self, frames):
        positions = ops.arange(ops.shape(frames)[1], dtype="int32")
        bucket = self._bucket(positions[None, :] - positions[:, None])
        return ops.transpose(ops.take(self.embedding, bucket, axis=0), (2, 0, 1))[None]

    def _bucket(self, distance):
        half = self.buckets // 2
        exact = half // 2
        ahead = ops.where(distance > 0, half, 0)
        distance = ops.abs(distance)
        share = ops.log(ops.cast(ops.maximum(distance, 1), "float32") / exact) / math.log(self.max_distance / exact)
        far = ops.minimum(exact + ops.cast(share * (half - exact), "int32"), half - 1)
        return ahead + ops.where(distance < exact, distance, far)

    def compute_output_spec(self, frames):
        return keras.KerasTensor((1, self.heads, frames.shape[1], frames.shape[1]), self.compute_dtype)


@register
class GatedPositionBias(ExplicitMask):
    """Gates a position bias by each frame and head, as published WavLM models were trained.

    The gate is a * (b * constant - 1) + 2, where a and b are sigmoids of sums of four projections of the frame's part
    of a head; Chen et al. 2022, section III-B, have it slightly differently.

    Call: frames (batch, frames, channels), bias (1, heads, frames, frames) -> (batch, heads, frames, frames).
    """

    def __init__(self, heads: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.heads = heads

    def build(self, frames_shape, bias_shape=None):
        size = frames_shape[-1] // self.heads
        self.kernel = self.add_weight(shape=(size, 8), name="kernel")
        self.bias = self.add_weight(shape=(8,), initializer="zeros", name="bias")
        self.constant = self.add_weight(shape=(self.heads,), initializer="ones", name="constant")

    def call(self, frames, bias):
        batch, length = ops.shape(frames)[:2]
        size = frames.shape[-1] // self.heads
        grouped = ops.transpose(ops.reshape(frames, (batch, length, self.heads, size)), (0, 2, 1, 3))
        projected = ops.reshape(ops.matmul(grouped, self.kernel) + self.bias, (batch, self.heads, length, 2, 4))
        gates = ops.sigmoid(ops.sum(projected, axis=-1))
        first, second = gates[..., 0:1], gates[..., 1:2]
        return (first * (second * self.constant[None, :, None, None] - 1.0) + 2.0) * ops.cast(bias, gates.dtype)

    def compute_output_spec(self, frames, bias):
        return keras.KerasTensor((frames.shape[0], *bias.shape[1:]), self.compute_dtype)
