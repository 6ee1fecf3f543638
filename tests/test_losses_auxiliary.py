"""Distillation and supervised contrast against their papers' formulas, in NumPy and loops."""

import keras
import numpy as np
import pytest
from gradients import value_and_gradients
from scipy.special import log_softmax, softmax

from zoo import losses_auxiliary
from zoo.layers.gradient_reversal import GradientReversal
from zoo.losses_auxiliary import soften

pytestmark = pytest.mark.backend
numpy = keras.ops.convert_to_numpy


def compiled(function, static):
    """Returns the function with NumPy results; JAX takes seconds for every operation that is not compiled."""
    if keras.backend.backend() == "jax":
        import jax

        function = jax.jit(function, static_argnums=static)
    return lambda *arguments: numpy(function(*arguments))


distillation = compiled(losses_auxiliary.distillation, 2)
supervised_contrast = compiled(losses_auxiliary.supervised_contrast, 2)


@pytest.fixture
def logits(rng):
    return rng.normal(0, 2, (5, 3)), rng.normal(0, 2, (5, 3))


def test_softened_probabilities_are_the_softmax_of_divided_logits(logits):
    theirs, _ = logits
    np.testing.assert_allclose(soften(softmax(theirs, axis=1), 3.0), softmax(theirs / 3.0, axis=1), atol=1e-6)
    np.testing.assert_allclose(soften(np.array([1.0, 0.0]), 1.0), [1, 0], atol=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_distillation_is_that_of_hinton_by_logits(logits, temperature):
    theirs, ours = logits
    weights = np.array([1, 0, 2, 0.5, 1.5])
    each = -(softmax(theirs / temperature, axis=1) * log_softmax(ours / temperature, axis=1)).sum(axis=1)
    targets = soften(softmax(theirs, axis=1), temperature).astype("float32")
    student = softmax(ours, axis=1).astype("float32")
    found = distillation(targets, student, temperature)
    np.testing.assert_allclose(found, temperature**2 * each.mean(), rtol=1e-4)
    found = distillation(targets, student, temperature, weights.astype("float32"))
    np.testing.assert_allclose(found, temperature**2 * (weights * each).mean(), rtol=1e-4)


def test_a_student_that_agrees_has_the_least_loss(logits):
    theirs, ours = (softmax(one, axis=1).astype("float32") for one in logits)
    targets = soften(theirs, 2.0).astype("float32")
    least = 4 * -(targets * np.log(targets)).sum(axis=1).mean()  # the entropy of the targets
    assert float(distillation(targets, theirs, 2.0)) == pytest.approx(least, rel=1e-4)
    assert float(distillation(targets, ours, 2.0)) > least


def eq_2(labels, vectors, temperature):
    """Compute eq 2 of Khosla et al. 2020 by loops, for classes (batch,): the mean over clips that have a positive."""
    z = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    losses = []
    for i in range(len(z)):
        others = [a for a in range(len(z)) if a != i]
        positives = [p for p in others if labels[p] == labels[i]]
        below = sum(np.exp(z[i] @ z[a] / temperature) for a in others)
        if positives:
            total = sum(np.log(np.exp(z[i] @ z[p] / temperature) / below) for p in positives)
            losses.append(-total / len(positives))
    return np.mean(losses)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_supervised_contrast_is_equation_2(rng, temperature):
    labels, vectors = np.array([0, 1, 0, 2, 1, 0, 3]), rng.normal(size=(7, 4))  # 2 and 3 are there once
    one_hot = np.eye(4, dtype="float32")[labels]
    found = supervised_contrast(one_hot, vectors.astype("float32"), temperature)
    np.testing.assert_allclose(found, eq_2(labels, vectors, temperature), rtol=1e-4)


def test_supervised_contrast_by_hand():
    """Two clips of a class at a right angle, and one of another that points as the first: log(e^0 / (e^0 + e^1))."""
    vectors = np.array([[2.0, 0], [0, 3], [1, 0]], "float32")
    labels = np.eye(2, dtype="float32")[[0, 0, 1]]
    first, second = np.log(1 + np.e), np.log(2)  # the third has no other clip of its class
    assert float(supervised_contrast(labels, vectors, 1.0)) == pytest.approx((first + second) / 2, rel=1e-5)


def test_mixtures_count_by_agreement_and_clips_without_label_not_at_all(rng):
    vectors = rng.normal(size=(4, 3)).astype("float32")
    labels = np.array([[1, 0], [0.75, 0.25], [0, 1], [0, 0]], "float32")
    z = vectors[:3] / np.linalg.norm(vectors[:3], axis=1, keepdims=True)
    losses = []
    for i in range(3):
        others = [a for a in range(3) if a != i]
        agreement = np.array([labels[i] @ labels[p] for p in others])
        shares = log_softmax([z[i] @ z[a] / 0.5 for a in others])
        losses.append(-(agreement * shares).sum() / agreement.sum())
    assert float(supervised_contrast(labels, vectors, 0.5)) == pytest.approx(np.mean(losses), rel=1e-4)
    nothing = supervised_contrast(np.eye(4, dtype="float32"), vectors, 0.5)
    assert float(nothing) == 0


def test_reversed_gradients_have_the_other_sign_and_the_scale(rng):
    values, upstream = (rng.normal(size=(3, 4)).astype("float32") for _ in range(2))
    for scale in (0.1, 2.0):
        found, (gradient,) = value_and_gradients(GradientReversal(scale), values, upstream)
        np.testing.assert_allclose(found, values, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(gradient, -scale * upstream, rtol=1e-5, atol=1e-7)
    with pytest.raises(ValueError, match="expected a number from 0"):
        GradientReversal(-1.0)
    assert GradientReversal.from_config(GradientReversal(0.3).get_config()).scale == 0.3
