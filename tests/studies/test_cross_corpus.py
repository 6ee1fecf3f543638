"""The matrix by hand-worked figures; a study on made features, resumed; cells that cannot be filled."""

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from zoo.config.flags import from_flags
from zoo.data.batches.feature_store import InMemory
from zoo.data.protocols import pool as protocols
from zoo.data.schema import Clip
from zoo.errors import UserError
from zoo.runs.dataset import Source
from zoo.studies import cross_corpus, cross_corpus_cells, cross_corpus_report
from zoo.training.run import Run

CLASSES = ("angry", "sad")
CORPORA = ("a", "b", "c")
COUNTS = {"a": 3, "b": 3}


def row(speaker, truth, prediction):
    return {"speaker": speaker, "truth": truth, "prediction": prediction}


def rows(speakers):
    """Rows of speakers, of whom so many of 2 angry and 2 sad clips are classified correctly: {"s": (1, 2)}."""
    return [
        row(name, truth, truth if n < right else other)
        for name, hits in speakers.items()
        for truth, other, right in zip(CLASSES, CLASSES[::-1], hits, strict=True)
        for n in range(2)
    ]


@pytest.fixture
def matrix():
    """All cells but one; trained on b, corpus a is found better than trained on c, by every speaker."""
    good, bad = {"s": (2, 2), "t": (2, 1)}, {"s": (1, 1), "t": (0, 1)}
    found = {(one, other): rows(good if one == other else bad) for one in CORPORA for other in CORPORA}
    found["b", "a"] = rows(good)
    del found["c", "b"]
    return found


def test_cells(matrix):
    found = cross_corpus_cells.cells({False: [matrix]}, CORPORA, CLASSES, {("c", "b"): "too few speakers"})
    by = {(cell["trained_on"], cell["tested_on"]): cell for cell in found}
    assert len(found) == 9 and not any(cell["normalized"] for cell in found)
    ua = by["a", "a"]["ua"]  # 4 of 4 angry, 3 of 4 sad; t alone 3 of 4, s alone all
    assert (ua["value"], ua["low"], ua["high"]) == (7 / 8, 6 / 8, 1)
    assert by["a", "a"]["recalls"] == {"angry": 1, "sad": 3 / 4} and by["a", "a"]["n_speakers"] == 2
    assert by["c", "b"]["ua"]["value"] is None and by["c", "b"]["why_empty"] == "too few speakers"
    some = {**matrix, ("all others", "a"): rows({"s": (1, 1)})}
    found = cross_corpus_cells.cells({False: [some]}, CORPORA, CLASSES, {})
    assert len(found) == 12 and found[-1]["why_empty"] == "not tested"


def test_mean_over_seeds(matrix):
    other = {**matrix, ("a", "a"): rows({"s": (0, 0), "t": (0, 0)})}
    cell = cross_corpus_cells.cells({False: [matrix, other]}, CORPORA, CLASSES, {})[0]
    assert cell["ua"]["value"] == 7 / 16 and cell["ua"]["low"] == 0


def test_one_speaker_has_no_interval(matrix):
    matrix["a", "a"] = rows({"s": (2, 1)})
    cell = cross_corpus_cells.cells({False: [matrix]}, CORPORA, CLASSES, {})[0]
    assert cell["ua"] == {"value": 3 / 4, "low": None, "high": None}


def test_family_and_normalization(matrix):
    better = {key: rows({"s": (2, 2), "t": (2, 2)}) for key in matrix}
    found = cross_corpus_cells.comparisons({False: [matrix], True: [better]}, CORPORA, CLASSES, {"west": ["a", "b"]})
    first = found["family_effect"][0]  # 7/8 trained on b, 3/8 trained on c: s 1 and 1/2, t 3/4 and 1/4
    assert (first["tested_on"], first["trained_inside"], first["trained_outside"]) == ("a", ["b"], ["c"])
    assert first["difference"] == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert [one["tested_on"] for one in found["family_effect"]] == ["a", "a"]  # b has no training outside
    by = {one["tested_on"]: one["difference"]["value"] for one in found["normalization_effect"]}
    assert by == pytest.approx({"a": 1 - 5 / 8, "b": 1 - 3 / 8, "c": 1 - 3 / 8, "mean": (3 / 8 + 5 / 8 + 5 / 8) / 3})
    assert found["best_training"][0]["ua"] == {"b": 7 / 8, "c": 3 / 8}


def clips(corpus, n_speakers, classes=CLASSES):
    return [
        Clip(Path(f"{s}{label}{n}"), f"{corpus}:{s}{label}{n}", f"{corpus}:{s}", label, {"corpus": corpus})
        for s in range(n_speakers)
        for label in classes
        for n in range(3)
    ]


def source(**corpora):
    some = [clip for corpus, n in corpora.items() for clip in clips(corpus, n)]
    protocol = protocols.get("", "+".join(corpora), CLASSES)
    return Source(protocol, tuple(protocols.by_speakers(some)), (), False)


def test_folds_of_the_study_keep_tested_corpora_and_speakers_out():
    parts, empty = cross_corpus.parts_of(source(ravdess=6, emodb=4, cremad=5))
    assert not empty and len(parts) == 5 + 4 + 5 + 3 + 3
    for part in parts:
        sides = [{clip.speaker for clip in side} for side in part.fold.sides]
        assert not any(one & other for one, other in combinations(sides, 2))
        assert {clip.tags["corpus"] for clip in part.fold.test} == set(part.tested_on)
        known = {clip.tags["corpus"] for clip in (*part.fold.train, *part.fold.validation)}
        if part.trained_on == "all others":
            assert known == {"ravdess", "emodb", "cremad"} - set(part.tested_on)
        else:
            assert known == {part.trained_on}


def test_a_corpus_of_one_speaker_is_tested_and_not_trained_on():
    parts, empty = cross_corpus.parts_of(source(ravdess=4, emodb=1))
    assert set(empty) == {("emodb", "emodb"), ("emodb", "ravdess")}
    assert "no training clip of angry, sad" in empty["emodb", "emodb"]
    assert "too few speakers for validation" in empty["emodb", "ravdess"]
    assert {(part.trained_on, part.tested_on) for part in parts} == {("ravdess", ("ravdess",)), ("ravdess", ("emodb",))}
    with pytest.raises(UserError, match="no corpus can be trained on"):
        cross_corpus.parts_of(source(ravdess=1, emodb=1))


@pytest.fixture
def made(monkeypatch, tmp_path, rng):
    """A study on features that tell the classes apart, each corpus's moved; returns its settings."""
    found = source(ravdess=3, emodb=3)
    shift = {"ravdess": 0.0, "emodb": 30.0}
    features = {
        clip.name: InMemory(
            (rng.normal(shift[clip.tags["corpus"]], 1, (1, 4)) + 4 * CLASSES.index(clip.label)).astype(np.float32)
        )
        for clip in found.clips
    }
    labels = {"label_map": {name: name for name in CLASSES}, "label_source": "made", "clips": dict.fromkeys(CLASSES, 9)}
    about = {name: {"title": name, "licence": "none", "address": "-", **labels} for name in shift}
    facts = {"corpora": about, "notes": [], "leakage": [], "bad_clips": [], "warnings": [], "versions": {}}
    monkeypatch.setattr(cross_corpus, "open_source", lambda config: found)
    monkeypatch.setattr(
        cross_corpus, "prepare", lambda folder, config, some, progress: Run(folder, config, some, features, {}, facts)
    )
    flags = {"model": "compare_svm", "corpus": "ravdess+emodb", "complexities": (0.01,), "out": str(tmp_path / "out")}
    return replace(from_flags(flags), classes=CLASSES, protocol="pool-speakers", fold="all")


@pytest.mark.usefixtures("all_formats")
def test_study_is_written_and_resumed(made, tmp_path, monkeypatch):
    record = cross_corpus.measure(made, (False, True), (0,), {})
    by = {(cell["trained_on"], cell["tested_on"], cell["normalized"]): cell["ua"]["value"] for cell in record["cells"]}
    assert len(by) == 8
    for one, other in (("ravdess", "emodb"), ("emodb", "ravdess")):
        assert by[one, one, False] == by[one, one, True] == 1  # other speakers
        assert by[one, other, False] == 0.5 and by[one, other, True] == 1  # the shift is standardised away
    assert [row["normalized"] for row in record["folds"]] == [False] * 8 + [True] * 2
    assert all(row["c"] == "0.01" for row in record["folds"])

    monkeypatch.setattr(cross_corpus.fit_linear, "fit", None)  # nothing is fitted again
    again = cross_corpus.measure(made, (False, True), (0,), {})
    assert again["cells"] == record["cells"] and again["folds"] == record["folds"]
    with pytest.raises(UserError, match="another configuration: recipe was"):
        cross_corpus.measure(replace(made, recipe="tuned"), (False,), (0,), {})

    cross_corpus_report.write(record, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "matrix.json").read_text())["cells"] == record["cells"]
    page = (tmp_path / "out" / "matrix.md").read_text()
    assert (
        "| ravdess | **100.0 [100.0, 100.0]** | 50.0 [50.0, 50.0] |" in page and "| ravdess | none | 9 (angry)" in page
    )
    assert (tmp_path / "out" / "matrix.svg").read_text().startswith("<?xml")
    assert (tmp_path / "out" / "matrix.png").is_file()
    header, *lines = (tmp_path / "out" / "matrix.csv").read_text().splitlines()
    assert header.startswith("trained_on,tested_on,normalized,n_clips,n_speakers,ua,") and len(lines) == 8


def test_pages_show_empty_cells(matrix, tmp_path):
    cells = cross_corpus_cells.cells({False: [matrix]}, CORPORA, CLASSES, {("c", "b"): "c: too few speakers"})
    labels = {"label_map": {}, "label_source": "made", "clips": dict.fromkeys(CLASSES, 9), "licence": "none"}
    about = {"corpora": dict.fromkeys(CORPORA, labels), "model": "m", "recipe": "r", "classes": CLASSES, "seeds": [0]}
    rest = {
        "synthetic": False,
        "notes": ["a note"],
        "leakage": [],
        "warnings": [],
        "cells": cells,
        "fitting_seconds": 60.0,
    }
    compared = cross_corpus_cells.comparisons({False: [matrix]}, CORPORA, CLASSES, {"west": ["a", "b"]})
    record = {**about, **rest, **compared}
    cross_corpus_report.write(record, tmp_path)
    page = (tmp_path / "matrix.md").read_text()
    assert "| c | 37.5 [25.0, 50.0] | – | **87.5 [75.0, 100.0]** |" in page
    assert "Empty: c: too few speakers" in page and "- a note" in page
    assert "west, tested on a, features as they are: +50.0 [+50.0, +50.0], as the claim says" in page
    assert "b –" in cross_corpus_report.lines(record)[3]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--corpora ravdess emodbb", "unknown corpus of the pool 'ravdess+emodbb' 'emodbb'"),
        ("--corpora ravdess ravdess", "ravdess is named twice"),
        ("--corpora ravdess --classes angry,sad", "expected two corpora or more"),
        ("--corpora ravdess emodb --protocol pool-unseen", "--protocol: the study sets it itself"),
        ("--corpora ravdess emodb --family west=ravdess", "--family west=ravdess: expected NAME=A,B"),
        ("--corpora ravdess emodb --family west=ravdess,cremad", "--family west: cremad is not among the corpora"),
        ("--corpora ravdess emodb --normalize maybe", "unknown --normalize 'maybe'"),
        ("--corpora ravdess emodb --model conv_lstm", "--normalize-corpora has no effect on conv_lstm"),
        ("--corpora ravdess emodb --seeds 1 1", "a seed is given twice"),
        ("--corpora ravdess emodb --data-root nowhere", "nowhere"),
    ],
)
def test_what_the_script_refuses(script, words, said):
    code, _, err = script("cross_corpus.py", *words.split())
    assert code == 2 and said in err and err.startswith("error:") and "Traceback" not in err
