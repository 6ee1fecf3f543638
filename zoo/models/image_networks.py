"""Build networks for photographs as far as their second fully connected layer: 4,096 values for an image.

Zhao et al. 2019 (IEEE Access 7, section IV) take them of mel-spectrograms, by AlexNet (Krizhevsky, Sutskever, Hinton
2012, NIPS), VGG16 and VGG19 (Simonyan, Zisserman 2015, ICLR). The published weights are not ours to give: a user names
the file.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from zoo.errors import unknown
from zoo.models import alexnet
from zoo.models.weights.image import INPUT, MEAN, SCALE, Layout, read

RANDOM = "random"  # in place of a file of weights


@dataclass(frozen=True)
class Network:
    """One network, up to its features: the output of the last of its `dense` layers (names and sizes).

    `convolutions` builds what lies before those, from images (batch, side, side, 3) of blue, green and red less their
    means. `head` is the layer that follows in the published network, of `parameters` in all. `torch_dense` are
    torchvision's names of the fully connected layers, the head's last.
    """

    convolutions: Callable[[], keras.Model]
    side: int
    dense: Mapping[str, int]
    head: str
    torch_dense: tuple[str, str, str]
    parameters: int

    @property
    def n_features(self) -> int:
        return list(self.dense.values())[-1]


def _vgg(application: Callable[..., keras.Model], parameters: int) -> Network:
    convolutions = partial(application, weights=None, include_top=False, input_shape=(224, 224, 3))
    torch = ("classifier.0", "classifier.3", "classifier.6")
    return Network(convolutions, 224, {"fc1": 4096, "fc2": 4096}, "predictions", torch, parameters)


_ALEXNET_TORCH = ("classifier.1", "classifier.4", "classifier.6")
NETWORKS = {
    "alexnet": Network(
        alexnet.convolutions, alexnet.SIDE, {"fc6": 4096, "fc7": 4096}, "fc8", _ALEXNET_TORCH, 60_965_224
    ),
    "vgg16": _vgg(keras.applications.VGG16, 138_357_544),
    "vgg19": _vgg(keras.applications.VGG19, 143_667_240),
}


def get(network: str) -> Network:
    """Return a row of `NETWORKS`. Raises UserError for an unknown name."""
    if network not in NETWORKS:
        raise unknown("image network", network, NETWORKS)
    return NETWORKS[network]


def body(network: str, weights: str | Path, seed: int = 0) -> keras.Model:
    """Build a network up to its features, frozen, in float32.

    The model maps images (batch, side, side, 3), red, green and blue in 0..255, to (batch, 4096), none below 0. Images
    are standardised inside, as in the training of the weights.

    Args:
        network: a name in `NETWORKS`.
        weights: file that `zoo.models.weights.image.read` reads, or "random": weights without training, to try things.
        seed: of random weights, the same for a seed on every backend.

    Raises UserError for an unknown network, and for a file of another network or another format.
    """
    entry = get(network)
    convolutions = entry.convolutions()
    shape = layout(network, convolutions)
    vector = layers.Flatten()(convolutions.output)
    for name, units in entry.dense.items():
        vector = layers.Dense(units, activation="relu", kernel_initializer="zeros", name=name)(vector)
    model = keras.Model(convolutions.inputs, vector)
    for layer in model.layers:
        layer.dtype_policy = "float32"  # whatever the policy of the network that is trained on the features
    standard = dict(zip(INPUT, np.array([MEAN, SCALE], np.float32), strict=True))
    for name, tensor in _random(shape, seed) if str(weights) == RANDOM else read(Path(weights), shape):
        if name in INPUT:
            standard[name] = tensor
        else:
            layer, part = name.rsplit("/", 1)
            getattr(model.get_layer(layer), part).assign(tensor)
    images = keras.Input((entry.side, entry.side, 3), dtype="float32", name="images")
    mean, scale = (standard[name] for name in INPUT)
    features = model((ops.flip(images, axis=-1) - mean) / scale)
    frozen = keras.Model(images, features, name=f"{network}_body")
    frozen.trainable = False
    return frozen


def layout(network: str, convolutions: keras.Model | None = None) -> Layout:
    """Return what a weight file of the network holds. Raises UserError for an unknown name.

    `convolutions` is what the network's entry builds, where it is built already.
    """
    entry, place = get(network), 0
    convolutions = convolutions or entry.convolutions()
    # MatConvNet names VGG's block1_conv2 conv1_2 and its fc1 fc6; torchvision counts convolutions, ReLUs and poolings.
    kernels, matconvnet, torch = {}, {}, {}
    for layer in convolutions.layers:
        if isinstance(layer, layers.Conv2D):
            kernels[layer.name] = tuple(layer.kernel.shape)
            matconvnet[layer.name] = re.sub(r"^block(\d+)_conv", r"conv\1_", layer.name)
            torch[layer.name], place = f"features.{place}", place + 2
        elif isinstance(layer, layers.MaxPooling2D):
            place += 1
    grid = convolutions.output.shape[1:]
    inputs = prod(grid)
    for layer, units in entry.dense.items():
        kernels[layer], inputs = (inputs, units), units
    dense = (*entry.dense, entry.head)
    matconvnet |= dict(zip(dense, ("fc6", "fc7", "fc8"), strict=True))
    torch |= dict(zip(dense, entry.torch_dense, strict=True))
    return Layout(network, kernels, grid, entry.head, matconvnet, torch)


def _random(shape: Layout, seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """Uniform kernels of Glorot and Bengio 2010, and biases of 0; drawn by NumPy, the same on every backend."""
    random = np.random.default_rng(seed)
    for name, size in shape.shapes().items():
        values = np.zeros(size, np.float32)
        if len(size) > 1:
            random.random(dtype=np.float32, out=values)
            values -= np.float32(0.5)
            values *= np.float32(2 * (6 / (prod(size[:-2]) * (size[-2] + size[-1]))) ** 0.5)
        yield name, values
