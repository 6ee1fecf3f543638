"""A search that is killed, resumed, raised or out of disk space ends with the trials of an undisturbed one."""

import json
import multiprocessing
import os
import random
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tuning import oracles
from tuning import trials as records
from tuning.journal import NAMES
from tuning.search import Search, read
from tuning.space import TUNERS
from zoo.errors import UserError

ROOT = Path(__file__).parents[2]
FORK = multiprocessing.get_context("fork")
SPACE = {"learning_rate": {"low": 1e-4, "high": 1e-2, "sampling": "log"}, "batch_size": [8, 16, 32]}
LINE = {"learning_rate": SPACE["learning_rate"]}
TRIALS = {"random": 14, "grid": 14, "bayesian": 7, "hyperband": 14}


@pytest.fixture(autouse=True)
def quick_model(monkeypatch):
    """The Bayesian tuner's model without its twenty restarts."""
    whole = oracles._Bayesian._make_gpr
    monkeypatch.setattr(oracles._Bayesian, "_make_gpr", lambda self: whole(self).set_params(n_restarts_optimizer=0))


def description(tuner="random", trials=6, **changes):
    more = {"max_epochs": 9} if tuner == "hyperband" else {}
    space = LINE if tuner == "bayesian" else SPACE
    base = {"corpus": "ravdess", "option": {"dropout": 0.1}}
    return {"model": "fcn", "base": base, "space": space, "tuner": tuner, "trials": trials, **more, **changes}


def outcome(values):
    score = -abs(values["learning_rate"] - 2e-3) + values.get("batch_size", 0) / 1000
    return {"status": "completed", "score": score, "folds": [score] * 3, "epochs": 4, "seconds": 0.5}


def infeasible(flags):
    """Refuse one trial in four, by the values alone."""
    return "too fast" if int(flags["learning_rate"] * 1e7) % 4 == 0 else None


def work(search, log=None, wait=0.0):
    """Run trials until none is left; `log` gets a line once a trial's outcome is on disk."""
    while (assignment := search.next("worker")) != "done":
        time.sleep(wait)
        assert search.finish(assignment["trial"], outcome(assignment["values"]), "worker")
        if log:
            os.write(log, f"{assignment['trial']}\n".encode())


def kept(folder):
    return [(t.id, t.values, t.epochs, t.parent, t.status, t.score) for t in read(folder)[2]]


def until_killed(folder, side_log, begun, after_opening):
    log = os.open(side_log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    if not after_opening:
        begun.set()
    search = Search.open(folder, feasible=infeasible)
    begun.set()
    work(search, log, wait=0.001)
    os._exit(0)


@pytest.mark.parametrize("tuner", TUNERS)
def test_killed_search_ends_as_an_undisturbed_one(tmp_path, tuner):
    quiet = Search.create(tmp_path / "quiet", description(tuner, TRIALS[tuner]), infeasible)
    begin = time.monotonic()
    work(quiet, wait=0.001)
    most_seconds = (time.monotonic() - begin) / 8

    folder, log, chance = tmp_path / "killed", tmp_path / "log", random.Random(3)
    asked, kills, finished = TRIALS[tuner], 0, set()
    Search.create(folder, description(tuner, asked), infeasible).close()
    while kills < 10 or len(finished) < 3:
        begun = FORK.Event()
        child = FORK.Process(target=until_killed, args=(folder, log, begun, kills % 3))
        child.start()
        begun.wait()
        child.join(chance.uniform(0, most_seconds))
        kills += child.is_alive()
        child.kill()
        child.join()
        finished = {trial.id for trial in read(folder)[2] if trial.status == "completed"}
        assert set(log.read_text().split() if log.exists() else ()) <= finished
        if len(finished) == asked:  # too quick for ten kills: a longer search
            asked += 3
            with closing(Search.open(folder, feasible=infeasible)) as search:
                search.raise_to(asked)
    for search in (quiet, Search.open(folder, feasible=infeasible)):
        search.raise_to(asked)
        work(search)
        search.close()
    assert kept(folder) == kept(tmp_path / "quiet")
    trials = read(folder)[2]
    assert sum(trial.status == "completed" for trial in trials) == asked
    assert {trial.status for trial in trials} <= {"completed", "infeasible"}
    if tuner in ("random", "grid"):
        assert len({json.dumps(trial.values) for trial in trials}) == len(trials)


def test_running_trials_are_handed_out_again_first(tmp_path):
    search = Search.create(tmp_path, description())
    first, second = search.next("a"), search.next("b")
    search.finish(first["trial"], outcome(first["values"]), "a")
    search.close()
    search = Search.open(tmp_path)
    assert [trial.status for trial in search.trials] == ["completed", "waiting"]
    assert search.next("c") == second
    assert search.trials[1].worker == "c"
    search.release(second["trial"])
    assert search.next("d") == second
    third = search.next("e")
    assert third["trial"] == "0003"
    assert search.finish(second["trial"], outcome(second["values"]), "c")  # it was not dead after all
    assert not search.finish(second["trial"], {"status": "failed"}, "d")
    assert search.trials[1].status == "completed"
    search.close()


def test_assignment_is_json_and_complete(tmp_path):
    search = Search.create(tmp_path, description("hyperband", inner_folds=2))
    assignment = search.next("a")
    assert json.loads(json.dumps(assignment)) == assignment
    values = assignment["values"]
    assert assignment == {
        "trial": "0001",
        "values": values,
        "epochs": 1,
        "parent": None,
        "flags": {"model": "fcn", "corpus": "ravdess", "option": {"dropout": 0.1}, **values},
        "inner_folds": 2,
        "prune_below": None,
    }
    assert list(values) == list(SPACE)


def test_infeasible_trials_do_not_count(tmp_path):
    search = Search.create(tmp_path, description(trials=3))
    ends = [
        {"status": "infeasible", "reason": "pooled away"},
        {"status": "completed", "score": 0.5, "folds": [0.25, 0.75]},
        {"status": "pruned", "score": 0.9, "folds": [0.9]},
        {"status": "failed", "reason": "memory"},
    ]
    for end in ends:
        search.finish(search.next("a")["trial"], end, "a")
    assert search.next("a") == "done"
    assert [trial.status for trial in search.trials] == ["infeasible", "completed", "pruned", "failed"]
    assert records.best(search.trials).id == "0002"
    trials = search.trials
    search.close()
    header, asked, again = read(tmp_path)
    assert (header["model"], asked) == ("fcn", 3)
    assert again == trials


def test_no_more_trials_run_than_asked_for(tmp_path):
    search = Search.create(tmp_path, description(trials=2))
    first, second = search.next("a"), search.next("b")
    assert search.next("c") == "wait"
    search.finish(first["trial"], {"status": "infeasible", "reason": "x"}, "a")
    third = search.next("c")
    assert third["trial"] == "0003"
    for assignment in (second, third):
        search.finish(assignment["trial"], outcome(assignment["values"]), "a")
    assert search.next("a") == "done"


@pytest.mark.parametrize("tuner", ["random", "grid", "hyperband"])
def test_a_small_space_is_exhausted(tmp_path, tuner):
    search = Search.create(tmp_path, description(tuner, 50, space={"batch_size": [8, 16, 32]}))
    running = []
    while isinstance(assignment := search.next("a"), dict):
        running.append(assignment)
    assert assignment == "wait"
    for assignment in running:
        search.finish(assignment["trial"], outcome({"learning_rate": 0.0, **assignment["values"]}), "a")
    assert search.next("a") == "done"
    assert {trial.values["batch_size"] for trial in search.trials} == {8, 16, 32}
    search.close()
    with closing(Search.open(tmp_path)) as search:
        assert search.next("a") == "done"
        assert len(search.trials) == 3


def test_number_of_trials_can_be_raised_but_not_below_the_finished_ones(tmp_path):
    search = Search.create(tmp_path, description(trials=3))
    work(search)
    with pytest.raises(UserError, match="--trials is 2, but 3 trials are finished"):
        search.raise_to(2)
    search.raise_to(5)
    search.close()
    with closing(Search.open(tmp_path)) as search:
        assert search.asked == 5
        work(search)
    quiet = Search.create(tmp_path / "quiet", description(trials=5))
    work(quiet)
    assert kept(tmp_path / "quiet") == kept(tmp_path)
    assert len(kept(tmp_path)) == 5


@pytest.mark.parametrize(
    ("expect", "message"),
    [
        ({"model": "attention_fcn"}, "model was 'fcn', now 'attention_fcn'"),
        ({"corpus": "iemocap"}, "corpus was 'ravdess', now 'iemocap'"),
        ({"protocol": "ravdess-actors"}, "protocol was '', now 'ravdess-actors'"),
        ({"seed": 1, "tuner": "grid"}, "tuner was 'random', now 'grid'"),
        ({"space": {**SPACE, "batch_size": [8]}}, "space of batch_size was [8, 16, 32], now [8]"),
        ({"space": {**SPACE, "patience": [8]}}, "space of patience was None, now [8]"),
    ],
)
def test_search_of_other_settings_is_refused(tmp_path, expect, message):
    Search.create(tmp_path, description()).close()
    with pytest.raises(UserError) as caught:
        Search.open(tmp_path, expect)
    assert message in str(caught.value)
    same = {"model": "fcn", "corpus": "ravdess", "protocol": "", "space": dict(SPACE), "tuner": "random", "seed": 0}
    Search.open(tmp_path, same).close()


def test_search_of_another_version_is_refused(tmp_path, monkeypatch):
    Search.create(tmp_path, description()).close()
    monkeypatch.setattr("tuning.search.__version__", "9.9")
    with pytest.raises(UserError, match=r"version was '[\d.]+', now '9\.9'"):
        Search.open(tmp_path)


def test_tuner_with_other_proposals_is_refused(tmp_path, monkeypatch):
    search = Search.create(tmp_path, description())
    work(search)
    search.close()
    make = oracles.make
    monkeypatch.setattr(oracles, "make", lambda tuner, space, seed, epochs: make(tuner, space, seed + 1, epochs))
    with pytest.raises(UserError, match="expected the tuner to propose trial 0001 again"):
        Search.open(tmp_path)
    monkeypatch.undo()
    Search.open(tmp_path).close()  # the refused one has let go


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tuner": "gird"}, "Did you mean 'grid'"),
        ({"trials": 0}, "--trials is 0"),
        ({"trials": 2.5}, "--trials is 2.5"),
        ({"seed": -1}, "--seed is -1"),
        ({"prune": "mean"}, "unknown pruning 'mean'"),
        ({"tuner": "bayesian", "prune": "median"}, "--prune median goes with the tuners random and grid"),
        ({"max_epochs": 9}, "--max-epochs 9 goes with the tuner hyperband"),
        ({"tuner": "hyperband", "max_epochs": None}, "--max-epochs is None"),
        ({"tuner": "hyperband", "space": {"epochs": [1, 2]}}, "epochs is in the space"),
        ({"space": {"learning_rat": [1]}}, "Did you mean 'learning_rate'"),
        ({"sead": 1}, "Did you mean 'seed'"),
    ],
)
def test_invalid_description_is_refused(tmp_path, changes, message):
    tuner = changes.get("tuner", "random")
    with pytest.raises(UserError) as caught:
        Search.create(tmp_path / "new", {**description(tuner), **changes})
    assert message in str(caught.value)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("tuner", ["random", "bayesian"])
def test_search_ends_when_every_combination_is_infeasible(tmp_path, tuner):
    search = Search.create(tmp_path, description(tuner), lambda flags: "pool_size 9 leaves nothing")
    for _ in range(2):
        with pytest.raises(UserError, match=r"every combination .* infeasible: pool_size 9 leaves nothing \(100 times"):
            search.next("a")
    assert len(search.trials) == 100


def test_unknown_trial_and_status_are_refused(tmp_path):
    search = Search.create(tmp_path, description())
    search.next("a")
    with pytest.raises(UserError, match=r"unknown trial of .* '0002'"):
        search.finish("0002", outcome({"learning_rate": 1.0}), "a")
    with pytest.raises(UserError, match="unknown status of a trial 'done'"):
        search.finish("0001", {"status": "done"}, "a")


def test_prune_below_is_the_median_of_means_of_first_folds(tmp_path):
    search = Search.create(tmp_path, description(trials=9, prune="median"))
    folds = [[1.0, 2.0, 3.0], [2.0, 2.0, 2.0], [3.0, 0.0, 0.0], [9.0, 9.0, 9.0], [0.0, 0.0, 6.0]]
    for scores in folds:
        assignment = search.next("a")
        assert assignment["prune_below"] is None
        search.finish(assignment["trial"], {"status": "completed", "score": 1.0, "folds": scores}, "a")
    # First folds 0 1 2 3 9; means of two 0 1.5 1.5 2 9; of three 1 2 2 2 9.
    assert search.next("a")["prune_below"] == [2.0, 1.5, 2.0]


@pytest.mark.parametrize("tuner", TUNERS)
def test_full_disk_loses_nothing(tmp_path, tuner):
    search = Search.create(tmp_path / "full", description(tuner, TRIALS[tuner]))
    chance, failures = random.Random(0), 0
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    assignment = None
    while assignment != "done":
        if chance.random() < 0.5:
            size = (tmp_path / "full" / NAMES[0]).stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + chance.randrange(60), hard))
        try:
            assignment = assignment or search.next("a")
            if assignment != "done":
                assert search.finish(assignment["trial"], outcome(assignment["values"]), "a")
                assignment = None
        except UserError as error:
            failures += 1
            assert "cannot be written" in str(error)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    search.close()
    assert failures > 2
    quiet = Search.create(tmp_path / "quiet", description(tuner, TRIALS[tuner]))
    work(quiet)
    assert kept(tmp_path / "full") == kept(tmp_path / "quiet")


def test_threads_share_a_search(tmp_path):
    search = Search.create(tmp_path, description(trials=40))

    def worker(name):
        while (assignment := search.next(name)) != "done":
            if assignment != "wait":
                search.finish(assignment["trial"], outcome(assignment["values"]), name)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(worker, "abcd"))
    assert [trial.id for trial in search.trials] == [f"{n:04d}" for n in range(1, 41)]
    assert {trial.status for trial in search.trials} == {"completed"}
    search.close()
    Search.open(tmp_path).close()


def test_unopened_search_needs_neither_keras_nor_keras_tuner():
    """They take seconds to import."""
    code = "import sys, tuning.space, tuning.journal, tuning.search; print({'keras', 'keras_tuner'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.stdout.strip() == "set()", run.stderr
