"""Machines of few, long vectors: worked by hand, against liblinear's, and against the conditions of a minimum."""

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from zoo.training import linear_machines
from zoo.training.linear_machines import LinearMachines


def problem(n, width, n_classes, seed, apart=1.0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    vectors = rng.normal(size=(n, width)) + apart * rng.normal(size=(n_classes, width))[labels]
    return vectors, labels, rng.uniform(0.3, 3.0, n)


def slopes(vectors, labels, weights, machines, c, found):
    """The gradient of each machine's objective in its weights and bias, from the definition."""
    coefficients, biases = found
    signs = np.where(labels[:, None] == machines.classes, 1.0, -1.0)
    short = np.maximum(0, 1 - signs * (vectors @ coefficients.T + biases))
    pull = 2 * c * weights[:, None] * signs * short
    return np.concatenate([coefficients.T - vectors.T @ pull, [biases - pull.sum(axis=0)]])


@pytest.mark.parametrize("c", [1e-3, 0.25, 10.0])
def test_two_points_by_hand(c):
    """Points 1 and -1, weights 1: b is 0, and w minimises w^2 / 2 + 2 C (1 - w)^2."""
    machines = LinearMachines(np.array([[1.0], [-1.0]]), np.array([1, 0]), np.ones(2))
    coefficients, biases = machines.fit(c)
    expected = 4 * c / (1 + 4 * c)
    np.testing.assert_allclose(coefficients, [[-expected], [expected]])
    np.testing.assert_allclose(biases, 0, atol=1e-12)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_decisions_are_those_of_liblinear(n_classes):
    """At a tolerance at which it, too, comes to its end; scikit-learn has one machine for two classes."""
    vectors, labels, weights = problem(60, 150, n_classes, seed=1)
    others, *_ = problem(40, 150, n_classes, seed=2)
    machines = LinearMachines(vectors, labels, weights)
    for c in (1e-5, 1e-3, 1e-1):
        coefficients, biases = machines.fit(c)
        theirs = LinearSVC(C=c, dual=True, tol=1e-9, max_iter=100_000, random_state=0)
        wanted = theirs.fit(vectors, labels, sample_weight=weights).decision_function(others)
        decisions = others @ coefficients.T + biases
        if n_classes == 2:
            np.testing.assert_allclose(decisions[:, 0], -decisions[:, 1], atol=1e-9)
            decisions = decisions[:, 1]
        np.testing.assert_allclose(decisions, wanted, atol=1e-6 * np.abs(wanted).max())


@pytest.mark.parametrize("seed", range(12))
def test_the_gradient_is_zero_where_it_ends(seed):
    """Of problems of all shapes, also of more vectors than features, where many vectors change sides."""
    n, width, apart = [(40, 90, 1.0), (60, 3, 0.2), (80, 20, 0.0)][seed % 3]
    vectors, labels, weights = problem(n, width, 3, seed, apart)
    machines = LinearMachines(vectors, labels, weights)
    for c in (1e-4, 1e-2, 1.0, 100.0):
        found = machines.fit(c)
        scale = 2 * c * weights.sum() * np.abs(vectors).max()  # of the sum's terms
        assert np.abs(slopes(vectors, labels, weights, machines, c, found)).max() < 1e-7 * scale


def test_where_the_path_of_c_comes_from_does_not_matter():
    vectors, labels, weights = problem(50, 120, 3, seed=4)
    rising, falling = LinearMachines(vectors, labels, weights), LinearMachines(vectors, labels, weights)
    grid = (1e-6, 1e-4, 1e-2, 1.0)
    one = {c: rising.fit(c) for c in grid}
    other = {c: falling.fit(c) for c in reversed(grid)}
    for c in grid:
        np.testing.assert_allclose(one[c][0], other[c][0], atol=1e-10)
        np.testing.assert_allclose(one[c][1], other[c][1], atol=1e-10)


def test_a_weight_is_as_many_copies_of_a_vector():
    vectors, labels, _ = problem(30, 60, 3, seed=5)
    weights = np.where(np.arange(30) < 10, 3.0, 1.0)
    times = weights.astype(int)
    weighted = LinearMachines(vectors, labels, weights).fit(0.1)
    repeated = LinearMachines(np.repeat(vectors, times, 0), np.repeat(labels, times), np.ones(times.sum())).fit(0.1)
    for one, other in zip(weighted, repeated, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)


def test_constant_and_repeated_vectors_at_the_largest_c():
    vectors, labels, weights = problem(20, 40, 2, seed=6)
    vectors[:, 0], vectors[4], vectors[5] = 0.0, vectors[2], vectors[3]
    vectors[7] = vectors[6]  # the same vector of both classes
    coefficients, biases = LinearMachines(vectors, labels, weights).fit(1e6)
    assert np.isfinite(coefficients).all() and np.isfinite(biases).all()
    decisions = vectors @ coefficients.T + biases
    alone = np.delete(np.arange(20), [6, 7])
    np.testing.assert_array_equal(decisions[alone].argmax(axis=1), labels[alone])


def test_a_step_that_goes_too_far_is_halved(monkeypatch):
    """The first step, from zero, is made eightfold: it raises the objective, and the minimum is found all the same."""
    vectors, labels, _ = problem(40, 5, 2, seed=7)
    kernel, signs, costs = vectors @ vectors.T + 1, np.where(labels == 1, 1.0, -1.0), np.full(40, 0.01)
    expected = linear_machines._minimum(kernel, signs, costs, np.zeros(40))
    solved, objective = linear_machines._solved, linear_machines._objective
    factors, values = iter([8.0]), []
    monkeypatch.setattr(linear_machines, "_solved", lambda *given: next(factors, 1.0) * solved(*given))
    monkeypatch.setattr(linear_machines, "_objective", lambda *given: values.append(objective(*given)) or values[-1])
    found = linear_machines._minimum(kernel, signs, costs, np.zeros(40))
    assert values[1] > values[0] > values[-1], "the case shows nothing"
    np.testing.assert_allclose(kernel @ found, kernel @ expected, atol=1e-7)
