"""Simulated raters have the confusions they are given, and ways of asking keep their promises."""

import numpy as np
import pytest

from zoo.learning.raters import whom
from zoo.learning.raters.model import fit
from zoo.learning.raters.whom import CALIBRATION, PANEL, SHARE, WAYS, ask, panel, task

PRIOR = np.array([0.5, 0.3, 0.2])


@pytest.fixture(scope="module")
def raters():
    rng = np.random.default_rng(3)
    kinds, matrices = panel(3, rng)
    return kinds, matrices, task(matrices, PRIOR, 300, rng)


def test_panel_has_the_kinds_asked_for(raters):
    kinds, matrices, _ = raters
    assert {kind: kinds.count(kind) for kind in PANEL} == {kind: n for kind, (_, n) in PANEL.items()}
    np.testing.assert_allclose(matrices.sum(axis=2), 1)
    for kind, matrix in zip(kinds, matrices, strict=True):
        right = np.diagonal(matrix)
        if kind == "careless":
            assert np.ptp(matrix, axis=0).max() == 0  # the same answers whatever is true
        elif kind == "biased":
            assert right.min() < 0.55 < np.median(right)
        else:
            assert right == pytest.approx(PANEL[kind][0], abs=0.25)


def test_answers_have_the_confusions(rng):
    matrices = np.array([[[0.7, 0.2, 0.1], [0.0, 1.0, 0.0], [0.3, 0.3, 0.4]]])
    drawn = task(matrices, PRIOR, 30_000, rng)
    assert np.bincount(drawn.truth) / 30_000 == pytest.approx(PRIOR, abs=0.01)
    for true in range(3):
        shares = np.bincount(drawn.answers[drawn.truth == true, 0], minlength=3) / (drawn.truth == true).sum()
        assert shares == pytest.approx(matrices[0, true], abs=0.02)


@pytest.mark.parametrize("way", WAYS)
def test_ways_ask_each_rater_once_within_the_budget(raters, way):
    drawn = raters[2]
    rounds = ask(way, drawn, 3.0, np.random.default_rng(0))
    votes = [point[0] for point in rounds]
    assert votes == sorted(votes) and votes[-1] == pytest.approx(3.0)
    first = 1.0 if way in ("majority", "model") else 1 + CALIBRATION * (len(raters[0]) - 1)
    assert first - 1e-9 <= votes[0] <= first + 0.5
    assert [point[1] for point in ask(way, drawn, 3.0, np.random.default_rng(0))] == [point[1] for point in rounds]


def test_asking_the_best_needs_fewer_votes_than_the_majority_of_drawn_raters(raters):
    right = {way: ask(way, raters[2], 3.0, np.random.default_rng(0))[-1][1] for way in ("majority", "best")}
    assert right["best"] > right["majority"] + 0.1


def test_no_rater_has_more_than_the_fair_share(raters, monkeypatch):
    asked = []
    monkeypatch.setattr(whom, "fit", lambda votes: asked.append(votes.asked()) or fit(votes))
    ask("best-fair", raters[2], 3.0, np.random.default_rng(0))
    most = asked[-1].sum(axis=0).max()
    assert asked[-1].max() == 1 and most <= SHARE * asked[-1].sum() / len(raters[0]) + 1
    asked.clear()
    ask("best", raters[2], 3.0, np.random.default_rng(0))
    assert asked[-1].sum(axis=0).max() > most
