"""The sizes of Krizhevsky et al. 2012, and its two layers that Keras has not, against PyTorch and NumPy."""

import keras
import numpy as np
import pytest

from zoo.models.alexnet import GroupedConv2D, LocalResponseNormalization, convolutions

# Kernel height * width * input channels * output channels + biases, worked by hand.
PARAMETERS = {
    "conv1": 11 * 11 * 3 * 96 + 96,
    "conv2": 5 * 5 * 48 * 256 + 256,
    "conv3": 3 * 3 * 256 * 384 + 384,
    "conv4": 3 * 3 * 192 * 384 + 384,
    "conv5": 3 * 3 * 192 * 256 + 256,
}
DENSE = (6 * 6 * 256 * 4096 + 4096) + (4096 * 4096 + 4096) + (4096 * 1000 + 1000)
SIZES = {"conv1": 55, "pool1": 27, "conv2": 27, "pool2": 13, "conv3": 13, "conv4": 13, "conv5": 13, "pool5": 6}


def run(layer, inputs):
    return keras.ops.convert_to_numpy(layer(inputs))


def test_layers_have_the_published_parameters_and_shapes():
    model = convolutions()
    assert {name: model.get_layer(name).count_params() for name in PARAMETERS} == PARAMETERS
    assert model.count_params() + DENSE == 60_965_224
    assert {name: model.get_layer(name).output.shape[1] for name in SIZES} == SIZES
    assert model.output_shape == (None, 6, 6, 256)
    assert convolutions(groups=1).count_params() + DENSE == 62_378_344


@pytest.mark.backend
@pytest.mark.parametrize("size", [1, 3, 5])
def test_normalization_is_its_definition(size, rng):
    inputs = (100 * rng.normal(size=(1, 2, 2, 6))).astype("float32")
    inputs[0, 0, 0] = 0.0
    expected = np.empty_like(inputs)
    for channel in range(6):
        near = inputs[..., max(0, channel - size // 2) : channel + size // 2 + 1].astype(np.float64)
        expected[..., channel] = inputs[..., channel] / (1 + 1e-4 / size * np.sum(near**2, axis=-1)) ** 0.75
    np.testing.assert_allclose(run(LocalResponseNormalization(size), inputs), expected, rtol=1e-5)


@pytest.mark.backend
@pytest.mark.parametrize("groups", [1, 2, 3])
def test_groups_are_those_of_pytorch(groups, rng):
    torch = pytest.importorskip("torch")
    layer = GroupedConv2D(6, 3, padding="same", groups=groups)
    inputs = rng.normal(size=(2, 5, 5, 6)).astype("float32")
    layer.build(inputs.shape)
    layer.set_weights([rng.normal(size=weight.shape) for weight in layer.get_weights()])
    kernel, bias = (torch.tensor(weight) for weight in layer.get_weights())
    expected = torch.nn.functional.conv2d(
        torch.tensor(inputs.transpose(0, 3, 1, 2)), kernel.permute(3, 2, 0, 1), bias, padding=1, groups=groups
    )
    np.testing.assert_allclose(run(layer, inputs), expected.numpy().transpose(0, 2, 3, 1), rtol=1e-4, atol=1e-5)
