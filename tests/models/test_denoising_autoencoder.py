"""The facts of D4.2, section 3."""

import keras
import numpy as np
import pytest

from zoo.models.denoising_autoencoder import denoising_autoencoder

pytestmark = pytest.mark.backend


@pytest.mark.parametrize("initial_range", [0.1, 0.02])
def test_every_weight_begins_uniform_in_the_range(initial_range):
    keras.utils.set_random_seed(3)
    model = denoising_autoencoder(13, 13, initial_range=initial_range)
    values = np.concatenate([keras.ops.convert_to_numpy(weight).ravel() for weight in model.trainable_weights])
    assert len(values) == model.count_params() == 33_193
    assert len(np.unique(values)) > 0.99 * len(values)  # no two layers begin alike
    assert np.abs(values).max() <= initial_range
    # A uniform distribution's deviation, and a tenth of the values in every tenth of its range.
    assert values.std() == pytest.approx(initial_range / np.sqrt(3), rel=0.02)
    shares, _ = np.histogram(values, bins=10, range=(-initial_range, initial_range))
    np.testing.assert_allclose(shares / len(values), 0.1, atol=0.01)
