"""A file is there whole, as it was, or not at all: whatever stops its writing."""

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from zoo.errors import UserError
from zoo.utils.atomic_files import ASIDE, aside_of, csv_text, read_csv, write_csv, write_json, written_aside

OLD, NEW = {"epoch": 1}, {"epoch": 2, "text": "x" * 10_000}


@pytest.fixture
def saved(tmp_path):
    """A file written before; `unharmed` checks that it is as it was, alone in its folder."""
    path = tmp_path / "metrics.json"
    write_json(path, OLD)
    return path


def unharmed(path):
    return json.loads(path.read_text()) == OLD and [entry.name for entry in path.parent.iterdir()] == [path.name]


@contextlib.contextmanager
def disk_of(n_bytes):
    """The system refuses what goes beyond `n_bytes` in any one file, as a full disk does: in the middle of a write."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_written_files_are_read_back_and_replace_the_old_in_folders_made_for_them(saved):
    write_json(saved, NEW)
    assert json.loads(saved.read_text()) == NEW
    rows, path = [{"clip": "a,b", "p": "0.5"}, {"clip": 'say "c"', "p": "1"}], saved.parent / "new" / "f" / "rows.csv"
    write_csv(path, rows)
    with path.open(newline="") as file:
        assert list(csv.DictReader(file)) == rows
    assert [entry.name for entry in path.parent.iterdir()] == ["rows.csv"]


def test_nothing_is_seen_under_the_final_name_before_the_end(saved):
    with written_aside(saved) as aside:
        assert aside.suffix == saved.suffix, "savers choose the format by the suffix"
        assert aside.parent == saved.parent, "renaming is atomic within one file system only"
        aside.write_text("half")
        assert json.loads(saved.read_text()) == OLD
    assert saved.read_text() == "half"


@pytest.mark.parametrize("write", [lambda path: write_json(path, NEW), lambda path: write_csv(path, [NEW])])
def test_full_disk_keeps_the_old_file_and_names_it(saved, write):
    with disk_of(5000), pytest.raises(UserError) as error:
        write(saved)
    assert str(error.value).startswith(f"{saved}: cannot be written (File too large)")
    assert "free space there or choose another folder" in str(error.value)
    assert unharmed(saved)


def test_full_disk_without_an_error_number(saved):
    """NumPy's short write to a named file has none."""
    with disk_of(5000), pytest.raises(UserError, match="cannot be written"), written_aside(saved) as aside:
        np.save(aside.with_suffix(".npy"), np.zeros(10_000))


def test_errors_of_inputs_bugs_and_interruptions_stay_what_they_are(saved):
    for error in (
        *(PermissionError(13, "Permission denied", str(saved.with_name(name))) for name in ("a.wav", "metrics.json")),
        *(BlockingIOError(11, "Resource temporarily unavailable"), ConnectionResetError(), OSError("no HDF5")),
        *(KeyboardInterrupt(), ZeroDivisionError()),
    ):
        with pytest.raises(type(error)) as raised, written_aside(saved) as aside:
            aside.write_text("half")
            raise error
        assert raised.value is error
    with pytest.raises(ValueError, match="not JSON compliant"):  # a NaN would be no JSON for other readers
        write_json(saved, {"ua": float("nan")})
    assert unharmed(saved)


def test_a_file_aside_that_cannot_be_opened_is_reported(saved):
    with pytest.raises(UserError, match=r"cannot be written \(Is a directory\)"), written_aside(saved) as aside:
        raise IsADirectoryError(21, "Is a directory", os.fsencode(aside))


@pytest.mark.parametrize(("owner", "name"), [(os, "fsync"), (Path, "replace")])
def test_disk_that_refuses_at_the_end(saved, monkeypatch, owner, name):
    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(owner, name, refuse)
    with pytest.raises(UserError, match="No space left on device"):
        write_json(saved, NEW)
    assert unharmed(saved)


def test_a_file_in_place_of_a_folder_or_the_reverse_stays(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "config.json", tmp_path / "file" / "runs" / "config.json", tmp_path / "folder"):
        with pytest.raises(UserError, match=rf"{path}: cannot be written"):
            write_json(path, OLD)
    assert (tmp_path / "file").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_kill_in_the_middle_of_a_write_keeps_the_old_file(saved):
    program = (
        "import os, signal, sys; from pathlib import Path; from zoo.utils.atomic_files import written_aside\n"
        "with written_aside(Path(sys.argv[1])) as aside, aside.open('w') as file:\n"
        "    file.write('half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(saved)], cwd=Path(__file__).parents[2])
    assert killed.returncode == -signal.SIGKILL
    assert json.loads(saved.read_text()) == OLD
    (left,) = [path for path in saved.parent.iterdir() if path != saved]
    assert left.name.startswith(f"{ASIDE}metrics.") and left.read_text() == "half"
    write_json(saved, NEW)
    assert json.loads(saved.read_text()) == NEW


def test_threads_that_write_one_path_at_once_leave_one_whole_file(saved):
    """Two clips of identical bytes have one file in the cache; the name of the process alone made them share it."""
    both = threading.Barrier(2, timeout=20)

    def write(number):
        with written_aside(saved) as aside:
            aside.write_text(f"{number} " * 1000)
            both.wait()
        return aside

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(write, (1, 2))
    assert first != second
    assert saved.read_text() in (f"{number} " * 1000 for number in (1, 2))
    assert list(saved.parent.iterdir()) == [saved]


def test_names_aside_differ_keep_the_suffix_and_fit_where_the_path_does(tmp_path):
    paths = [tmp_path / name for name in ("a.json", "model.5", "model.5.keras", f"{'é' * 100}.csv", "no_suffix")]
    for path in paths:
        names = {aside_of(path) for _ in range(100)}
        assert len(names) == 100 and {(name.parent, name.suffix) for name in names if path.suffix} <= {
            (tmp_path, path.suffix)
        }
        next(iter(names)).write_text("fits")


NAMES = [
    "a.wav",
    "=1+1.wav",
    "+49.wav",
    "-x",
    "@here",
    "'quoted'",
    "\ttab",
    "line\nfeed\r",
    "\x1b]0;owned\x07",
    "back\\slash",
]
NAMES += [
    "'\\n",
    "-5",
    "-1e-3",
    "",
    " = later",
    "\u202eright",
    "\udcff",
    "\uff1dwide",
    'é,"',
    "zwj\u200d",
    "\U000e0001tag",
    "-5+1",
]


def test_no_cell_of_a_csv_is_a_formula_or_acts_on_a_terminal_and_names_come_back(tmp_path):
    rows = [{"clip": name, "level": -0.5, "=danger": str(n)} for n, name in enumerate(NAMES)]
    write_csv(tmp_path / "rows.csv", rows)
    assert (tmp_path / "rows.csv").read_bytes().decode() == csv_text(rows)
    with (tmp_path / "rows.csv").open(newline="", encoding="utf-8") as file:
        header, *cells = csv.reader(file)
    assert header == ["clip", "level", "'=danger"] and {line[1] for line in cells} == {"-0.5"}
    for name, (cell, *_) in zip(NAMES, cells, strict=True):
        assert name in ("-5", "-1e-3") or not cell.startswith(tuple("=+-@\t\r\n")), cell
        assert cell.replace("\u200d", "").isprintable()
    assert len({cell for cell, *_ in cells}) == len(NAMES)
    assert read_csv(tmp_path / "rows.csv") == [{**row, "level": "-0.5"} for row in rows]
    write_csv(tmp_path / "again.csv", read_csv(tmp_path / "rows.csv"))
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "rows.csv").read_bytes()


def test_lines_written_by_hand_are_read_as_they_are(tmp_path):
    (tmp_path / "rows.csv").write_text("clip,truth\n'it\\s,'\\q\nshort\n'\\x4,1,2\n")
    short = {"clip": "short", "truth": None}
    assert read_csv(tmp_path / "rows.csv") == [
        {"clip": "it\\s", "truth": "\\q"},
        short,
        {"clip": "\\x4", "truth": "1", None: ["2"]},
    ]
