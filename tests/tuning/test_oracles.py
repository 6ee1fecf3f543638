"""The four tuners repeat their proposals for the same events, and Hyperband's rungs are right."""

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


def make(tuner, space=LINE, seed=0):
    return oracles.make(tuner, space, seed, 9 if tuner == "hyperband" else None)


def drive(oracle, events, seed, workers=3):
    """Return the proposals of so many events; trials end in random order, some without a score."""
    chance, running, proposals = random.Random(seed), [], []
    for _ in range(events):
        got = oracles.propose(oracle) if len(running) < workers else "wait"
        if isinstance(got, dict):
            running.append(got)
            proposals.append(got)
        elif running:
            ended = running.pop(chance.randrange(len(running)))
            status = chance.choices(["completed", "failed", "infeasible"], [8, 1, 1])[0]
            oracles.end(oracle, ended["trial"], status, ended["values"]["x"] if status == "completed" else None)
    return proposals


def run(oracle, count, outcome):
    """Return so many proposals, each ended before the next; `outcome` is a function of index and x."""
    proposals = []
    for index in range(count):
        proposals.append(oracles.propose(oracle))
        oracles.end(oracle, proposals[-1]["trial"], *outcome(index, proposals[-1]["values"]["x"]))
    return proposals


@pytest.fixture
def quick_model(monkeypatch):
    """The Bayesian tuner's model without its twenty restarts."""
    whole = oracles._Bayesian._make_gpr
    monkeypatch.setattr(oracles._Bayesian, "_make_gpr", lambda self: whole(self).set_params(n_restarts_optimizer=0))


@pytest.mark.parametrize("tuner", TUNERS)
def test_same_seed_and_same_events_give_same_proposals(tuner, quick_model):
    first, again, other = (drive(make(tuner, seed=seed), 14, 5) for seed in (0, 0, 1))
    assert len(first) >= 6
    assert first == again
    assert (first == other) == (tuner == "grid")
    assert [proposal["trial"] for proposal in first] == [f"{n + 1:04d}" for n in range(len(first))]


def test_seed_zero_is_a_seed_and_neighbours_share_no_values():
    made = [make("random", seed=seed) for seed in range(5)]
    assert len({oracles.propose(oracle)["values"]["x"] for oracle in made for _ in range(20)}) == 100


def test_grid_proposes_every_combination_once_without_waiting():
    oracle, found = make("grid", SMALL), []
    for _ in range(3):
        got = [oracles.propose(oracle) for _ in range(4)]
        found += [tuple(proposal["values"].values()) for proposal in got]
        for proposal in got:
            oracles.end(oracle, proposal["trial"], "completed", 0.0)
    assert found == list(product(SMALL["a"], [1, 2, 3, 4]))
    assert oracles.propose(oracle) == "done"


def test_random_ends_when_all_is_tried_and_further_calls_leave_no_trace():
    oracle = make("random", SMALL)
    assert len({str(oracles.propose(oracle)["values"]) for _ in range(12)}) == 12
    before = oracle._seed_state
    assert [oracles.propose(oracle) for _ in range(2)] == ["done", "done"]
    assert oracle._seed_state == before


def test_hyperband_rungs():
    """Epochs 9, factor 3: rungs of 9, 3, 1 trials, each continuing the best of the one below."""
    proposals = run(make("hyperband"), 14, lambda index, x: ("completed", x))
    first, by_id = proposals[:13], {proposal["trial"]: proposal for proposal in proposals}
    assert [proposal["epochs"] for proposal in first] == [1] * 9 + [3] * 3 + [9]
    best = sorted(first[:9], key=lambda proposal: -proposal["values"]["x"])[:3]
    assert [proposal["parent"] for proposal in first[9:12]] == [proposal["trial"] for proposal in best]
    assert first[12]["parent"] == first[9]["trial"]
    assert all(by_id[proposal["parent"]]["values"] == proposal["values"] for proposal in first[9:])
    assert (proposals[13]["parent"], proposals[13]["epochs"]) == (None, 3)  # the next bracket


def test_hyperband_replaces_an_infeasible_trial():
    outcomes = {4: ("infeasible", None)}
    proposals = run(make("hyperband"), 14, lambda index, x: outcomes.get(index, ("completed", 0.5)))
    assert Counter(proposal["epochs"] for proposal in proposals) == {1: 10, 3: 3, 9: 1}
    assert "0005" not in {proposal["parent"] for proposal in proposals}


def test_bayesian_finds_the_maximum_and_avoids_infeasible_values():
    def outcome(index, x):
        return ("infeasible", None) if x > 0.8 else ("completed", -((x - 0.6) ** 2))

    found = [proposal["values"]["x"] for proposal in run(make("bayesian"), 12, outcome)]
    assert min(abs(value - 0.6) for value in found) < 0.05
    assert len(set(found)) == 12
    assert sum(value > 0.8 for value in found[-6:]) <= 1


def test_bayesian_takes_the_values_of_a_journal(quick_model):
    live, again = make("bayesian"), make("bayesian")
    for index in range(6):
        proposal = oracles.propose(live)
        given = {"x": 0.25} if index == 4 else proposal["values"]
        assert oracles.propose(again, given)["values"] == given
        for oracle in (live, again):
            oracles.end(oracle, proposal["trial"], "completed", proposal["values"]["x"])


WITHOUT_TENSORFLOW = """
import sys
sys.modules["tensorflow"] = None
from tuning import oracles
oracle = oracles.make("bayesian", {"x": {"low": 0.0, "high": 1.0}}, 0)
for _ in range(4):
    proposal = oracles.propose(oracle)
    oracles.end(oracle, proposal["trial"], "completed", proposal["values"]["x"])
print(proposal["trial"])
"""


def test_oracles_work_without_tensorflow():
    command = [sys.executable, "-c", WITHOUT_TENSORFLOW]
    environment = {**os.environ, "KERAS_BACKEND": "numpy", "PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert run.stdout.strip() == "0004", run.stderr
