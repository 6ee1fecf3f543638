"""The support vector machine in the span of a pool against scikit-learn's on all features."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.svm import LinearSVC

from zoo.confidence.temperature import log_loss, with_temperature
from zoo.errors import UserError
from zoo.learning.linear_learner import LinearLearner, in_span

N_CLASSES = 3


def clips(n, seed, width=300):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % N_CLASSES
    middles = 0.3 * np.random.default_rng(8).normal(size=(N_CLASSES, width))
    sizes = 10 ** np.random.default_rng(9).uniform(-3, 5, width)
    values = (middles[labels] + rng.normal(size=(n, width))) * sizes + 7 * sizes
    values[:, 0] = 5.0  # a constant feature
    return values, labels


@pytest.fixture(scope="module")
def sides():
    return [clips(n, seed) for seed, n in enumerate((90, 60, 45))]


def learner(sides, complexities=(1e-3,)):
    (pool, _), (validation, truth), (test, _) = sides
    return LinearLearner(pool, validation, test, truth, N_CLASSES, complexities)


def standardized(sides):
    pool = sides[0][0]
    deviation = np.where(pool.std(axis=0) < 1e-7, 1, pool.std(axis=0))
    return [(values - pool.mean(axis=0)) / deviation for values, _ in sides]


def test_the_span_keeps_every_margin_and_the_regulariser(sides):
    pool, validation, _ = standardized(sides)
    rotation = in_span(pool)
    assert rotation.shape == (300, 89)  # standardising took one dimension
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(89), atol=1e-6)
    for c in (1e-4, 1e-2, 1.0):
        options = {"C": c, "dual": True, "tol": 1e-9, "max_iter": 200_000, "random_state": 0}
        whole = LinearSVC(**options).fit(pool[:40], sides[0][1][:40])
        short = LinearSVC(**options).fit(pool[:40] @ rotation, sides[0][1][:40])
        expected = whole.decision_function(validation)
        np.testing.assert_allclose(short.decision_function(validation @ rotation), expected, atol=1e-4)
        np.testing.assert_allclose(np.square(short.coef_).sum(axis=1), np.square(whole.coef_).sum(axis=1), rtol=1e-4)


def test_distances_between_clips_of_the_pool_stay(sides):
    pool, found = standardized(sides)[0], learner(sides).vectors
    for one, other in ((0, 1), (3, 77)):
        expected = np.linalg.norm(pool[one] - pool[other])
        assert np.linalg.norm(found[one] - found[other]) == pytest.approx(expected)


def test_it_predicts_as_scikit_learn_on_all_features(sides):
    pool, validation, test = standardized(sides)
    some, labels = np.arange(36), sides[0][1][:36]
    machine = LinearSVC(C=1e-3, dual=True, tol=1e-6, max_iter=50_000).fit(pool[some], labels)
    found = learner(sides).fit(some, labels, seed=0)
    for side, values in (("pool", pool), ("validation", validation), ("test", test)):
        assert getattr(found, side).argmax(axis=1).tolist() == machine.predict(values).tolist()
    margins = machine.decision_function(validation)
    shares = softmax(margins / margins.std(), axis=1)
    expected = with_temperature(shares, found.facts["temperature"])
    np.testing.assert_allclose(found.validation, expected, atol=2e-3)


def test_the_temperature_has_the_least_log_loss_on_validation_clips(sides):
    found, truth = learner(sides).fit(np.arange(36), sides[0][1][:36], seed=0), sides[1][1]
    for other in (0.8, 1.25):
        assert log_loss(found.validation, truth) < log_loss(with_temperature(found.validation, other), truth)


def test_c_is_chosen_by_validation_alone(sides):
    complexities = (1e-6, 1e-4, 1e-2)
    each = [learner(sides, (c,)).fit(np.arange(30), sides[0][1][:30], 0).facts["validation_ua"] for c in complexities]
    found = learner(sides, complexities).fit(np.arange(30), sides[0][1][:30], 0)
    assert found.facts["c"] == complexities[int(np.argmax(each))] and found.facts["validation_ua"] == max(each)


def test_a_class_without_a_label_is_not_predicted(sides):
    labels = sides[0][1]
    some = np.flatnonzero(labels != 1)[:20]
    found = learner(sides).fit(some, labels[some], seed=0)
    assert found.test[:, 1].max() == 0
    np.testing.assert_allclose(found.test.sum(axis=1), 1)


def test_labels_of_one_class_are_refused(sides):
    with pytest.raises(UserError, match=r"3 labelled clips are of one class or none.*Label clips of another class"):
        learner(sides).fit(np.arange(3), np.array([2, 2, 2]), seed=0)
