"""Statistics of batch normalisation on unlabelled clips, against NumPy."""

import keras
import numpy as np
import pytest

from zoo import registry
from zoo.errors import UserError
from zoo.frontends.compose import with_normalization
from zoo.layers.masking import FrameMask, MaskedBatchNormalization, masked_input
from zoo.training import batch_statistics

RNG = np.random.default_rng(0)
CLIPS = [RNG.normal(3, 2, (length, 4)).astype("float32") for length in (3, 7, 5, 1)]


def network():
    """Two layers, each behind a batch normalisation, on (frames, 4)."""
    inputs, frames, mask = masked_input(4)
    frames = keras.layers.Dense(3, name="one")(frames)
    frames = MaskedBatchNormalization(epsilon=1e-5, name="norm1")(frames, mask)
    frames = keras.layers.Dense(2, activation="relu", name="two")(frames)
    frames = MaskedBatchNormalization(name="norm2")(frames, FrameMask(name="again")(frames, inputs["n_frames"]))
    model = keras.Model(inputs, frames, name="small")
    for weights in model.trainable_variables:
        weights.assign(RNG.normal(0.3, 1, weights.shape))
    return model


@pytest.mark.backend
@pytest.mark.parametrize("standardised", [False, True])
def test_every_layer_gets_the_moments_of_its_inputs_over_real_frames(standardised, monkeypatch):
    """The second layer's inputs are those behind the first one's new statistics. Batches are of one clip or two."""
    monkeypatch.setattr(batch_statistics, "_STEPS", 8)
    inner = network()
    frames = np.concatenate(CLIPS).astype(np.float64)
    model = inner
    if standardised:
        model = with_normalization(np.full(4, 2.0), np.full(4, 9.0), inner)
        frames = (frames - 2) / 3
    one, beta = inner.get_layer("one"), inner.get_layer("norm1")
    before = {layer.name: layer.get_weights() for layer in inner.layers}
    assert batch_statistics.adapt(model, CLIPS) == ["norm1", "norm2"]

    values = frames @ one.get_weights()[0] + one.get_weights()[1]
    for name, array in (("norm1", values), ("norm2", None)):
        if array is None:
            gamma, offset = beta.get_weights()[:2]
            array = (values - values.mean(axis=0)) / np.sqrt(values.var(axis=0) + 1e-5) * gamma + offset
            array = np.maximum(array @ inner.get_layer("two").get_weights()[0] + before["two"][1], 0)
        gamma, offset, mean, variance = inner.get_layer(name).get_weights()
        np.testing.assert_allclose(mean, array.mean(axis=0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(variance, array.var(axis=0), rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(gamma, before[name][0])
        np.testing.assert_array_equal(offset, before[name][1])
    for name in ("one", "two"):
        for array, was in zip(inner.get_layer(name).get_weights(), before[name], strict=True):
            np.testing.assert_array_equal(array, was)


def test_stock_batch_normalisation_without_a_mask_is_adapted_too():
    model = registry.build("cnn1d_mfcc", 3, 2, n_coefficients=12, filters=[4, 3], norm=True, pool_size=2)
    names = [layer.name for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    clips = [RNG.normal(size=(12, 2)).astype("float32") for _ in range(5)]
    assert batch_statistics.adapt(model, clips) == names != []
    inside = keras.Model(model.input, model.get_layer(names[0]).input)
    values = inside.predict({"features": np.stack(clips), "n_frames": np.full(5, 12, "int32")}, verbose=0)
    mean = model.get_layer(names[0]).moving_mean
    np.testing.assert_allclose(mean, values.mean(axis=(0, 1)), rtol=1e-4, atol=1e-5)


def test_nothing_to_adapt_is_refused():
    with pytest.raises(UserError, match="expected clips to take its statistics of, found none"):
        batch_statistics.adapt(network(), [])
    with pytest.raises(UserError, match="attention_lstm has no batch normalisation"):
        batch_statistics.adapt(registry.build("attention_lstm", 2, 4, recurrent_units=2), CLIPS)
