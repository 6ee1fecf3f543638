"""Chief and workers, with trials that do nothing, finish each trial once, whichever process is killed."""

import http.client
import json
import os
import random
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import fake_runner
import pytest
from fake_search import FakeSearch

from tuning.distributed import chief, local_workers, protocol, worker
from tuning.distributed.leases import Desk
from zoo.errors import UserError

LEASE = 0.7  # seconds
HELPERS = Path(__file__).parents[1] / "helpers"
GOOD = {"status": "completed", "score": 0.5, "folds": [0.5], "reason": "", "epochs": 1, "seconds": 1.0}


@pytest.fixture(autouse=True)
def runner_on_path(monkeypatch):
    """Worker processes find fake_runner."""
    monkeypatch.setenv("PYTHONPATH", str(HELPERS))


def until(true, seconds=15.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def runs(folder, trial="0001"):
    """Return the record of each start of a trial, in order."""
    path = folder / "trials" / trial / "runs.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Serving:
    """A chief in a thread."""

    def __init__(self, folder, values, search=None, **options):
        self.search = search or FakeSearch(folder, values)
        self.folder, self.error, self.lines = folder, None, []
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

    def ends(self, seconds=20.0):
        self.thread.join(seconds)
        assert not self.thread.is_alive()
        if self.error is not None:
            raise self.error
        return self.search.finished() if isinstance(self.search, FakeSearch) else self.search.trials

    def post(self, path, token=None, **content):
        return protocol.post(protocol.Access(self.access.address, token or self.access.token), path, content, 5.0)


@contextmanager
def started(command, **options):
    """Run a Python command in a process that is killed in the end."""
    process = subprocess.Popen([sys.executable, *map(str, command)], stdout=subprocess.PIPE, text=True, **options)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def remote(access, folder, *options, token=True):
    """Run a worker that no chief started."""
    environment = {**os.environ, **({protocol.TOKEN_VARIABLE: access.token} if token else {})}
    command = ["-m", "tuning.distributed.worker", "--chief", access.address, "--folder", folder, "--name", "far"]
    return started([*command, "--runner", "fake_runner:trial", *options], env=environment, stderr=subprocess.PIPE)


def test_two_workers_finish_each_trial_once_and_give_way_after_their_share(tmp_path):
    serving = Serving(tmp_path, [{"seconds": 0.1}] * 7, workers=2, trials_per_process=2)
    ended = serving.ends()
    assert sorted(one["trial"] for one in ended) == [f"{n:04}" for n in range(1, 8)]
    assert {one["worker"] for one in ended} == {"local-1", "local-2"}
    assert fake_runner.DONE.items() <= ended[0].items()
    assert 0.1 <= ended[0]["seconds"] < 5
    starts = [run for n in range(1, 8) for run in runs(tmp_path, f"{n:04}")]
    assert len(starts) == 7
    shares = [[run["pid"] for run in starts].count(pid) for pid in {run["pid"] for run in starts}]
    assert max(shares) == 2 and len(shares) >= 4
    assert not any(run["keras"] for run in starts)
    assert stat.S_IMODE((tmp_path / "chief.json").stat().st_mode) == 0o600
    cores = local_workers.shares(sorted(os.sched_getaffinity(0)), 2)
    assert {tuple(run["cores"]) for run in starts} == set(map(tuple, cores))
    assert all(run["OMP_NUM_THREADS"] == str(len(run["cores"])) == run["TF_NUM_INTRAOP_THREADS"] for run in starts)
    assert {path.name for path in (tmp_path / "workers").iterdir()} == {"1.log", "2.log"}


def test_finished_search_starts_nothing(tmp_path):
    Serving(tmp_path, [{}], workers=1).ends()
    again = Serving(tmp_path, [{}], workers=1)
    again.ends()
    assert again.lines == []


@pytest.mark.parametrize("content", ['{"address": "a:1"', "[]", '{"address": "a:1", "token": ""}'])
def test_damaged_chief_json_is_replaced(tmp_path, content):
    (tmp_path / "chief.json").write_text(content)
    assert protocol.load_access(tmp_path / "chief.json") is None
    assert len(Serving(tmp_path, [{}]).ends()) == 1


def test_killed_local_workers_trial_is_taken_over_at_once(tmp_path):
    serving = Serving(tmp_path, [{"seconds": 0.5}], lease_seconds=60.0)
    until(lambda: runs(tmp_path))
    start = time.monotonic()
    os.kill(runs(tmp_path)[0]["pid"], signal.SIGKILL)
    until(lambda: len(runs(tmp_path)) == 2)
    assert time.monotonic() - start < 5
    assert [one["status"] for one in serving.ends()] == ["completed"]
    assert len(runs(tmp_path)) == 2


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_lost_remote_workers_trial_is_taken_over_after_the_lease(tmp_path, number):
    serving = Serving(tmp_path, [{"seconds": 1.2}], workers=0)
    with remote(serving.access, tmp_path) as first, remote(serving.access, tmp_path) as second:
        until(lambda: runs(tmp_path))
        time.sleep(1.2 * LEASE)  # heartbeats hold it beyond the lease
        assert len(runs(tmp_path)) == 1
        lost, other = (first, second) if first.pid == runs(tmp_path)[0]["pid"] else (second, first)
        lost.send_signal(number)
        start = time.monotonic()
        until(lambda: len(runs(tmp_path)) == 2)
        assert 0.5 * LEASE < time.monotonic() - start < 2.5
        lost.send_signal(signal.SIGCONT)  # one that was only stopped leaves the trial to the other
        assert len(serving.ends()) == 1
        assert (other.wait(5), lost.wait(5)) == (0, -9 if number == signal.SIGKILL else 0)
    assert len(runs(tmp_path)) == 2


def test_remote_worker_replaces_its_own_process(tmp_path):
    serving = Serving(tmp_path, [{}] * 2, workers=0)
    with remote(serving.access, tmp_path, "--trials-per-process", "1") as worker:
        assert len(serving.ends()) == 2
        assert worker.wait(5) == 0
        assert runs(tmp_path, "0002")[0]["pid"] == worker.pid


def test_trial_that_kills_its_process_three_times_has_failed(tmp_path):
    serving = Serving(tmp_path, [{"act": "die"}, {}])
    first, second = serving.ends()
    assert (first["trial"], first["status"], first["score"], first["folds"]) == ("0001", "failed", None, [])
    assert first["reason"] == "its process died 3 times (exit code -9)"
    assert second["status"] == "completed"
    assert len(runs(tmp_path)) == 3


def test_errors_of_a_trial_are_its_outcome(tmp_path):
    acts = ["lack", "mistake", "blank", "impossible"]
    ended = Serving(tmp_path, [{"act": act} for act in acts]).ends()
    assert [(one["status"], one["reason"]) for one in ended] == [
        ("failed", "MemoryError: no more"),
        ("failed", "ValueError: two lines"),
        ("failed", "ValueError: score: expected a finite number, found nan"),
        ("infeasible", "pool below 1"),
    ]
    assert 'fail_with(ValueError("two\\nlines"))' in (tmp_path / "workers" / "1.log").read_text()


def test_full_disk_stops_the_search_and_leaves_the_trial_unfinished(tmp_path):
    serving = Serving(tmp_path, [{}, {"act": "fill"}, {}])
    with pytest.raises(UserError, match=r"0002.*local-1.*No space left.*--resume"):
        serving.ends()
    assert [one["trial"] for one in serving.search.finished()] == ["0001"]
    assert serving.search.trials[1].status == "waiting"


def test_error_of_the_search_ends_the_chief(tmp_path):
    serving = Serving(tmp_path, [{}], workers=0)
    serving.search.on_next = lambda: (_ for _ in ()).throw(UserError("every trial is infeasible"))
    assert serving.post("/next", worker="a", process="p")[0] == 503
    with pytest.raises(UserError, match="every trial is infeasible"):
        serving.ends()


def test_worker_that_cannot_start_ends_the_search_with_the_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(local_workers, "_PAUSE_SECONDS", 0.01)
    serving = Serving(tmp_path, [{}], runner="no_such_module:trial")
    with pytest.raises(UserError, match=r"local-1 ended 5 times(.|\n)*1.log(.|\n)*No module named 'no_such_module'"):
        serving.ends()
    assert serving.search.finished() == []


def test_late_outcome_is_refused(tmp_path):
    serving = Serving(tmp_path, [{}], workers=0, lease_seconds=0.4)
    first, second = {"worker": "a", "process": "p"}, {"worker": "b", "process": "q"}
    status, answer = serving.post("/next", **first)
    assert (status, answer["do"], answer["assignment"]["trial"]) == (200, "run", "0001")
    assert serving.post("/next", **second)[1] == {"do": "wait"}
    assert serving.post("/beat", **first, trial="0001", running=True)[0] == 200
    until(lambda: serving.post("/next", **second)[1]["do"] == "run")
    assert serving.post("/beat", **first, trial="0001", running=True)[0] == 409
    assert serving.post("/finish", **first, trial="0001", outcome=GOOD)[0] == 409
    assert serving.search.finished() == []
    assert serving.post("/finish", **second, trial="0001", outcome=GOOD)[0] == 200
    assert serving.post("/finish", **second, trial="0001", outcome=GOOD)[0] == 409
    assert serving.post("/next", **first)[1] == serving.post("/next", **second)[1] == {"do": "done"}
    assert [one["worker"] for one in serving.ends()] == ["b"]


def test_trial_whose_answer_was_lost_is_handed_out_again(tmp_path):
    desk = Desk(FakeSearch(tmp_path, [{}]), 60.0, print)
    assert desk.next("a", "p")["assignment"]["trial"] == "0001"
    assert desk.next("a", "p")["assignment"]["trial"] == "0001"
    assert desk.next("a", "q") == {"do": "wait"}


def test_trial_proposed_for_a_process_that_died_meanwhile_is_released(tmp_path):
    search = FakeSearch(tmp_path, [{}])
    desk = Desk(search, 60.0, print)
    search.on_next = lambda: desk.process_ended("a", "p", -9)
    assert desk.next("a", "p") == {"do": "wait"}
    search.on_next = lambda: None
    assert desk.next("a", "q")["do"] == "run"


def test_chief_that_was_stopped_extends_the_leases(tmp_path):
    desk = Desk(FakeSearch(tmp_path, [{}]), 0.2, print)
    desk.next("a", "p")
    time.sleep(0.3)
    desk.expire()
    assert desk.beat("p", "0001", True)
    for _ in range(5):
        time.sleep(0.06)
        desk.expire()
    assert not desk.beat("p", "0001", True)


def test_wrong_or_absent_token_is_refused(tmp_path):
    serving = Serving(tmp_path, [{}], workers=0)
    for token in ("wrong", "é", serving.access.token[:-1]):
        assert serving.post("/next", token=token, worker="a", process="p")[0] == 403
    for path in ("/next", "/elsewhere"):
        assert ask(serving.access, path, b"{}", {}) == 403
    assert serving.search.trials[0].status == "waiting"
    token = {protocol.TOKEN_HEADER: serving.access.token}
    assert ask(serving.access, "/elsewhere", b"", token) == 404


def ask(access, path, body, headers):
    """POST a body; return the status of the answer."""
    connection = http.client.HTTPConnection(access.address, timeout=5)
    connection.request("POST", path, body, headers)
    return connection.getresponse().status


NAMES = {"worker": "a", "process": "p", "trial": "0001"}
JUNK = [
    b"", b"{", b"[]", b"3", b"\xff\xfe", b"[" * 100_000, b'{"worker": NaN}', b"{}",
    *(json.dumps({**NAMES, "worker": worker}).encode() for worker in (3, "a\nb", "a" * 101, "\ud800")),
]  # fmt: skip
BAD_OUTCOMES = [
    None, [], {}, {**GOOD, "status": "won"}, {**GOOD, "status": []}, {**GOOD, "score": None}, {**GOOD, "score": "1"},
    {**GOOD, "score": True}, {**GOOD, "folds": [None]}, {**GOOD, "folds": 3}, {**GOOD, "epochs": -1},
    {**GOOD, "epochs": 1.5}, {**GOOD, "seconds": -1}, {**GOOD, "reason": "a\nb"}, {**GOOD, "reason": "a" * 3000},
    {**GOOD, "score": 10**400}, {**GOOD, "status": "pruned", "score": None},
]  # fmt: skip


def test_malformed_requests_are_refused_and_stop_nothing(tmp_path, rng):
    serving = Serving(tmp_path, [{}], workers=0, lease_seconds=60.0)
    token = {protocol.TOKEN_HEADER: serving.access.token}
    serving.post("/next", worker="a", process="p")
    for body in (*JUNK, rng.bytes(1000)):
        for path in ("/next", "/beat", "/finish"):
            assert ask(serving.access, path, body, token) == 400, (path, body[:50])
    for outcome in BAD_OUTCOMES:
        body = json.dumps({**NAMES, "outcome": outcome}).encode()
        assert ask(serving.access, "/finish", body, token) == 400, outcome
    infinite = json.dumps({**NAMES, "outcome": GOOD}).replace("0.5", "1e999").encode()
    assert ask(serving.access, "/finish", infinite, token) == 400
    for length in ("-1", "1e3", "99999999", "9" * 5000, "x"):
        assert ask(serving.access, "/next", b"", {**token, "Content-Length": length}) == 400
    host, port = serving.access.address.split(":")
    for garbage in (rng.bytes(300), b"GET\r\n\r\n", b"POST /next HTTP/1.1\r\nContent-Length: 50\r\n\r\n{", b"\n" * 99):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(garbage)
    assert serving.search.finished() == []
    assert serving.post("/finish", **NAMES, outcome=GOOD)[0] == 200
    assert serving.post("/next", worker="a", process="p")[1] == {"do": "done"}
    assert len(serving.ends()) == 1


def test_port_in_use_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"--port {port}.*in use.*another --port"):
            chief.serve(FakeSearch(tmp_path, [{}]), tmp_path, port=port)
    with pytest.raises(UserError, match="--port 70000"):
        chief.serve(FakeSearch(tmp_path, [{}]), tmp_path, port=70000)
    assert not (tmp_path / "chief.json").exists()


def test_worker_without_a_chief_names_its_address(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with remote(protocol.Access(address, "secret"), tmp_path, "--patience", "0.2") as worker:
        _, message = worker.communicate(timeout=10)
        assert worker.returncode == 2
        assert message.startswith(f"error: chief {address}: cannot be reached for 0.2 s")
        assert "--resume" in message


@pytest.mark.parametrize("address", ["", "host", "host:", ":80", "host:http", "host:99999"])
def test_address_must_be_host_and_port(address):
    with pytest.raises(UserError, match=r"--chief .*expected HOST:PORT"):
        worker._access(address)


def test_worker_with_a_wrong_token_or_none_says_so(tmp_path):
    access = protocol.Access(Serving(tmp_path, [{}], workers=0).access.address, "wrong")
    with remote(access, tmp_path) as wrong, remote(access, tmp_path, token=False) as none:
        for worker, words in ((wrong, "refused the token"), (none, "expected the token")):
            _, message = worker.communicate(timeout=10)
            assert worker.returncode == 2
            assert message.startswith("error:") and words in message


def chief_process(folder, trials, port=0, workers=1, seconds=0.05):
    command = [HELPERS / "fake_search.py", folder, trials, port, workers, seconds]
    # SIGINT is ignored in processes that a shell starts with &.
    return started(command, stderr=subprocess.STDOUT, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


def finished(folder):
    return FakeSearch.finished(SimpleNamespace(file=folder / "finished.jsonl"))


def all_pids(folder):
    return {run["pid"] for trial in (folder / "trials").glob("*") for run in runs(folder, trial.name)}


def test_chief_killed_again_and_again_finishes_each_trial_once(tmp_path):
    chance, trials = random.Random(0), 120  # more than a fast machine finishes between the kills
    for kill in range(10):
        before = len(finished(tmp_path))
        with chief_process(tmp_path, trials, workers=2, seconds=0.02) as process:
            if kill % 2:
                until(lambda count=before: len(finished(tmp_path)) > count)
            time.sleep(chance.uniform(0.0, 0.1 if kill % 2 else 0.5))
            process.kill()
        until(lambda: not any(map(alive, all_pids(tmp_path))), 5)  # sooner than by patience or lease
    assert 5 <= len(finished(tmp_path)) < trials  # no kill came too early or too late
    with chief_process(tmp_path, trials, workers=2, seconds=0.02) as process:
        assert process.wait(60) == 0
    assert sorted(one["trial"] for one in finished(tmp_path)) == [f"{n:04}" for n in range(1, trials + 1)]


def test_remote_worker_goes_on_with_a_chief_that_was_killed_and_started_again(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with chief_process(tmp_path, 4, port, workers=0, seconds=0.3) as first:
        until((tmp_path / "chief.json").exists)
        access = protocol.load_access(tmp_path / "chief.json")
        with remote(access, tmp_path) as worker:
            until(lambda: finished(tmp_path))
            first.kill()
            first.wait()
            with chief_process(tmp_path, 4, port, workers=0, seconds=0.3) as second:
                assert second.wait(20) == 0
                assert worker.wait(5) == 0
    assert protocol.load_access(tmp_path / "chief.json") == access
    assert [one["trial"] for one in finished(tmp_path)] == ["0001", "0002", "0003", "0004"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_leaves_no_orphan(tmp_path, number):
    with chief_process(tmp_path, 99, workers=2, seconds=0.2) as process:
        until(lambda: finished(tmp_path) and len(all_pids(tmp_path)) == 2)
        process.send_signal(number)
        assert process.wait(10) == 130
        assert not any(map(alive, all_pids(tmp_path)))
    assert 0 < len(finished(tmp_path)) < 99


def test_process_of_a_runner_without_heartbeat_ends_when_its_trial_is_lost(tmp_path):
    serving = Serving(tmp_path, [{"seconds": 60.0, "no_heartbeat": True}], workers=0)
    other = {"worker": "b", "process": "q"}
    with remote(serving.access, tmp_path) as worker:
        until(lambda: runs(tmp_path))
        worker.send_signal(signal.SIGSTOP)
        until(lambda: serving.post("/next", **other)[1]["do"] == "run")
        worker.send_signal(signal.SIGCONT)
        assert "runner did not stop" in worker.stderr.readline()
        assert serving.post("/finish", **other, trial="0001", outcome=GOOD)[0] in (200, 409)
        until(lambda: worker.poll() == 0 or len(runs(tmp_path)) == 2)


def test_shares_divide_the_cores():
    assert local_workers.shares([0, 1, 2, 3, 4], 2) == [[0, 1], [2, 3, 4]]
    assert local_workers.shares([0, 1], 3) == [[0], [1], [0]]
    for n in range(1, 9):
        assert [core for share in local_workers.shares(list(range(8)), n) for core in share] == list(range(8))


def test_settings_give_each_worker_its_gpu(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-a")
    gpus = local_workers.visible_gpus()
    assert gpus == ["3", "GPU-a"]
    found = [local_workers.settings(index, 3, [0], gpus, None) for index in range(3)]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in found] == ["3", "GPU-a", "3"]
    assert found[0]["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    assert local_workers.settings(0, 1, [], gpus, None) == {}
    assert local_workers.settings(0, 1, [], [], 4)["TF_NUM_INTEROP_THREADS"] == "4"
    for none in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", none)
        assert local_workers.visible_gpus() == []


@pytest.mark.slow
def test_real_search_with_a_killed_worker_ends_complete(tmp_path):
    from tuning.search import Search, read

    space = {"learning_rate": {"low": 1e-4, "high": 1e-2, "sampling": "log"}, "batch_size": [16, 32, 64]}
    description = {"model": "attention_fcn", "base": {}, "space": space, "tuner": "random", "trials": 6}
    search = Search.create(tmp_path, description)
    serving = Serving(tmp_path, None, search, workers=2, runner="fake_runner:slow_trial", lease_seconds=30.0)
    until(lambda: runs(tmp_path, "0002"))
    os.kill(runs(tmp_path, "0002")[0]["pid"], signal.SIGKILL)
    trials = serving.ends()
    search.close()
    assert [trial.status for trial in trials] == ["completed"] * 6
    assert {trial.worker for trial in trials} == {"local-1", "local-2"}
    assert [len(runs(tmp_path, trial.id)) for trial in trials] == [1, 2, 1, 1, 1, 1]
    assert read(tmp_path)[2] == trials
    with closing(Search.open(tmp_path)) as again:
        assert again.next("anyone") == "done"
