"""Train folds without validation clips, without test clips, and on all clips; and use such runs."""

import csv
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import h5py
import keras
import pytest
from predictions import predict_run

from zoo.config.flags import from_flags
from zoo.data.schema import Clip, Fold
from zoo.data.synthetic.corpora import synthesize
from zoo.errors import UserError
from zoo.export import fit_temperature, model_card
from zoo.export.export import export
from zoo.runs import folds_of_final, sides
from zoo.runs.folder import read_record, read_rows
from zoo.runs.open_run import open_run
from zoo.serving.description import DESCRIPTION, read_description
from zoo.studies.compare import compare_runs
from zoo.training.evaluate import evaluate_run
from zoo.training.train import train
from zoo.utils.atomic_files import write_json

EXPORT = Path(__file__).parents[2] / "saved_models" / "attention_blstm_fcn-ravdess" / "1"


@pytest.fixture(scope="module")
def ravdess(tmp_path_factory):
    """24 actors with a clip of each class."""
    return synthesize("ravdess", tmp_path_factory.mktemp("twin") / "ravdess", 192, seconds=(0.3, 0.4))


@pytest.fixture(scope="module")
def runs(ravdess, tmp_path_factory):
    place = tmp_path_factory.mktemp("runs")

    def run(protocol, fold, **flags):
        given = {"model": "fcn", "corpus": "ravdess", "data_root": str(ravdess), "cache_dir": str(place / "cache")}
        given |= {"bands": 8, "option": {"hidden_units": 8}, "batch_size": 32, "crop_seconds": 0.2, "epochs": 2}
        given |= {"keep": "last", "patience": 1, "backend": keras.backend.backend()}
        return train(
            from_flags({**given, "protocol": protocol, "fold": fold, "out": str(place / f"{protocol}-{fold}"), **flags})
        )

    return run


@pytest.fixture(scope="module")
def strangers(runs):
    return runs("ravdess-strangers", "all")


@pytest.fixture(scope="module")
def untested(runs):
    return runs("ravdess-inner", "3", keep="best")


@pytest.fixture(scope="module")
def folds(runs):
    """A tested fold of the same recipe."""
    return runs("ravdess-actors", "4", keep="best", patience=9)


@pytest.fixture(scope="module")
def of_all(runs, folds):
    return runs("ravdess-actors", "final", figures_from=str(folds.folder))


def history(fold):
    with (fold / "history.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_without_validation_all_epochs_are_trained_and_the_last_is_kept(strangers):
    fold = strangers.folder / "fold-0-Actor_17_Actor_18_Actor_19_Actor_20"
    rows, record = history(fold), read_record(fold)
    assert len(rows) == 2, "patience of 1 ends nothing where no score is"
    assert not any(name.startswith("validation") for name in rows[0]) and "validation_ua" not in record
    assert (record["epochs"], record["best_epoch"], record["validation_clips"]) == (2, 2, 0)
    assert record["sides"] == read_record(strangers.folder)["sides"] == ["train", "test"]
    assert record["test_speakers"] == [f"Actor_{actor}" for actor in (17, 18, 19, 20)] and record["n_clips"] == 32
    assert read_rows(fold) == read_rows(strangers.folder)
    assert strangers.title().endswith("last epoch kept, no validation side")
    assert evaluate_run(strangers.folder)[1] == [], "the recorded figures come out again"


def test_without_a_test_side_there_are_no_test_figures(untested):
    record = read_record(untested.folder)
    assert record["sides"] == ["train", "validation"] and not {"ua", "wa", "n_clips", "confusion"} & record.keys()
    assert list(untested.folder.rglob("predictions.csv")) == list(untested.folder.rglob("confusion.png")) == []
    for fold in record["folds"]:
        scores = [float(row["validation_ua"]) for row in history(untested.folder / f"fold-{fold['fold']}")]
        assert fold["validation_ua"] == max(scores) == scores[fold["best_epoch"] - 1]
    assert [fold["fold"] for fold in record["folds"]] == ["3-Actor_13-Actor_16"]


def test_the_final_fold_learns_from_every_clip(of_all):
    (fold,) = of_all.source.folds
    assert len(fold.train) == 192 and fold.sides[1:] == ((), ())
    record = read_record(of_all.folder)
    assert record["sides"] == ["train"] and record["folds"][0].keys() == {
        *("fold", "best_epoch", "epochs", "seconds_per_epoch")
    }
    assert "fold final" in of_all.title("final") and "no validation side, no test side" in of_all.title()
    assert {path.name for path in (of_all.folder / "fold-final").iterdir()} == {
        *("model.keras", "metrics.json", "history.csv", "curves.png", "training_clips.json")
    }


def test_untested_runs_open_and_predict(untested, of_all, ravdess):
    clips = sorted(ravdess.rglob("*.wav"))[:2]
    for run in (untested, of_all):
        opened = open_run(run.folder)
        assert opened.record["classes"] == list(opened.protocol.classes)
        for row in predict_run(run.folder, clips):
            assert row["emotion"] in opened.protocol.classes
    assert open_run(of_all.folder, "final").fold_folders == (of_all.folder / "fold-final",)


@pytest.mark.parametrize(
    "use", [evaluate_run, lambda run: compare_runs([run, run.parent / "ravdess-strangers-all"]), read_rows]
)
def test_what_needs_test_clips_says_that_there_are_none(use, untested, strangers):
    with pytest.raises(UserError, match=r"ravdess-inner v1 has no test side here \(its sides: train, validation\)"):
        use(untested.folder)


def test_the_final_run_names_the_figures_of_its_folds(of_all, folds):
    whole, theirs = read_record(of_all.folder), read_record(folds.folder)
    found = whole["figures_from"]
    for name in ("ua", "wa", "confusion", "per_speaker", "classes", "n_clips", "data_sha256"):
        assert found[name] == theirs[name]
    assert "ua" not in whole, "no figure of its own"
    assert found["run"] == folds.folder.name and "each trained on fewer speakers" in found["said"]
    assert found["settings_that_differ"] == ["keep was 'best', now 'last'"]
    assert read_record(of_all.folder / "fold-final")["figures_from"] == found


def test_epochs_of_the_final_run(folds, strangers, monkeypatch):
    best = [fold["best_epoch"] for fold in read_record(folds.folder)["folds"]]
    assert folds_of_final.epochs(folds.folder) == best[0]
    assert folds_of_final.epochs(strangers.folder) == 2, "it keeps the last epoch"
    opened = open_run(folds.folder)
    several = {"folds": [{"best_epoch": epoch} for epoch in (3, 9, 40, 41)]}  # median 24.5, and round is to even
    monkeypatch.setattr(folds_of_final, "open_run", lambda run: replace(opened, record=several))
    assert folds_of_final.epochs(folds.folder) == 24


def test_temperature_and_confidence_of_the_final_run_are_of_its_folds(of_all, folds, ravdess, script):
    expected = fit_temperature.calibrate(folds.folder)
    found = fit_temperature.calibrate(of_all.folder)
    assert found == {**expected, "fitted_on": folds.folder.name}
    code, out, errors = script("confidence.py", of_all.folder, "--judge")
    assert code == 0, errors
    assert "models trained on fewer speakers than this one" in out.replace("\n", " ")
    kept = json.loads((of_all.folder / "confidence.json").read_text())
    assert kept["models"].keys() == {"final"} and kept["fits"].keys() == {"all"}
    assert script("confidence.py", folds.folder, "--judge")[0] == 0
    assert kept["fits"]["all"] == json.loads((folds.folder / "confidence.json").read_text())["fits"]["all"]
    (row,) = predict_run(of_all.folder, sorted(ravdess.rglob("*.wav"))[:1])
    assert 0 <= row["confidence"] <= 1


def test_the_card_of_the_final_run_says_whose_figures_it_has(of_all, untested, folds, tmp_path):
    description = json.loads((EXPORT / DESCRIPTION).read_text())
    calibration = {"validation": {"ece_before": 0.2, "ece_after": 0.1}, "fitted_on": folds.folder.name}
    version = tmp_path / "fcn-ravdess" / "1"
    write_json(version / DESCRIPTION, {**description, "calibration": calibration, "folds": ["final"]})
    card = model_card.write(version, of_all.folder).read_text()
    theirs = read_record(folds.folder)
    assert f"On {theirs['n_clips']} test clips: UA {100 * theirs['ua']['value']:.1f} %" in card
    head, _, _ = card.partition("On 32 test clips")
    assert f"**The figures are of other models, those of the run {folds.folder.name} under ravdess-actors v1" in head
    assert f"of the run {folds.folder.name}, its models trained on fewer speakers" in card and "| test |" not in card
    assert "--fold final" in card and "--figures-from FOLDS" in card
    assert "It was not tested" in model_card.write(version, untested.folder).read_text()


def test_an_export_of_the_final_run_says_whose_figures_it_has(of_all, untested, folds, tmp_path):
    """`untested` has no other's figures either, and is exported all the same."""
    version = export(of_all.folder, tmp_path / "all", with_keras=True)
    about = read_description(version)
    assert about["metrics"] == {name: read_record(folds.folder)[name] for name in ("ua", "wa", "macro_f1")}
    assert "The figures are of other models" in about["metrics_are_of"]
    with zipfile.ZipFile(version / "assets.extra" / "model.keras") as archive:
        weights = h5py.File(io.BytesIO(archive.read("model.weights.h5")))
    names: list[str] = []
    weights.visit(names.append)
    assert names and not any("optimizer" in name for name in names)
    about = read_description(export(untested.folder, tmp_path / "none"))
    assert about["metrics"] == {} and "none are left to test it" in about["metrics_are_of"]


def test_figures_of_other_runs_are_refused(runs, of_all, folds, untested, strangers):
    for given, said in (
        ({"figures_from": str(untested.folder)}, "has no test side here"),
        ({"figures_from": str(folds.folder), "model": "attention_fcn"}, "expected a run of the same model"),
        ({"figures_from": str(folds.folder), "fold": "4"}, "--figures-from has no effect on --fold 4"),
        ({"figures_from": str(folds.folder / "none")}, "no run is here"),
    ):
        with pytest.raises(UserError, match=said):
            sides.check(replace(of_all.config, **given), of_all.source.folds)
    with pytest.raises(UserError, match="has no validation clips, on which this is fitted"):
        fit_temperature.calibrate(strangers.folder)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"model": "fcn"}, "no validation clips to choose an epoch by. Add --keep last, which trains all of --epochs"),
        ({"model": "compare_svm"}, "no validation clips to choose among 7 values of C. Give the one that folds with"),
        ({"model": "lstm_drnn", "corpus": "recola"}, "no validation clips, on which lstm_drnn fits more than its weig"),
    ],
)
def test_settings_that_need_validation_clips_are_refused(given, said):
    config = from_flags({"corpus": "ravdess", **given})
    clip = Clip(Path("a.wav"), "a", "Actor_01", "calm")
    with pytest.raises(UserError, match=said):
        sides.check(config, [Fold("final", (clip,), (), ())])
    sides.check(config, [Fold("0", (clip,), (clip,), ())])
