"""One trial on inner folds, and the scripts around a search, on a small synthetic corpus."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tuning import run_trial as trials
from zoo.config import flags as config
from zoo.data.synthetic.corpora import synthesize
from zoo.errors import UserError
from zoo.runs.dataset import inner, open_source, resolve

ROOT = Path(__file__).parents[2]
FLAGS = {"model": "cnn1d_mfcc", "corpus": "emodb", "fold": "0", "epochs": 2, "allow_incomplete": True}


@pytest.fixture(scope="module")
def emodb(tmp_path_factory):
    root = tmp_path_factory.mktemp("emodb")
    synthesize("emodb", root, 140, seed=0)
    return root


def assignment(root, **changes):
    flags = {**FLAGS, "data_root": str(root), "backend": "tensorflow", **changes.pop("flags", {})}
    return {"flags": flags, "epochs": None, "parent": None, "inner_folds": 2, "prune_below": None, **changes}


def history(folder, fold):
    with (folder / f"fold-{fold}-inner" / "history.csv").open() as file:
        return [float(row["validation_ua"]) for row in csv.DictReader(file)]


def outer(root):
    return open_source(resolve(config.from_flags({**FLAGS, "data_root": str(root)})))


def test_inner_folds_hold_every_speaker_but_the_test_speakers_once(emodb):
    source = outer(emodb)
    (fold,) = source.folds
    divided = inner(source, 3)
    others = {clip.speaker for clip in fold.train + fold.validation}
    validated = [{clip.speaker for clip in part.validation} for part in divided.folds]
    assert sorted(speaker for speakers in validated for speaker in speakers) == sorted(others)
    for part, speakers in zip(divided.folds, validated, strict=True):
        assert {clip.speaker for clip in part.train} == others - speakers
        assert part.test == ()
    assert not {clip.name for clip in divided.clips} & {clip.name for clip in fold.test}


def test_inner_folds_leave_out_recordings_that_validate_and_test(tmp_path):
    flags = {"model": "conv_lstm", "corpus": "recola", "protocol": "avec-2016", "synthetic": True}
    source = open_source(resolve(config.from_flags({**flags, "cache_dir": str(tmp_path)})))
    (fold,) = source.folds
    assert fold.validation == fold.test
    divided = inner(source, 3)
    assert {clip.name for clip in divided.clips} == {clip.name for clip in fold.train}


@pytest.mark.parametrize("number", [1, 99])
def test_inner_folds_need_speakers(emodb, number):
    with pytest.raises(UserError, match=f"--inner-folds is {number}, expected 2 to"):
        inner(outer(emodb), number)


def test_no_test_clip_is_read(tmp_path, emodb):
    """Their audio is replaced by what no reader takes: a trial that opened one of them would fail."""
    root = tmp_path / "corpus"
    subprocess.run(["cp", "-r", str(emodb), str(root)], check=True)
    (fold,) = outer(root).folds
    for clip in fold.test:
        clip.path.write_bytes(b"no audio")
    outcome = trials.run(tmp_path / "trials" / "0001", assignment(root))
    assert outcome["status"] == "completed"
    names = {clip.name for clip in fold.test}
    written = "".join(
        p.read_text() for p in tmp_path.rglob("*") if p.suffix in (".json", ".csv") and "trials" in p.parts
    )
    assert not [name for name in names if name in written]
    fold.train[0].path.write_bytes(b"no audio")  # the reader does fail on such a clip
    with pytest.raises(Exception, match=fold.train[0].name):
        trials.run(tmp_path / "trials" / "0002", assignment(root, flags={"coefficients": 40}))


def test_the_score_is_the_mean_of_each_folds_best_epoch(tmp_path, emodb):
    beats = []
    folder = tmp_path / "trials" / "0001"
    outcome = trials.run(folder, assignment(emodb), lambda: beats.append(1))
    best = [max(history(folder, number)) for number in (0, 1)]
    assert outcome["folds"] == pytest.approx(best)
    assert outcome["score"] == pytest.approx(sum(best) / 2)
    assert outcome["epochs"] == len(beats) == 4
    assert json.loads((folder / "metrics.json").read_text())["folds"] == outcome["folds"]
    assert not list(folder.rglob("state*.npz"))


def test_a_trial_that_was_stopped_goes_on_to_the_same_score(tmp_path, emodb):
    whole = trials.run(tmp_path / "whole" / "0001", assignment(emodb))

    def stop():
        raise KeyboardInterrupt

    folder = tmp_path / "stopped" / "0001"
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            trials.run(folder, assignment(emodb), stop)
    again = trials.run(folder, assignment(emodb))
    assert again["folds"] == whole["folds"]
    assert history(folder, 0) == history(tmp_path / "whole" / "0001", 0)


def test_a_rung_goes_on_from_its_parent(tmp_path, emodb):
    trials.run(tmp_path / "0001", assignment(emodb, epochs=1))
    trials.run(tmp_path / "0002", assignment(emodb, epochs=3, parent="0001"))
    first, second = history(tmp_path / "0001", 0), history(tmp_path / "0002", 0)
    assert len(first) == 1
    assert len(second) == 3
    assert second[0] == first[0]


@pytest.mark.parametrize(("bound", "status", "folds"), [(1.1, "pruned", 1), (0.0, "completed", 2)])
def test_a_trial_below_the_median_is_given_up(tmp_path, emodb, bound, status, folds):
    outcome = trials.run(tmp_path / "0001", assignment(emodb, prune_below=[bound, bound]))
    assert (outcome["status"], len(outcome["folds"])) == (status, folds)
    assert ("below the median" in outcome["reason"]) == (status == "pruned")


def test_feasible_says_why_not(emodb):
    assert trials.feasible(assignment(emodb)["flags"]) is None
    reason = trials.feasible(assignment(emodb, flags={"option": {"pool_size": 50}})["flags"])
    assert "pool_size" in reason


def tune(*words):
    process = subprocess.run(
        [sys.executable, "scripts/tune.py", *map(str, words)], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--fold", "0,1"), "a search belongs to one"),
        (("--workers", "-1"), "--workers is -1, expected at least 0"),
        (("--inner-folds", "99"), "--inner-folds is 99, expected 2 to"),
        (("--corpus", "ravdess", "--protocol", "ravdess-random-67"), "--allow-leakage"),
        (("--enhancer", "runs/dae"), "runs/dae: its models were trained on clips that the inner folds of a search"),
    ],
)
def test_flags_that_cannot_be_searched_with(tmp_path, script, words, message):
    common = ("--model", "cnn1d_mfcc", "--corpus", "emodb", "--synthetic", "--cache-dir", tmp_path)
    code, _, said = script("tune.py", *common, "--out", tmp_path / "x", *words)
    assert code == 2 and message in said


@pytest.mark.slow
def test_a_search_on_another_backend(tmp_path, emodb, script):
    common = ("--data-root", emodb, "--allow-incomplete", "--epochs", 1, "--inner-folds", 2, "--backend", "torch")
    vary = ("--option", "pool_size=2", "--tuner", "grid", "--space", tmp_path / "space.json")
    (tmp_path / "space.json").write_text('{"option.kernel_size": [3, 5]}')
    names = ("--model", "cnn1d_mfcc", "--corpus", "emodb", "--trials", 2, "--out", tmp_path / "search")
    assert "2 of 2 trials" in tune(*names, *common, *vary)
    code, _, said = script("tune.py", "--out", tmp_path / "search", "--resume", "--trials", 3)
    assert code == 2 and "start a new process for 'torch'" in said, "the backend that the search was begun on"


@pytest.mark.slow
def test_a_search_from_start_to_the_trained_best(tmp_path, emodb, script):
    out = tmp_path / "search"
    common = ("--data-root", emodb, "--allow-incomplete", "--epochs", 1, "--inner-folds", 2, "--option", "pool_size=2")
    vary = ("--space", tmp_path / "space.json")
    (tmp_path / "space.json").write_text('{"option.kernel_size": [3, 5], "learning_rate": [0.01, 0.001]}')
    names = ("--model", "cnn1d_mfcc", "--corpus", "emodb", "--tuner", "grid", "--trials", 2, "--out", out)
    assert script("tune.py", *names, *common, *vary)[0] == 0
    code, printed, _ = script("tune.py", "--out", out, "--resume", "--trials", 3, "--option", "pool_size=2")
    assert code == 0 and "3 of 3 trials" in printed
    with (out / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["completed"] * 3
    assert len({(row["option.kernel_size"], row["learning_rate"]) for row in rows}) == 3
    code, _, said = script("tune.py", "--out", out, "--resume", "--model", "rnn_mfcc")
    assert code == 2 and "cnn1d_mfcc" in said and "rnn_mfcc" in said
    code, _, said = script("tune.py", "--out", out, "--resume", "--trials", 1)
    assert code == 2 and "3 trials are finished" in said
    code, _, said = script("train.py", "--from-search", out, "--out", tmp_path / "best")
    assert code == 0, said
    best = max(rows, key=lambda row: float(row["score"]))
    saved = json.loads((tmp_path / "best" / "config.json").read_text())
    assert saved["learning_rate"] == float(best["learning_rate"])
    assert saved["option"]["kernel_size"] == int(best["option.kernel_size"])
    assert (tmp_path / "best" / "metrics.json").is_file()
