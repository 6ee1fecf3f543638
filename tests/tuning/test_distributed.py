"""Workers on this machine finish each trial once, whichever process is killed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import fake_runner
import pytest
from fake_search import FakeSearch, finished

from tuning import trials
from tuning.distributed.drive import drive, on_this_machine
from zoo.distributed import local_workers
from zoo.distributed.pool import Task
from zoo.errors import UserError

HELPERS = Path(__file__).parents[1] / "helpers"


@pytest.fixture(autouse=True)
def runner_on_path(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HELPERS), str(HELPERS.parents[1])]))


def until(true, seconds=15.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def runs(folder, trial="*"):
    """Return the record of each start of a trial, in order."""
    files = sorted(folder.glob(f"trials/{trial}/runs.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Driving:
    """A driver in a thread."""

    def __init__(self, folder, values, runner="fake_runner:trial", workers=1, **options):
        self.search, self.folder, self.error, self.lines = FakeSearch(folder, values), folder, None, []
        pool = on_this_machine(workers, folder, runner=runner, **options)
        self.thread = threading.Thread(target=self._drive, args=(pool,), daemon=True)
        self.thread.start()

    def _drive(self, pool):
        try:
            drive(self.search, pool, self.lines.append)
        except BaseException as error:
            self.error = error

    def ends(self):
        self.thread.join(20.0)
        assert not self.thread.is_alive()
        if self.error is not None:
            raise self.error
        return finished(self.folder)


@contextmanager
def started(*command, **options):
    """Run a Python command in a process that is killed in the end."""
    process = subprocess.Popen([sys.executable, *map(str, command)], text=True, **options)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_two_workers_finish_each_trial_once_and_give_way_after_their_share(tmp_path):
    ended = Driving(tmp_path, [{"seconds": 0.1}] * 7, workers=2, per_process=2).ends()
    assert sorted(one["trial"] for one in ended) == [f"{n:04}" for n in range(1, 8)]
    assert {one["worker"] for one in ended} == {"local-1", "local-2"}
    assert fake_runner.DONE.items() <= ended[0].items() and 0.1 <= ended[0]["seconds"] < 5
    starts = runs(tmp_path)
    shares = [[run["pid"] for run in starts].count(pid) for pid in {run["pid"] for run in starts}]
    assert (sum(shares), max(shares)) == (7, 2)
    assert not any(run["keras"] for run in starts)
    cores = local_workers.shares(sorted(os.sched_getaffinity(0)), 2)
    assert {tuple(run["cores"]) for run in starts} == set(map(tuple, cores))
    assert all(run["threads"] == str(len(run["cores"])) for run in starts)
    assert {path.name for path in (tmp_path / "workers").iterdir()} == {"1.log", "2.log"}
    again = Driving(tmp_path, [{}] * 7)  # nothing is left to do
    assert again.ends() == ended and again.lines == []


def test_killed_or_interrupted_driver_leaves_no_orphan_and_resumes(tmp_path):
    """Its worker ends with it, at any moment; each trial is finished once."""
    n_trials = 40
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        before = len(finished(tmp_path))
        with started(HELPERS / "fake_search.py", tmp_path, n_trials, stdout=subprocess.DEVNULL) as process:
            until(lambda count=before: len(finished(tmp_path)) > count + 2)
            process.send_signal(number)
            assert process.wait(10) == (130 if number == signal.SIGTERM else -9)
        until(lambda: not any(alive(run["pid"]) for run in runs(tmp_path)), 5)
        assert len(finished(tmp_path)) < n_trials
    with started(HELPERS / "fake_search.py", tmp_path, n_trials, stdout=subprocess.DEVNULL) as process:
        assert process.wait(60) == 0
    assert sorted(one["trial"] for one in finished(tmp_path)) == [f"{n:04}" for n in range(1, n_trials + 1)]


def test_no_port_is_opened(tmp_path):
    driving = Driving(tmp_path, [{"seconds": 0.5}])
    until(lambda: runs(tmp_path))
    (worker,) = runs(tmp_path)
    for pid in (os.getpid(), worker["pid"]):
        inodes = {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()}
        tables = [Path(f"/proc/{pid}/net/{name}").read_text() for name in ("tcp", "tcp6")]
        listening = [line.split() for table in tables for line in table.splitlines()]
        assert not [one for one in listening if one[3] == "0A" and f"socket:[{one[9]}]" in inodes]
    assert len(driving.ends()) == 1


def test_trial_of_a_killed_worker_is_run_again_at_once_but_not_a_fourth_time(tmp_path):
    driving = Driving(tmp_path, [{"deaths": 2}, {"deaths": 9}, {}])
    again, failed, last = driving.ends()
    assert [len(runs(tmp_path, one["trial"])) for one in (again, failed, last)] == [3, 3, 1]
    assert again["status"] == last["status"] == "completed"
    assert (failed["trial"], failed["status"], failed["score"]) == ("0002", "failed", None)
    assert failed["reason"] == "its worker died 3 times (exit code -9)"


def test_errors_of_a_trial_are_its_outcome(tmp_path):
    ended = Driving(tmp_path, [{"act": act} for act in ("mistake", "blank", "impossible")]).ends()
    assert [(one["status"], one["reason"]) for one in ended] == [
        ("failed", "ValueError: two lines"),
        ("failed", "ValueError: score of a trial's outcome cannot be nan"),
        ("infeasible", "pool below 1"),
    ]
    assert 'fail_with(ValueError("two\\nlines"))' in (tmp_path / "workers" / "1.log").read_text()


def test_full_disk_stops_the_search_and_leaves_the_trial_unfinished(tmp_path):
    driving = Driving(tmp_path, [{}, {"act": "fill"}, {}])
    with pytest.raises(UserError, match=r"0002.*local-1.*No space left.*--resume"):
        driving.ends()
    assert [one["trial"] for one in finished(tmp_path)] == ["0001"]
    assert driving.search.trials[1].status == "waiting"


def test_error_of_the_search_ends_the_driver(tmp_path, monkeypatch):
    monkeypatch.setattr(FakeSearch, "next", lambda *args: fake_runner.fail_with(UserError("all are infeasible")))
    with pytest.raises(UserError, match="all are infeasible"):
        Driving(tmp_path, [{}]).ends()


def test_worker_that_cannot_start_ends_the_search_with_the_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(local_workers, "_PAUSE_SECONDS", 0.01)
    driving = Driving(tmp_path, [{}], runner="no_such_module:trial")
    with pytest.raises(UserError, match=r"(?s)local-1 ended 5 times.*1.log.*No module named 'no_such_module'"):
        driving.ends()


def test_worker_that_dies_between_two_trials_is_replaced(tmp_path):
    pool = on_this_machine(1, tmp_path, runner="fake_runner:trial")

    def outcome(number, values):
        name = f"{number:04}"
        pool.start(pool.free()[0], Task(name, {"trial": name, "values": values}, f"trials/{name}"))
        while not (ended := pool.wait(5.0)):
            pass
        return ended[0].outcome

    try:
        assert outcome(1, {})["status"] == "completed"
        os.kill(runs(tmp_path)[0]["pid"], signal.SIGKILL)
        until(lambda: not alive(runs(tmp_path)[0]["pid"]))
        while ended := pool.wait(0.1):
            assert not ended
        assert outcome(2, {})["status"] == "completed"
    finally:
        pool.close()


def test_an_outcome_that_the_search_refuses_fails_the_trial_with_the_reason(tmp_path, monkeypatch):
    finish = FakeSearch.finish

    def in_range(search, trial, outcome, worker):
        return finish(search, trial, trials.outcome(outcome, (-1.0, 0.4)), worker)

    monkeypatch.setattr(FakeSearch, "finish", in_range)
    (failed,) = Driving(tmp_path, [{}]).ends()
    refused = "refused: score of a trial's outcome cannot be 0.5, expected -1 to 0.4"
    assert (failed["status"], failed["score"], failed["reason"]) == ("failed", None, refused)


def test_old_ways_to_start_workers_elsewhere_say_what_replaced_them(tmp_path, script):
    for words in (("--host", "0.0.0.0"), ("--port", "8765")):
        code, _, said = script("tune.py", "--out", tmp_path, "--resume", *words)
        assert code == 2 and f"{words[0]} {words[1]}" in said and "--ray ADDRESS" in said
    command = [sys.executable, "-m", "tuning.distributed.worker", "--chief", "10.0.0.5:8765"]
    ended = subprocess.run(command, cwd=HELPERS.parents[1], capture_output=True, text=True)
    assert ended.returncode == 2 and ended.stderr.startswith("error:") and "--ray" in ended.stderr


def test_each_worker_has_its_cores_and_gpu(monkeypatch):
    assert local_workers.shares([0, 1, 2, 3, 4], 2) == [[0, 1], [2, 3, 4]]
    assert local_workers.shares([0, 1], 3) == [[0], [1], [0]]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-a")
    gpus = local_workers.visible_gpus()
    assert gpus == ["3", "GPU-a"]
    found = [local_workers.settings(index, 3, [0], gpus, None) for index in range(3)]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in found] == ["3", "GPU-a", "3"]
    assert found[0]["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    assert local_workers.settings(0, 1, [], gpus, None) == {}
    assert local_workers.settings(0, 1, [], [], 4)["TF_NUM_INTEROP_THREADS"] == "4"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert local_workers.visible_gpus() == []
