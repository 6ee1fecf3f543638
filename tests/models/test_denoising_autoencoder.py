"""The facts of D4.2, section 3."""

import keras
import numpy as np
import pytest

from zoo.models.denoising_autoencoder import denoising_autoencoder

pytestmark = pytest.mark.backend


def outputs(model, features, n_frames):
    batch = {"features": np.asarray(features, "float32"), "n_frames": np.array(n_frames, "int32")}
    return keras.ops.convert_to_numpy(model(batch, training=False))


def test_it_has_the_papers_parameters_and_gives_a_frame_for_each():
    model = denoising_autoencoder(13, 13)
    assert model.count_params() == 33_193
    assert model.output_shape == (None, None, 13)
    assert outputs(model, np.zeros((2, 7, 13)), [7, 3]).shape == (2, 7, 13)


@pytest.mark.parametrize("initial_range", [0.1, 0.02])
def test_every_weight_begins_uniform_in_the_range(initial_range):
    keras.utils.set_random_seed(3)
    model = denoising_autoencoder(13, 13, initial_range=initial_range)
    values = np.concatenate([keras.ops.convert_to_numpy(weight).ravel() for weight in model.trainable_weights])
    assert len(values) == 33_193
    assert np.abs(values).max() <= initial_range
    # A uniform distribution's deviation, and a tenth of the values in every tenth of its range.
    assert values.std() == pytest.approx(initial_range / np.sqrt(3), rel=0.02)
    shares, _ = np.histogram(values, bins=10, range=(-initial_range, initial_range))
    np.testing.assert_allclose(shares / len(values), 0.1, atol=0.01)


def test_no_two_weights_begin_alike():
    weights = denoising_autoencoder(13, 13).trainable_weights
    values = np.concatenate([keras.ops.convert_to_numpy(weight).ravel() for weight in weights])
    assert len(np.unique(values)) > 0.99 * len(values)


def test_a_frame_depends_on_what_comes_before_and_after(rng):
    keras.utils.set_random_seed(0)
    model = denoising_autoencoder(13, 13, recurrent_units=4, initial_range=1.0)
    features = rng.normal(size=(1, 9, 13))
    plain = outputs(model, features, [9])
    for frame in (0, 8):
        other = features.copy()
        other[:, frame] += 3
        assert np.abs(outputs(model, other, [9])[0, 4] - plain[0, 4]).max() > 1e-6


def test_noise_is_the_papers_and_in_training_only():
    model = denoising_autoencoder(13, 13)
    noisy = keras.Model(model.inputs, model.get_layer("input_noise").output)
    batch = [np.ones((8, 100, 13), "float32"), np.full(8, 100, "int32")]
    assert keras.ops.convert_to_numpy(noisy(batch, training=True)).std() == pytest.approx(0.1, rel=0.05)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(noisy(batch, training=False)), batch[0])
