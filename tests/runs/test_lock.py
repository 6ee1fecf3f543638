"""One process per run folder; a lock removes only what killed processes left in its own folder."""

import os
import platform
import subprocess
import sys
import time

import pytest

from zoo.errors import UserError
from zoo.runs.lock import alone_in
from zoo.utils.atomic_files import ASIDE, aside_of


@pytest.fixture
def ended():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_second_lock_on_a_folder_is_refused_until_the_first_ends(tmp_path):
    busy = pytest.raises(UserError, match="another process is at work on this run")
    with alone_in(tmp_path), busy, alone_in(tmp_path):
        pass
    with alone_in(tmp_path):
        pass


def test_unfinished_files_of_ended_processes_are_removed(tmp_path, ended):
    (tmp_path / "fold-0").mkdir()
    names = [f"{ASIDE}metrics.{ended}.json", f"fold-0/{ASIDE}model.5.{ended}.keras", f"{ASIDE}rows.{os.getpid()}"]
    for name in names:
        (tmp_path / name).write_text("half")
    (tmp_path / "metrics.json").write_text("whole")
    with alone_in(tmp_path):
        assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "fold-0", "metrics.json"]
        assert not list((tmp_path / "fold-0").iterdir())


def test_files_below_another_lock_and_of_running_processes_stay(tmp_path, ended):
    """As of robustness.py, which locks RUN/robustness, beside train.py --resume."""
    inner = tmp_path / "robustness"
    (inner / "deeper").mkdir(parents=True)
    files = [inner / f"{ASIDE}a.{ended}.json", inner / "deeper" / f"{ASIDE}b.{ended}.csv"]
    files.append(tmp_path / f"{ASIDE}plot.{os.getppid()}.png")
    for path in files:
        path.write_text("half")
    with alone_in(inner):
        files[0].write_text("half")
        with alone_in(tmp_path):
            assert files[0].exists() and files[2].exists()
    files[1].write_text("half")
    with alone_in(tmp_path):  # the lock file outlives its process
        assert all(path.exists() for path in files)
    with alone_in(inner):
        assert [path.exists() for path in files] == [False, False, True]


HOSTS = ("vm", "node-1.cluster.example.org", "10.0.0.5", "büro pc", "")


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("name", ["metrics.json", "model.5", "model.5.keras", "rows", "a@b.12.csv"])
def test_what_another_process_of_this_computer_writes_stays_until_it_ends(tmp_path, monkeypatch, ended, host, name):
    monkeypatch.setattr(platform, "node", lambda: host)
    for process, stays in ((os.getppid(), True), (ended, False), (os.getpid(), False)):
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda process=process: process)
            left = aside_of(tmp_path / name)
        left.write_text("half")
        with alone_in(tmp_path):
            assert left.exists() == stays
        left.unlink(missing_ok=True)


@pytest.mark.parametrize("host", HOSTS)
def test_what_another_computer_writes_stays_for_a_day(tmp_path, monkeypatch, ended, host):
    """Its processes have numbers of their own: one that is free here says nothing."""
    monkeypatch.setattr(platform, "node", lambda: host)
    monkeypatch.setattr(os, "getpid", lambda: ended)
    left = aside_of(tmp_path / "model.keras")
    left.write_text("half")
    monkeypatch.undo()
    monkeypatch.setattr(platform, "node", lambda: "this-computer")
    with alone_in(tmp_path):
        assert left.exists()
    os.utime(left, (time.time() - 90_000,) * 2)
    with alone_in(tmp_path):
        assert not left.exists()
