"""The bootstrap over speakers against literal loops over copied utterances, recorded intervals and cases by hand."""

import doctest
import importlib
import subprocess
import sys

import numpy as np
import pytest

from zoo.metrics import regression
from zoo.metrics.bootstrap import bootstrap_interval
from zoo.metrics.classification import accuracies, confusion_matrix, speaker_confusions


def uneven_speakers(seed, n_speakers, n_classes=3):
    """Utterances of speakers who differ in how many there are and in how often they are recognised."""
    rng = np.random.default_rng(seed)
    speakers = np.repeat(np.arange(n_speakers), rng.integers(3, 9, n_speakers))
    right = rng.random(len(speakers)) < rng.uniform(0.3, 0.9, n_speakers)[speakers]
    truth = rng.integers(0, n_classes, len(speakers))
    return truth, np.where(right, truth, (truth + 1) % n_classes), speakers


def interval(truth, prediction, speakers, **options):
    """The intervals of WA and UA, shape (2, 2)."""
    parts = list(speaker_confusions(truth, prediction, speakers, 3)[1])
    return np.stack(bootstrap_interval([parts], accuracies, **options), axis=1)


def test_the_interval_equals_a_literal_bootstrap_on_the_same_draws():
    truth, prediction, speakers = uneven_speakers(seed=1, n_speakers=6)
    truth[speakers == 0] = 2  # some resamples lack a class entirely
    rng, scores = np.random.default_rng(5), []
    for _ in range(200):
        drawn = np.repeat(np.arange(6), rng.multinomial(6, np.full(6, 1 / 6)))
        clips = np.concatenate([np.flatnonzero(speakers == speaker) for speaker in drawn])
        right, labels = prediction[clips] == truth[clips], truth[clips]
        scores.append([right.mean(), np.mean([right[labels == label].mean() for label in np.unique(labels)])])
    expected = np.quantile(scores, [0.025, 0.975], axis=0).T
    np.testing.assert_allclose(interval(truth, prediction, speakers, n_resamples=200, seed=5), expected)


def test_intervals_are_those_recorded_with_three_separate_bootstraps():
    rng = np.random.default_rng(3)
    truth, speakers = rng.integers(0, 3, 60), np.repeat(np.arange(6), 10)
    one, two = (np.where(rng.random(60) < 0.6, truth, rng.integers(0, 3, 60)) for _ in range(2))
    runs = [[confusion_matrix(truth[speakers == k], run[speakers == k], 3) for k in range(6)] for run in (one, two)]
    recorded = [[0.5833333333333334, 0.5483571345640311], [0.8, 0.7912006170158341]]
    np.testing.assert_array_equal(bootstrap_interval(runs[:1], accuracies), recorded)
    recorded = [[0.6166666666666667, 0.5967457180500659], [0.8460416666666665, 0.8440242763772176]]
    np.testing.assert_array_equal(bootstrap_interval(runs, accuracies, 500, seed=4), recorded)

    ratings = rng.normal(size=(4, 30, 2))
    moments = list(map(regression.moments, ratings, ratings + rng.normal(size=ratings.shape)))
    found = bootstrap_interval([moments], regression.concordances, 500, 0.5, 1)
    recorded = [[0.6902419006505194, 0.631879708069566], [0.7347800641572139, 0.6638153715246545]]
    np.testing.assert_allclose(np.array(found)[:, 1:], recorded, rtol=1e-14)  # of sums, in an order NumPy chooses


def test_the_interval_covers_the_true_accuracy():
    # Speakers' accuracies are uniform in 0.3..0.9, so the true WA over all possible speakers is 0.6.
    covered = 0
    for seed in range(200):
        low, high = interval(*uneven_speakers(seed, n_speakers=24), n_resamples=400)[0]
        covered += low <= 0.6 <= high
    assert 0.88 <= covered / 200 <= 0.99


@pytest.mark.parametrize("name", ["bootstrap", "classification", "regression", "significance"])
def test_examples_of_the_docstrings_run(name):
    found = doctest.testmod(importlib.import_module(f"zoo.metrics.{name}"))
    assert found.attempted and not found.failed


def test_metrics_and_comparisons_import_no_backend():
    """Keras takes seconds to import."""
    code = "import sys, zoo.metrics.enhancement, zoo.studies.compare_table; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"keras", "tensorflow", "torch", "jax", "sklearn"} & set(found)
