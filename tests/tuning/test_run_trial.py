"""A trial trains on inner folds without test clips, and tune.py searches, on a small corpus."""

import csv
import json
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tuning import run_trial as trials
from tuning.journal import Journal
from zoo.config import flags as config
from zoo.data.synthetic.corpora import synthesize
from zoo.runs.dataset import inner, open_source, resolve

ROOT = Path(__file__).parents[2]
FLAGS = {"model": "cnn1d_mfcc", "corpus": "emodb", "fold": "0", "epochs": 2, "allow_incomplete": True}


@pytest.fixture(scope="module")
def emodb(tmp_path_factory):
    root = tmp_path_factory.mktemp("emodb")
    synthesize("emodb", root, 70, seed=0)
    return root


def assignment(root, **changes):
    flags = {**FLAGS, "data_root": str(root), "backend": "tensorflow", **changes.pop("flags", {})}
    return {"flags": flags, "epochs": None, "parent": None, "inner_folds": 2, "prune_below": None, **changes}


def history(folder, fold):
    with (folder / f"fold-{fold}-inner" / "history.csv").open() as file:
        return [float(row["validation_ua"]) for row in csv.DictReader(file)]


def outer(root):
    return open_source(resolve(config.from_flags({**FLAGS, "data_root": str(root)})))


def test_inner_folds_validate_each_speaker_but_the_test_speakers_once(emodb):
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


def test_no_test_clip_is_read(tmp_path, emodb):
    """A trial that opened one of them would fail: their files are no audio."""
    root = shutil.copytree(emodb, tmp_path / "corpus")
    (fold,) = outer(root).folds
    for clip in fold.test:
        clip.path.write_bytes(b"no audio")
    # A bound that it reaches does not end it.
    outcome = trials.run(tmp_path / "trials" / "0001", assignment(root, prune_below=[0.0, 0.0], epochs=1))
    assert (outcome["status"], len(outcome["folds"])) == ("completed", 2)
    written = "".join(p.read_text() for p in (tmp_path / "trials").rglob("*") if p.suffix in (".json", ".csv"))
    assert not [clip.name for clip in fold.test if clip.name in written]
    fold.train[0].path.write_bytes(b"no audio")  # the reader does fail on such a clip
    with pytest.raises(Exception, match=fold.train[0].name):
        trials.run(tmp_path / "trials" / "0002", assignment(root, flags={"coefficients": 40}))


def test_score_is_the_mean_of_each_folds_best_epoch_also_of_a_stopped_trial(tmp_path, emodb):
    beats, whole, stopped = [], tmp_path / "whole" / "0001", tmp_path / "stopped" / "0001"
    outcome = trials.run(whole, assignment(emodb), lambda: beats.append(1))
    best = [max(history(whole, number)) for number in (0, 1)]
    assert outcome["folds"] == pytest.approx(best)
    assert outcome["score"] == pytest.approx(sum(best) / 2)
    assert outcome["epochs"] == len(beats) == 4
    assert json.loads((whole / "metrics.json").read_text())["folds"] == outcome["folds"]
    assert not list(whole.rglob("state*.npz"))

    def stop():
        raise KeyboardInterrupt

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            trials.run(stopped, assignment(emodb), stop)
    assert trials.run(stopped, assignment(emodb))["folds"] == outcome["folds"]
    assert history(stopped, 0) == history(whole, 0)


def test_rung_continues_its_parent(tmp_path, emodb):
    trials.run(tmp_path / "0001", assignment(emodb, epochs=1))
    trials.run(tmp_path / "0002", assignment(emodb, epochs=2, parent="0001"))
    first, second = history(tmp_path / "0001", 0), history(tmp_path / "0002", 0)
    assert (len(first), len(second)) == (1, 2) and second[0] == first[0]


def test_trial_below_the_median_is_pruned(tmp_path, emodb):
    outcome = trials.run(tmp_path / "0001", assignment(emodb, prune_below=[1.1, 1.1], epochs=1))
    assert (outcome["status"], len(outcome["folds"])) == ("pruned", 1)
    assert "below the median" in outcome["reason"]


def test_infeasible_flags_are_explained(emodb):
    assert trials.feasible(assignment(emodb)["flags"]) is None
    assert "pool_size" in trials.feasible(assignment(emodb, flags={"option": {"pool_size": 50}})["flags"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--fold", "0,1"), "a search belongs to one"),
        (("--workers", "-1"), "--workers is -1, expected at least 1"),
        (("--inner-folds", "99"), "--inner-folds is 99, expected 2 to"),
        (("--corpus", "ravdess", "--protocol", "ravdess-random-67"), "--allow-leakage"),
        (("--enhancer", "runs/dae"), "runs/dae: its models were trained on clips that the inner folds"),
    ],
)
def test_flags_that_cannot_be_searched_with(tmp_path, script, words, message):
    common = ("--model", "cnn1d_mfcc", "--corpus", "emodb", "--synthetic")
    code, _, said = script("tune.py", *common, "--out", tmp_path / "x", *words)
    assert code == 2 and message in said


SEARCH = ["--model", "cnn1d_mfcc", "--corpus", "emodb", "--allow-incomplete", "--epochs", "1", "--inner-folds", "2"]
SEARCH += ["--option", "pool_size=2", "--tuner", "grid", "--trials", "1"]


def test_resume_begins_a_search_whose_process_was_killed_before_the_journal(tmp_path, emodb, script, monkeypatch):
    served, out = [], tmp_path / "search"
    monkeypatch.setattr("tuning.distributed.drive.drive", lambda search, *_, **__: served.append(search.asked))
    monkeypatch.setattr("tuning.results.show.show", lambda folder, as_json: None)
    out.mkdir()
    (out / "search.lock").touch()
    code, _, said = script("tune.py", *SEARCH, "--data-root", emodb, "--out", out, "--resume")
    assert (code, served) == (0, [1]), said
    with closing(Journal(out)) as journal:
        journal.append({"event": "finished", "trial": "0009", "worker": "\x1b[2J"})
    code, _, said = script("tune.py", "--out", out, "--resume", "--trials", 3)
    assert (code, served) == (0, [1, 3]) and "line 3, left out: trial '0009' was not proposed" in said
    code, _, said = script("tune.py", "--out", tmp_path / "mistyped", "--resume")
    assert code == 2 and "no search is here" in said and not (tmp_path / "mistyped").exists()


@pytest.mark.parametrize("scores", [[1e200, 0.5], [-5.0], [float("nan")], [2.0, -1.0]])
def test_a_trial_with_scores_beyond_the_metrics_range_is_no_outcome(tmp_path, emodb, monkeypatch, scores):
    found = iter(scores)
    monkeypatch.setattr("zoo.training.fit.fit", lambda *args: [{"validation_ua": next(found)}])
    monkeypatch.setattr("zoo.training.train.fold_data", lambda *args: None)
    with pytest.raises(ValueError, match="of a trial's outcome cannot be"):
        trials.run(tmp_path / "0001", assignment(emodb, prune_below=[1e300] * 2 if len(scores) == 1 else None))
    assert not (tmp_path / "0001" / "metrics.json").exists()


@pytest.mark.slow
def test_search_runs_on_another_backend(tmp_path, emodb, script):
    command = [sys.executable, "scripts/tune.py", *SEARCH, "--data-root", emodb, "--out", tmp_path]
    process = subprocess.run([*command, "--backend", "torch"], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert process.returncode == 0 and "1 of 1 trials" in process.stdout, process.stdout + process.stderr
    code, _, message = script("tune.py", "--out", tmp_path, "--resume", "--trials", 2)
    assert code == 2 and "start a new process for 'torch'" in message, "the backend of the search is kept"


@pytest.mark.slow
def test_search_from_start_to_the_trained_best(tmp_path, emodb, script):
    out, space = tmp_path / "search", tmp_path / "space.json"
    space.write_text('{"option.kernel_size": [3, 5], "learning_rate": [0.01, 0.001]}')
    assert script("tune.py", *SEARCH, "--data-root", emodb, "--out", out, "--space", space)[0] == 0
    code, printed, _ = script("tune.py", "--out", out, "--resume", "--trials", 2, "--option", "pool_size=2")
    assert code == 0 and "2 of 2 trials" in printed
    with (out / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len({(row["option.kernel_size"], row["learning_rate"]) for row in rows}) == 2
    for words, parts in (
        (("--model", "rnn_mfcc"), ("cnn1d_mfcc", "rnn_mfcc")),
        (("--vary", "batch_size=8,16"), ("space of batch_size was None, now [8, 16]",)),
        (("--trials", 1), ("2 trials are finished",)),
    ):
        code, _, message = script("tune.py", "--out", out, "--resume", *words)
        assert code == 2 and all(part in message for part in parts)
    code, _, message = script("train.py", "--from-search", out, "--out", tmp_path / "best")
    assert code == 0, message
    best = max(rows, key=lambda row: float(row["score"]))
    saved = json.loads((tmp_path / "best" / "config.json").read_text())
    assert saved["learning_rate"] == float(best["learning_rate"])
    assert saved["option"]["kernel_size"] == int(best["option.kernel_size"])
    assert (tmp_path / "best" / "metrics.json").is_file()
