"""Finished runs against each other: which are comparable, which are one system, and what their tests say."""

import json
import math

import numpy as np
import pytest
from compared_runs import CLASSES, continuous_rows, emotion_rows, write_run
from scipy.stats import binomtest, norm, permutation_test
from sklearn.metrics import accuracy_score, recall_score

from zoo.errors import UserError
from zoo.metrics.significance import holm
from zoo.studies.compare import compare_runs
from zoo.utils.atomic_files import write_csv, write_json


@pytest.fixture
def run(tmp_path):
    """Write a run into a folder named so; its model is named likewise unless `settings` state it."""
    return lambda folder, rows, settings=None, **facts: write_run(
        tmp_path / folder, rows, {"model": folder, **(settings or {})}, **facts
    )


@pytest.fixture
def two(run):
    return [run("weak", emotion_rows(0.3)), run("strong", emotion_rows(0.8))]


@pytest.fixture
def rated(run):
    return [run("noisy", continuous_rows(3.0)), run("clean", continuous_rows(1.0))]


def refused(folders, **options):
    with pytest.raises(UserError) as error:
        compare_runs(folders, **options)
    return str(error.value)


def test_figures_and_tests_of_two_runs_are_those_of_scikit_learn_and_scipy(two):
    found = compare_runs(two)
    right = []
    for folder, skill in zip(two, (0.3, 0.8), strict=True):
        truth, prediction = ([row[name] for row in emotion_rows(skill)] for name in ("truth", "prediction"))
        right.append(np.array(truth) == np.array(prediction))
        scores = found.scores[folder.name]
        assert scores["WA"].value == pytest.approx(accuracy_score(truth, prediction))
        assert scores["UA"].value == pytest.approx(recall_score(truth, prediction, average="macro"))
        recorded = json.loads((folder / "metrics.json").read_text())["wa"]
        assert (scores["WA"].low, scores["WA"].high) == pytest.approx((recorded["low"], recorded["high"]))
    wa, ua = found.differences
    assert (wa.figure, wa.reference, wa.other, ua.figure) == ("WA", "weak", "strong", "UA")
    assert wa.value == pytest.approx(right[1].mean() - right[0].mean()) and wa.low < wa.value < wa.high
    only = np.count_nonzero(right[0] & ~right[1]), np.count_nonzero(right[1] & ~right[0])
    assert wa.p["mcnemar"] == pytest.approx(binomtest(only[0], sum(only)).pvalue)
    pooled = (right[0].mean() + right[1].mean()) / 2
    z = wa.value / math.sqrt(pooled * (1 - pooled) * 2 / 48)
    assert wa.p["z_test"] == pytest.approx(norm.sf(z))
    hits = [one.reshape(6, 8).sum(axis=1) for one in right]
    expected = permutation_test(
        hits, lambda a, b, axis: np.sum(b - a, axis=axis), permutation_type="samples", n_resamples=np.inf, axis=0
    )
    assert wa.p["sign_flips"] == pytest.approx(expected.pvalue) and wa.p["bootstrap"] < 0.01
    assert math.isnan(ua.p["mcnemar"]) and math.isnan(ua.p["z_test"])
    assert wa.corrected == wa.p
    assert (found.n_tested, found.n_speakers, found.n_pairs) == (48, 6, 1)


def test_the_order_of_rows_and_of_runs_does_not_matter(two):
    forward, backward = compare_runs(two).differences[0], compare_runs(two[::-1]).differences[0]
    assert backward.value == pytest.approx(-forward.value)
    assert (backward.low, backward.high) == pytest.approx((-forward.high, -forward.low))
    assert backward.p["z_test"] == pytest.approx(1 - forward.p["z_test"])
    write_csv(two[1] / "predictions.csv", emotion_rows(0.8)[::-1])
    assert compare_runs(two).differences[0] == forward


def test_ratings_are_compared_by_ccc_of_all_rated_frames(rated):
    found = compare_runs(rated)
    records = [json.loads((folder / "metrics.json").read_text()) for folder in rated]
    assert found.figures == ("CCC", "CCC arousal", "CCC valence") and found.continuous
    mean, arousal, _ = found.differences
    assert mean.value == pytest.approx(records[1]["ccc"] - records[0]["ccc"]) and mean.value > 0.05
    interval, other = (record["dimensions"]["arousal"]["ccc"] for record in records)
    assert arousal.value == pytest.approx(other["value"] - interval["value"])
    score = found.scores["noisy"]["CCC arousal"]
    assert (score.low, score.high) == pytest.approx((interval["low"], interval["high"]))
    assert mean.p["sign_flips"] == 2 / 2**6 and math.isnan(mean.p["mcnemar"])
    after = compare_runs(rated, postprocessed=True)
    assert after.scores["noisy"]["CCC"].value == pytest.approx(records[0]["postprocessed"]["ccc"])


def test_seeds_of_one_configuration_are_one_system(run):
    folders = [
        run(f"{name}-seed-{seed}", emotion_rows(skill, seed), {"model": name, "seed": seed})
        for name, skill in (("weak", 0.3), ("strong", 0.6))
        for seed in (10, 0, 1)
    ]
    found = compare_runs(folders)
    assert [(system.name, system.seeds) for system in found.systems] == [("weak", (0, 1, 10)), ("strong", (0, 1, 10))]
    truth = [row["truth"] for row in emotion_rows()]
    wa = [accuracy_score(truth, [row["prediction"] for row in emotion_rows(0.3, seed)]) for seed in (0, 1, 10)]
    score = found.scores["weak"]["WA"]
    assert score.value == pytest.approx(np.mean(wa)) and score.deviation == pytest.approx(np.std(wa, ddof=1))
    by_run = compare_runs(folders, by_run=True)
    assert len(by_run.systems) == 6 and by_run.systems[0].name == "weak-seed-10" and by_run.systems[0].seeds == ()
    assert "differ in their seed only and are one system" in refused(folders[:3])
    unpaired = compare_runs(folders[:4])
    assert unpaired.systems[1].seeds == (10,) and 0 < unpaired.differences[0].p["bootstrap"] <= 1


def test_places_do_not_make_a_system_but_data_and_options_do(run):
    net = {"model": "net"}
    base = run("base-0", emotion_rows(0.5, 0), net)
    elsewhere = run("base-1", emotion_rows(0.5, 1), {**net, "seed": 1, "data_root": "B", "cache_dir": "C"})
    option = run("option", emotion_rows(0.5, 2), {**net, "option": {"dropout": 0.1}})
    data = run("data", emotion_rows(0.5, 3), {**net, "seed": 2}, data_sha256="another")
    found = compare_runs([base, elsewhere, option, data])
    assert [system.name for system in found.systems] == ["base", "option", "data"]
    taught = run("taught", emotion_rows(0.5, 5), {**net, "teacher": "/a"})
    assert [system.name for system in compare_runs([base, taught]).systems] == ["base-0", "taught"]
    again = run("again", emotion_rows(0.5, 4), net)
    assert "base-0 and" in refused([base, again]) and "one configuration and seed 0" in refused([base, again])
    assert len(compare_runs([base, again], by_run=True).systems) == 2


def test_runs_of_one_name_are_named_by_their_folders(run):
    folders = [run(f"{name}/run", emotion_rows(0.5)) for name in ("a", "b")]
    assert [system.name for system in compare_runs(folders).systems] == [str(folder) for folder in folders]


def test_more_systems_are_compared_with_the_first_or_all_and_corrected(run):
    folders = [run(name, emotion_rows(skill)) for name, skill in (("a", 0.3), ("b", 0.4), ("c", 0.9))]
    first, every = compare_runs(folders), compare_runs(folders, all_pairs=True)
    pairs = [(item.reference, item.other) for item in every.differences if item.figure == "WA"]
    assert [(item.reference, item.other) for item in first.differences][::2] == [("a", "b"), ("a", "c")]
    assert pairs == [("a", "b"), ("a", "c"), ("b", "c")] and every.n_pairs == 3
    for found in (first, every):
        for figure in found.figures:
            family = [item for item in found.differences if item.figure == figure]
            for test in ("bootstrap", "sign_flips", "mcnemar"):
                expected = holm([item.p[test] for item in family])
                np.testing.assert_array_equal([item.corrected[test] for item in family], expected)


def test_remarks_of_a_system(run):
    plain = run("plain", emotion_rows(), synthetic=True)
    other = run("other", emotion_rows(0.7), synthetic=True, leakage=["24 of 24"], notes=["absent"])
    marks = [system.marks for system in compare_runs([plain, other]).systems]
    assert marks == [["synthetic"], ["synthetic", "leakage", "incomplete"]]


def test_too_few_or_absent_runs_are_refused(two, tmp_path):
    (tmp_path / "empty").mkdir()
    for folders, message in (
        (two[:1], "expected two runs or more to compare, found 1"),
        ([two[0], two[0].parent / "." / "weak" / ".." / "weak"], "given twice"),
        ([two[0], tmp_path / "absent"], "no such folder"),
        ([two[0], tmp_path / "empty"], "no run is in it"),
    ):
        assert message in refused(folders)


@pytest.mark.parametrize("text", [None, "{", "[]", '{"model": "fcn"}', '{"seed": "0"}'])
def test_a_run_without_its_configuration_can_only_be_taken_by_itself(two, text):
    (two[1] / "config.json").unlink()
    if text is not None:
        (two[1] / "config.json").write_text(text)
    message = refused(two)
    assert "config.json" in message and "--by-run" in message
    assert len(compare_runs(two, by_run=True).systems) == 2


def test_only_runs_of_one_task_corpus_protocol_and_classes_are_compared(run, two, rated):
    assert "task of the first: classes; of the second: ratings" in refused([two[0], rated[0]])
    for change, message in (
        ({"corpus": "ravdess"}, "corpus of the first: emodb; of the second: ravdess"),
        ({"synthetic": True}, "of the second: synthetic emodb"),
        ({"protocol": "emodb-speakers v2"}, "emodb-speakers v1; of the second: emodb-speakers v2"),
        ({"classes": [*CLASSES, "neutral"]}, "angry, happy, sad, neutral"),
    ):
        other = run("other", emotion_rows(), **change)
        assert message in refused([two[0], other])
    assert "--postprocess is for continuous ratings" in refused(two, postprocessed=True)


def test_only_the_same_clips_with_the_same_truth_are_compared(run, rated):
    first, rows, frames = run("first", emotion_rows()), emotion_rows(0.7), continuous_rows()
    relabelled = [{**row, "truth": "sad"} if row["clip"] in ("c004", "c007") else row for row in rows]
    moved = [{**row, "speaker": "s1"} if row["clip"] == "c000" else row for row in rows]
    frames[40]["truth_valence"] = "0.5"
    for reference, other, message in (
        (first, rows[2:], "2 are in the first only and 0 in the second only, first of all emodb c000"),
        (first, relabelled, "2 of 48 test clips have another speaker or class, first of all emodb c004"),
        (first, moved, "1 of 48"),
        (rated[0], frames, "1 of 6 test recordings have another speaker or rated frames"),
    ):
        assert message in refused([reference, run("other", other)])


def changed(column, value):
    """A change of the second row."""
    return lambda rows: [rows[0], {**rows[1], column: value}, *rows[2:]]


def without(column):
    return lambda rows: [{name: value for name, value in row.items() if name != column} for row in rows]


@pytest.mark.parametrize(
    ("runs", "change", "message"),
    [
        ("two", lambda rows: rows[:-1], "metrics.json has n_clips 48"),
        ("two", changed("prediction", "bored"), "row 3: the prediction of c001 is 'bored'"),
        ("two", changed("truth", ""), "row 3: the truth of c001 is '', expected one of angry, happy, sad"),
        ("two", changed("clip", "c000"), "row 3: clip c000 is there twice"),
        ("two", changed("speaker", ""), "row 3: a clip or its speaker has no name"),
        ("two", without("speaker"), "found none of speaker"),
        ("two", lambda rows: [{**row, "prediction": row["truth"]} for row in rows], "predictions.csv gives 1.0"),
        ("rated", changed("arousal", "nan"), "row 3: arousal is 'nan', expected a number"),
        ("rated", changed("truth_valence", ""), "row 3: truth_valence is '', expected a number"),
        ("rated", changed("time", "0.00"), "rising times of dev_0 in fold 0-x"),
        ("rated", changed("speaker", "P9"), "one speaker"),
        ("rated", lambda rows: rows[30:], "metrics.json has n_recordings 6, predictions.csv gives 5"),
        ("rated", without("valence"), "found none of valence"),
    ],
)
def test_damaged_predictions_are_refused(request, runs, change, message):
    folders = request.getfixturevalue(runs)
    write_csv(folders[1] / "predictions.csv", change(emotion_rows(0.8) if runs == "two" else continuous_rows(1.0)))
    found = refused(folders)
    assert message in found and str(folders[1]) in found and "Restore it" in found


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        ("metrics.json", None, "not finished"),
        ("metrics.json", lambda text: b"{", "expected a run's figures"),
        ("metrics.json", lambda text: text.replace(b'"wa"', b'"accuracy"', 1), "found none of wa"),
        ("predictions.csv", None, "predictions.csv is absent"),
        ("predictions.csv", lambda text: text[:-20], "row 49: expected 5 columns, found more or fewer"),
        ("predictions.csv", lambda text: b"corpus,clip\n\xff\xfe\n", "cannot be read"),
        ("predictions.csv", lambda text: text.splitlines()[0], "expected predictions, found none. Restore it"),
    ],
)
def test_absent_and_damaged_files_are_refused(two, name, spoil, message):
    path = two[1] / name
    content = path.read_bytes()
    path.unlink()
    if spoil:
        path.write_bytes(spoil(content))
    assert message in refused(two)


@pytest.mark.parametrize("by_run", [False, True])
def test_a_network_that_enhances_speech_is_refused(two, tmp_path, by_run):
    """Its record has neither classes nor dimensions; either file says what it is of."""
    run, model = tmp_path / "enhancing", "denoising_autoencoder"
    write_json(run / "config.json", {"model": model, "seed": 0})
    write_json(run / "metrics.json", {"model": model, "corpus": "emodb", "snr": {}})
    message = refused([two[0], run], by_run=by_run)
    assert message.startswith(f"{run}: expected a run that answers with emotions or ratings, found one of {model}")
    assert "in front of others: train.py --model mfcc_svr --enhancer RUN" in message
    (run / "metrics.json").unlink()
    assert ("not finished" if by_run else "answers with emotions or ratings") in refused([two[0], run], by_run=by_run)


def test_systems_are_called_by_the_name_of_their_runs_or_as_asked(run):
    named = [run(f"a-{n}", emotion_rows(0.3, n), {"model": "a", "seed": n}, name="Our [net]") for n in (0, 1)]
    plain = run("b", emotion_rows(0.6), {"model": "b"})
    assert [system.name for system in compare_runs([*named, plain]).systems] == ["Our [net]", "b"]
    by_run = compare_runs([*named, plain], by_run=True)
    assert [system.name for system in by_run.systems] == [*map(str, (*named, plain))], "two of one name are paths"
    found = compare_runs([*named, plain], names=["First", "50 % $x$_"])
    assert [system.name for system in found.systems] == ["First", "50 % $x$_"]
    assert found.differences[0].other == "50 % $x$_" and set(found.scores) == {"First", "50 % $x$_"}


@pytest.mark.parametrize("names", [["one"], ["one", "two", "three"], ["same", "same"], ["", "two"]])
def test_other_names_than_systems_are_refused(two, names):
    with pytest.raises(UserError, match=r"--name: expected a name for each of the 2 systems, no two alike, found '"):
        compare_runs(two, names=names)
