"""Keras metrics give over batches what zoo.metrics and audmetric give at once."""

import doctest
from itertools import pairwise

import audmetric
import keras
import numpy as np
import pytest

from zoo import keras_metrics
from zoo.keras_metrics import CCC, UA, MacroF1
from zoo.metrics import classification, regression

pytestmark = pytest.mark.backend


def batches(n, rng):
    """Cut 0..n into uneven batches, one of a single value."""
    cuts = [0, 1, *sorted(rng.choice(np.arange(2, n), 5, replace=False).tolist()), n]
    return [slice(*pair) for pair in pairwise(cuts)]


def test_ccc_over_batches_is_that_of_all_ratings(rng):
    truth = rng.normal(0.3, 0.4, (211, 7, 2)).astype(np.float32)
    prediction = (0.6 * truth + rng.normal(5, 0.3, truth.shape)).astype(np.float32)  # means far from the truth's
    metric = CCC(2)
    for some in batches(len(truth), rng):
        metric.update_state(truth[some], prediction[some])
    expected = regression.ccc(truth.reshape(-1, 2), prediction.reshape(-1, 2))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(metric.by_dimension()), expected, rtol=1e-5)
    peer = audmetric.concordance_cc(truth[..., 0].ravel(), prediction[..., 0].ravel())
    assert float(metric.by_dimension()[0]) == pytest.approx(peer, rel=1e-5)
    assert float(metric.result()) == pytest.approx(float(np.mean(expected)), rel=1e-5)
    metric.reset_state()
    assert np.isnan(float(metric.result()))


def test_ratings_of_weight_zero_are_not_there(rng):
    """Padding of NaN, by a weight for each frame; a weight of two is a rating given twice."""
    truth, prediction = rng.normal(size=(2, 4, 9, 1)).astype(np.float32)
    weights = np.ones((4, 9), np.float32)
    weights[:, 6:], weights[0, 0] = 0, 2
    expected = [np.concatenate([one[:, :6].ravel(), one[0, 0]]) for one in (truth, prediction)]
    truth[:, 6:], prediction[:, 6:] = np.nan, np.nan
    metric = CCC()
    for some in (slice(1), slice(1, 4)):
        metric.update_state(truth[some], prediction[some], sample_weight=weights[some])
    assert float(metric.result()) == pytest.approx(float(regression.ccc(*expected)), rel=1e-5)


def test_ccc_without_a_value_is_nan():
    for truth, prediction in (([0.5], [0.7]), ([0.5, 0.5], [0.5, 0.5])):
        metric = CCC()
        metric.update_state(np.array(truth), np.array(prediction))
        assert np.isnan(float(metric.result()))
    metric.update_state(np.array([0.5, 0.7]), np.array([0.1, 0.1]))
    assert float(metric.result()) != 0
    with pytest.raises(ValueError, match="one shape that ends in 2"):
        CCC(2).update_state(np.zeros((3, 1)), np.zeros((3, 1)))


def test_ua_and_macro_f1_over_batches_are_those_of_all_clips(rng):
    truth = rng.integers(0, 3, 97)  # the class 3 has no true clip, and some predictions
    scores = rng.random((97, 4)).astype(np.float32)
    prediction = scores.argmax(axis=1)
    ua, macro_f1 = UA(4), MacroF1(4)
    for some in batches(97, rng):
        ua.update_state(truth[some], scores[some])
        macro_f1.update_state(np.eye(4, dtype=np.float32)[truth[some]], scores[some])  # one-hot is the same
    confusion = classification.confusion_matrix(truth, prediction, 4)
    assert float(ua.result()) == pytest.approx(float(classification.unweighted_accuracy(confusion)), abs=1e-6)
    assert float(macro_f1.result()) == pytest.approx(float(classification.macro_f1(confusion)), abs=1e-6)
    labels = list(range(4))
    peer = audmetric.unweighted_average_fscore(truth, prediction, labels=labels, zero_division=0)
    assert float(macro_f1.result()) == pytest.approx(peer, abs=1e-6)
    three = UA(3)
    three.update_state(truth, scores[:, :3])
    peer = audmetric.unweighted_average_recall(truth, scores[:, :3].argmax(axis=1))
    assert float(three.result()) == pytest.approx(peer, abs=1e-6)


def test_weights_and_missing_labels_of_clips():
    """By hand: of class 0 weights 1 right and 3 wrong, of class 1 one right; the last has no label."""
    metric = UA(2)
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9], [0.9, 0.1]], np.float32)
    metric.update_state(np.array([0, 0, 1, -1]), scores, sample_weight=np.array([1.0, 3.0, 1.0, 5.0], np.float32))
    assert float(metric.result()) == pytest.approx((1 / 4 + 1) / 2)
    assert keras.ops.convert_to_numpy(metric.confusion).tolist() == [[1, 3], [0, 1]]


def test_fit_shows_and_a_saved_configuration_makes_them_again(rng):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(inputs))
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=[UA(2), MacroF1(2)])
    history = model.fit(rng.random((9, 3)), rng.integers(0, 2, 9), batch_size=4, verbose=0).history
    assert 0 <= history["ua"][0] <= 1 and 0 <= history["macro_f1"][0] <= 1
    for metric in (CCC(3, name="mine"), UA(5), MacroF1(4)):
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
        assert type(again) is type(metric) and again.get_config() == metric.get_config()


def test_examples_in_the_docstrings():
    assert doctest.testmod(keras_metrics).failed == 0


@pytest.mark.parametrize(
    "truth, prediction, dimensions", [((4, 1), (4, 3), 3), ((4, 5), (4, 1), 1), ((1, 6), (4, 6), 6)]
)
def test_truth_is_not_repeated_to_fit_a_prediction(truth, prediction, dimensions):
    with pytest.raises(ValueError, match="expected truth and prediction of one shape"):
        CCC(dimensions).update_state(np.ones(truth), np.ones(prediction))
