"""Predictions of many files: none is lost or written twice after a kill, and a bad file does not end the command."""

import csv
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tiny_runs

from zoo.errors import UserError
from zoo.inference import predictions_file
from zoo.inference.predictions_file import Answers, Failure, Sheet, as_csv
from zoo.inference.workers import by_workers
from zoo.utils.backends import announce_device
from zoo.utils.text import cell

SCRIPT = Path(__file__).parents[2] / "scripts" / "predict.py"
SHARES = {"probabilities": {"a": 0.75, "b": 0.25}, "confidence": 0.5, "abstained": True, "trained_on": "x"}


def answer(name):
    return {"file": str(name), "emotion": "a", **SHARES, "reason": None}


def names_in(path):
    if path.suffix == ".csv":
        with path.open(newline="", errors="surrogateescape") as file:
            return [row["file"] for row in csv.DictReader(file)]
    return [json.loads(line)["file"] for line in path.read_text().splitlines()]


def go_on(path, kind, names):
    """Run the loop of predict.py without a model."""
    with Sheet(path, kind, resume=True) as sheet:
        for name in names:
            if not sheet.answered(name):
                sheet.add(Answers([answer(name)], []))


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_every_length_that_a_kill_may_leave(tmp_path, kind):
    """Names with commas, quotes and line feeds, as well as formulas."""
    odd = ["=1+1.wav", "a,b.wav", 'q".wav', "two\nlines.wav", "'=1+1.wav", "-x.wav", "ü\udcff.wav", "\tt.wav"]
    go_on(tmp_path / f"whole.{kind}", kind, odd)
    whole = (tmp_path / f"whole.{kind}").read_bytes()
    assert names_in(tmp_path / f"whole.{kind}") == [cell(name) if kind == "csv" else name for name in odd]
    for size in [*range(0, len(whole), 5), len(whole) - 1, len(whole)]:
        (tmp_path / "cut").write_bytes(whole[:size])
        go_on(tmp_path / "cut", kind, odd)
        assert (tmp_path / "cut").read_bytes() == whole, size


def test_the_last_recording_is_rated_again(tmp_path):
    """Some of its rows may be missing."""

    def rate(path, names):
        with Sheet(path, "csv", resume=True, rows_per_file=True) as sheet:
            for name in names:
                if not sheet.answered(name):
                    rows = [
                        {"file": name, "time": t, "arousal": -0.5, "trained_on": "x", "reason": None} for t in range(3)
                    ]
                    sheet.add(Answers(rows, []))

    rate(tmp_path / "whole", ["a", "b", "c"])
    whole = (tmp_path / "whole").read_bytes()
    assert b"a,0,-0.5,x,\n" in whole  # a number below zero is no formula
    for size in range(len(whole) + 1):
        (tmp_path / "cut").write_bytes(whole[:size])
        rate(tmp_path / "cut", ["a", "b", "c"])
        assert (tmp_path / "cut").read_bytes() == whole, size


def test_failed_files_are_listed_and_tried_again(tmp_path):
    path = tmp_path / "out.jsonl"
    with Sheet(path, "json") as sheet:
        sheet.add(Answers([answer("good.wav")], [Failure("=bad.wav", "empty", "=bad.wav: found zero bytes")]))
    found = (tmp_path / "out.jsonl.failed.csv").read_text()
    assert found == "file,kind,error\n'=bad.wav,empty,'=bad.wav: found zero bytes\n"
    with Sheet(path, "json", resume=True) as sheet:
        assert (sheet.answered("good.wav"), sheet.answered("=bad.wav")) == (True, False)
    assert not (tmp_path / "out.jsonl.failed.csv").exists()


def test_csv_has_one_header_and_keeps_its_columns():
    line = as_csv()
    header = "file,emotion,confidence,abstained,trained_on,p_a,p_b,reason"
    assert line(answer("a,b")) == f'{header}\n"a,b",a,0.5,True,x,0.75,0.25,\n'
    assert line(answer("c")) == "c,a,0.5,True,x,0.75,0.25,\n"
    with pytest.raises(UserError, match="expected the columns file, emotion"):
        line({"file": "d", "reason": None})


@pytest.mark.parametrize(
    ("kind", "rows_per_file", "content", "found"),
    [
        ("json", False, b"hello\nworld\n", "line 1: expected an answer"),
        ("json", False, b'{"file": "a", "trained_on": "x", "reason": null}\n{"fi\n', "line 2: expected an answer"),
        ("json", False, b"x" * 70_000, "found 70000 bytes behind byte 0 that are none"),
        *((kind, rows, b"RIFF, no answer", "that are none") for kind in ("csv", "json") for rows in (True, False)),
    ],
)
def test_resuming_leaves_other_files_alone(tmp_path, kind, rows_per_file, content, found):
    path = tmp_path / "notes"
    path.write_bytes(content)
    with pytest.raises(UserError, match=found):
        Sheet(path, kind, resume=True, rows_per_file=rows_per_file)
    assert path.read_bytes() == content
    with pytest.raises(UserError, match="is there already; add --resume"):
        Sheet(path, kind)


def test_another_model_or_another_process_is_refused(tmp_path):
    path = tmp_path / "out.csv"
    with Sheet(path, "csv") as sheet:
        sheet.add(Answers([answer("a")], []))
        with pytest.raises(UserError, match="another process writes to it"):
            Sheet(path, "csv", resume=True)
    with Sheet(path, "csv", resume=True) as sheet, pytest.raises(UserError, match="answers of a model trained on x"):
        sheet.add(Answers([{**answer("b"), "trained_on": "y"}], []))


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"out\.csv: cannot be written"):
        Sheet(tmp_path / "file" / "out.csv", "csv")
    with pytest.raises(UserError, match="expected a name ending in"):
        predictions_file.kind_of(tmp_path / "out.txt", False, False)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return tiny_runs.make(tmp_path_factory.mktemp("bulk") / "run", "fcn", "emodb")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """150 utterances of 0.1 to 0.3 s, three of which cannot be read."""
    folder, rng = tmp_path_factory.mktemp("clips"), np.random.default_rng(0)
    for number in range(150):
        soundfile.write(folder / f"{number:03}.wav", rng.normal(0, 0.1, 1600 + 1600 * (number % 3)), 16_000)
    (folder / "000.wav").write_bytes(b"")
    (folder / "077.wav").write_bytes(b"noise" * 100)
    (folder / "149.wav").write_bytes((folder / "148.wav").read_bytes()[:1000])
    return folder


def test_folders_lists_and_resuming(script, run, clips, tmp_path):
    """All of a folder but the bad three, which are listed; then only the new ones, in other batches."""
    out, failed, bad = tmp_path / "out.csv", tmp_path / "out.csv.failed.csv", ["000.wav", "077.wav", "149.wav"]
    good = [path for path in sorted(clips.iterdir()) if path.name not in bad]
    code, _, err = script("predict.py", run, clips, "--any-sound", "--out", out)
    assert code == 1 and err.count("error: ") == 3 and "147 files answered, 3 failed" in err
    assert names_in(out) == list(map(str, good))
    assert [Path(name).name for name in names_in(failed)] == bad

    whole = out.read_bytes()
    out.write_bytes(whole[:-700])
    (tmp_path / "names.txt").write_text("".join(f"{path}\n\n" for path in good))
    code, _, err = script("predict.py", run, "--list", tmp_path / "names.txt", "--any-sound", "--out", out, "--resume")
    assert code == 0 and " before, 0 failed" in err and not failed.exists()
    rows, expected = (list(csv.reader(text.decode().splitlines())) for text in (out.read_bytes(), whole))
    first = next(n for n, name in enumerate(expected[0]) if name.startswith("p_"))
    assert [row[:first] for row in rows] == [row[:first] for row in expected]
    found, shares = (np.array([row[first:-1] for row in table[1:]], float) for table in (rows, expected))
    np.testing.assert_allclose(found, shares, atol=1e-5)


def test_a_recording_without_speech_is_answered(script, run, tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.zeros(8_000), 16_000)
    code, out, err = script("predict.py", run, tmp_path / "silent.wav")
    assert code == 0 and "error" not in err
    assert out.startswith(f"{tmp_path / 'silent.wav'}\tno emotion\tsilent: silence")
    code, _, _ = script("predict.py", run, tmp_path / "silent.wav", "--out", tmp_path / "out.jsonl")
    (row,) = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert code == 0 and row["emotion"] is None and row["reason"].startswith("silent: ")
    _, _, err = script("predict.py", run, tmp_path / "silent.wav", "--out", tmp_path / "out.jsonl", "--resume")
    assert "0 files answered, 1 before, 0 failed" in err


def test_an_absent_file_ends_a_command_but_no_list(script, run, clips, tmp_path, monkeypatch):
    (tmp_path / "names").write_text(f"{clips / '001.wav'}\n{tmp_path / 'none.wav'}\n")
    code, out, err = script("predict.py", run, "--list", tmp_path / "names", "--json")
    assert code == 1 and json.loads(out)["file"] == str(clips / "001.wav") and "none.wav" in err
    assert script("predict.py", run, tmp_path / "none.wav")[0] == 2
    monkeypatch.setattr(sys, "stdin", (tmp_path / "names").open())
    assert script("predict.py", run, "--from-stdin", "--json")[:2] == (code, out)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], "expected a model, and audio files, folders, --list FILE, --from-stdin or --stream"),
        (["a.wav", "--resume"], "name it with --out"),
        (["a.wav", "--rate-hz", "8000"], "--rate-hz: for streams"),
        (["a.wav", "--workers", "0"], "--workers is 0"),
        (["--stream", "a.wav"], "takes its audio from standard input"),
        (["--stream", "--channels", "left", "--any-sound"], "leave --channels, --any-sound out"),
        (["a.wav", "--channels", "both"], "unknown --channels 'both'"),
        (["--stream", "--sample-format", "s24le"], "unknown --sample-format 's24le'"),
        (["--list", "absent"], "--list absent: cannot be read"),
    ],
)
def test_flags_that_do_not_fit_are_refused(script, run, words, found):
    code, _, err = script("predict.py", run, *words)
    assert code == 2 and found in err


def test_workers_that_cannot_load_the_model_end_the_command(tmp_path):
    with pytest.raises(UserError, match="found no such folder"):
        list(by_workers({"place": str(tmp_path / "none"), "exported": True}, [[Path("a.wav")]] * 9, n_workers=2))


def wait_until(condition, seconds=300):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ended(number):
    """Say whether a process has ended: it is gone, or a zombie."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.slow
def test_workers_of_a_killed_command_end_and_their_predictions_are_those_of_one_process(script, run, clips, tmp_path):
    """Backend and device are named once on standard error."""
    out, errors = tmp_path / "out.jsonl", tmp_path / "errors"
    words = [sys.executable, SCRIPT, run, clips, "--any-sound", "--out", out, "--workers", "2"]
    with errors.open("w") as file, subprocess.Popen(list(map(str, words)), stderr=file) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        wait_until(lambda: len(children.read_text().split()) == 2 or process.poll() is not None)
        workers = children.read_text().split()
        wait_until(lambda: (out.is_file() and out.stat().st_size) or process.poll() is not None)
        process.send_signal(signal.SIGKILL)
    assert len(workers) == 2 and out.stat().st_size, errors.read_text()
    wait_until(lambda: all(map(ended, workers)))
    assert len(re.findall(r"^\w+ \d+\.\d+ on ", errors.read_text(), re.MULTILINE)) == 1, errors.read_text()
    script("predict.py", run, clips, "--any-sound", "--out", out, "--resume")
    announce_device.cache_clear()
    code, _, messages = script("predict.py", run, clips, "--any-sound", "--out", tmp_path / "once.jsonl")
    assert code == 1 and len(re.findall(r"^\w+ \d+\.\d+ on ", messages, re.MULTILINE)) == 1
    both = [[json.loads(line) for line in path.open()] for path in (out, tmp_path / "once.jsonl")]
    assert [row["file"] for row in both[0]] == [row["file"] for row in both[1]]
    for row, expected in zip(*both, strict=True):
        assert row["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-5)
