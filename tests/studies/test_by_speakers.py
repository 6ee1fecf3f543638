"""Learning curves by training speakers: draws, the power law, and the command."""

import csv
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from zoo.data.schema import Clip, Fold
from zoo.data.synthetic.corpora import synthesize
from zoo.errors import UserError
from zoo.studies import by_speakers


def clips(n_women=6, n_men=6):
    speakers = {f"w{k}": "female" for k in range(n_women)} | {f"m{k}": "male" for k in range(n_men)}
    return tuple(
        Clip(Path("x.wav"), f"{name}-{take}", name, "calm", targets={"sex": sex})
        for name, sex in speakers.items()
        for take in range(3)
    )


def test_draws_are_nested_balanced_and_differ_by_seed():
    fold = Fold("0", clips(), (), ())
    for seed in range(5):
        chosen = [{clip.speaker for clip in by_speakers.drawn(fold, n, seed).train} for n in (2, 4, 8, 12)]
        assert [len(one) for one in chosen] == [2, 4, 8, 12]
        assert all(small < large for small, large in pairwise(chosen))
        assert all(sum(name[0] == "w" for name in one) == len(one) / 2 for one in chosen)
        assert len(by_speakers.drawn(fold, 4, seed).train) == 12, "all clips of a speaker"
    orders = {tuple(by_speakers.order(fold.train, seed)) for seed in range(5)}
    assert len(orders) == 5 and by_speakers.order(fold.train, 1) == by_speakers.order(fold.train[::-1], 1)
    assert sorted(by_speakers.order(clips(6, 2), 0)) == sorted({clip.speaker for clip in clips(6, 2)})
    with pytest.raises(UserError, match="--speakers 13: expected 1 to 12, the training speakers of 0"):
        by_speakers.drawn(fold, 13, 0)


def test_the_power_law_is_found_again_and_goes_on():
    n = np.array([4, 8, 12])
    errors = 0.9 * n**-0.35
    found = by_speakers.extrapolate(list(n), 1 - np.tile(errors, (5, 1)))
    assert found["power_law"] == pytest.approx({"a": 0.9, "b": 0.35})
    assert found["extrapolated"]["speakers"] == 24
    assert found["extrapolated"]["ua"]["value"] == pytest.approx(1 - 0.9 * 24**-0.35)
    assert found["extrapolated"]["ua"]["low"] == pytest.approx(found["extrapolated"]["ua"]["high"]), "no draw differs"
    back = found["backtest"]
    assert back["predicted"] == pytest.approx(back["found"]) and back["speakers"] == 12


def test_intervals_are_over_draws(rng):
    uas = 1 - 0.9 * np.array([4.0, 8.0, 12.0]) ** -0.35 + rng.normal(0, 0.03, (6, 1))
    found = by_speakers.extrapolate([4, 8, 12], uas)
    for figure, column in zip(found["ua"], uas.T, strict=True):
        assert figure["value"] == pytest.approx(column.mean())
        # The bootstrap's standard error of a mean is the deviation (of n) by the root of n.
        assert figure["high"] - figure["low"] == pytest.approx(3.92 * column.std() / 6**0.5, rel=0.15)
    one = by_speakers.extrapolate([4, 8], uas[:1, :2])
    assert one["extrapolated"]["ua"]["low"] is None and one["backtest"] is None


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    return synthesize("ravdess", tmp_path_factory.mktemp("twin") / "ravdess", 192, seconds=(0.3, 0.4))


def test_the_command_draws_a_curve_on_test_speakers(script, twin, tmp_path):
    words = ["--model", "fcn", "--corpus", "ravdess", "--data-root", twin, "--bands", "8", "--option", "hidden_units=8"]
    words += ["--batch-size", "32", "--crop-seconds", "0.2", "--epochs", "1", "--keep", "last", "--out", "out"]
    code, _, errors = script(
        "by_speakers.py", *words, "--protocol", "ravdess-strangers", "--speakers", "4,16", "--side", "test"
    )
    assert code == 0, errors
    records = [json.loads((tmp_path / "out" / f"{n}-speakers-fold-0-seed-0.json").read_text()) for n in (4, 16)]
    assert [record["epochs"] for record in records] == [4, 1], "as many steps"
    assert [len(record["train_speakers"]) for record in records] == [4, 16]
    assert {*records[0]["train_speakers"]} < {*records[1]["train_speakers"]}
    assert all(record["scored_speakers"] == [f"Actor_{k}" for k in (17, 18, 19, 20)] for record in records)
    curve = json.loads((tmp_path / "out" / "curve.json").read_text())
    assert [figure["value"] for figure in curve["ua"]] == [record["ua"] for record in records]
    assert curve["scored"] == "test" and "32 (extrapolated)" in (tmp_path / "out" / "curve.md").read_text()
    with (tmp_path / "out" / "curve.csv").open() as file:
        assert [row["speakers"] for row in csv.DictReader(file)] == ["4", "16"]
    for more, said in (
        (["--protocol", "ravdess-strangers", "--speakers", "4,16"], "has no validation clips to score on"),
        (["--protocol", "ravdess-actors", "--speakers", "4,8", "--side", "test"], "has validation clips, which score"),
        (["--protocol", "ravdess-inner", "--speakers", "4,13"], "--speakers 13: expected 1 to 12"),
        (["--protocol", "ravdess-inner", "--speakers", "4"], "expected two whole numbers or more"),
    ):
        code, _, errors = script("by_speakers.py", *words, *more)
        assert code == 2 and said in errors
