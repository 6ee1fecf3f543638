"""Leave padding out: frame masks, zero padding, batch normalisation over real frames; base classes of layers."""

from collections.abc import Iterator
from inspect import Parameter, signature
from typing import Any

import keras
from keras import ops

from zoo.layers.replicas import summed

register = keras.saving.register_keras_serializable("zoo")


class Configured(keras.layers.Layer):
    """A layer with its constructor's arguments as configuration; each is kept in the attribute of its name."""

    def get_config(self):
        own = list(signature(type(self).__init__).parameters.values())[1:]
        names = [item.name for item in own if item.kind is Parameter.POSITIONAL_OR_KEYWORD]
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class ExplicitMask(Configured):
    """A layer with masks as arguments. Keras's implicit ones, lost by many layers, end here without a warning."""

    supports_masking = True

    def compute_mask(self, *inputs, **options):
        return None


class InFloat32(Configured):
    """A layer that computes in float32 by default, whatever the policy of the networks around it."""

    def __init__(self, **kwargs: Any):
        super().__init__(**{"dtype": "float32", **kwargs})


class Weightless(Configured):
    """A layer that counts as built from the start: Keras on JAX first runs a model with an unbuilt layer eagerly."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.built = True


@register
class FrameMask(Weightless, ExplicitMask):
    """Distinguishes real frames from padding.

    Call: any tensor (batch, frames, ...), frame counts (batch,) -> bool (batch, frames), true where a frame is real.
    A count below one is read as one, so that no softmax is ever taken over nothing.
    """

    def call(self, frames, n_frames):
        return frame_mask(frames, n_frames)

    def compute_output_spec(self, frames, n_frames):
        return keras.KerasTensor(frames.shape[:2], "bool")


@register
class ZeroPadding(Weightless, ExplicitMask):
    """Sets padded frames to zero, as a convolution takes what is beyond a clip's end.

    Call: (batch, frames, ...), mask (batch, frames) -> same shape.
    """

    def call(self, frames, mask):
        return zero_padding(frames, mask)

    def compute_output_spec(self, frames, mask):
        return keras.KerasTensor(frames.shape, frames.dtype)


@register
class MaskedBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation over the last axis, with moments of real frames only, and zero padding.

    Keras's own takes a mask too, but as large as its input and in several passes over it; here moments are products
    with the mask as a vector, and the gradient (first derivatives only) is written out.

    Call: (batch, frames, ..., channels), mask (batch, frames) -> same shape. In training padding may hold any values
    below 1e18, which convolutions of silence do. Scale and centre must be on. On several devices the moments are those
    of the whole batch, as Keras has it with `synchronized`.
    """

    def call(self, inputs, mask, training=None):
        inputs = ops.cast(inputs, "float32")
        gamma, beta = (ops.cast(weight, "float32") for weight in (self.gamma, self.beta))
        mask = ops.reshape(mask, (*ops.shape(mask), *(1,) * (len(inputs.shape) - 2)))
        if training and self.trainable:
            real = ops.broadcast_to(ops.cast(mask, "float32"), (*ops.shape(inputs)[:-1], 1))
            vectors, real = ops.reshape(inputs, (-1, inputs.shape[-1])), ops.reshape(real, (-1, 1))
            count = summed(ops.sum(real))
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


def frame_mask(frames: Any, n_frames: Any) -> Any:
    """See `FrameMask`: for use inside other layers."""
    positions = ops.arange(ops.shape(frames)[1], dtype="int32")
    return positions[None, :] < ops.maximum(ops.cast(n_frames, "int32"), 1)[:, None]


def zero_padding(frames: Any, mask: Any) -> Any:
    """See `ZeroPadding`: for use inside other layers."""
    mask = ops.reshape(mask, (*ops.shape(mask), *(1,) * (len(frames.shape) - 2)))
    return ops.where(mask, frames, ops.zeros((), frames.dtype))


def masked_input(n_inputs: int) -> tuple[dict[str, Any], Any, Any]:
    """Inputs of a network on frames.

    Returns them by name, the features (batch, frames, n_inputs) with zero padding, and the mask (batch, frames).
    """
    features = keras.Input((None, n_inputs), name="features")
    n_frames = keras.Input((), dtype="int32", name="n_frames")
    mask = FrameMask(name="mask")(features, n_frames)
    frames = ZeroPadding(name="masked_features")(features, mask)
    return {"features": features, "n_frames": n_frames}, frames, mask


def _moments(vectors, real, count):
    """(n, channels), (n, 1) of which `count` are one and the others zero -> mean and variance, (channels,) each.

    `count` and moments are over all replicas.
    """
    real = ops.transpose(real)
    mean = summed(ops.matmul(real, vectors)[0]) / count
    return mean, summed(ops.matmul(real, ops.square(vectors - mean))[0]) / count


def _normalize(vectors, gamma, beta, real, count, mean, inverse_deviation):
    """(gamma * (vectors - mean) * inverse_deviation + beta) * real, with its gradient, through the moments too.

    Differentiating step by step would keep several times the size of `vectors`.
    """

    def normalize(vectors, gamma, beta):
        scale = gamma * inverse_deviation

        def gradients(*arguments, upstream=None):
            upstream = arguments[0] if upstream is None else upstream  # PyTorch gives it a name
            # Products, as TensorFlow's sum over a first axis takes several times as long.
            total, of_scale = (ops.matmul(ops.transpose(real), one)[0] for one in (upstream, upstream * vectors))
            # Gamma and beta get this replica's part, which the optimizer sums; moments are those of all replicas.
            own, own_total = (of_scale - mean * total) * inverse_deviation, total
            of_gamma, total = ops.unstack(summed(ops.stack([own, total])), 2)
            slope = scale * inverse_deviation * of_gamma
            through_moments = vectors * (slope / count) + (scale * total - mean * slope) / count
            return (upstream * scale - through_moments) * real, own, own_total

        return (vectors * scale + (beta - mean * scale)) * real, gradients

    return ops.custom_gradient(normalize)(vectors, gamma, beta)


def layers_of(network: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yield a network's layers and those of networks inside it, as cloning meets them: none inside a wrapper."""
    for layer in network.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from layers_of(layer)
