"""Strategies that choose clips to label: each against its definition, written out in NumPy."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.svm import OneClassSVM

from zoo.errors import UserError
from zoo.learning.strategies import NEED_PROBABILITIES, STRATEGIES, Pool, choose

CLASSES = ("angry", "neutral", "sad")


@pytest.fixture
def pool(rng) -> Pool:
    shares = rng.dirichlet([0.5] * 3, 40)
    return Pool(shares, rng.normal(size=(40, 5)), rng.normal(size=(9, 5)), np.arange(9) % 3, CLASSES)


def ranked(scores, count):
    return sorted(range(len(scores)), key=lambda clip: -scores[clip])[:count]


def test_random_draws_every_clip_equally_often(pool):
    drawn = np.concatenate([choose("random", pool, 10, np.random.default_rng(seed)) for seed in range(2000)])
    counts = np.bincount(drawn, minlength=40)
    expected, deviation = 500, np.sqrt(2000 * 0.25 * 0.75)
    assert counts.sum() == 20_000 and np.abs(counts - expected).max() < 5 * deviation


@pytest.mark.parametrize(
    ("strategy", "score"),
    [
        ("least-certain", lambda p: 1 - max(p)),
        ("margin", lambda p: -(sorted(p)[-1] - sorted(p)[-2])),
        ("entropy", lambda p: -sum(x * np.log(x) for x in p if x > 0)),
    ],
)
def test_uncertainty_follows_its_definition(pool, rng, strategy, score):
    expected = ranked([score(list(p)) for p in pool.probabilities], 12)
    assert choose(strategy, pool, 12, rng).tolist() == expected


def test_uncertainty_worked_by_hand(rng):
    shares = np.array([[0.5, 0.5, 0.0], [0.4, 0.3, 0.3], [0.9, 0.1, 0.0]])
    pool = Pool(shares, np.zeros((3, 2)), np.zeros((0, 2)), np.zeros(0, int), CLASSES)
    assert choose("least-certain", pool, 3, rng).tolist() == [1, 0, 2]  # 0.4, 0.5, 0.9
    assert choose("margin", pool, 3, rng).tolist() == [0, 1, 2]  # 0, 0.1, 0.8
    assert choose("entropy", pool, 3, rng).tolist() == [1, 0, 2]  # 1.089, 0.693, 0.325


def test_sparse_class_takes_the_rarest_predicted_class_first(rng):
    shares = np.array([[0.1, 0.1, 0.8], [0.1, 0.3, 0.6], [0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7]])
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 2])  # 4 angry, 3 neutral, 1 sad
    pool = Pool(shares, np.zeros((5, 2)), np.zeros((8, 2)), labels, CLASSES)
    # Sad until it has as many as neutral, most probable first; then the only neutral; then what is left.
    assert choose("sparse-class", pool, 5, rng).tolist() == [0, 4, 3, 1, 2]


def test_novelty_is_least_like_neutral_speech(pool, rng):
    neutral = pool.labelled_vectors[pool.labels == 1]
    expected = ranked((-OneClassSVM().fit(neutral).score_samples(pool.vectors)).tolist(), 6)
    assert choose("novelty", pool, 6, rng).tolist() == expected


def test_novelty_finds_the_outliers(rng):
    usual, far = rng.normal(size=(60, 4)), rng.normal(size=(5, 4)) + 30
    pool = Pool(None, np.concatenate([usual, far]), rng.normal(size=(30, 4)), np.ones(30, int), CLASSES)
    assert set(choose("novelty", pool, 5, rng)) == set(range(60, 65))


def test_expected_change_is_the_expected_length_of_the_gradient(pool, rng):
    scores = []
    for p, x in zip(pool.probabilities, pool.vectors, strict=True):
        gradients = [np.outer(p - np.eye(3)[y], np.append(x, 1)) for y in range(3)]
        scores.append(sum(p[y] * np.linalg.norm(gradients[y]) for y in range(3)))
    assert choose("expected-change", pool, 15, rng).tolist() == ranked(scores, 15)


def test_gradient_of_the_softmax_by_finite_differences(rng):
    """The residual p - e_y times the input is the gradient that `expected_change` takes the length of."""
    weights, x, y = rng.normal(size=(3, 4)), rng.normal(size=4), 2

    def loss(weights):
        scores = weights @ x
        return np.log(np.exp(scores).sum()) - scores[y]

    p = np.exp(weights @ x) / np.exp(weights @ x).sum()
    steps = 1e-6 * np.eye(12).reshape(12, 3, 4)
    found = np.array([(loss(weights + step) - loss(weights - step)) / 2e-6 for step in steps]).reshape(3, 4)
    np.testing.assert_allclose(found, np.outer(p - np.eye(3)[y], x), atol=1e-6)


def test_diversity_takes_the_farthest_clip_each_time(pool, rng):
    centres, expected = list(pool.labelled_vectors), []
    for _ in range(10):
        distances = [min(np.linalg.norm(x - c) for c in centres) for x in pool.vectors]
        expected.append(int(np.argmax(distances)))
        centres.append(pool.vectors[expected[-1]])
    assert choose("diversity", pool, 10, rng).tolist() == expected


def test_diversity_on_a_line_worked_by_hand(rng):
    pool = Pool(None, np.array([[1.0], [4.0], [9.0], [10.0]]), np.array([[0.0]]), np.array([0]), CLASSES)
    assert choose("diversity", pool, 2, rng).tolist() == [3, 1]  # 10 is farthest from 0, then 4 from 0 and 10


def test_diversity_begins_anywhere_without_labels_and_takes_equal_clips_once():
    pool = Pool(None, np.zeros((4, 2)), np.zeros((0, 2)), np.zeros(0, int), CLASSES)
    firsts = {int(choose("diversity", pool, 4, np.random.default_rng(seed))[0]) for seed in range(40)}
    assert firsts == {0, 1, 2, 3}
    assert sorted(choose("diversity", pool, 4, np.random.default_rng(0))) == [0, 1, 2, 3]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_is_repeatable_and_takes_each_clip_once(pool, strategy):
    one, two = (choose(strategy, pool, 40, np.random.default_rng(7)) for _ in range(2))
    assert one.tolist() == two.tolist() and sorted(one) == list(range(40))
    assert choose(strategy, pool, 0, np.random.default_rng(0)).tolist() == []


@pytest.mark.parametrize("strategy", ["least-certain", "margin", "entropy"])
def test_ties_are_drawn(strategy):
    pool = Pool(np.full((6, 3), 1 / 3), np.zeros((6, 2)), np.zeros((0, 2)), np.zeros(0, int), CLASSES)
    assert len({int(choose(strategy, pool, 1, np.random.default_rng(seed))[0]) for seed in range(60)}) == 6


def test_unknown_strategy_names_those_there_are(pool, rng):
    with pytest.raises(UserError, match=r"unknown strategy 'least_certain'.*Did you mean 'least-certain'.*novelty"):
        choose("least_certain", pool, 1, rng)


@pytest.mark.parametrize("strategy", NEED_PROBABILITIES)
def test_strategies_say_that_they_need_probabilities(pool, rng, strategy):
    with pytest.raises(UserError, match=rf"{strategy} needs a model that gives probabilities.*choose random, novelty"):
        choose(strategy, replace(pool, probabilities=None), 1, rng)


def test_more_clips_than_the_pool_has_are_refused(pool, rng):
    with pytest.raises(UserError, match="41 clips are wanted to be labelled, and 40 are without a label"):
        choose("random", pool, 41, rng)


def test_novelty_without_neutral_speech_is_refused(pool, rng):
    with pytest.raises(UserError, match="no labelled clip is of it"):
        choose("novelty", replace(pool, labels=np.zeros(9, int)), 1, rng)
    with pytest.raises(UserError, match=r"needs labelled clips of a class named neutral or neu.*angry, happy, sad"):
        choose("novelty", replace(pool, classes=("angry", "happy", "sad")), 1, rng)


@pytest.mark.parametrize("bad", [np.full((40, 3), np.nan), np.full((40, 3), 0.5), np.full((40, 2), 0.5)])
def test_what_are_no_probabilities_is_refused(pool, rng, bad):
    with pytest.raises(UserError, match="expected probabilities of shape"):
        choose("entropy", replace(pool, probabilities=bad), 1, rng)
