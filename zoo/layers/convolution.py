"""Train Keras's convolutions and maximum poolings faster on JAX's CPU; anywhere else they are the stock layers.

Saved models name the stock layers, and load as these: what is computed is the same, and only training differs.
"""

import keras
from keras import ops


def on_jax_cpu() -> bool:
    """Return whether layers compute on one CPU by JAX: a batch on several devices is divided by XLA's own gradients."""
    if keras.backend.backend() != "jax" or keras.distribution.distribution() is not None:
        return False
    import jax

    return jax.default_backend() == "cpu"


class _Convolution(keras.layers.Layer):
    def call(self, inputs):
        plain = self.groups == 1 and self.data_format == "channels_last" and self.padding != "causal"
        if not (plain and on_jax_cpu()):
            return super().call(inputs)
        from zoo.layers.jax_cpu import convolve

        kernel = ops.convert_to_tensor(self.kernel)
        inputs = ops.convert_to_tensor(inputs, kernel.dtype)
        outputs = convolve(inputs, kernel, self.strides, self.padding, self.dilation_rate)
        if self.use_bias:
            outputs = ops.add(outputs, self.bias)
        return outputs if self.activation is None else self.activation(outputs)


class _MaxPooling(keras.layers.Layer):
    def call(self, inputs):
        side_by_side = self.strides == self.pool_size and self.data_format == "channels_last"
        if not (side_by_side and on_jax_cpu()):
            return super().call(inputs)
        from zoo.layers.jax_cpu import max_pool

        return max_pool(inputs, self.pool_size, self.padding)


class Conv1D(_Convolution, keras.layers.Conv1D):
    """`keras.layers.Conv1D`, of which it has weights, options and outputs; only first derivatives are right."""

    __module__ = keras.layers.__name__  # by which Keras saves it as its own


class Conv2D(_Convolution, keras.layers.Conv2D):
    """`keras.layers.Conv2D`, of which it has weights, options and outputs; only first derivatives are right."""

    __module__ = keras.layers.__name__


class MaxPooling1D(_MaxPooling, keras.layers.MaxPooling1D):
    """`keras.layers.MaxPooling1D`, of which it has options and outputs; only first derivatives are right."""

    __module__ = keras.layers.__name__


class MaxPooling2D(_MaxPooling, keras.layers.MaxPooling2D):
    """`keras.layers.MaxPooling2D`, of which it has options and outputs; only first derivatives are right."""

    __module__ = keras.layers.__name__
