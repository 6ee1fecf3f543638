"""The facts of D4.2, sections 4 and 5."""

import keras
import numpy as np
import pytest
from networks import once

from zoo.models.denoising_autoencoder import denoising_autoencoder
from zoo.models.lstm_drnn import lstm_drnn

pytestmark = pytest.mark.backend


@once
def test_parameters_with_the_papers_narrower_layers_for_music():
    assert lstm_drnn(2, 6373, recurrent_layers=2, recurrent_units=192).count_params() == 5_338_754


@pytest.mark.parametrize(("bidirectional", "sees_the_end"), [(False, False), (True, True)])
def test_only_both_directions_see_the_future(bidirectional, sees_the_end, rng):
    model = lstm_drnn(2, 3, recurrent_units=4, bidirectional=bidirectional)
    features = rng.normal(size=(1, 6, 3)).astype("float32")
    other_end = features.copy()
    other_end[:, 5] += 5
    first, second = (
        keras.ops.convert_to_numpy(model({"features": clip, "n_frames": np.array([6], "int32")}))[0, 0]
        for clip in (features, other_end)
    )
    assert (np.abs(first - second).max() > 1e-6) == sees_the_end


@pytest.mark.parametrize("build", [lstm_drnn, denoising_autoencoder])
def test_noise_is_the_papers_and_in_training_only(build):
    model = build(2, 50, recurrent_units=2, recurrent_layers=1)
    noisy = keras.Model(model.inputs, model.get_layer("input_noise").output)
    batch = [np.ones((4, 40, 50), "float32"), np.full(4, 40, "int32")]
    assert keras.ops.convert_to_numpy(noisy(batch, training=True)).std() == pytest.approx(0.1, rel=0.05)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(noisy(batch, training=False)), batch[0])
