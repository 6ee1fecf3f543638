"""Chief and workers finish each trial once, whichever process is killed."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import fake_runner
import pytest
from fake_search import FakeSearch, finished

from tuning import trials
from tuning.distributed import chief, local_workers, protocol
from zoo.errors import UserError

LEASE = 0.5  # seconds
HELPERS = Path(__file__).parents[1] / "helpers"
GOOD = {"status": "completed", "score": 0.5, "folds": [0.5], "reason": "", "epochs": 1, "seconds": 1.0}
FIRST, SECOND = {"worker": "a", "process": "p"}, {"worker": "b", "process": "q"}


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


class Serving:
    """A chief in a thread."""

    def __init__(self, folder, values, **options):
        self.search, self.folder, self.error, self.lines = FakeSearch(folder, values), folder, None, []
        options = {"runner": "fake_runner:trial", "lease_seconds": LEASE, "on_event": self.lines.append, **options}
        self.thread = threading.Thread(target=self._serve, args=(options,), daemon=True)
        self.thread.start()

    def _serve(self, options):
        try:
            chief.serve(self.search, self.folder, **options)
        except BaseException as error:
            self.error = error

    @property
    def access(self):
        until(lambda: self.lines)
        return protocol.load_access(self.folder / "chief.json")

    def ends(self):
        self.thread.join(20.0)
        assert not self.thread.is_alive()
        if self.error is not None:
            raise self.error
        return finished(self.folder)

    def post(self, path, token=None, **content):
        return protocol.post(protocol.Access(self.access.address, token or self.access.token), path, content, 5.0)


@contextmanager
def started(*command, **options):
    """Run a Python command in a process that is killed in the end."""
    process = subprocess.Popen([sys.executable, *map(str, command)], text=True, **options)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def remote(address, token, folder, *options):
    """Run a worker that no chief started."""
    command = ["-m", "tuning.distributed.worker", "--chief", address, "--folder", folder, "--name", "far"]
    environment = {**os.environ, protocol.TOKEN_VARIABLE: token}
    return started(*command, "--runner", "fake_runner:trial", *options, env=environment, stderr=subprocess.PIPE)


def test_two_workers_finish_each_trial_once_and_give_way_after_their_share(tmp_path):
    ended = Serving(tmp_path, [{"seconds": 0.1}] * 7, workers=2, trials_per_process=2).ends()
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
    again = Serving(tmp_path, [{}] * 7)  # nothing is left to do
    assert again.ends() == ended and again.lines == []


def test_stopped_worker_that_wakes_up_leaves_its_trial_to_another(tmp_path):
    serving = Serving(tmp_path, [{"seconds": 1.0}], workers=0)
    access = (serving.access.address, serving.access.token, tmp_path)
    with remote(*access) as first, remote(*access) as second:
        until(lambda: runs(tmp_path))
        time.sleep(1.2 * LEASE)  # heartbeats hold it beyond the lease
        assert len(runs(tmp_path)) == 1
        stopped, other = (first, second) if first.pid == runs(tmp_path)[0]["pid"] else (second, first)
        stopped.send_signal(signal.SIGSTOP)
        until(lambda: len(runs(tmp_path)) == 2)
        stopped.send_signal(signal.SIGCONT)
        assert len(serving.ends()) == 1
        assert (other.wait(5), stopped.wait(5)) == (0, 0)
    assert [run["pid"] for run in runs(tmp_path)] == [stopped.pid, other.pid]


def test_killed_or_interrupted_chief_leaves_no_orphan_and_resumes(tmp_path):
    """Its local worker ends, one elsewhere waits for the next chief; each trial is finished once."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    access, trials = protocol.Access(f"127.0.0.1:{port}", "secret"), 60
    protocol.save_access(tmp_path / "chief.json", access)
    with remote(access.address, access.token, tmp_path, "--trials-per-process", "4") as far:

        def orphans():
            return [pid for pid in {run["pid"] for run in runs(tmp_path)} - {far.pid} if alive(pid)]

        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
            before = len(finished(tmp_path))
            with started(HELPERS / "fake_search.py", tmp_path, trials, port, stdout=subprocess.DEVNULL) as process:
                until(lambda count=before: len(finished(tmp_path)) > count + 2)
                process.send_signal(number)
                assert process.wait(10) == (130 if number == signal.SIGTERM else -9)
            until(lambda: not orphans(), 5)
            assert len(finished(tmp_path)) < trials
        with started(HELPERS / "fake_search.py", tmp_path, trials, port, stdout=subprocess.DEVNULL) as process:
            codes = process.wait(60), far.wait(5)
            assert codes == (0, 0), far.stderr.read()
    assert not list(tmp_path.glob("chief*"))
    ended = finished(tmp_path)
    assert sorted(one["trial"] for one in ended) == [f"{n:04}" for n in range(1, trials + 1)]
    assert {one["worker"] for one in ended} == {"local-1", "far"}


def test_trial_of_a_killed_worker_is_run_again_at_once_but_not_a_fourth_time(tmp_path):
    serving = Serving(tmp_path, [{"deaths": 2}, {"deaths": 9}, {}], lease_seconds=60.0)
    again, failed, last = serving.ends()
    assert [len(runs(tmp_path, one["trial"])) for one in (again, failed, last)] == [3, 3, 1]
    assert again["status"] == last["status"] == "completed"
    assert (failed["trial"], failed["status"], failed["score"]) == ("0002", "failed", None)
    assert failed["reason"] == "its process died 3 times (exit code -9)"


def test_errors_of_a_trial_are_its_outcome(tmp_path):
    ended = Serving(tmp_path, [{"act": act} for act in ("mistake", "blank", "impossible")]).ends()
    assert [(one["status"], one["reason"]) for one in ended] == [
        ("failed", "ValueError: two lines"),
        ("failed", "ValueError: score of a trial's outcome cannot be nan"),
        ("infeasible", "pool below 1"),
    ]
    assert 'fail_with(ValueError("two\\nlines"))' in (tmp_path / "workers" / "1.log").read_text()


def test_full_disk_stops_the_search_and_leaves_the_trial_unfinished(tmp_path):
    serving = Serving(tmp_path, [{}, {"act": "fill"}, {}])
    with pytest.raises(UserError, match=r"0002.*local-1.*No space left.*--resume"):
        serving.ends()
    assert [one["trial"] for one in finished(tmp_path)] == ["0001"]
    assert serving.search.trials[1].status == "waiting"


def test_error_of_the_search_ends_the_chief(tmp_path, monkeypatch):
    monkeypatch.setattr(FakeSearch, "next", lambda *args: fake_runner.fail_with(UserError("all are infeasible")))
    serving = Serving(tmp_path, [{}], workers=0)
    assert serving.post("/next", **FIRST)[0] == 503
    with pytest.raises(UserError, match="all are infeasible"):
        serving.ends()


def test_worker_that_cannot_start_ends_the_search_with_the_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(local_workers, "_PAUSE_SECONDS", 0.01)
    serving = Serving(tmp_path, [{}], runner="no_such_module:trial")
    with pytest.raises(UserError, match=r"(?s)local-1 ended 5 times.*1.log.*No module named 'no_such_module'"):
        serving.ends()


def test_late_outcome_is_refused(tmp_path):
    serving = Serving(tmp_path, [{}], workers=0, lease_seconds=0.3)
    first, second = {**FIRST, "trial": "0001", "outcome": GOOD}, {**SECOND, "trial": "0001", "outcome": GOOD}
    status, answer = serving.post("/next", **FIRST)
    assert stat.S_IMODE((tmp_path / "chief.json").stat().st_mode) == 0o600
    assert json.loads((tmp_path / "chief.json").read_text())["pid"] == os.getpid()
    assert (status, answer["do"], answer["assignment"]["trial"]) == (200, "run", "0001")
    assert serving.post("/next", **SECOND)[1] == {"do": "wait"}
    assert serving.post("/beat", **first)[0] == 200
    until(lambda: serving.post("/next", **SECOND)[1]["do"] == "run")
    assert [serving.post(path, **first)[0] for path in ("/beat", "/finish")] == [409, 409]
    assert [serving.post("/finish", **second)[0] for _ in range(2)] == [200, 409]
    assert serving.post("/next", **FIRST)[1] == serving.post("/next", **SECOND)[1] == {"do": "done"}
    assert [one["worker"] for one in serving.ends()] == ["b"]


def test_chief_json_is_there_while_the_chief_runs_and_a_stale_one_is_noticed(tmp_path):
    place, former = tmp_path / "chief.json", tmp_path / "chief-interrupted.json"
    for content in ("{}", "[" * 5000, json.dumps({"address": 1, "token": "x"}), json.dumps({"token": "x\r\n"})):
        place.write_text(content)
        serving = Serving(tmp_path, [{}, {}], workers=0, lease_seconds=60.0)
        until(lambda one=serving: len(one.lines) == 2)
        assert "a former chief ended without removing" in serving.lines[1]
        serving.post("/next", **FIRST)
        serving.post("/finish", **FIRST, trial="0001", outcome={**GOOD, "status": "stop", "reason": "no memory"})
        with pytest.raises(UserError, match="no memory"):
            serving.ends()
        assert not place.exists() and protocol.load_access(former).token
    token = protocol.load_access(former).token
    port = int(protocol.load_access(former).address.rpartition(":")[2])
    serving = Serving(tmp_path, [{}], workers=0, lease_seconds=60.0, port=port)
    until(lambda: serving.lines)
    assert protocol.load_access(place).token == token  # workers elsewhere go on
    serving.post("/next", **FIRST)
    serving.post("/finish", **FIRST, trial="0001", outcome=GOOD)
    serving.post("/next", **FIRST)
    serving.ends()
    assert not list(tmp_path.glob("chief*"))
    protocol.save_access(place, protocol.Access("127.0.0.1:1", "old"))  # of one that was killed at the very end
    Serving(tmp_path, [{}]).ends()
    assert not list(tmp_path.glob("chief*"))


def test_an_outcome_that_the_search_refuses_fails_the_trial_with_the_reason(tmp_path, monkeypatch):
    finish = FakeSearch.finish

    def in_range(search, trial, outcome, worker):
        return finish(search, trial, trials.outcome(outcome, (-1.0, 0.4)), worker)

    monkeypatch.setattr(FakeSearch, "finish", in_range)
    refused = "score of a trial's outcome cannot be 0.5, expected -1 to 0.4"
    serving = Serving(tmp_path / "asked", [{}], workers=0, lease_seconds=60.0)
    serving.post("/next", **FIRST)
    assert serving.post("/finish", **FIRST, trial="0001", outcome=GOOD) == (400, {"error": refused})
    for score in (1e200, "0.5", True, None, 10**400, [[]]):
        assert serving.post("/finish", **FIRST, trial="0001", outcome={**GOOD, "score": score})[0] == 400
    assert serving.post("/finish", **FIRST, trial="0001", outcome={**GOOD, "score": 0.3, "folds": []})[0] == 200
    (failed,) = Serving(tmp_path / "worker", [{}]).ends()
    assert (failed["status"], failed["score"], failed["reason"]) == ("failed", None, f"refused: {refused}")


@pytest.mark.parametrize("path", ["/elsewhere", "/next", "/finish"])
def test_malformed_request_is_refused_and_stops_nothing(tmp_path, path):
    serving = Serving(tmp_path, [{}], workers=0, lease_seconds=60.0)
    serving.post("/next", **FIRST)
    names = {**FIRST, "trial": "0001", "process": "p\n" if path == "/next" else "p"}
    assert serving.post(path, **names, outcome={**GOOD, "folds": ["1"]})[0] == 400
    host, port = serving.access.address.split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"POST /next HTTP/1.1\r\nContent-Length: 50\r\n\r\n{")
    assert serving.post("/finish", **FIRST, trial="0001", outcome=GOOD)[0] == 200
    assert serving.post("/next", **FIRST)[1] == {"do": "done"}
    assert len(serving.ends()) == 1


def test_port_in_use_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"--port {port}.*in use.*another --port"):
            chief.serve(FakeSearch(tmp_path, [{}]), tmp_path, port=port)
    assert not (tmp_path / "chief.json").exists()


def test_worker_names_what_keeps_it_from_its_chief(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        absent = f"127.0.0.1:{free.getsockname()[1]}"
    there = Serving(tmp_path, [{}], workers=0).access.address
    wrong = [
        (absent, "secret", f"chief {absent}: cannot be reached for 0.2 s"),
        (there, "wrong", "refused the token"),
        (there, "", "expected the token"),
        ("host:99999", "secret", "--chief host:99999: expected HOST:PORT"),
    ]
    with ExitStack() as stack:
        workers = [stack.enter_context(remote(*access, tmp_path, "--patience", "0.2")) for *access, _ in wrong]
        for worker, (*_, message) in zip(workers, wrong, strict=True):
            _, printed = worker.communicate(timeout=10)
            assert worker.returncode == 2 and printed.startswith("error:") and message in printed


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
