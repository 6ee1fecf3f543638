"""Ensembles of finished runs: mean probabilities, figures, and runs that do not belong together."""

import audmetric
import numpy as np
import pytest
from compared_runs import CLASSES, continuous_rows, emotion_rows, write_run

from zoo.errors import UserError
from zoo.export import fit_temperature
from zoo.runs.folder import read_record, read_rows
from zoo.studies.compare import compare_runs
from zoo.studies.ensemble import ensemble
from zoo.utils.atomic_files import write_csv


def with_shares(rows, seed):
    """The rows with probabilities whose largest is the prediction's."""
    rng = np.random.default_rng(seed)
    found = []
    for row in rows:
        shares = np.sort(rng.dirichlet(np.ones(len(CLASSES))))
        order = [name for name in CLASSES if name != row["prediction"]] + [row["prediction"]]
        found.append({**row, **{f"p_{name}": f"{value:.6f}" for name, value in zip(order, shares, strict=True)}})
    return found


@pytest.fixture
def runs(tmp_path):
    made = [with_shares(emotion_rows(seed=seed), seed) for seed in range(3)]
    return [
        write_run(tmp_path / f"seed-{seed}", rows[::-1] if seed else rows, {"seed": seed}, model="fcn")
        for seed, rows in enumerate(made)
    ]


def test_the_mean_of_probabilities_decides(runs, tmp_path, script):
    code, out, errors = script("ensemble.py", *runs, "--out", tmp_path / "all")
    assert code == 0, errors
    tables = [{row["clip"]: row for row in read_rows(run)} for run in runs]
    clips = sorted(tables[0])
    shares = [[[float(table[clip][f"p_{name}"]) for name in CLASSES] for clip in clips] for table in tables]
    expected = [CLASSES[index] for index in np.mean(shares, axis=0).argmax(axis=1)]
    rows, record = read_rows(tmp_path / "all"), read_record(tmp_path / "all")
    assert [row["clip"] for row in rows] == clips and [row["prediction"] for row in rows] == expected
    truth = [tables[0][clip]["truth"] for clip in clips]
    assert record["ua"]["value"] == pytest.approx(audmetric.unweighted_average_recall(truth, expected))
    assert record["ua"]["low"] < record["ua"]["value"] < record["ua"]["high"] and record["n_speakers"] == 6
    members = [read_record(run)["ua"]["value"] for run in runs]
    assert [member["ua"] for member in record["members"]] == members
    assert record["mean_ua_of_members"] == pytest.approx(np.mean(members))
    assert record["settings_that_differ"] == ["seed"] and "seed-0, seed-1, seed-2" in out.replace("\n", " ")
    compared = compare_runs([runs[0], tmp_path / "all"], by_run=True)
    assert compared.scores["all"]["UA"].value == pytest.approx(record["ua"]["value"])
    code, _, errors = script("ensemble.py", *runs, "--out", tmp_path / "all")
    assert code == 2 and "exists already; give a new folder" in errors


def test_probabilities_are_averaged_at_each_folds_temperature(runs):
    """softmax(log p / T), T that of the clip's fold; three speakers are in either."""
    temperatures = [{"fold-0-a": 0.5, "fold-1-b": 2.0}, {"fold-0-a": 1.0, "fold-1-b": 0.25}]
    expected = {}
    for run, fitted in zip(runs[:2], temperatures, strict=True):
        rows = read_rows(run)
        for fold, speakers in (("fold-0-a", "s0 s1 s2"), ("fold-1-b", "s3 s4 s5")):
            own = [row for row in rows if row["speaker"] in speakers.split()]
            write_csv(run / fold / "predictions.csv", own)
            for row in own:
                raised = np.array([float(row[f"p_{name}"]) for name in CLASSES]) ** (1 / fitted[fold])
                expected.setdefault(row["clip"], []).append(raised / raised.sum())
    record, rows = ensemble(runs[:2], temperatures)
    shares = {row["clip"]: [float(row[f"p_{name}"]) for name in CLASSES] for row in rows}
    assert all(shares[clip] == pytest.approx(np.mean(pair, axis=0), abs=1e-6) for clip, pair in expected.items())
    assert [member["temperatures"] for member in record["members"]] == temperatures
    assert shares != {row["clip"]: [float(row[f"p_{n}"]) for n in CLASSES] for row in ensemble(runs[:2])[1]}


def test_the_command_fits_temperatures_of_both_runs(runs, tmp_path, script, monkeypatch):
    for run in runs[:2]:
        write_csv(run / "fold-0-a" / "predictions.csv", read_rows(run))
    asked = []
    monkeypatch.setattr(fit_temperature, "of_folds", lambda *given: asked.append(given) or {"fold-0-a": 0.5})
    given = (*runs[:2], "--calibrate", "--data-root", "CORPUS", "--out", tmp_path / "both")
    code, _, errors = script("ensemble.py", *given)
    assert code == 0, errors
    assert asked == [(run, "CORPUS") for run in runs[:2]]
    assert read_record(tmp_path / "both")["members"][0]["temperatures"] == {"fold-0-a": 0.5}
    code, _, errors = script("ensemble.py", *runs, "--data-root", "CORPUS", "--out", tmp_path / "third")
    assert code == 2 and "--data-root is for --calibrate" in errors


def test_runs_that_do_not_belong_together(runs, tmp_path):
    fewer = write_run(tmp_path / "fewer", with_shares(emotion_rows(n_speakers=5), 0), model="fcn")
    rated = [write_run(tmp_path / f"rated-{k}", continuous_rows(seed=k), model="conv_lstm") for k in range(2)]
    bare = write_run(tmp_path / "bare", emotion_rows(seed=4), model="fcn")
    for given, said in (
        (runs[:1], "expected two runs or more for an ensemble, found 1"),
        ([runs[0], runs[0]], "is given twice"),
        ([runs[0], fewer], "of their test clips, 8 are in the first only"),
        (rated, "expected a run of classes, found one of ratings"),
        ([runs[0], bare], "found none of p_angry, p_happy, p_sad"),
        ([runs[0], tmp_path / "none"], "no such folder"),
    ):
        with pytest.raises(UserError, match=said):
            ensemble(given)
