"""Confidence in the graph is that of the fit, and leaves every other signature as it was."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tiny_runs
from predictions import predict_run
from scipy.special import softmax

from zoo.confidence.fit import Engine, Fit
from zoo.confidence.measures import MEASURES
from zoo.errors import UserError
from zoo.export import export as exports
from zoo.export.confidence_signature import with_confidence
from zoo.export.rebuild import rebuild
from zoo.export.requests import wav
from zoo.inference.export_predictor import of_export
from zoo.runs import confidence_file
from zoo.runs.open_run import open_run
from zoo.serving import graph_audit, saved_model
from zoo.serving.description import DESCRIPTION, WITH_CONFIDENCE, read_description
from zoo.utils.atomic_files import write_json

CLASSES = tuple("abcdefg")


def fit(measure="margin", classes=CLASSES, threshold=0.5, width=0):
    rng = np.random.default_rng(0)
    width = width or len(classes) + 3
    engines = tuple(Engine(rng.normal(size=width), 0.1) for _ in range(3)) if MEASURES[measure].has_engines else ()
    return Fit(
        measure,
        classes,
        3.0,
        -0.4,
        threshold,
        {"coverage": 0.8},
        engines,
        {"coverage": 0.8, "error": 0.4, "error_of_answered": 0.3, "clips": 50},
    )


@pytest.mark.parametrize("measure", [name for name, row in MEASURES.items() if row.in_graph])
def test_measures_in_the_graph_are_those_of_the_fit(measure, rng):
    shares = softmax(rng.normal(0, 4, (40, 7)), axis=1).astype(np.float32)
    shares[0] = [1, 0, 0, 0, 0, 0, 0]
    expected = fit(measure).confidence(shares)
    threshold = float(np.sort(expected)[18:20].mean())  # between two clips
    found = with_confidence({"probabilities": tf.constant(shares)}, fit(measure, threshold=threshold))
    np.testing.assert_allclose(found["confidence"], expected, atol=1e-5)
    np.testing.assert_array_equal(found["abstained"], expected < threshold)
    assert np.count_nonzero(found["abstained"]) == 19


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A run with a confidence, its export, and the export of the same run without one."""
    folder = tmp_path_factory.mktemp("confidence")
    run = tiny_runs.make(folder / "run", "fcn", "emodb")
    before = exports.export(run, folder / "before")
    opened = open_run(run)
    confidence_file.save(opened, {"all": fit("error_model", opened.outputs, 0.42)})
    return run, before, exports.export(run, folder / "after")


def clips(sizes=(5_000, 9_000, 12_000)):
    return [np.random.default_rng(n).normal(0, 0.1, n).astype(np.float32) for n in sizes]


def test_an_export_gives_the_confidence_of_its_run(fitted, tmp_path):
    run, _, after = fitted
    graph_audit.check(after)
    paths = [tmp_path / f"{n}.wav" for n in range(3)]
    for path, one in zip(paths, clips(), strict=True):
        path.write_bytes(wav(one, 16_000))
    by_run, exported = predict_run(run, paths), saved_model.load(after)
    answers = exported.with_confidence([np.round(one * 32768) / np.float32(32768) for one in clips()])  # of 16 bits
    for n, (row, other) in enumerate(zip(by_run, of_export(exported).predict(paths), strict=True)):
        assert row["confidence"] == pytest.approx(other["confidence"], abs=1e-5)
        assert row["confidence"] == pytest.approx(float(answers["confidence"][n]), abs=1e-5)
        assert row["abstained"] == other["abstained"] == answers["abstained"][n] == (row["confidence"] < 0.42)


def test_the_fit_is_that_of_the_folds_that_predict(tmp_path):
    run = tiny_runs.make(tmp_path / "run", "fcn", "emodb", n_folds=2)
    fits = {name: fit("margin", open_run(run).outputs, n / 10) for n, name in enumerate(("0-x", "1-x", "all"))}
    confidence_file.save(open_run(run), fits)
    chosen = {fold: confidence_file.load(open_run(run, fold)).threshold for fold in ("0", "1", None)}
    assert chosen == {"0": 0.0, "1": 0.1, None: 0.2}


def test_other_signatures_answer_bit_for_bit_as_without_confidence(fitted):
    _, before, after = fitted
    old, new = saved_model.load(before), saved_model.load(after)
    assert set(new.description["signatures"]) - set(old.description["signatures"]) == {WITH_CONFIDENCE}
    for name, described in old.description["signatures"].items():
        assert new.description["signatures"][name] == described
    for one, other in zip(old.on_waveforms(clips()), new.on_waveforms(clips()), strict=True):
        np.testing.assert_array_equal(one, other)
    assert "confidence" not in old.description


def test_an_export_made_anew_keeps_its_confidence(fitted, tmp_path):
    _, _, after = fitted
    new = saved_model.load(rebuild(after, tmp_path / "new"))
    assert new.description["confidence"] == read_description(after)["confidence"]
    before = saved_model.load(after).with_confidence(clips())
    for name, values in new.with_confidence(clips()).items():
        np.testing.assert_allclose(values.astype(float), before[name].astype(float), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"measure": "luck"}, "the measure 'luck'"),
        ({"classes": ["x"]}, "for the classes x"),
        ({"measure": "agreement", "engines": [{"weights": [0.0] * 88, "bias": 0.0}]}, "which no graph can hold"),
        (None, "a confidence without its signature"),
    ],
)
def test_a_description_with_another_confidence_is_refused(fitted, tmp_path, change, found):
    place = shutil.copytree(fitted[2], tmp_path / "mine")
    content = json.loads((place / DESCRIPTION).read_text())
    content["confidence"] = {**content["confidence"], **change} if change else None
    (place / DESCRIPTION).write_text(json.dumps(content))
    with pytest.raises(UserError, match=found):
        read_description(place)


def test_what_a_graph_cannot_hold_or_was_fitted_otherwise_is_refused(fitted, tmp_path):
    run = shutil.copytree(fitted[0], tmp_path / "run")
    with pytest.raises(UserError, match=r"fitted on probabilities as they are.*--without-confidence"):
        exports.export(run, tmp_path / "out", temperature=1.5)
    opened = open_run(run)
    confidence_file.save(opened, {"all": fit("agreement", opened.outputs, width=88)})
    with pytest.raises(UserError, match=r"measured by agreement.*no graph can compute.*--without-confidence"):
        exports.export(run, tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"models": {"0-x": "0" * 64}}, "fitted for another model than that of fold 0-x"),
        ({"zoo_version": "9.9.0"}, "its zoo_version is 9.9"),
        ({"model": "conv_lstm"}, "its model is conv_lstm"),
        ({"format": 2}, "its format is 2"),
        ({"fits": {}}, "expected a fit for all"),
        ({"fits": {"all": {"measure": "maximum"}}}, "no confidence with"),
        ({"fits": 3}, "a whole number in 'fits'"),
    ],
)
def test_a_confidence_of_another_run_is_refused(fitted, tmp_path, change, found):
    run = shutil.copytree(fitted[0], tmp_path / "run")
    path = run / confidence_file.NAME
    write_json(path, {**json.loads(path.read_text()), **change})
    with pytest.raises(UserError, match=rf"confidence\.json: .*{found}.*scripts/confidence\.py"):
        confidence_file.load(open_run(run))


def test_a_confidence_for_other_classes_is_refused(fitted, tmp_path):
    run = shutil.copytree(fitted[0], tmp_path / "run")
    opened = open_run(run)
    confidence_file.save(opened, {"all": fit("margin", opened.outputs[::-1])})
    with pytest.raises(UserError, match="a confidence for the classes"):
        confidence_file.load(opened)
