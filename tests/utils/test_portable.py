"""Locks, cores and process checks: on this system, and where fcntl and sched_getaffinity are absent as on others."""

import os
import subprocess
import sys
import time

import pytest

from zoo.utils.portable import cores, is_running, lock, unlock

# What macOS and Windows lack is taken away, before anything of the project is imported; then each lock is used.
ELSEWHERE = """
import os, sys, warnings
warnings.simplefilter("ignore")  # filelock says that its lock is a file's existence here
sys.modules["fcntl"] = sys.modules["resource"] = None
for name in ("sched_getaffinity", "sched_setaffinity", "getloadavg"):
    delattr(os, name)
from pathlib import Path
from zoo.distributed.local_workers import shares
from tuning.journal import Journal, read
from zoo.errors import UserError
from zoo.inference.predictions_file import Answers, Sheet
from zoo.runs.lock import alone_in
from zoo.serving.versions import new_version, numbers
from zoo.utils.portable import cores

folder = Path(sys.argv[1])
assert len(cores()) == os.cpu_count()

def refused(begin):
    try:
        begin()
    except UserError as error:
        assert "another process" in str(error), error
        return
    raise AssertionError("a second one was let in")

for _ in range(2):  # what was let go can be had again
    with alone_in(folder):
        refused(alone_in(folder).__enter__)
    with new_version(folder / "export"):
        refused(new_version(folder / "export").__enter__)
assert numbers(folder / "export") == [1, 2] and len(list((folder / "export").iterdir())) == 2
events = [{"event": "search"}, {"event": "trials", "trials": 1}]
journal = Journal(folder / "search", events[:1])
refused(lambda: Journal(folder / "search"))
journal.append(events[1])
journal.close()
Journal(folder / "search").close()
assert read(folder / "search") == events
with Sheet(folder / "rows.jsonl", "json") as sheet:
    refused(lambda: Sheet(folder / "rows.jsonl", "json", resume=True))
    row = {"file": "a.wav", "emotion": "sad", "confidence": None, "trained_on": "emodb", "reason": None}
    sheet.add(Answers([row], []))
with Sheet(folder / "rows.jsonl", "json", resume=True) as sheet:
    assert sheet.answered("a.wav") and not sheet.answered("b.wav")
assert [path.name for path in folder.iterdir() if "rows" in path.name] == ["rows.jsonl"]
"""
HOLDER = """
import sys, time
from pathlib import Path
from zoo.utils.portable import lock
held = lock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def test_a_lock_is_held_until_it_is_let_go_or_its_process_is_killed(tmp_path):
    path = tmp_path / "one.lock"
    with subprocess.Popen([sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        before = time.monotonic()
        with pytest.raises(BlockingIOError, match="another process"):
            lock(path, patience_seconds=0.3)
        assert time.monotonic() - before >= 0.3
        process.kill()
    held = lock(path)
    with pytest.raises(BlockingIOError):
        lock(path)  # nor does this process get it twice
    unlock(held)
    assert not path.exists()
    lock(path).release()
    assert path.exists()


def test_a_lock_that_cannot_be_made_is_the_systems_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        lock(tmp_path / "file" / "one.lock")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        lock(tmp_path / "folder")


def test_everything_that_locks_works_without_fcntl_and_sched_getaffinity(tmp_path):
    done = subprocess.run([sys.executable, "-c", ELSEWHERE, tmp_path], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_cores_are_those_allowed_or_all(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {5, 3}, raising=False)
    assert cores() == [3, 5]
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert cores() == [0, 1, 2]
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == [0]


def test_running_processes_are_told_from_ended_and_impossible_ones():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert is_running(os.getpid()) and is_running(1)  # process 1 is another user's where this one is not root's
    assert not any(map(is_running, (ended.pid, 0, -1, 2**70)))
