"""Confusions by group, pair and rater, by rows made by hand."""

import csv
import json

import numpy as np
import pytest

from zoo.errors import UserError
from zoo.studies import confusions
from zoo.utils.atomic_files import write_csv, write_json

CLASSES = ["calm", "happy", "neutral"]
# Emotion, intensity, statement, repetition and actor of RAVDESS's names; truth, prediction.
ROWS = [
    ("02-01-01-01-01", "calm", "neutral"),
    ("02-02-02-01-01", "calm", "calm"),
    ("01-01-01-01-01", "neutral", "calm"),
    ("03-01-01-01-01", "happy", "happy"),
    ("02-01-02-01-02", "calm", "neutral"),
    ("01-01-02-01-02", "neutral", "neutral"),
    ("03-02-01-01-02", "happy", "calm"),
]
HEADER = '"","A","D","F","H","N","S","fileName"\n'


def a_run(folder, rows=ROWS, **facts):
    folder.mkdir()
    about = {"model": "fcn", "corpus": "ravdess", "protocol": "ravdess-actors v1", "synthetic": False}
    write_json(folder / "metrics.json", {**about, "classes": CLASSES, **facts})
    rows = [
        {
            "corpus": "ravdess",
            "clip": f"03-01-{code}",
            "speaker": f"Actor_{code[-2:]}",
            "truth": true,
            "prediction": said,
        }
        for code, true, said in rows
    ]
    write_csv(folder / "predictions.csv", rows)
    return folder


def test_matrices_of_speaker_sex_intensity_and_statement(tmp_path):
    found = confusions.study([a_run(tmp_path / "run")])
    groups = found["groups"]
    assert groups["all"]["all"] == [[1, 0, 2], [1, 1, 0], [1, 0, 1]]
    assert groups["speaker"]["Actor_01"] == groups["sex"]["male"] == [[1, 0, 1], [0, 1, 0], [1, 0, 0]]
    assert groups["intensity"]["strong"] == [[1, 0, 0], [1, 0, 0], [0, 0, 0]]
    assert groups["statement"]["dogs"] == [[1, 0, 1], [0, 0, 0], [0, 0, 1]]
    for by in groups.values():
        assert np.sum(list(by.values())) == 7
    assert found["figures"]["intensity"]["strong"]["ua"] == 0.5  # neutral has no strong clip


def test_pairs_are_ordered_by_the_mean_of_both_directions(tmp_path):
    first, second, third = confusions.study([a_run(tmp_path / "run")])["pairs"]
    assert first["classes"] == ["calm", "neutral"]
    assert (first["first_as_second"], first["second_as_first"]) == (pytest.approx(2 / 3), 0.5)
    assert first["mean"] == pytest.approx(7 / 12)
    assert (second["classes"], second["mean"]) == (["calm", "happy"], 0.25)
    assert third["mean"] == 0


def test_calm_and_neutral_as_one_class(tmp_path):
    found = confusions.study([a_run(tmp_path / "run")])["figures"]["all"]["all"]["calm_neutral"]
    assert found["calm"] == found["calm_as_neutral"] / 2 == pytest.approx(1 / 3)
    assert found["neutral"] == found["neutral_as_calm"] == 0.5
    assert found["ua_as_one_class"] == (5 / 5 + 1 / 2) / 2
    assert confusions.calm_against_neutral(np.eye(2), ["angry", "neutral"]) == {}


def test_what_people_confuse_stands_beside_it(tmp_path, script):
    """Clip one: four raters, neutral 3 to 1. Clip two: happy 2 to 1, so that a rater of happy sees a tie: left out."""
    votes = tmp_path / "tabulatedVotes.csv"
    votes.write_text(HEADER + '"100001",0,0,0,1,3,0,"1001_IEO_NEU_XX"\n"100002",0,0,0,2,1,0,"1001_IEO_HAP_LO"\n')
    code, printed, errors = script(
        "confusions.py", a_run(tmp_path / "run"), "--votes", votes, "--out", tmp_path / "out"
    )
    assert code == 0, errors
    assert "calm / neutral: 58.3 %" in printed
    people = json.loads((tmp_path / "out" / "confusions.json").read_text())["people"]
    happy, neutral = (people["classes"].index(name) for name in ("happy", "neutral"))
    assert people["confusion"][neutral][neutral] == 3 and people["confusion"][neutral][happy] == 1
    assert people["confusion"][happy][neutral] == 1 and people["ratings"] == 5
    assert people["pairs"] == [{"classes": ["happy", "neutral"], "people": (1 / 4 + 1) / 2, "network": 0.0}]
    with (tmp_path / "out" / "confusions.csv").open() as file:
        cells = list(csv.DictReader(file))
    assert sum(int(row["count"]) for row in cells if row["group"] == "all") == 7
    assert sum(int(row["count"]) for row in cells if row["group"] == "people") == 5
    text = (tmp_path / "out" / "confusions.md").read_text()
    assert "| calm | neutral | 66.7 % | 50.0 % | 58.3 % |" in text
    assert "| happy / neutral | 62.5 % | 0.0 % |" in text
    assert (tmp_path / "out" / "confusions.png").stat().st_size


def test_runs_of_different_folds_are_taken_together(tmp_path):
    one, other = a_run(tmp_path / "one", ROWS[:4]), a_run(tmp_path / "other", ROWS[4:])
    assert confusions.study([one, other])["groups"]["all"]["all"] == [[1, 0, 2], [1, 1, 0], [1, 0, 1]]


def test_runs_that_do_not_fit_are_refused(tmp_path):
    one = a_run(tmp_path / "one")
    with pytest.raises(UserError, match="clip 03-01-02-01-01-01-01 is in another run too"):
        confusions.study([one, a_run(tmp_path / "again")])
    with pytest.raises(UserError, match=r"expected a run as .*one, found another model, corpus or classes"):
        confusions.study([one, a_run(tmp_path / "other", model="attention_lstm")])
    with pytest.raises(UserError, match="expected classes calm, happy, neutral, found 'sad'"):
        confusions.study([a_run(tmp_path / "sad", [("04-01-01-01-01", "calm", "sad")])])
    with pytest.raises(UserError, match=r"--votes .*absent: no such file"):
        confusions.study([one], tmp_path / "absent")
