"""Each item of a list is in the results once and in order, whatever is killed and however many workers there are."""

import csv
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import fake_shards
import pytest
from fake_shards import SUFFIX, InProcess, lines

from zoo.distributed import shards
from zoo.distributed.drive import drive
from zoo.distributed.local_workers import LocalWorkers
from zoo.errors import UserError

HELPERS = Path(__file__).parents[1] / "helpers"
NAMES = [f"item {number}" for number in range(25)]


@pytest.fixture(autouse=True)
def fakes_on_path(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HELPERS), str(HELPERS.parents[1])]))


def work(folder, items, workers=0, size=4, about=None, resume=False):
    """Do all work; return the shards and what was said. Without workers, this process does it."""
    said = []
    with shards.opened(folder, about or {}, iter(items), size, SUFFIX, resume) as found:
        pool = LocalWorkers(workers, folder, fake_shards.job()) if workers else InProcess(folder, fake_shards.job())
        drive(found, pool, said.append)
        found.collect_failed()
    return found, [line for line in said if line]


def failures(folder):
    with (folder / "failed.csv").open(newline="") as file:
        return [(row["file"], row["kind"], row["error"]) for row in csv.DictReader(file)]


def until(true, seconds=30.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def contents(folder):
    return {path.name: path.read_bytes() for path in (folder / "shards").iterdir()}


def test_any_number_of_workers_makes_the_same_files_also_where_two_of_them_die(tmp_path):
    items = [*NAMES[:9], "die-2", *NAMES[9:], "bad"]
    found, said = work(tmp_path / "three", items, workers=3)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "die-2.starts").write_text("xx")  # it died twice already
    work(tmp_path / "here", items)
    assert contents(tmp_path / "three") == contents(tmp_path / "here")
    assert lines(tmp_path / "three") == items[:-1]
    assert (found.done, found.lost, len(found)) == (7, 0, 7)
    assert [line.partition(" ")[2] for line in said] == ["was lost with shard 000002: exit code -9"] * 2
    assert not list((tmp_path / "three" / "shards").glob(".writing*"))
    assert failures(tmp_path / "three") == [("bad", "silent", "bad: expected speech")]


def test_shard_that_kills_its_worker_three_times_is_named_and_made_by_a_later_resume(tmp_path):
    items = [*NAMES[:5], "die-3", *NAMES[5:]]
    found, said = work(tmp_path, items, workers=2)
    lost = items[4:8]
    assert lines(tmp_path) == [name for name in items if name not in lost]
    reason = "shard 000001 was given up: its worker died 3 times (exit code -9)"
    assert failures(tmp_path) == [(name, "lost", f"{name}: {reason}") for name in lost]
    assert (found.lost, found.done) == (1, len(found) - 1) and said[-1].startswith(reason)
    before = {path.name: path.stat().st_ino for path in (tmp_path / "shards").glob(f"[0-9]*{SUFFIX}")}
    again, said = work(tmp_path, items, workers=1, resume=True)  # it has died three times now
    assert lines(tmp_path) == items and not said and not (tmp_path / "failed.csv").exists()
    after = {path.name: path.stat().st_ino for path in (tmp_path / "shards").glob(f"[0-9]*{SUFFIX}")}
    assert before.items() <= after.items() and again.before == len(again) - 1


def test_error_of_one_shard_spares_the_others_and_that_of_all_ends_the_work(tmp_path):
    work(tmp_path / "bug", ["a", "bug", "b"], size=1)
    assert lines(tmp_path / "bug") == ["a", "b"]
    assert failures(tmp_path / "bug") == [("bug", "lost", "bug: shard 000001 was given up: ValueError: a bug")]
    with pytest.raises(UserError, match=r"(?s)000001.txt: cannot be written \(No space left.*go on with --resume"):
        work(tmp_path / "full", ["a", "full", "b"], size=1)
    assert lines(tmp_path / "full") == ["a"] and not list((tmp_path / "full" / "shards").glob(".writing*"))


def test_failed_renaming_loses_nothing(tmp_path, monkeypatch):
    replace = Path.replace

    def refused(path, target):
        if Path(target).name == f"000001{SUFFIX}":
            raise OSError(errno.EDQUOT, "Disk quota exceeded", str(path))
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refused)
        with pytest.raises(UserError, match=r"000001.txt: cannot be written \(Disk quota exceeded\)"):
            work(tmp_path, NAMES)
    assert lines(tmp_path) == NAMES[:4]
    work(tmp_path, NAMES, resume=True)
    assert lines(tmp_path) == NAMES


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_ended_driver_leaves_whole_shards_and_resumes(tmp_path, number):
    command = [sys.executable, str(HELPERS / "fake_shards.py"), str(tmp_path), "1000", "1"]

    def with_interrupts():  # the tests may run without them
        signal.signal(signal.SIGINT, signal.default_int_handler)

    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=with_interrupts) as driver:
        until(lambda: len(list((tmp_path / "shards").glob(f"[0-9]*{SUFFIX}"))) > 2)
        driver.send_signal(number)
        said = driver.communicate(timeout=20)[1]
    assert (driver.returncode, said) == {
        signal.SIGKILL: (-9, ""),
        signal.SIGINT: (130, "interrupted; what was finished is kept\n"),
    }[number]
    assert lines(tmp_path) == [f"item {number}" for number in range(len(lines(tmp_path)))] != []
    assert len(lines(tmp_path)) % 10 == 0 and len(lines(tmp_path)) < 1_000
    until(lambda: not Path(f"/proc/{driver.pid}").exists())
    items = [f"item {number}" for number in range(1_000)]
    with shards.opened(tmp_path, {}, iter(items), 10, SUFFIX, resume=True) as found:
        assert found.before >= 3
        drive(found, InProcess(tmp_path, fake_shards.job()), lambda line: None)
    assert lines(tmp_path) == items


def test_worker_ends_with_a_driver_that_did_not_read_its_outcome(tmp_path):
    """The system then resets the connection, in place of ending it."""
    ours, theirs = socket.socketpair()
    words = ["--folder", tmp_path, "--opener", fake_shards.job().opener, "--settings", '{"seconds": 0}']
    command = [sys.executable, "-m", "zoo.distributed.worker", "--socket", theirs.fileno(), *words]
    with theirs, (tmp_path / "log").open("w") as log:
        worker = subprocess.Popen([*map(str, command)], pass_fds=[theirs.fileno()], stderr=log)
    ours.sendall(b'{"shard": 0, "items": ["a"]}\n')
    until(lambda: b"{}\n" in ours.recv(1 << 16, socket.MSG_PEEK))
    ours.close()
    assert worker.wait(10) == 3


def test_resuming_other_work_is_refused(tmp_path):
    about = {"model": "a", "options": [1, 2]}
    work(tmp_path, NAMES, about={"model": "a", "options": (1, 2)})
    work(tmp_path, NAMES, about=about, resume=True)  # JSON has no tuples
    for change, words in {
        "model": {"about": {**about, "model": "b"}},
        "files": {"items": NAMES[:-1]},
        "list": {"items": [*NAMES[:-1], "other"]},
        "--shard-size": {"size": 5},
        "further": {"about": {**about, "further": 1}},
    }.items():
        given = {"items": NAMES, "about": about, "resume": True, **words}
        with pytest.raises(UserError, match=f"--resume: .* was begun with another .*{change}"):
            work(tmp_path, **given)
    with pytest.raises(UserError, match="has results already; add --resume"):
        work(tmp_path, NAMES, about=about)
    assert lines(tmp_path) == NAMES and json.loads((tmp_path / "manifest.json").read_text())["about"] == about
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(UserError, match=r"manifest.json: expected what the results in the folder are"):
        work(tmp_path, NAMES, about=about, resume=True)


def test_folder_that_cannot_be_used_is_refused(tmp_path):
    with pytest.raises(UserError, match="expected names of audio files, found none"):
        work(tmp_path / "empty", [])
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"--out .*file: expected a folder, found a file"):
        work(tmp_path / "file", NAMES)
    with pytest.raises(UserError, match=r"--out .*inner: cannot be written \(Not a directory\)"):
        work(tmp_path / "file" / "inner", NAMES)
    with (
        shards.opened(tmp_path / "held", {}, NAMES, 4, SUFFIX, False),
        pytest.raises(UserError, match="another process writes to it"),
    ):
        work(tmp_path / "held", NAMES)


def test_each_item_is_kept_once_in_order(tmp_path):
    items = ["b", "a", "b", "two\nlines", "\udcff", ["c", 1.5, None], "a", ["c", 1.5, None], ["c", 1.5, 2.0]]
    with shards.opened(tmp_path, {}, items, 2, SUFFIX, False) as found:
        tasks = [found.next("w") for _ in range(len(found))]
        assert found.next("w") == "wait"
    assert [item for task in tasks for item in task.content["items"]] == [
        "b", "a", "two\nlines", "\udcff", ["c", 1.5, None], ["c", 1.5, 2.0],
    ]  # fmt: skip
    assert [len(task.content["items"]) for task in tasks] == [2, 2, 2] and found.n_items == 6


def test_long_list_takes_little_memory(tmp_path):
    """A name takes 8 bytes, and as much again while they are sorted; as strings they would take 120."""
    n_items = 50_000
    tracemalloc.start()
    with shards.opened(tmp_path, {}, (f"/corpus/{n:08}.wav" for n in range(n_items)), 1024, SUFFIX, False) as found:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (found.n_items, len(found)) == (n_items, 49)
    assert peak < 40 * n_items
