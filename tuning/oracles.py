"""Propose trials with keras-tuner's oracles; their state follows from the order of proposals and ends."""

import copy
import sys
from collections.abc import Mapping
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner import oracles

from tuning.space import decode, encode, hyperparameters

_OBJECTIVE = keras_tuner.Objective("score", "max")
# What an oracle changes although it then proposes nothing: no journal has such calls.
_VOLATILE = ("_seed_state", "_brackets", "_current_bracket", "_current_iteration", "_populate_next", "tuner_ids")


class _Grid(oracles.GridSearchOracle):
    def populate_space(self, trial_id):
        response = super().populate_space(trial_id)
        # keras-tuner waits for a trial's end, which may show further hyper-parameters.
        if response["status"] == "RUNNING" and trial_id not in self._populate_next:
            self._populate_next.append(trial_id)
        return response


class _Bayesian(oracles.BayesianOptimizationOracle):
    """Make proposals depend on the trials alone, so that replaying can skip the model."""

    trials: dict[str, Any]
    ongoing_trials: dict[str, Any]

    def populate_space(self, trial_id):
        completed = [trial for trial in self.trials.values() if trial.status == "COMPLETED"]
        if len(completed) < max(3 * len(self.hyperparameters.space), 3):
            return self._random_populate_space()
        if self.given is not None:  # the last bits of a fitted model differ between machines
            return {"status": "RUNNING", "values": self.given}
        self._random_state = np.random.RandomState((self.seed + int(trial_id)) % 2**32)
        self.gpr = self._make_gpr()
        if self.ongoing_trials:  # the model of the ended trials guesses their results
            ongoing, self.ongoing_trials = self.ongoing_trials, {}
            self.gpr.fit(*self._vectorize_trials(leave_out=set(ongoing.values())))
            self.ongoing_trials = ongoing
        response = super().populate_space(trial_id)
        if self._duplicate(response["values"]):
            self._seed_state = self.seed + (int(trial_id) + 1) * 10**6  # of no earlier draw
            return self._random_populate_space()
        return response

    def _vectorize_trials(self, leave_out=frozenset()):
        """Return trials as (n, dimensions) in 0..1 and their losses, the worst one for a failed trial."""
        everything = self.trials
        self.trials = {key: trial for key, trial in everything.items() if trial not in leave_out}
        x, y = super()._vectorize_trials()
        self.trials = everything
        bad = [trial for trial in everything.values() if trial.status == "FAILED"]
        if bad:
            space = self._nonfixed_space()
            vectors = [[hp.value_to_prob(trial.hyperparameters.values[hp.name]) for hp in space] for trial in bad]
            x, y = np.concatenate([x, vectors]), np.concatenate([y, np.full(len(bad), y.max())])
        return x, y


_ORACLES = {
    "random": oracles.RandomSearchOracle,
    "grid": _Grid,
    "bayesian": _Bayesian,
    "hyperband": oracles.HyperbandOracle,
}


def make(tuner: str, space: Mapping[str, Any], seed: int, max_epochs: int | None = None) -> keras_tuner.Oracle:
    """Return an oracle of keras-tuner that maximises and sets no limit on the number of trials."""
    if tuner == "hyperband":
        more: dict[str, Any] = {"max_epochs": max_epochs, "factor": 3, "hyperband_iterations": None}
    else:
        more = {"max_trials": None}
    oracle: Any = _ORACLES[tuner](
        objective=_OBJECTIVE,
        hyperparameters=hyperparameters(space),
        # keras-tuner takes 0 for no seed, and consecutive numbers for consecutive draws.
        seed=int(np.random.SeedSequence(seed).generate_state(1)[0]) // 2 + 1,
        allow_new_entries=False,
        tune_new_entries=False,
        max_consecutive_failed_trials=sys.maxsize,
        **more,
    )
    oracle.save = oracle._save_trial = lambda *trial: None  # the journal replaces its files
    oracle._check_consecutive_failures = lambda: None  # it looks at all trials each time, and there is no limit
    oracle.verbose, oracle.plain_space = 0, space
    oracle._max_collisions = 1000  # draws in a row that were tried before, until it gives up
    return oracle


def propose(oracle: keras_tuner.Oracle, given: Mapping[str, Any] | None = None) -> dict[str, Any] | str:
    """Return the event of a proposal, "wait" while an outcome is needed, or "done" when there is none.

    `given`: the journal's values of this proposal, when it is replayed.
    """
    before = {name: _copy(getattr(oracle, name)) for name in _VOLATILE if hasattr(oracle, name)}
    oracle.given = None if given is None else encode(oracle.plain_space, given)
    trial = oracle.create_trial(tuner_id=str(len(oracle.trials)))  # a new one, for a new trial
    if trial.status != "RUNNING":
        vars(oracle).update(before)
        return "wait" if trial.status == "IDLE" else "done"
    values = trial.hyperparameters.values
    parent = values.get("tuner/trial_id")
    return {
        "event": "proposed",
        "trial": _ours(trial.trial_id),
        "values": decode(oracle.plain_space, values),
        "epochs": values.get("tuner/epochs"),
        "parent": None if parent is None else _ours(parent),
    }


def _copy(state: Any) -> Any:
    """Return a copy, of lists of words a shallow one: they grow with the search."""
    plain = isinstance(state, list | set) and isinstance(next(iter(state), None), str)
    return copy.copy(state) if plain else copy.deepcopy(state)


def end(oracle: keras_tuner.Oracle, trial: str, status: str, score: float | None) -> None:
    """Report a trial's outcome: "completed" or "pruned" with a score, "failed", or "infeasible"."""
    record = oracle.get_trial(f"{int(trial) - 1:04d}")
    if score is None:
        record.status = "INVALID"
    else:
        oracle.update_trial(record.trial_id, {_OBJECTIVE.name: score})
        record.status = "COMPLETED"
    if status == "infeasible":
        for bracket in getattr(oracle, "_brackets", ()):  # Hyperband's: another trial takes its place there
            bracket["rounds"][0] = [info for info in bracket["rounds"][0] if info["id"] != record.trial_id]
    oracle.end_trial(record)


def _ours(trial_id: str) -> str:
    """Return a trial's id; keras-tuner counts from 0."""
    return f"{int(trial_id) + 1:04d}"
