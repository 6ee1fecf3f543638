"""Proposals of the four tuners: the same for the same events, of the space, and what Hyperband's rungs should be."""

import os
import random
import subprocess
import sys
from collections import Counter
from itertools import product
from pathlib import Path

import pytest

from tuning import oracles
from tuning.space import TUNERS

ROOT = Path(__file__).parents[2]
SMALL = {"a": [None, "x", [1, 2]], "b": {"low": 1, "high": 4}}
LINE = {"x": {"low": 0.0, "high": 1.0}}


@pytest.fixture(autouse=True)
def quick_model(monkeypatch):
    """The Bayesian tuner's model without its twenty restarts."""
    whole = oracles._Bayesian._make_gpr
    monkeypatch.setattr(oracles._Bayesian, "_make_gpr", lambda self: whole(self).set_params(n_restarts_optimizer=0))


def make(tuner, space, seed=0):
    return oracles.make(tuner, space, seed, 9 if tuner == "hyperband" else None)


def drive(oracle, events, seed, workers=3, proposals=None):
    """Goes on with so many proposals, ended in random order; the end of `events` says what happened."""
    chance, running = random.Random(seed), []
    for _ in range(events):
        got = oracles.propose(oracle) if len(running) < workers else "wait"
        if isinstance(got, oracles.Proposal):
            running.append(got)
            proposals.append(got)
        elif running:
            ended = running.pop(chance.randrange(len(running)))
            status = chance.choices(["completed", "failed", "infeasible"], [8, 1, 1])[0]
            score = ended.values["x"] if "x" in ended.values else ended.values["b"]
            oracles.end(oracle, ended.trial, status, score if status == "completed" else None)


@pytest.mark.parametrize("tuner", TUNERS)
def test_same_seed_and_same_events_give_same_proposals(tuner):
    found = []
    for seed in (0, 0, 1):
        oracle, proposals = make(tuner, LINE, seed), []
        drive(oracle, 14, 5, proposals=proposals)
        assert len(proposals) >= 6
        found.append(proposals)
    assert found[0] == found[1]
    assert (found[0] == found[2]) == (tuner == "grid")
    assert [proposal.trial for proposal in found[0]] == [f"{n + 1:04d}" for n in range(len(found[0]))]


def test_seed_zero_is_a_seed_and_neighbours_share_no_values():
    values = []
    for seed in range(5):
        oracle = make("random", LINE, seed)
        values += [oracles.propose(oracle).values["x"] for _ in range(20)]
    assert len(set(values)) == 100


@pytest.mark.parametrize("workers", [1, 4])
def test_grid_is_every_combination_once_and_nobody_waits(workers):
    oracle, found = make("grid", SMALL), []
    while not isinstance(got := [oracles.propose(oracle) for _ in range(workers)], str):
        more = [proposal for proposal in got if isinstance(proposal, oracles.Proposal)]
        found += [proposal.values for proposal in more]
        if len(more) < workers and len(found) < 12:
            pytest.fail("waits although combinations are left")
        for proposal in more:
            oracles.end(oracle, proposal.trial, "completed", 0.0)
        if not more:
            break
    assert [tuple(map(str, values.values())) for values in found] == [
        tuple(map(str, pair)) for pair in product(SMALL["a"], [1, 2, 3, 4])
    ]
    assert oracles.propose(oracle) == "done"


def test_random_gives_up_when_all_is_tried_and_asking_leaves_no_trace():
    oracle = make("random", SMALL)
    found = [oracles.propose(oracle) for _ in range(12)]
    assert len({str(proposal.values) for proposal in found}) == 12
    before = oracle._seed_state
    assert [oracles.propose(oracle) for _ in range(2)] == ["done", "done"]
    assert oracle._seed_state == before


def test_hyperband_rungs():
    """Epochs 9, factor 3: a bracket of 3 rungs (sizes by keras-tuner), each going on from the best of the one below."""
    oracle, proposals = make("hyperband", LINE), []
    for _ in range(14):
        proposals.append(oracles.propose(oracle))
        oracles.end(oracle, proposals[-1].trial, "completed", proposals[-1].values["x"])
    sizes = [9, 3, 1]  # ceil(3 / 3 * 3 ** (2 - rung))
    first = proposals[: sum(sizes)]
    assert [proposal.epochs for proposal in first] == [1] * 9 + [3] * 3 + [9]
    by_id = {proposal.trial: proposal for proposal in proposals}
    best = sorted(first[:9], key=lambda proposal: -proposal.values["x"])[:3]
    assert [proposal.parent for proposal in first[9:12]] == [proposal.trial for proposal in best]
    assert first[12].parent == first[9].trial
    assert all(by_id[proposal.parent].values == proposal.values for proposal in first[9:])
    assert proposals[13].parent is None  # the next bracket
    assert proposals[13].epochs == 3


def test_hyperband_fills_the_place_of_an_infeasible_trial():
    oracle, proposals = make("hyperband", LINE), []
    for index in range(14):
        proposals.append(oracles.propose(oracle))
        oracles.end(oracle, proposals[-1].trial, "infeasible" if index == 4 else "completed", 0.5)
    assert Counter(proposal.epochs for proposal in proposals) == {1: 10, 3: 3, 9: 1}
    assert "0005" not in {proposal.parent for proposal in proposals}


def test_bayesian_finds_the_top_and_keeps_off_what_failed(monkeypatch):
    monkeypatch.undo()  # with all of its restarts
    oracle, found = make("bayesian", LINE), []
    for _ in range(12):
        proposal = oracles.propose(oracle)
        found.append(proposal.values["x"])
        bad = found[-1] > 0.8
        oracles.end(oracle, proposal.trial, "infeasible" if bad else "completed", -((found[-1] - 0.6) ** 2))
    assert min(abs(value - 0.6) for value in found) < 0.05
    assert len(set(found)) == 12
    assert sum(value > 0.8 for value in found[-6:]) <= 1


def test_bayesian_takes_the_values_a_journal_gives():
    live, again = make("bayesian", LINE), make("bayesian", LINE)
    for index in range(6):
        proposal = oracles.propose(live)
        given = {"x": 0.25} if index == 4 else proposal.values
        assert oracles.propose(again, given).values == given
        for oracle in (live, again):
            oracles.end(oracle, proposal.trial, "completed", proposal.values["x"])


WITHOUT_TENSORFLOW = """
import sys
sys.modules["tensorflow"] = None
from tuning import oracles
from tuning.space import TUNERS
for tuner in TUNERS:
    oracle = oracles.make(tuner, {"x": {"low": 0.0, "high": 1.0}}, 0, 9 if tuner == "hyperband" else None)
    for _ in range(4):
        proposal = oracles.propose(oracle)
        oracles.end(oracle, proposal.trial, "completed", proposal.values["x"])
    print(tuner, proposal.trial)
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_without_tensorflow(backend):
    pytest.importorskip(backend)
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW], env=environment, capture_output=True, text=True, timeout=120
    )
    assert run.stdout.split() == [word for tuner in TUNERS for word in (tuner, "0004")], run.stderr
