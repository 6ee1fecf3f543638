"""Methods of transfer on made vectors, the draw of labelled clips, and the figures of a study."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from zoo.data.schema import Clip
from zoo.errors import UserError
from zoo.learning.transfer import methods as transfer_methods
from zoo.learning.transfer import report as transfer_report
from zoo.learning.transfer.corpora import draw
from zoo.learning.transfer.methods import METHODS, Domains, Labelled


@pytest.fixture(scope="module")
def made():
    """Three classes in six features; the target is the source, shifted and stretched, with other noise."""
    rng = np.random.default_rng(0)
    centres = rng.normal(0, 2, (3, 6))

    def clips(count, stretch, shift):
        labels = np.arange(count) % 3
        return (centres[labels] + rng.normal(0, 1, (count, 6))) * stretch + shift, labels

    (source, labels), (pool, of_pool), (test, truth) = clips(90, 1, 0), clips(60, 3, 20), clips(60, 3, 20)
    sides = transfer_methods.standardized(source, pool, test, 0)
    domains = Domains(sides[0], labels, *sides[1:], complexity=1.0)
    return domains, Labelled(np.arange(6), of_pool[:6]), truth, (source, pool, test)


def test_each_corpus_is_standardised_by_its_own_clips(made):
    domains, _, _, (source, pool, test) = made
    np.testing.assert_allclose(domains.source, (source - source.mean(axis=0)) / source.std(axis=0))
    np.testing.assert_allclose(domains.pool, (pool - pool.mean(axis=0)) / pool.std(axis=0))
    np.testing.assert_allclose(domains.test, (test - pool.mean(axis=0)) / pool.std(axis=0))
    np.testing.assert_allclose(domains.test_by_source, (test - source.mean(axis=0)) / source.std(axis=0))
    fewer = transfer_methods.standardized(source, pool, test, 2)
    assert [one.shape for one in fewer] == [(90, 2), (60, 2), (60, 2), (60, 2)]
    constant = transfer_methods.standardized(np.ones((4, 2)), np.ones((3, 2)), np.full((2, 2), 5.0), 0)
    np.testing.assert_array_equal(constant[2], np.full((2, 2), 4.0))  # nothing is divided by zero


@pytest.mark.parametrize("name", METHODS)
def test_every_method_predicts_classes_and_uses_the_source(made, name):
    domains, given, truth, _ = made
    predicted = METHODS[name].predict(domains, given)
    assert predicted.shape == truth.shape and set(predicted) <= {0, 1, 2}
    least = {"source": 0.0, "autoencoder": 0.5, "correlation": 0.6}.get(name, 0.75)  # chance is 0.33
    assert balanced_accuracy_score(truth, predicted) > least


def test_own_statistics_undo_the_shift(made):
    domains, given, truth, _ = made
    as_it_is, adapted = (METHODS[name].predict(domains, given) for name in ("source", "source-adapted"))
    assert balanced_accuracy_score(truth, adapted) > balanced_accuracy_score(truth, as_it_is) + 0.2


def test_one_class_is_all_that_can_be_predicted(made):
    domains = made[0]
    only = Labelled(np.array([1, 4]), np.array([1, 1]))
    assert set(METHODS["nothing"].predict(domains, only)) == {1}
    assert len(METHODS["correlation"].predict(domains, only)) == 60  # nothing to pair: both corpora are pooled


def test_c_is_that_of_the_best_validation_score():
    rng = np.random.default_rng(1)
    train = np.concatenate([rng.normal(-1, 0.3, (40, 1)), rng.normal(1, 0.3, (40, 1))])
    labels = np.repeat([0, 1], 40)
    validation = np.array([[-1.0], [1.0]]), np.array([0, 1])
    assert transfer_methods.choose_complexity((train, labels), validation, (1e-9, 1.0, 10.0)) in (1e-9, 1.0)
    flipped = np.array([[-1.0], [1.0]]), np.array([1, 0])
    assert transfer_methods.choose_complexity((train, labels), flipped, (5.0, 1.0)) == 5.0  # a tie: the first


def test_drawn_clips_are_of_each_class_in_turn_and_smaller_draws_are_in_larger_ones():
    pool = [Clip(Path("x"), str(n), "s", label) for n, label in enumerate("aaaaaaaabbbbc")]
    drawn = {count: draw(pool, count, seed=3) for count in (3, 6, 9, 13)}
    labels = {count: sorted(pool[index].label for index in some) for count, some in drawn.items()}
    assert labels[3] == list("abc") and labels[6].count("c") == 1 and labels[9].count("b") >= 3
    assert sorted(drawn[13]) == list(range(13))
    for fewer, more in ((3, 6), (6, 9), (9, 13)):
        assert drawn[more][:fewer] == drawn[fewer]
    assert draw(pool, 9, seed=3) == drawn[9] != draw(pool, 9, seed=4)
    with pytest.raises(UserError, match="--budgets 14: only 13 clips are of training speakers"):
        draw(pool, 14, seed=0)


def record():
    """Two folds of two speakers; "pooled" errs once less than "nothing"."""
    tested = [[("1", "x", "a"), ("2", "x", "b"), ("3", "y", "a")], [("4", "z", "b"), ("5", "w", "a"), ("6", "w", "b")]]
    wrong, right = [[[0, 0, 0], [0, 0, 0]], [[0, 1, 1], [0, 0, 1]]], [[[0, 1, 0], [0, 0, 0]], [[0, 1, 0], [1, 0, 1]]]
    cells = {
        seed: [
            {"predictions": {"nothing": {"2": wrong[seed][fold]}, "pooled": {"2": right[seed][fold]}}, "seconds": 1.5}
            for fold in (0, 1)
        ]
        for seed in (0, 1)
    }
    settings = {"methods": ["nothing", "pooled"], "budgets": [2], "seeds": [0, 1]}
    facts = {"model": "compare_svm", "source": "one", "target": "two", "protocol": "p v1", "folds": {"0": {}, "1": {}}}
    facts |= {"classes": ["a", "b"], "classes_without_source": ["b"], "titles": {"nothing": "T", "pooled": "P"}}
    return {**facts, "settings": settings, "tested": tested, "cells": cells, "leakage": ["A leak."], "notes": []}


@pytest.mark.usefixtures("all_formats")
def test_figures_are_those_of_scikit_learn_over_folds_and_seeds(tmp_path):
    found = transfer_report.write(record(), tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".csv", ".md", ".png", ".svg", ".pdf"}
    truth = list("ababab")
    predicted = {"nothing": ("aaaaaa", "abbaab"), "pooled": ("abaaaa", "ababab")}
    for row in found["figures"]:
        scores = [balanced_accuracy_score(truth, list(text)) for text in predicted[row["method"]]]
        assert row["ua"] == pytest.approx(np.mean(scores))
        assert (row["lowest_seed"], row["highest_seed"]) == pytest.approx((min(scores), max(scores)))
        assert row["low"] <= row["ua"] <= row["high"]
    nothing, pooled = found["figures"]
    assert pooled["gain"] == pytest.approx(pooled["ua"] - nothing["ua"]) and nothing["gain"] is None
    assert pooled["gain_low"] <= pooled["gain"] <= pooled["gain_high"]
    assert (found["seconds"], found["n_test_clips"], found["n_test_speakers"]) == (6.0, 6, 4)
    text = (tmp_path / "transfer.md").read_text()
    assert "| nothing: T |" in text and "- A leak." in text and "Not among the source's classes: b." in text
