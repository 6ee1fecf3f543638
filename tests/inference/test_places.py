"""What predict.py is given: files, folders, lists and pipes; what cannot be used is named and the rest answered."""

import csv
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tiny_runs

from zoo.data.audio import pipes
from zoo.errors import UserError
from zoo.inference import places
from zoo.inference.predictions_file import Answers, Failure

CLIP = 0.1 * np.random.default_rng(0).standard_normal(4_000)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return tiny_runs.make(tmp_path_factory.mktemp("places") / "run", "fcn", "emodb")


@pytest.fixture
def clips(tmp_path):
    """A folder with two clips and six things that cannot be used."""
    folder = tmp_path / "clips"
    (folder / "empty").mkdir(parents=True)
    soundfile.write(folder / "a.wav", CLIP, 16_000)
    soundfile.write(folder / "b.opus", CLIP, 16_000, format="OGG", subtype="OPUS")
    (folder / "voice.m4a").write_bytes(b"\0\0\0\x20ftypM4A \0\0\0\0" + bytes(100))
    (folder / "gone.wav").symlink_to(folder / "nothing")
    (folder / "link").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.wav")
    (folder / "c\x1b[2J\n.wav").write_bytes(b"")
    (folder / "labels.csv").write_text("a,b\n")
    return folder


def answered(out):
    return [json.loads(line)["file"] for line in out.splitlines()]


def fed(path, content):
    """Write to a pipe as another process does."""
    threading.Thread(target=path.write_bytes, args=(content,), daemon=True).start()


def test_nothing_in_a_folder_is_left_out_silently(script, run, clips):
    code, out, err = script("predict.py", run, clips, "--json")
    assert code == 1 and answered(out) == [str(clips / "a.wav"), str(clips / "b.opus")]
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert [line.split(": ")[1] for line in errors] == [
        str(clips / name) for name in ("gone.wav", "link", "pipe.wav", r"c\x1b[2J\n.wav", "voice.m4a")
    ]
    assert err.endswith("5 files failed\n") and "\x1b" not in err


def test_names_are_shown_escaped_and_written_whole(script, run, tmp_path):
    """In words and as CSV names do not act on a terminal; Python's reader of strings restores those of the CSV."""
    (tmp_path / "in").mkdir()
    names = ["red\x1b[31m.wav", "two\nlines.wav", "caf\udce9.wav", "gpj\u202e.wav", "=1+1.wav"]
    for name in names:
        soundfile.write(os.fsencode(tmp_path / "in" / name), CLIP, 16_000, format="WAV")
    code, out, _ = script("predict.py", run, tmp_path / "in")
    assert code == 0 and len(out.splitlines()) == 5
    assert [line.split("\t")[0].split("/")[-1] for line in out.splitlines()] == sorted(
        name.encode("unicode_escape", "backslashreplace").decode() for name in names
    )
    code, out, _ = script("predict.py", run, tmp_path / "in", "--csv")
    cells = [row["file"].removeprefix("'") for row in csv.DictReader(out.splitlines())]
    assert code == 0 and out.isprintable() is False and "\x1b" not in out
    found = [cell.encode("utf-8", "surrogatepass").decode("unicode_escape") for cell in cells]
    assert sorted(Path(name).name for name in found) == sorted(names)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_lists_answer_what_can_be_and_name_the_rest(script, run, clips, tmp_path, encoding):
    good, names = (
        clips / "a.wav",
        ["nul\0.wav", "none.wav", "x" * 300, f"{clips}/empty", f"{clips}/pipe.wav", "/dev/zero"],
    )
    content = "\r\n".join([*names, str(good), ""]).encode(encoding)
    (tmp_path / "list").write_bytes(content)
    out = tmp_path / "out.jsonl"
    code, _, err = script("predict.py", run, "--list", tmp_path / "list", "--out", out)
    assert code == 1 and answered(out.read_text()) == [str(good)]
    assert f"{out}: 1 file answered, 6 failed" in err
    with (tmp_path / "out.jsonl.failed.csv").open(newline="") as file:
        failed = [row["file"] for row in csv.DictReader(file)]
    assert sorted(failed) == sorted([r"'nul\x00.wav", *names[1:]])
    code, _, err = script("predict.py", run, "--list", tmp_path / "list", "--out", out, "--resume")
    assert code == 1 and answered(out.read_text()) == [str(good)] and "0 files answered, 1 before, 6 failed" in err


def test_a_recording_given_as_a_list_ends_the_command(script, run, clips):
    code, out, err = script("predict.py", run, "--list", clips / "a.wav")
    assert (code, out) == (2, "") and err.count("error: ") == 1 and "found WAV" in err


def test_named_pipes_are_read_and_named_also_beside_files(script, run, clips, tmp_path, monkeypatch):
    """One of them is written whole, one holds no audio, one has no writer."""
    monkeypatch.setattr(pipes, "MOST_PAUSE_SECONDS", 0.3)
    for name in ("good", "bad", "silent"):
        os.mkfifo(tmp_path / name)
    fed(tmp_path / "good", (clips / "a.wav").read_bytes())
    fed(tmp_path / "bad", b"no audio")
    out = tmp_path / "out.csv"
    words = [tmp_path / "good", tmp_path / "bad", tmp_path / "silent", clips / "a.wav", "--out", out]
    code, _, err = script("predict.py", run, *words)
    assert code == 1
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row.pop("file") for row in rows] == [str(tmp_path / "good"), str(clips / "a.wav")]
    assert rows[0] == rows[1]
    assert f"error: {tmp_path / 'bad'}: expected " in err and "zoo-pipes" not in err
    assert f"error: {tmp_path / 'silent'}: expected a recording that ends, found 0.3 s without a byte" in err
    fed(tmp_path / "good", (clips / "a.wav").read_bytes())
    code, _, err = script("predict.py", run, tmp_path / "good", clips / "a.wav", "--out", out, "--resume")
    assert code == 0 and "1 file answered, 1 before, 0 failed" in err  # a pipe may bring another recording


def test_what_is_named_and_not_there_is_refused_only_alone(tmp_path):
    (tmp_path / "a.wav").touch()

    def of(*names):
        with places.found(list(map(str, names))) as found:
            return found.files, [failure.file for failure in found.failed]

    for alone in ("none.wav", "nul\0", "x" * 9_000, "/dev/zero"):
        with pytest.raises(UserError, match="^" + alone[:4]):
            of(alone)
        files, failed = of(alone, tmp_path / "a.wav")
        assert files[-1] == tmp_path / "a.wav" and len(files) + len(failed) == 2


def test_answers_of_pipes_get_the_names_that_were_given():
    found = places.Places([], [], {"/tmp/zoo/0": "/dev/fd/63"})
    given = [
        Answers([{"file": "/tmp/zoo/0"}, {"file": "a"}], [Failure("/tmp/zoo/0", "empty", "/tmp/zoo/0: expected x")])
    ]
    assert list(found.renamed(given)) == [
        Answers([{"file": "/dev/fd/63"}, {"file": "a"}], [Failure("/dev/fd/63", "empty", "/dev/fd/63: expected x")])
    ]


def test_the_shell_gives_recordings_by_pipes(clips):
    """`<(cat a.wav)` and /dev/stdin, other files in a worker, become files that any process reads."""
    command = 'cat "$1" | "${@:2}" <(cat "$1") /dev/stdin'
    code = (
        "import json, sys; from zoo.inference import places\n"
        "with places.found(sys.argv[1:]) as found:\n"
        "  print(json.dumps([[found.pipes[str(p)], p.is_file(), p.read_bytes().hex()] for p in found.files]))"
    )
    words = ["bash", "-c", command, "bash", str(clips / "a.wav"), sys.executable, "-c", code]
    paths = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=paths)
    content = (clips / "a.wav").read_bytes().hex()
    first, second = json.loads(done.stdout)
    assert first[0].startswith("/dev/fd/") and second[0] == "/dev/stdin"
    assert first[1:] == second[1:] == [True, content]
