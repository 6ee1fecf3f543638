"""A run keeps the weights of its best epoch or, if asked, of its last."""

import csv

import numpy as np
import pytest

from zoo.config.flags import from_flags
from zoo.reports import classification as report
from zoo.runs.folder import read_record
from zoo.runs.model_file import load_model
from zoo.training.evaluate import training_accuracy
from zoo.training.train import train


def test_the_last_epoch_is_kept_if_asked_and_marked_in_the_curves(tmp_path, monkeypatch):
    marked = []
    monkeypatch.setattr(report, "plot_curves", lambda history, path, title, kept: marked.append(kept))
    given = {"model": "cnn1d_mfcc", "corpus": "emodb", "synthetic": True, "clips": 70, "fold": "0"}
    given |= {"mel_bands": 80, "learning_rate": 0.05}

    def run(name, **flags):
        out = train(from_flags({**given, **flags, "out": str(tmp_path / name)})).folder
        (path,) = out.glob("fold-*/model.keras")
        record = read_record(out)["folds"][0]
        assert marked.pop() == record["best_epoch"]
        return record, load_model(path).get_weights()

    best, weights = run("best", epochs=5)
    if best["best_epoch"] == 5:  # then the first four would do as well
        best, weights = run("four", epochs=4)
    record, last = run("last", epochs=best["best_epoch"], keep="last")
    for one, other in zip(weights, last, strict=True):
        np.testing.assert_array_equal(one, other)
    assert record["best_epoch"] == best["best_epoch"]
    record, last = run("longer", epochs=best["best_epoch"] + 1, keep="last")
    assert record["best_epoch"] == record["epochs"] == best["best_epoch"] + 1
    assert any((one != other).any() for one, other in zip(weights, last, strict=True))


def test_accuracy_of_every_epoch_is_recorded_and_nothing_is_chosen_by_it(tmp_path):
    """The last epoch's are those of the finished run; epoch and weights are those of a run without the record."""
    given = {"model": "cnn1d_mfcc", "corpus": "ravdess", "synthetic": True, "clips": 192, "mel_bands": 80}
    given |= {"protocol": "ravdess-random-67", "allow_leakage": True, "learning_rate": 0.02, "epochs": 3}
    found = {}
    for name, flags in {"plain": {}, "recorded": {"record_accuracy": True}}.items():
        out = train(from_flags({**given, **flags, "out": str(tmp_path / name)})).folder
        (fold,) = out.glob("fold-*")
        with (fold / "history.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        found[name] = rows, read_record(out), load_model(fold / "model.keras").get_weights()
    (plain, record, weights), (rows, recorded, others) = found.values()
    assert set(rows[0]) - set(plain[0]) == {"train_wa", "test_wa"}
    assert recorded["folds"][0]["best_epoch"] == record["folds"][0]["best_epoch"]
    for one, other in zip(weights, others, strict=True):
        np.testing.assert_array_equal(one, other)
    kept = rows[recorded["folds"][0]["best_epoch"] - 1]
    assert float(kept["test_wa"]) == pytest.approx(recorded["wa"]["value"])
    assert float(kept["train_wa"]) == pytest.approx(training_accuracy(tmp_path / "recorded"))
    assert len({row["train_wa"] for row in rows}) > 1
