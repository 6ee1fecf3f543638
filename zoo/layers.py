"""Layers the networks share: frame masks, attention poolings, waveforms in frames. They run on every Keras backend."""

from collections.abc import Iterator

import keras
from keras import ops

register = keras.saving.register_keras_serializable("zoo")


class ExplicitMask(keras.layers.Layer):
    """A layer whose masks are arguments. Keras's implicit ones, lost by many layers, end here without a warning."""

    supports_masking = True

    def compute_mask(self, *inputs, **options):
        return None


class Weightless(keras.layers.Layer):
    """A layer that counts as built from the start. Inside another layer nothing builds one before its first call, and
    Keras on JAX runs a model with an unbuilt layer operation by operation before it compiles it.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.built = True


@register
class FrameMask(Weightless, ExplicitMask):
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
class ZeroPadding(Weightless, ExplicitMask):
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
    """Batch normalisation over the last axis whose moments leave padding out, and whose padding is zero.

    Keras's own takes a mask too, but as large as its input and in several passes over it; here moments are products
    with the mask as a vector, and the gradient (first derivatives only) is written out.

    Call: (batch, frames, ..., channels), mask (batch, frames) -> same shape. In training padding may hold any values
    below 1e18, which convolutions of silence do. Raises ValueError without scale or centre.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        if not (self.scale and self.center):
            raise ValueError(f"{self.name}: scale and center are true")

    def call(self, inputs, mask, training=None):
        inputs = ops.cast(inputs, "float32")
        gamma, beta = (ops.cast(weight, "float32") for weight in (self.gamma, self.beta))
        mask = ops.reshape(mask, (*ops.shape(mask), *(1,) * (len(inputs.shape) - 2)))
        if training and self.trainable:
            real = ops.broadcast_to(ops.cast(mask, "float32"), (*ops.shape(inputs)[:-1], 1))
            vectors, real = ops.reshape(inputs, (-1, inputs.shape[-1])), ops.reshape(real, (-1, 1))
            count = ops.sum(real)
            mean, variance = _moments(ops.stop_gradient(vectors), real, count)
            for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving * self.momentum + value * (1 - self.momentum))
            outputs = _normalize(vectors, gamma, beta, real, count, mean, ops.rsqrt(variance + self.epsilon))
            outputs = ops.reshape(outputs, ops.shape(inputs))
        else:
            mean, variance = ops.convert_to_tensor(self.moving_mean), ops.convert_to_tensor(self.moving_variance)
            outputs = ops.batch_normalization(inputs, mean, variance, -1, beta, gamma, self.epsilon)
            outputs = ops.where(mask, outputs, 0.0)
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_spec(self, inputs, mask, training=None):
        return keras.KerasTensor(inputs.shape, self.compute_dtype)


def _moments(vectors, real, count):
    """(n, channels), (n, 1) of which `count` are one and the others zero -> mean and variance, (channels,) each."""
    real = ops.transpose(real)
    mean = ops.matmul(real, vectors)[0] / count
    return mean, ops.matmul(real, ops.square(vectors - mean))[0] / count


def _normalize(vectors, gamma, beta, real, count, mean, inverse_deviation):
    """(gamma * (vectors - mean) * inverse_deviation + beta) * real.

    The gradient, through the moments too, is written out: what differentiating step by step keeps and goes through
    is several times the size of `vectors`.
    """

    def normalize(vectors, gamma, beta):
        scale = gamma * inverse_deviation

        def gradients(*arguments, upstream=None):
            upstream = arguments[0] if upstream is None else upstream  # PyTorch gives it a name
            # Products, as TensorFlow's sum over a first axis takes several times as long.
            total, of_scale = (ops.matmul(ops.transpose(real), one)[0] for one in (upstream, upstream * vectors))
            of_gamma = (of_scale - mean * total) * inverse_deviation
            slope = scale * inverse_deviation * of_gamma
            through_moments = vectors * (slope / count) + (scale * total - mean * slope) / count
            return (upstream * scale - through_moments) * real, of_gamma, total

        return (vectors * scale + (beta - mean * scale)) * real, gradients

    return ops.custom_gradient(normalize)(vectors, gamma, beta)


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
        # A product, as TensorFlow's sums over other axes than the last take several times as long.
        batch, channels = ops.shape(vectors)[0], vectors.shape[-1]
        weights = ops.reshape(ops.cast(weights, vectors.dtype), (batch, 1, -1))
        return ops.matmul(weights, ops.reshape(vectors, (batch, -1, channels)))[:, 0]

    def compute_output_spec(self, vectors, weights):
        return keras.KerasTensor((vectors.shape[0], vectors.shape[-1]), vectors.dtype)


def layers_of(network: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yields a network's layers and those of networks inside it, as cloning meets them: none inside a wrapper."""
    for layer in network.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from layers_of(layer)


def frame_length(rate_hz: int, multiple: int = 1) -> int:
    """Samples of a 40 ms frame. Raises ValueError unless they are a whole number, and one `multiple` divides."""
    samples = rate_hz * 40 // 1000
    if rate_hz < 25 or rate_hz * 40 % 1000:
        raise ValueError(f"rate_hz is {rate_hz}, at which 40 ms are no whole number of samples; resample to 16000")
    if samples % multiple:
        raise ValueError(f"rate_hz is {rate_hz}: the poolings' {multiple} do not divide a frame of {samples} samples")
    return samples


def waveform_input(n_inputs: int, frame_samples: int):
    """Inputs of a network on waveforms.

    Returns them by name, the waveform (batch, samples, 1) cut to whole frames and zero behind the last whole frame of
    each clip, and how many whole frames each clip has (batch,).
    """
    if n_inputs != 1:
        raise ValueError(f"the network takes the waveform, one channel, not {n_inputs}")
    features = keras.Input((None, 1), name="features")
    n_samples = keras.Input((), dtype="int32", name="n_frames")
    n_frames = n_samples // frame_samples
    waveform = WholeFrames(frame_samples, dtype="float32", name="whole_frames")(features)
    mask = FrameMask(name="sample_mask")(waveform, n_frames * frame_samples)
    waveform = ZeroPadding(dtype="float32", name="waveform")(waveform, mask)
    return {"features": features, "n_frames": n_samples}, waveform, n_frames


@register
class WholeFrames(ExplicitMask):
    """Cuts off what no longer makes a whole frame, so that no pooling mixes it with padding.

    Call: (batch, samples, channels) -> (batch, samples // frame_samples * frame_samples, channels).
    """

    def __init__(self, frame_samples, **kwargs):
        super().__init__(**kwargs)
        self.frame_samples = frame_samples

    def call(self, waveform):
        return waveform[:, : ops.shape(waveform)[1] // self.frame_samples * self.frame_samples]

    def compute_output_spec(self, waveform):
        batch, samples, channels = waveform.shape
        whole = None if samples is None else samples // self.frame_samples * self.frame_samples
        return keras.KerasTensor((batch, whole, channels), waveform.dtype)

    def get_config(self):
        return {**super().get_config(), "frame_samples": self.frame_samples}


@register
class ChannelMaxPooling(ExplicitMask):
    """The largest of every `pool_size` neighbouring channels. Channels left over are dropped: 10 pooled by 8 are 1.

    Call: (batch, ..., channels) -> (batch, ..., channels // pool_size).
    """

    def __init__(self, pool_size, **kwargs):
        super().__init__(**kwargs)
        self.pool_size = pool_size

    def call(self, inputs):
        groups = inputs.shape[-1] // self.pool_size
        grouped = (*ops.shape(inputs)[:-1], groups, self.pool_size)
        return ops.max(ops.reshape(inputs[..., : groups * self.pool_size], grouped), axis=-1)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor((*inputs.shape[:-1], inputs.shape[-1] // self.pool_size), inputs.dtype)

    def get_config(self):
        return {**super().get_config(), "pool_size": self.pool_size}


@register
class MagnitudeSpectrum(ExplicitMask):
    """Magnitudes of the orthonormal real FFT of rows of a waveform, without the first bin (the mean), in float32.

    Call: (batch, samples, 1) -> (batch, samples // row, row // 2, 1). A row is `row_samples` long, or, where that is
    None, all of the waveform.
    """

    def __init__(self, row_samples=None, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.row_samples = row_samples
        # What predicts with it must cut a recording as training did.
        self.whole_segment = row_samples is None

    def call(self, waveform):
        batch, samples = ops.shape(waveform)[:2]
        row = self.row_samples or samples
        real, imaginary = ops.rfft(ops.reshape(waveform, (batch, samples // row, row)))
        # Silence has power zero, where a square root has no gradient.
        power = ops.maximum(ops.square(real) + ops.square(imaginary), 1e-20)
        return ops.sqrt(power / ops.cast(row, "float32"))[:, :, 1:, None]

    def compute_output_spec(self, waveform):
        batch, samples, _ = waveform.shape
        row = self.row_samples or samples
        rows = 1 if self.row_samples is None else samples and samples // row
        return keras.KerasTensor((batch, rows, row and row // 2, 1), "float32")

    def get_config(self):
        return {**super().get_config(), "row_samples": self.row_samples}
