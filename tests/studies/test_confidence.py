"""Confidence of a run from training on votes to predict.py: fits of validation speakers, figures of test speakers."""

import csv
import json
import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest
import tiny_runs
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from zoo.confidence.measures import MEASURES
from zoo.config.flags import from_flags
from zoo.data.synthetic.corpora import synthesize
from zoo.errors import UserError
from zoo.frontends import opensmile
from zoo.runs import confidence_file, dataset
from zoo.runs.folder import read_record, read_rows
from zoo.runs.open_run import open_run
from zoo.studies import confidence as study
from zoo.studies import confidence_clips
from zoo.training.train import train
from zoo.utils.progress import Progress

SMALL = {"bands": 8, "option": {"hidden_units": 8}, "epochs": 1, "batch_size": 16, "crop_seconds": 0.2}


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    return synthesize("cremad", tmp_path_factory.mktemp("twin") / "cremad", 96, seconds=(0.3, 0.4))


@pytest.fixture(scope="module")
def trained(twin, tmp_path_factory):
    """A run of two folds on shares of raters, with label smoothing and mixup."""
    folder = tmp_path_factory.mktemp("voted")
    given = {"model": "fcn", "corpus": "cremad", "fold": "0,1", "soft_labels": "votes", "mixup": 0.2, **SMALL}
    given |= {"data_root": str(twin), "out": str(folder / "run"), "cache_dir": str(folder / "cache")}
    return train(from_flags({**given, "backend": keras.backend.backend()})).folder


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def test_figures_stand_beside_those_of_one_rater(trained):
    whole, folds = read_record(trained), [read_record(path) for path in sorted(trained.glob("fold-*"))]
    assert [record["human_ceiling"]["clips"] > 10 for record in (whole, *folds)] == [True] * 3
    assert whole["human_ceiling"]["ratings"] == sum(record["human_ceiling"]["ratings"] for record in folds)
    assert 0 < whole["human_ceiling"]["wa"]["value"] < 1


@pytest.mark.usefixtures("all_formats")
def test_one_command_fits_and_judges(run, script):
    """Figures against scikit-learn's, from the run's recorded predictions and the written fits."""
    other = shutil.copytree(run, run.with_name("other"))
    words = ("--coverage", "0.7", "--judge", "margin", "error_model", "--with", other)
    code, output, errors = script("confidence.py", run, *words)
    assert code == 0, errors
    assert "one rater against the others" in output and "confidence.json" in output
    record = json.loads((run / "confidence" / "figures.json").read_text())
    assert list(record["measures"]) == ["maximum", "margin", "error_model", *study.OF_ENSEMBLES]
    assert all(
        (run / "confidence" / f"{name}.{end}").stat().st_size
        for name in ("risk_coverage", "reliability")
        for end in ("png", "svg")
    )
    assert "| error_model |" in (run / "confidence" / "table.md").read_text()
    with (run / "confidence" / "figures.csv").open() as file:
        assert [row["measure"] for row in csv.DictReader(file)] == list(record["measures"])

    fits, opened = json.loads((run / "confidence.json").read_text())["fits"], open_run(run)
    assert set(fits) == {"all", *(path.name.removeprefix("fold-") for path in opened.fold_folders)}
    classes, correct, confidence, kept, truth, prediction = opened.outputs, [], [], [], [], []
    for folder in opened.fold_folders:
        own = fits[folder.name.removeprefix("fold-")]
        for row in read_rows(folder):
            share = max(float(row[f"p_{name}"]) for name in classes)
            confidence.append(1 / (1 + np.exp(-(own["slope"] * share + own["intercept"]))))
            kept.append(confidence[-1] >= own["threshold"])
            truth.append(row["truth"])
            prediction.append(row["prediction"])
            correct.append(row["truth"] == row["prediction"])
    found = record["measures"]["maximum"]
    assert found["figures"]["auroc"]["value"] == pytest.approx(roc_auc_score(correct, confidence), abs=1e-6)
    assert found["figures"]["wa"]["value"] == pytest.approx(np.mean(correct))
    assert found["fitted"]["coverage"]["value"] == pytest.approx(np.mean(kept))
    truth, prediction = np.array(truth)[kept], np.array(prediction)[kept]
    assert found["fitted"]["ua"]["value"] == pytest.approx(balanced_accuracy_score(truth, prediction))


def test_a_measure_that_cannot_be_fitted_is_left_out_unless_it_was_asked_for(run, monkeypatch):
    plain = study.judge

    def judge(opened, folds, measure, *rest):
        if measure == "error_model":
            raise UserError("one speaker")
        return plain(opened, folds, measure, *rest)

    monkeypatch.setattr(study, "judge", judge)
    opened = open_run(run)
    with Progress() as progress:
        words = opened, confidence_clips.collect(opened, "", False, progress), ["maximum", "error_model"]
        record = study.study(*words, {"coverage": 0.8}, {}, [], progress, optional={"error_model"})
        assert (list(record["measures"]), record["left_out"]) == (["maximum"], {"error_model": "one speaker"})
        with pytest.raises(UserError, match="one speaker"):
            study.study(*words, {"coverage": 0.8}, {}, [], progress)


def test_a_fold_is_fitted_on_its_validation_speakers_alone(run):
    opened = open_run(run)
    with Progress() as progress:
        folds = confidence_clips.collect(opened, "", False, progress)
    source = dataset.of_run(opened)
    for fold, expected in zip(folds, source.folds, strict=True):
        assert set(fold.validation.names) == {clip.name for clip in expected.validation}
        assert set(fold.test.names) == {clip.name for clip in expected.test}
        assert not set(fold.validation.speakers) & set(fold.test.speakers)
    kept = sorted(run.glob("fold-*/validation-*.csv"))
    assert len(kept) == 2
    before = kept[0].stat().st_mtime_ns
    with Progress() as progress:  # made once
        again = confidence_clips.collect(opened, "", False, progress)
    assert kept[0].stat().st_mtime_ns == before
    np.testing.assert_array_equal(again[0].validation.probabilities, folds[0].validation.probabilities)


def test_predict_gives_confidence_and_abstains(run, twin, script):
    opened = open_run(run)
    with Progress() as progress:
        folds = confidence_clips.collect(opened, "", False, progress)
    confidence_file.save(opened, study.fits(opened, folds, "entropy", {"coverage": 0.5}))
    paths = sorted((twin / "AudioWAV").iterdir())[:8]
    code, output, errors = script("predict.py", run, *paths, "--json")
    assert code == 0, errors
    rows, fit = [json.loads(line) for line in output.splitlines()], confidence_file.load(opened)
    for row in rows:
        shares = np.array([list(row["probabilities"].values())])
        assert row["confidence"] == pytest.approx(float(fit.confidence(shares)[0]), abs=1e-4)
        assert row["abstained"] == (row["confidence"] < fit.threshold)
        assert row["emotion"] == max(row["probabilities"], key=row["probabilities"].get)
    code, output, _ = script("predict.py", run, paths[0], "--csv")
    (row,) = csv.DictReader(output.splitlines())
    assert row["abstained"] in ("True", "False") and float(row["confidence"]) == rows[0]["confidence"]


def test_raters_agreement_and_functionals(run, monkeypatch):
    """With stand-ins for openSMILE's functionals: fitted, judged, and asked for again by the predictor."""
    vectors = {}

    def stand_in(opened, folds, progress):
        rng = np.random.default_rng(0)
        for clip in {clip.name: clip for fold in folds for clip in (*fold.validation, *fold.test)}.values():
            vectors[clip.name] = rng.normal(size=88)
        return vectors

    monkeypatch.setattr(confidence_clips, "_functionals", stand_in)
    opened = open_run(run)
    with Progress() as progress:
        folds = confidence_clips.collect(opened, "", True, progress)
    assert all(0 < share <= 1 for share in folds[0].validation.agreement)
    for measure in ("agreement", "error_model_acoustic"):
        judged = study.judge(opened, folds, measure, {"coverage": 0.8})
        assert 0 <= judged["figures"]["auroc"]["value"] <= 1
    confidence_file.save(opened, study.fits(opened, folds, "agreement", {"coverage": 0.8}))
    monkeypatch.setattr(opensmile, "clip_settings", lambda *_: {})
    monkeypatch.setattr(opensmile, "clip_functionals", lambda *_: np.zeros(88, np.float32))
    from predictions import predict_run

    row = next(iter(predict_run(run, [dataset.of_run(opened).folds[0].test[0].path])))
    assert 0 < row["confidence"] < 1


def test_an_error_model_learns_from_a_pool(run, twin, script):
    words = ("--judge", "error_model_self", "--pool", twin / "AudioWAV")
    code, _, errors = script("confidence.py", run, *words, "--coverage", "0.9", "--out", run.with_name("judged"))
    assert code == 0, errors
    record = json.loads((run.with_name("judged") / "figures.json").read_text())
    assert record["pool_recordings"] == 96 and "error_model_self" in record["measures"]


def test_an_error_out_of_reach_names_the_least_and_writes_nothing(run, script):
    code, _, errors = script("confidence.py", run, "--abstain-at-error", "0.001")
    assert code == 2 and "no threshold on the validation clips reaches an error of 0.1 %; the least is" in errors
    assert not (run / "confidence.json").exists() and not (run / "confidence").exists()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("--measure", "luck"), "unknown measure 'luck'"),
        (("--abstain-at-error", "1.5"), "--abstain-at-error is 1.5, expected a share"),
        (("--coverage", "nan"), "--coverage is nan, expected a share"),
        (("--measure", "error_model_self"), "--pool DIR"),
        (("--pool", "somewhere"), "--pool DIR"),
    ],
)
def test_wrong_options(trained, script, words, found):
    code, _, errors = script("confidence.py", trained, *words)
    assert code == 2 and found in errors and "Traceback" not in errors


def test_runs_that_cannot_have_confidence(run, script, tmp_path, monkeypatch):
    ratings = tiny_runs.make(tmp_path / "ratings", "conv_lstm", "recola")
    code, _, errors = script("confidence.py", ratings)
    assert code == 2 and "predicts no classes; confidence is for classifications" in errors
    opened, before = open_run(run), dataset.of_run

    def unvalidated(*arguments):
        source = before(*arguments)
        return replace(source, folds=tuple(replace(fold, validation=()) for fold in source.folds))

    monkeypatch.setattr(dataset, "of_run", unvalidated)
    with pytest.raises(UserError, match="has no validation clips"), Progress() as progress:
        confidence_clips.collect(opened, "", False, progress)
    refitted = replace(opened, settings=replace(opened.settings, refit=True))
    with pytest.raises(UserError, match="--refit"), Progress() as progress:
        confidence_clips.collect(refitted, "", False, progress)


def test_predictions_of_other_clips_are_refused(run):
    path = next(run.glob("fold-0-*")) / "predictions.csv"
    path.write_text(path.read_text().replace("1001_", "1091_"))
    with pytest.raises(UserError, match="expected predictions of the clips of cremad-actors"), Progress() as progress:
        confidence_clips.collect(open_run(run), "", False, progress)


def test_soft_labels_need_votes(twin, tmp_path):
    """A corpus whose votes are not beside it."""
    root = shutil.copytree(twin, tmp_path / "cremad")
    (root / "processedResults" / "tabulatedVotes.csv").unlink()
    given = {"model": "fcn", "corpus": "cremad", "fold": "0", "soft_labels": "votes", **SMALL}
    given |= {"data_root": str(root), "out": str(tmp_path / "run"), "cache_dir": str(tmp_path / "cache")}
    with pytest.raises(UserError, match=r"expected the vote of at least one rater .*--soft-labels votes"):
        train(from_flags({**given, "backend": keras.backend.backend()}))


def test_every_measure_is_named_in_the_help(script):
    code, output, _ = script("confidence.py", "--help")
    assert code == 0 and all(name in output for name in MEASURES)
