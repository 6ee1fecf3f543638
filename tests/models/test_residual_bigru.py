"""Sizes of every layer, and the convolutions of the first stages worked in SciPy."""

import keras
import numpy as np
import pytest
from networks import once, outputs
from scipy.signal import correlate

from zoo.errors import OptionError
from zoo.models.residual_bigru import residual_bigru

pytestmark = pytest.mark.backend

SMALL = {"stem_filters": 3, "filters": (4, 5), "recurrent_units": 4, "attention_units": 4, "dropout": 0.0}


@once
def test_layers_have_these_sizes():
    sizes = {layer.name: layer.count_params() for layer in residual_bigru(8).layers}
    expected = {"stem_conv": 5 * 5 * 24, "stem_norm": 4 * 24}
    for name, before, width in (("block1", 24, 48), ("block2", 48, 72), ("block3", 72, 96)):
        expected |= {f"{name}_projection": before * width, f"{name}_conv": 9 * before * width}
        expected |= {f"{name}_conv2": 9 * width * width}
        expected |= {f"{name}_{norm}": 4 * width for norm in ("norm1", "norm2", "projection_norm")}
    expected["bigru"] = 2 * 3 * 96 * (4 * 96 + 96 + 2)  # four bands are left, of 96 channels each
    expected |= {"attention": 192 * 64 + 64 + 64, "probabilities": 8 * (2 * 192 + 1)}
    assert {name: size for name, size in sizes.items() if size} == expected
    assert sum(expected.values()) == residual_bigru(8).count_params() == 561_952


def randomised(model, rng):
    for weight in model.weights:
        if "seed_generator" not in weight.path:
            values = rng.uniform(0.5, 2, weight.shape) if "variance" in weight.path else rng.normal(size=weight.shape)
            weight.assign(0.3 * values if "variance" not in weight.path else values)
    return model


def convolved(grid, layer, time_stride, stride):
    (kernel,) = layer.get_weights()
    size = kernel.shape[0] // 2
    padded = np.pad(grid, [(size, size), (size, size), (0, 0)])
    maps = [correlate(padded, kernel[..., index], mode="valid")[..., 0] for index in range(kernel.shape[-1])]
    return np.stack(maps, axis=-1)[::time_stride, ::stride]


def normalised(grid, layer):
    scale, offset, mean, variance = layer.get_weights()
    return (grid - mean) / np.sqrt(variance + layer.epsilon) * scale + offset


@pytest.mark.parametrize(("n_frames", "n_bands", "fine_blocks"), [(37, 10, 0), (36, 11, 1), (1, 8, 0), (9, 8, 2)])
def test_what_the_gru_reads_is_scipys(n_frames, n_bands, fine_blocks, rng):
    model = randomised(residual_bigru(3, n_bands, **SMALL, fine_blocks=fine_blocks), rng)
    strides = (2, 2, 1, 1)[fine_blocks:][:2]
    features = rng.normal(size=(n_frames, n_bands)).astype("float32")

    def layer(name):
        return model.get_layer(name)

    grid = np.maximum(normalised(convolved(features[..., None], layer("stem_conv"), 2, 2), layer("stem_norm")), 0)
    for name, stride in zip(("block1", "block2"), strides, strict=True):
        shortcut = convolved(grid, layer(f"{name}_projection"), stride, 2)
        shortcut = normalised(shortcut, layer(f"{name}_projection_norm"))
        grid = np.maximum(normalised(convolved(grid, layer(f"{name}_conv"), stride, 2), layer(f"{name}_norm1")), 0)
        grid = normalised(convolved(grid, layer(f"{name}_conv2"), 1, 1), layer(f"{name}_norm2"))
        grid = np.maximum(grid + shortcut, 0)
    assert grid.shape == (-(-n_frames // (2 * strides[0] * strides[1])), -(-n_bands // 8), 5)

    local = keras.Model(model.inputs, layer("sequence").output)
    batch = {"features": np.pad(features, [(0, 5), (0, 0)], constant_values=9)[None], "n_frames": np.array([n_frames])}
    found = outputs(local, batch)[0]
    np.testing.assert_allclose(found[: len(grid)], grid.reshape(len(grid), -1), rtol=1e-3, atol=1e-4)
    assert not found[len(grid) :].any()


def test_padding_changes_nothing_in_training_either(rng):
    """Neither the answers nor the statistics that batch normalisation collects."""
    features, n_frames = rng.normal(size=(4, 30, 9)).astype("float32"), np.array([30, 17, 9, 22], "int32")
    for clip, count in zip(features, n_frames, strict=True):
        clip[count:] = 50
    longer = np.pad(features, [(0, 0), (0, 21), (0, 0)], constant_values=-70)
    found = []
    for batch in (features, longer):
        keras.utils.set_random_seed(0)
        model = residual_bigru(3, 9, **SMALL)
        answer = model({"features": batch, "n_frames": n_frames}, training=True)
        found.append([keras.ops.convert_to_numpy(answer), *model.get_weights()])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_causal_network_looks_back_only(rng):
    """What the GRU gives at every step of 8 frames is the same whatever follows; the other network's is not."""
    features = rng.normal(size=(2, 48, 10)).astype("float32")
    features[1, 25:] = rng.normal(size=(23, 10))
    features[1, :25] = features[0, :25]
    batch = {"features": features, "n_frames": np.array([48, 48], "int32")}
    same = {}
    for causal in (True, False):
        model = randomised(residual_bigru(3, 10, **SMALL, causal=causal), rng)
        sequence = model.get_layer("gru" if causal else "bigru").output
        one, other = outputs(keras.Model(model.inputs, sequence), batch)
        assert one.shape == (6, 4 if causal else 8)
        same[causal] = [np.abs(one[step] - other[step]).max() < 1e-5 for step in range(6)]
    assert same[True] == [True] * 4 + [False] * 2  # step 3 is of frame 24, step 4 of frame 32
    assert not any(same[False][:3])


def test_a_causal_network_reads_the_last_frame_of_each_step(rng):
    """It loses no frame: a change of the frame a step is of changes that step."""
    model = randomised(residual_bigru(3, 10, **SMALL, causal=True), rng)
    local = keras.Model(model.inputs, model.get_layer("sequence").output)
    features = rng.normal(size=(25, 10)).astype("float32")
    changed = features.copy()
    changed[24] += 1
    one, other = outputs(local, {"features": np.stack([features, changed]), "n_frames": np.array([25, 25], "int32")})
    np.testing.assert_array_equal(np.abs(one - other).max(axis=1) > 1e-4, [False, False, False, True])


@once
def test_a_network_without_blocks_is_refused():
    with pytest.raises(ValueError, match="filters is empty"):
        residual_bigru(3, filters=())


@once
def test_more_fine_blocks_than_there_are_are_refused():
    with pytest.raises(OptionError, match="fine_blocks is 4, expected at most 3"):
        residual_bigru(8, fine_blocks=4)
