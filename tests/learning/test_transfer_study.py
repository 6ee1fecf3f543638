"""scripts/transfer.py on synthetic twins: linear models with a source corpus, networks from initial weights."""

import json

import keras
import numpy as np
import pytest
import tiny_runs

from zoo.data.synthetic.corpora import synthesize
from zoo.frontends import opensmile
from zoo.learning.transfer import study as transfer_study


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """Twins of EmoDB and RAVDESS, and a cache that all tests share."""
    folder = tmp_path_factory.mktemp("twins")
    sizes = {"emodb": 70, "ravdess": 192}
    return {name: synthesize(name, folder / name, n, seconds=(0.3, 0.4)) for name, n in sizes.items()} | {"": folder}


@pytest.fixture
def functionals(monkeypatch):
    """In place of openSMILE, which need not be installed and takes its time: levels of parts of the clip."""

    def levels(clip, *settings):
        parts = np.array_split(clip.astype(np.float64), 20)
        return np.array([np.log(np.square(part).mean() + 1e-9) for part in parts], np.float32)

    monkeypatch.setattr(opensmile, "clip_functionals", levels)
    monkeypatch.setattr(opensmile, "clip_settings", lambda *settings: {"made": list(settings)})


def on(twins, *more):
    common = ("--corpus", "emodb", "--data-root", twins["emodb"], "--fold", "0,1", "--cache-dir", twins[""] / "cache")
    return (*common, "--allow-incomplete", "--backend", keras.backend.backend(), *more)


def test_a_linear_model_with_a_source_and_an_interrupted_study_that_goes_on(twins, functionals, script, tmp_path):
    methods = ("nothing", "source", "pooled", "correlation")
    words = ("--model", "egemaps_svm", "--source", "ravdess", "--source-root", twins["ravdess"], "--methods", *methods)
    words = on(twins, *words, "--budgets", "7", "14", "--seeds", "0", "1", "--out", tmp_path / "out")
    code, said, errors = script("transfer.py", *words)
    assert code == 0, errors
    found = json.loads((tmp_path / "out" / "transfer.json").read_text())
    assert found["classes"] == ["angry", "bored", "disgust", "fearful", "happy", "neutral", "sad"]
    assert found["classes_without_source"] == ["bored"] and found["n_test_clips"] == 14
    assert [(row["method"], row["labelled_clips"]) for row in found["figures"]][:2] == [("nothing", 7), ("nothing", 14)]
    assert len(found["figures"]) == 8 and str(tmp_path) not in (tmp_path / "out" / "transfer.json").read_text()
    assert "nothing: the target's labelled clips alone" in said
    by = {(row["method"], row["labelled_clips"]): row["ua"] for row in found["figures"]}
    assert by["source", 7] == by["source", 14] and by["nothing", 14] > 1 / 7

    cells = sorted((tmp_path / "out" / "cells").iterdir())
    assert len(cells) == 4
    kept = cells[1].stat().st_mtime_ns
    cells[0].unlink()
    assert script("transfer.py", *words)[0] == 0
    again = json.loads((tmp_path / "out" / "transfer.json").read_text())
    assert again["figures"] == found["figures"] and cells[1].stat().st_mtime_ns == kept
    code, _, errors = script("transfer.py", *words, "--on-bad-clip", "skip")
    assert code == 2 and "holds results of other settings (target). Give another --out" in errors


def test_no_test_clip_is_drawn(twins, functionals, monkeypatch, script, tmp_path):
    drawn = []
    monkeypatch.setattr(transfer_study, "draw", lambda pool, *rest: drawn.append(pool) or list(range(rest[0])))
    words = ("--model", "egemaps_svm", "--source", "ravdess", "--source-root", twins["ravdess"], "--methods", "nothing")
    assert (
        script("transfer.py", *on(twins, *words, "--budgets", "7", "--seeds", "0", "--out", tmp_path / "out"))[0] == 0
    )
    assert [{clip.speaker for clip in pool} & {tested} for pool, tested in zip(drawn, ("03", "08"), strict=True)] == [
        set(),
        set(),
    ]
    assert all(len({clip.speaker for clip in pool}) == 9 for pool in drawn)


@pytest.mark.backend
def test_a_network_from_initial_weights(twins, script, tmp_path):
    run = tiny_runs.make(tmp_path / "run", "fcn", "iemocap")
    methods = ("source", "source-adapted", "fine-tune-head")
    words = ("--model", "fcn", "--recipe", "quick", "--bands", "12", "--init-from", run, "--epochs", "1")
    words = (*words, "--methods", *methods)
    words = on(twins, *words, "--budgets", "7", "--seeds", "0", "--crop-seconds", "0.2", "--out", tmp_path / "out")
    code, said, errors = script("transfer.py", *words, "--fold", "0")
    assert code == 0, errors
    found = json.loads((tmp_path / "out" / "transfer.json").read_text())
    assert tuple(row["method"] for row in found["figures"]) == methods
    assert found["initial"][0]["corpus"] == "synthetic iemocap" and found["initial"][0]["head"].startswith(
        "kept: angry"
    )
    (cell,) = (tmp_path / "out" / "cells").iterdir()
    predicted = json.loads(cell.read_text())["predictions"]
    names = {found["classes"][index] for index in predicted["source"]["7"]}
    assert names <= {"angry", "happy", "neutral", "sad"}, "of classes that the initial model knows"
    assert not (tmp_path / "out" / "training").exists() and "synthetic iemocap to emodb" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--model", "egemaps_svm"), "transfer.py needs --source CORPUS"),
        (
            ("--model", "fcn", "--source", "ravdess"),
            "--source is for linear models; fcn gets its source by",
        ),
        (
            ("--model", "fcn"),
            "--methods fine-tune, fine-tune-head, source, source-adapted need --init-from",
        ),
        (("--model", "fcn", "--seed", "1"), "--seed is for train.py; give the seeds of the draws, as in --seeds 0 1 2"),
        (
            ("--model", "mfcc_svr", "--source", "emodb"),
            "--model mfcc_svr: expected compare_svm, egemaps_svm or",
        ),
        (("--model", "egemaps_svm", "--methods", "magic"), "--methods magic: egemaps_svm has nothing, source"),
        (
            ("--model", "egemaps_svm", "--budgets", "5"),
            "--budgets 5: expected at least one clip of each of the 7",
        ),
        (("--model", "egemaps_svm", "--budgets", "0"), "--budgets: expected different numbers of clips, at least 1"),
        (("--model", "egemaps_svm", "--source", "emodb"), "70 recordings of emodb are in emodb too"),
    ],
)
def test_bad_input_is_one_sentence(twins, functionals, script, tmp_path, words, said):
    if "egemaps_svm" in words and len(words) > 2 and "--source" not in words:
        words = (*words, "--source", "ravdess", "--source-root", twins["ravdess"])
    if "emodb" in words:
        words = (*words, "--source-root", twins["emodb"])
    code, _, errors = script("transfer.py", *on(twins, *words, "--out", tmp_path / "out"))
    assert code == 2 and said in errors and "Traceback" not in errors
