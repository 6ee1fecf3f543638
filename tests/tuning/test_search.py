"""A search that is killed, resumed, raised or out of disk space ends as an undisturbed one."""

import json
import multiprocessing
import os
import random
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import pytest

from tuning import oracles
from tuning import trials as records
from tuning.journal import Journal
from tuning.replay import read
from tuning.search import Search
from tuning.space import TUNERS
from zoo.errors import UserError

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
    score = 0.5 - abs(values["learning_rate"] - 2e-3) + values.get("batch_size", 0) / 1000
    return {"status": "completed", "score": score, "folds": [score] * 3, "epochs": 4, "seconds": 0.5}


def infeasible(flags):
    """Refuse one trial in four, by its values."""
    return "too fast" if int(flags["learning_rate"] * 1e7) % 4 == 0 else None


def work(search, log=None):
    """Run trials until none is left; `log` gets a line once a trial's outcome is on disk."""
    while (assignment := search.next("worker")) != "done":
        assert search.finish(assignment["trial"], outcome(assignment["values"]), "worker")
        if log:
            with log.open("a") as file:
                file.write(f"{assignment['trial']}\n")


def kept(folder):
    return [(t.id, t.values, t.epochs, t.parent, t.status, t.score) for t in read(folder).trials]


def killed_after(acts, folder, log):
    """Run trials until this process kills itself, at one of the acts that write the journal."""
    left = iter(range(acts))

    def or_kill(act):
        def acting(*args):
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return act(*args)

        return acting

    write = os.write
    os.write = or_kill(lambda file, line: write(file, line[:40]))  # a line takes several
    os.fsync, os.replace = or_kill(os.fsync), or_kill(os.replace)
    work(Search.open(folder, feasible=infeasible), log)


@pytest.mark.parametrize("tuner", TUNERS)
def test_killed_search_ends_as_an_undisturbed_one(tmp_path, tuner):
    folder, log = tmp_path / "killed", tmp_path / "log"
    log.touch()
    for each in (folder, tmp_path / "quiet"):
        Search.create(each, description(tuner, TRIALS[tuner]), infeasible).close()
    for kill in range(7):
        child = FORK.Process(target=killed_after, args=(TRIALS[tuner] * 3 // 4 * kill, folder, log))
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL
        assert set(log.read_text().split()) <= {t.id for t in read(folder).trials if t.status == "completed"}
    assert log.read_text()
    for each in (folder, tmp_path / "quiet"):
        with closing(Search.open(each, feasible=infeasible)) as search:
            work(search)
    assert kept(folder) == kept(tmp_path / "quiet")
    statuses = [trial.status for trial in read(folder).trials]
    assert statuses.count("completed") == TRIALS[tuner] and set(statuses) <= {"completed", "infeasible"}


def test_running_trials_are_handed_out_again_first_and_no_more_than_asked_for(tmp_path):
    search = Search.create(tmp_path, description(trials=3))
    first, second = search.next("a"), search.next("b")
    search.finish(first["trial"], outcome(first["values"]), "a")
    search.close()
    search = Search.open(tmp_path)
    assert [trial.status for trial in search.trials] == ["completed", "waiting"]
    assert search.next("c") == second
    assert search.trials[1].worker == "c"
    search.release(second["trial"])
    assert search.next("d") == second
    assert search.next("e")["trial"] == "0003"
    assert search.next("f") == "wait"
    assert search.finish(second["trial"], outcome(second["values"]), "c")  # it was not dead after all
    assert not search.finish(second["trial"], {"status": "failed"}, "d")
    assert search.trials[1].status == "completed"


def test_assignment_is_json_and_complete(tmp_path):
    search = Search.create(tmp_path, description("hyperband", inner_folds=2))
    assignment = search.next("a")
    assert json.loads(json.dumps(assignment)) == assignment
    values = assignment.pop("values")
    flags = {"model": "fcn", "corpus": "ravdess", "option": {"dropout": 0.1}, **values}
    rest = {"trial": "0001", "epochs": 1, "parent": None, "inner_folds": 2, "prune_below": None}
    assert assignment == {"flags": flags, **rest}
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
    header, asked, again, _ = read(tmp_path)
    assert (header["model"], asked, again) == ("fcn", 3, search.trials)


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
    search.close()
    with closing(Search.open(tmp_path)) as search:
        assert search.next("a") == "done"
        assert sorted(trial.values["batch_size"] for trial in search.trials) == [8, 16, 32]


def test_number_of_trials_can_be_raised_but_not_below_the_finished_ones(tmp_path):
    search = Search.create(tmp_path, description(trials=3))
    work(search)
    with pytest.raises(UserError, match="--trials is 2, but 3 trials are finished"):
        search.raise_to(2)
    search.raise_to(5)
    search.close()
    with closing(Search.open(tmp_path)) as search:
        work(search)
    work(Search.create(tmp_path / "quiet", description(trials=5)))
    assert kept(tmp_path / "quiet") == kept(tmp_path)
    assert len(kept(tmp_path)) == 5


@pytest.mark.parametrize(
    ("expect", "message"),
    [
        ({"model": "attention_fcn"}, "model was 'fcn', now 'attention_fcn'"),
        ({"corpus": "iemocap"}, "corpus was 'ravdess', now 'iemocap'"),
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
    same = {"model": "fcn", "corpus": "ravdess", "protocol": "", "space": SPACE, "tuner": "random"}
    Search.open(tmp_path, same).close()


def test_other_version_and_tuner_with_other_proposals_are_refused(tmp_path, monkeypatch):
    search = Search.create(tmp_path, description())
    work(search)
    search.close()
    monkeypatch.setattr("tuning.search.__version__", "9.9")
    with pytest.raises(UserError, match=r"version was '[\d.]+', now '9\.9'"):
        Search.open(tmp_path)
    monkeypatch.undo()
    make = oracles.make
    monkeypatch.setattr(oracles, "make", lambda tuner, space, seed, *more: make(tuner, space, 1, *more))
    with pytest.raises(UserError, match=r"expected the tuner to propose .*'0001'.* again"):
        Search.open(tmp_path)
    monkeypatch.undo()
    Search.open(tmp_path).close()  # the refused one has let go


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trials": 0}, "--trials is 0"),
        ({"tuner": "bayesian", "prune": "median"}, "--prune goes with the tuners random and grid"),
        ({"max_epochs": 9}, "--max-epochs 9 goes with the tuner hyperband"),
        ({"tuner": "hyperband", "max_epochs": 0}, "--max-epochs is 0"),
        ({"tuner": "hyperband", "space": {"epochs": [1, 2]}}, "epochs is in the space"),
        ({"space": {"learning_rat": [1]}}, "Did you mean 'learning_rate'"),
    ],
)
def test_invalid_description_is_refused(tmp_path, changes, message):
    tuner = changes.get("tuner", "random")
    with pytest.raises(UserError) as caught:
        Search.create(tmp_path / "new", {**description(tuner), **changes})
    assert message in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_search_ends_when_every_combination_is_infeasible(tmp_path):
    search = Search.create(tmp_path, description(), lambda flags: "pool_size 9 leaves nothing")
    for _ in range(2):
        with pytest.raises(UserError, match=r"last 100 .* infeasible: pool_size 9 leaves nothing \(100 times"):
            search.next("a")
    assert len(search.trials) == 100


def test_prune_below_is_the_median_of_means_of_first_folds(tmp_path):
    search = Search.create(tmp_path, description(trials=9, prune="median"))
    folds = [[0.1, 0.2, 0.3], [0.2, 0.2, 0.2], [0.3, 0.0, 0.0], [0.9, 0.9, 0.9], [0.0, 0.0, 0.6]]
    for scores in folds:
        assignment = search.next("a")
        assert assignment["prune_below"] is None
        search.finish(assignment["trial"], {"status": "completed", "score": 1.0, "folds": scores}, "a")
    # First folds 0 .1 .2 .3 .9; means of two 0 .15 .15 .2 .9; of three .1 .2 .2 .2 .9.
    assert search.next("a")["prune_below"] == pytest.approx([0.2, 0.15, 0.2])


@pytest.mark.parametrize("tuner", TUNERS)
def test_full_disk_loses_nothing(tmp_path, tuner, monkeypatch):
    work(Search.create(tmp_path / "quiet", description(tuner, TRIALS[tuner])))
    append, chance = Journal.append, random.Random(0)

    def full_at_times(journal, event, sync=True):
        if chance.random() < 0.3:
            raise UserError("cannot be written")
        append(journal, event, sync)

    def persist(act, *args):
        while True:
            with suppress(UserError):
                return act(*args)

    monkeypatch.setattr(Journal, "append", full_at_times)
    search = Search.create(tmp_path / "full", description(tuner, TRIALS[tuner]))
    while (assignment := persist(search.next, "a")) != "done":
        assert persist(search.finish, assignment["trial"], outcome(assignment["values"]), "a")
    assert kept(tmp_path / "full") == kept(tmp_path / "quiet")


def test_events_of_a_group_reach_the_disk_together_and_a_kill_loses_none(tmp_path, monkeypatch):
    search, synced = Search.create(tmp_path, description(trials=40)), []
    monkeypatch.setattr("os.fsync", lambda file, sync=os.fsync: synced.append(sync(file)))
    with search.together():
        begun = [search.next("a") for _ in range(10)]
        assert not synced and len(read(tmp_path).trials) == 10, (
            "they are in the files already: a kill leaves them there"
        )
    assert len(synced) == 2  # one of each file
    search.finish(begun[0]["trial"], outcome(begun[0]["values"]), "a")
    assert len(synced) == 4


def test_threads_share_a_search(tmp_path):
    search = Search.create(tmp_path, description(trials=40))

    def worker(name):
        while (assignment := search.next(name)) != "done":
            if assignment != "wait":
                search.finish(assignment["trial"], outcome(assignment["values"]), name)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(worker, "abcd"))
    assert [(t.id, t.status) for t in read(tmp_path).trials] == [(f"{n:04d}", "completed") for n in range(1, 41)]
