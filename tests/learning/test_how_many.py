"""Rules that end asking: worked by hand on a few votes, and their order on drawn ones."""

from itertools import pairwise

import numpy as np
import pytest

from zoo.learning.raters.how_many import LEVELS, Drawn, asked_and_label, draw, fit_unnamed, posteriors, reached
from zoo.learning.raters.model import RaterModel

MATRIX = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
MODEL = RaterModel(np.full(3, 1 / 3), MATRIX[None], MATRIX)
# Three clips; the third has three votes.
VOTES = np.array([[0, 0, 0, 1], [1, 0, 1, 1], [2, 1, 0, -1]])
DRAWN = Drawn(VOTES, np.array([0, 1, 2]), np.array([[0, 0, 0], [0, 0, 0], [0, 0.4, 0.1]]))


@pytest.mark.parametrize(
    ("rule", "level", "asked", "label"),
    [
        ("number", 2, [2, 2, 2], [0, 0, 1]),  # ties: clip 1 by order of classes, clip 2 by what was drawn
        ("number", 9, [4, 4, 3], [0, 1, 1]),
        ("agreement", 2, [2, 3, 3], [0, 1, 1]),
        ("agreement", 3, [3, 4, 3], [0, 1, 1]),
        ("lead", 2, [2, 4, 3], [0, 1, 1]),
        ("posterior", 0.75, [1, 1, 1], [0, 1, 2]),  # one vote: 0.8
        ("posterior", 0.9, [2, 4, 3], [0, 1, 0]),  # two of one class: 64/66; 1, 0, 1: 64/(64 + 8 + 1), below 0.9
    ],
)
def test_rules_by_hand(rule, level, asked, label):
    found = asked_and_label(DRAWN, MODEL, rule, level)
    assert [part.tolist() for part in found] == [asked, label]


def test_posterior_by_hand():
    found = posteriors(MODEL, np.array([[0, 0, 0], [2, 0, 0], [1, 1, 0]]))
    np.testing.assert_allclose(found[0], 1 / 3)
    np.testing.assert_allclose(found[1], np.array([64, 1, 1]) / 66)
    np.testing.assert_allclose(found[2], np.array([8, 8, 1]) / 17)


def test_drawing_keeps_the_counts_and_one_further_vote(rng):
    counts = rng.integers(1, 4, (50, 3))
    drawn = draw(counts, rng)
    assert np.array_equal(drawn.available, counts.sum(axis=1) - 1)
    with_further = drawn.so_far()[:, -1] + np.eye(3, dtype=int)[drawn.further]
    assert np.array_equal(with_further, counts)
    assert (drawn.ties < 0.5).all()
    with pytest.raises(ValueError, match="two votes or more"):
        draw(np.array([[1, 0]]), rng)


def test_the_further_vote_is_any_of_the_votes_alike(rng):
    further = draw(np.tile([3, 1], (4000, 1)), rng).further
    assert np.mean(further == 0) == pytest.approx(0.75, abs=0.03)


def test_higher_levels_ask_for_more(rng):
    counts = rng.multinomial(9, [0.6, 0.3, 0.1], 200)
    drawn, model = draw(counts, rng), fit_unnamed(counts)
    for rule, levels in LEVELS.items():
        asked = [asked_and_label(drawn, model, rule, level)[0] for level in levels]
        assert all((a <= b).all() for a, b in pairwise(asked)), rule
        assert asked[-1].max() <= 8
    so_far = np.array([3, 1, 0])
    assert reached("lead", 2, so_far, so_far) and not reached("lead", 3, so_far, so_far)


def test_raters_without_names_share_one_matrix(rng):
    truth = rng.integers(0, 3, 600)
    counts = np.array([rng.multinomial(8, MATRIX[k]) for k in truth])
    model = fit_unnamed(counts)
    assert np.abs(model.common - MATRIX).max() < 0.03
    assert np.mean(posteriors(model, counts).argmax(axis=1) == truth) > 0.98
