"""Build AlexNet's convolutions on images of 227 x 227 pixels.

Krizhevsky, Sutskever, Hinton: "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012. Zhao et al.
2019 (IEEE Access 7, section IV) feed it mel-spectrograms and take the 4,096 values of fc7 for an utterance.
"""

from typing import Any

import keras
from keras import layers, ops

from zoo.layers.masking import Configured, register

SIDE = 227  # pixels. The paper prints 224, with which its first convolution does not give its own 55 positions.
_SAME = {"padding": "same", "activation": "relu"}


def convolutions(groups: int = 2) -> keras.Model:
    """Build all that lies before fc6 as one stream, as Caffe and MATLAB publish it.

    The model maps images (batch, 227, 227, 3), channels in the order of the weights (Caffe's: blue, green, red, each
    less its mean), to (batch, 6, 6, 256). Rows of the paper's two graphics cards are groups of channels.

    Pooling, as we read it: 3 x 3 positions at every second one, without padding, behind conv1, conv2 and conv5, after
    normalisation (the paper's order and bvlc_alexnet's; CaffeNet's is the other).

    Args:
        groups: 2 as published, each on half of the channels of conv2, conv4 and conv5; 1 for none.
    """
    images = keras.Input((SIDE, SIDE, 3), name="images")
    maps = layers.Conv2D(96, 11, strides=4, activation="relu", name="conv1")(images)
    maps = LocalResponseNormalization(name="norm1")(maps)
    maps = layers.MaxPooling2D(3, 2, name="pool1")(maps)
    maps = GroupedConv2D(256, 5, groups=groups, **_SAME, name="conv2")(maps)
    maps = LocalResponseNormalization(name="norm2")(maps)
    maps = layers.MaxPooling2D(3, 2, name="pool2")(maps)
    maps = layers.Conv2D(384, 3, **_SAME, name="conv3")(maps)
    maps = GroupedConv2D(384, 3, groups=groups, **_SAME, name="conv4")(maps)
    maps = GroupedConv2D(256, 3, groups=groups, **_SAME, name="conv5")(maps)
    return keras.Model(images, layers.MaxPooling2D(3, 2, name="pool5")(maps))


@register
class LocalResponseNormalization(Configured):
    """Divides each value by a power of the squares at the same place in `size` (odd) channels around it.

    x / (bias + alpha / size * sum of squares) ** beta: section 3.3 of the paper, with `alpha` and `bias` of Caffe's
    published weights; the paper's own are 5e-4 in these terms, and 2. Channels beyond the ends are 0.

    Call: (batch, ..., channels) -> same shape.
    """

    def __init__(self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.size, self.alpha, self.beta, self.bias = size, alpha, beta, bias

    def call(self, inputs):
        values = ops.cast(inputs, "float32")  # squares overflow float16
        channels, half = inputs.shape[-1], self.size // 2
        squares = ops.pad(ops.square(values), [[0, 0]] * (len(inputs.shape) - 1) + [[half, half]])
        energy = sum(squares[..., shift : shift + channels] for shift in range(self.size))
        return ops.cast(values * ops.power(self.bias + self.alpha / self.size * energy, -self.beta), inputs.dtype)

    def compute_output_shape(self, inputs_shape):
        return inputs_shape


@register
class GroupedConv2D(keras.layers.Conv2D):
    """Conv2D with one convolution for each of its `groups`.

    TensorFlow leaves Keras's grouped one to a compiler on a CPU, and other runtimes then cannot run it.
    """

    def convolution_op(self, inputs, kernel):
        if self.groups == 1:
            return super().convolution_op(inputs, kernel)
        parts = zip(ops.split(inputs, self.groups, -1), ops.split(kernel, self.groups, -1), strict=True)
        return ops.concatenate([super(GroupedConv2D, self).convolution_op(*part) for part in parts], axis=-1)
