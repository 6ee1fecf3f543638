"""The facts of D4.2, sections 4 and 5."""

import keras
import numpy as np
import pytest
from networks import once

from zoo.models.lstm_drnn import lstm_drnn

pytestmark = pytest.mark.backend

MUSIC = {"recurrent_layers": 2, "input_noise": 0.6}


@once
@pytest.mark.parametrize(
    ("n_inputs", "options", "parameters"),
    [
        (102, {}, 381_698),
        (6373, {**MUSIC, "recurrent_units": 192}, 5_338_754),
        (6373, {**MUSIC, "recurrent_units": 256}, 7_314_946),
        (102, {"recurrent_units": 64, "bidirectional": True}, 283_394),
    ],
)
def test_parameters(n_inputs, options, parameters):
    assert lstm_drnn(2, n_inputs, **options).count_params() == parameters


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


def test_noise_is_the_papers_and_in_training_only():
    model = lstm_drnn(2, 50, recurrent_units=2, recurrent_layers=1, input_noise=0.6)
    noisy = keras.Model(model.inputs, model.get_layer("input_noise").output)
    batch = [np.ones((4, 40, 50), "float32"), np.full(4, 40, "int32")]
    assert keras.ops.convert_to_numpy(noisy(batch, training=True)).std() == pytest.approx(0.6, rel=0.05)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(noisy(batch, training=False)), batch[0])


def test_no_layers_are_refused():
    with pytest.raises(ValueError, match="recurrent_layers is 0, expected 1 or more"):
        lstm_drnn(2, 3, recurrent_layers=0)
