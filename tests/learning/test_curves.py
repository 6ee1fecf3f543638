"""Curves of UA against labels: areas, labels needed and saved, intervals, verdicts, and what cannot be compared."""

import json
from dataclasses import replace

import numpy as np
import pytest

from zoo.errors import UserError
from zoo.learning.curves import Curve, area, labels_to_reach, load, resample, uas, with_bounds
from zoo.learning.report import compare, write
from zoo.metrics.classification import unweighted_accuracy
from zoo.utils.atomic_files import read_csv

PLAN = {"strategy": "random", "query": "least-certain", "budget": 40, "initial": 2, "batch": 10}
FACTS = {
    "model": "compare_svm",
    "corpus": "ravdess",
    "protocol": "ravdess-actors v1",
    "synthetic": False,
    "notes": [],
    "seeds": [0, 1],
    "folds": [{"fold": "0", "pool": 80, "validation": 20, "test": 600}],
    "classes": ["a", "b"],
    "recipe": "paper",
    "leakage": [],
}
LABELS = np.array([10, 20, 40])


def curve(folder, strategy="random", query="least-certain", ups=(0.3, 0.5, 0.7), machine=0, noise=0.02, **changes):
    """A curve of about these UAs, of two seeds and six speakers with 50 clips of each of two classes."""
    rng = np.random.default_rng(len(strategy))
    hits = 50 * (np.array(ups) + noise * rng.normal(size=(2, 6, 2, 3)))
    rows = [
        {"fold": "0", "seed": seed, "labels": int(n), "machine_labels": machine, "machine_right": machine // 2, "ua": u}
        for seed in (0, 1)
        for n, u in zip(LABELS, ups, strict=True)
    ]
    name = {"active": query, "cooperative": f"cooperative, {query}"}.get(strategy, strategy)
    made = Curve(
        folder / strategy,
        name,
        LABELS,
        np.clip(hits, 0, 50).round(),
        np.full((6, 2), 50.0),
        np.full((6, 2), 36.0),
        tuple("abcdef"),
        rows,
        {**PLAN, "strategy": strategy, "query": query},
        FACTS,
        90.0,
    )
    return replace(made, **changes)


def test_ua_is_pooled_over_speakers_as_everywhere(rng):
    totals = rng.integers(1, 9, (4, 3))
    hits = rng.integers(0, totals[..., None] + 1, (4, 3, 5))
    drawn = np.array([[1, 1, 1, 1], [0, 2, 1, 1]])
    for row, weights in enumerate(drawn):
        for point in range(5):
            n, right = weights @ totals, weights @ hits[:, :, point]
            confusion = np.array(
                [[right[c] if c == k else (n - right)[c] * (k == (c + 1) % 3) for k in range(3)] for c in range(3)]
            )
            expected = float(unweighted_accuracy(confusion))
            assert uas(hits, totals, drawn)[row, point] == pytest.approx(expected)


def test_a_class_that_no_drawn_speaker_has_is_left_out():
    hits, totals = np.array([[[1.0], [0.0]], [[0.0], [3.0]]]), np.array([[2.0, 0.0], [0.0, 4.0]])
    assert uas(hits, totals, np.array([[1.0, 0.0], [1.0, 1.0]])).ravel().tolist() == [0.5, 0.625]


def test_area_is_the_mean_of_a_curve_of_straight_lines():
    labels, values = np.array([16, 32, 40]), np.array([[0.2, 0.4, 0.5]])
    fine = np.linspace(16, 40, 20_001)
    assert area(labels, values)[0] == pytest.approx(np.interp(fine, labels, values[0]).mean(), abs=1e-4)
    assert area(labels[:1], values[:, :1]).tolist() == [0.2]


def test_labels_to_reach_a_score():
    curves = np.array([[0.5, 0.6, 0.7], [0.2, 0.4, 0.8], [0.2, 0.4, 0.3], [0.2, 0.3, 0.4]])
    found = labels_to_reach(LABELS, curves, np.array([0.4, 0.6, 0.35, 0.5]))
    assert found.tolist() == pytest.approx([10, 30, 17.5, np.inf])


def test_intervals_with_what_is_not_reached():
    values = np.array([30.0, *range(1, 98), np.inf, np.inf, np.inf, np.inf])
    assert with_bounds(values) == {"value": 30.0, "low": 3.0, "high": None}


def test_the_first_resample_is_the_plain_figure(tmp_path):
    one = curve(tmp_path)
    found = resample(one, 50)
    pooled = (one.hits.sum(axis=1) / one.totals.sum(axis=0)[:, None]).mean(axis=(0, 1))
    np.testing.assert_allclose(found.ua[0], pooled)
    assert found.full[0] == pytest.approx(0.72) and found.ua.shape == (51, 3)
    assert found.labels_needed[0] == pytest.approx(np.interp(0.648, pooled, LABELS))


def test_the_interval_covers_the_speakers(tmp_path):
    """With equal speakers and seeds nothing varies; with unlike ones the bounds are about those of the mean."""
    same = resample(curve(tmp_path, noise=0.0))
    assert np.ptp(same.area) == pytest.approx(0, abs=1e-12)
    ups = np.linspace(0.2, 0.7, 6)
    hits = np.broadcast_to(50 * ups[None, :, None, None], (2, 6, 2, 3))
    found = with_bounds(resample(curve(tmp_path, hits=hits)).area)
    spread = 1.96 * ups.std() / np.sqrt(6)
    assert found["value"] == pytest.approx(ups.mean())
    assert found["high"] - found["low"] == pytest.approx(2 * spread, rel=0.1)


@pytest.mark.usefixtures("all_formats")
def test_labels_saved_and_the_verdict(tmp_path):
    curves = [
        curve(tmp_path),
        curve(tmp_path, "active", ups=(0.3, 0.6, 0.7)),
        curve(tmp_path, "semi-supervised", ups=(0.3, 0.55, 0.7), machine=30),
        curve(tmp_path, "cooperative", ups=(0.3, 0.7, 0.8), machine=20),
    ]
    record = compare(curves, tmp_path / "all")
    rows = record["strategies"]
    assert rows["cooperative, least-certain"]["labels_saved_at_90"]["value"] == pytest.approx(34.8 - 18.7, abs=1)
    assert rows["random"]["labels_saved_at_90"]["value"] == 0
    assert rows["cooperative, least-certain"]["machine"] == {"labels": 20.0, "right": 0.5}
    verdict = record["cooperative_beats_both"]["cooperative, least-certain"]
    assert verdict["verdict"] == "yes" and verdict["area_above_active"]["low"] > 0
    for name in ("comparison.json", "comparison.csv", "comparison.md"):
        assert (tmp_path / "all" / name).stat().st_size > 100
    for form in ("png", "svg", "pdf"):
        assert (tmp_path / "all" / f"comparison.{form}").stat().st_size > 1000
    assert [point["labels"] for point in rows["random"]["curve"]] == LABELS.tolist()
    points = read_csv(tmp_path / "all" / "curves.csv")
    assert len(points) == 4 * 2 * 3 and points[-1]["ua"] == "0.8" and points[-1]["strategy"].startswith("cooperative")
    text = (tmp_path / "all" / "comparison.md").read_text()
    assert "1 (80 clips to label, 20 clips for validation, 600 clips to test in each)" in text
    assert "Beats both: yes." in text and "| cooperative, least-certain | " in text
    assert json.loads((tmp_path / "all" / "comparison.json").read_text()) == record


@pytest.mark.parametrize(("ups", "verdict"), [((0.2, 0.3, 0.5), "no"), ((0.3, 0.6, 0.7), "not shown")])
def test_a_verdict_that_is_not_shown(tmp_path, ups, verdict):
    active, semi = curve(tmp_path, "active", ups=(0.3, 0.6, 0.7)), curve(tmp_path, "semi-supervised")
    record = compare([curve(tmp_path), active, semi, curve(tmp_path, "cooperative", ups=ups)], tmp_path / "all")
    assert record["cooperative_beats_both"]["cooperative, least-certain"]["verdict"] == verdict


def test_what_does_not_reach_90_percent_counts_as_the_budget(tmp_path):
    record = compare([curve(tmp_path), curve(tmp_path, "active", ups=(0.2, 0.3, 0.4))], tmp_path / "all")
    row = record["strategies"]["least-certain"]
    assert row["labels_to_90"]["value"] is None and row["reached"] == 0
    assert row["labels_saved_at_90"]["value"] == pytest.approx(34.8 - 40, abs=1)
    assert "over 40 [" in (tmp_path / "all" / "comparison.md").read_text()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels": LABELS + 1}, "numbers of labels"),
        ({"facts": {**FACTS, "seeds": [0, 2]}}, "seeds"),
        ({"facts": {**FACTS, "model": "fcn"}}, "model"),
        ({"speakers": tuple("abcdeg")}, "test speakers"),
    ],
)
def test_curves_of_other_clips_or_settings_are_not_compared(tmp_path, changes, said):
    with pytest.raises(UserError, match=rf"active: expected the {said} of .*Compare curves of the same clips"):
        compare([curve(tmp_path), curve(tmp_path, "active", **changes)], tmp_path / "all")


def test_a_comparison_needs_random_labels_and_each_strategy_once(tmp_path):
    with pytest.raises(UserError, match="two folders or more"):
        compare([curve(tmp_path)], tmp_path / "all")
    with pytest.raises(UserError, match="expected a folder of --strategy random"):
        compare([curve(tmp_path, "active"), curve(tmp_path, "cooperative")], tmp_path / "all")
    with pytest.raises(UserError, match="two folders are of random"):
        compare([curve(tmp_path), curve(tmp_path)], tmp_path / "all")


def test_a_folder_without_a_finished_simulation_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"learning\.json: expected the settings of a simulation.*name another folder"):
        load(tmp_path)


@pytest.mark.usefixtures("all_formats")
def test_a_summary_says_what_it_is_of(tmp_path):
    summary = write(curve(tmp_path, "semi-supervised", machine=10))
    assert summary["machine"] == {"labels": 10.0, "right": 0.5} and summary["minutes"] == 1.5
    assert "not counted among the labels" in summary["said"]
    assert (tmp_path / "semi-supervised" / "curve.svg").read_text().count("<svg") == 1
