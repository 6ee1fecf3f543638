"""Class means of a speaker, against a loop from the definition."""

import numpy as np
import pytest

from zoo.adaptation import class_means, prior


def unit(row):
    length = np.sqrt((row**2).sum())
    return row / length if length else row


def by_definition(vectors, given, strength, rounds, shares=None):
    """One clip and one class at a time."""
    n_classes = given.shape[1]
    scaled = [unit((row - vectors.mean(axis=0)) / vectors.std(axis=0)) for row in vectors]
    answers = given if shares is None else prior.reweighted(given, prior.weights_for(given, shares))
    for _ in range(rounds):
        means = [unit(sum(q[c] * row for q, row in zip(answers, scaled, strict=True))) for c in range(n_classes)]
        raw = np.array(
            [
                [p[c] * np.exp(strength * np.dot(row, means[c])) for c in range(n_classes)]
                for p, row in zip(given, scaled, strict=True)
            ]
        )
        answers = raw / raw.sum(axis=1, keepdims=True)
        if shares is not None:
            answers = prior.reweighted(answers, prior.weights_for(answers, shares))
    return answers


@pytest.fixture
def clips(rng):
    """Vectors about three means, and probabilities that are often wrong."""
    labels = np.repeat([0, 1, 2], 8)
    vectors = rng.normal(size=(24, 6)) + 4 * np.eye(6)[labels] + 10
    given = rng.dirichlet(np.ones(3), 24) * 0.5 + np.eye(3)[labels] * 0.2
    return vectors, given / given.sum(axis=1, keepdims=True), labels


@pytest.mark.parametrize("rounds", [1, 4])
@pytest.mark.parametrize("shares", [None, np.array([0.5, 0.25, 0.25])])
def test_rounds_are_those_of_the_definition(clips, rounds, shares):
    vectors, given, _ = clips
    found = class_means.fit(vectors, given, 3.0, shares, rounds).probabilities(vectors, given)
    np.testing.assert_allclose(found, by_definition(vectors, given, 3.0, rounds, shares), atol=1e-6)
    if shares is not None:
        np.testing.assert_allclose(found.mean(axis=0), shares, atol=1e-6)


def test_clusters_repair_wrong_answers_wherever_the_speaker_speaks(clips):
    vectors, given, labels = clips
    found = class_means.fit(vectors, given, 5.0).probabilities(vectors, given)
    before, after = ((shares.argmax(axis=1) == labels).mean() for shares in (given, found))
    assert after == 1.0 > before
    moved = class_means.fit(vectors * 3 - 50, given, 5.0).probabilities(vectors * 3 - 50, given)
    np.testing.assert_allclose(moved, found, atol=1e-8)


def test_means_of_labelled_clips(clips):
    vectors, given, labels = clips
    own = np.array([0, 1, 8, 9])  # none of the last class, whose mean then says nothing
    fitted = class_means.fit_labelled(vectors[own], labels[own], 3, 5.0)
    assert (fitted.means[2] == 0).all()
    np.testing.assert_allclose(np.linalg.norm(fitted.means[:2], axis=1), 1)
    scaled = (vectors - vectors[own].mean(axis=0)) / vectors[own].std(axis=0)
    first = unit(unit(scaled[0]) + unit(scaled[1]))
    cosine = np.dot(unit(scaled[5]), first)
    found = fitted.probabilities(vectors[5:6], given[5:6])[0]
    assert found[0] / found[2] == pytest.approx(given[5, 0] / given[5, 2] * np.exp(5 * cosine))


def test_vectors_that_never_vary_leave_the_answers(clips):
    _, given, _ = clips
    same = np.ones((24, 4))
    np.testing.assert_allclose(class_means.fit(same, given, 5.0).probabilities(same, given), given, atol=1e-6)
