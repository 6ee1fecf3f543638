"""The study of dynamic asking, on a small table of votes of CREMA-D's form."""

import csv
import json

import numpy as np
import pytest

from zoo.errors import UserError
from zoo.learning.raters import study as rater_study
from zoo.learning.raters.records import study
from zoo.learning.raters.study import how_many, read_counts

CODES = ("A", "D", "F", "H", "N", "S")
NAMES = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")


@pytest.fixture
def table(tmp_path, rng):
    """Votes on six emotions by eight actors, eight raters each: 7 of 10 answers are the intended emotion."""
    path = tmp_path / "tabulatedVotes.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["", *CODES, "fileName"])
        for modality in (1, 2):
            for actor in range(1001, 1009):
                for number, name in enumerate(NAMES):
                    shares = np.full(6, 0.06) + 0.64 * (np.arange(6) == number)
                    counts = rng.multinomial(8 if modality == 1 else 3, shares)
                    writer.writerow([f"{modality}{number:05}", *counts, f"{actor}_IEO_{name}_XX"])
    return path


def test_counts_are_of_one_modality(table):
    voice = read_counts(table)
    assert voice.counts.shape == (48, 6) and (voice.counts.sum(axis=1) == 8).all()
    assert (read_counts(table, "face").counts.sum(axis=1) == 3).all()
    assert voice.intended.tolist() == list(range(6)) * 8 and len(set(voice.actors)) == 8


def test_figures_of_rules(table):
    found = how_many(read_counts(table), seeds=[0, 1, 2])
    rows = {(row["rule"], row["level"]): row for row in found}
    one, everything = rows["number", 1], rows["agreement", 6]
    assert one["votes"]["value"] == 1 and one["saved"]["value"] == pytest.approx(6 / 7)
    assert everything["votes"]["value"] <= 7
    assert rows["number", 9]["as_all"]["value"] == 1 and rows["number", 9]["further_less_all"]["value"] == 0
    assert one["further"]["value"] == pytest.approx(0.7**2 + 5 * 0.06**2, abs=0.12)  # two answers are the same
    assert one["intended"]["value"] == pytest.approx(0.7, abs=0.12)
    for row in found:
        assert all(row[name]["low"] <= row[name]["value"] <= row[name]["high"] for name in ("votes", "further"))
    chosen = [row for row in found if isinstance(row["level"], str)]
    assert [row["rule"] for row in chosen] == 2 * list(rater_study.LEVELS)
    assert all(row["level"].startswith("chosen by ") for row in chosen)


def test_records_are_written(table, tmp_path, monkeypatch):
    monkeypatch.setattr(rater_study, "N_CLIPS", 40)
    steps = []
    study(table, [0, 1], tmp_path / "out", steps.append)
    record = json.loads((tmp_path / "out" / "raters.json").read_text())
    assert record["clips"] == 48 and record["votes_per_clip"] == 8 and str(tmp_path) not in json.dumps(record)
    assert record["command"] == "python scripts/label.py simulate --votes tabulatedVotes.csv --seeds 0 1 --out DIR"
    ways = {row["way"]: row for row in record["whom"]}
    assert ways["majority"]["accuracy_3"]["low"] <= ways["majority"]["accuracy_3"]["value"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "raters.json", "how-many.csv", "whom.csv", "raters.png",
    }  # fmt: skip
    assert steps[-1].endswith("raters.png")


@pytest.mark.parametrize(
    "content",
    ["", "file,label\na,b\n", ",A,D,F,H,N,S,fileName\n1,1,0,0,0,0,0,1001_IEO_NEU_XX\n", "\x00"],
)
def test_other_tables_are_refused(tmp_path, content):
    path = tmp_path / "votes.csv"
    path.write_text(content)
    with pytest.raises(UserError, match=r"votes\.csv: expected"):
        read_counts(path)
