"""Heads of few labelled clips, against scikit-learn and NumPy."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from zoo.adaptation import few_shot


@pytest.fixture
def clips(rng):
    """Vectors of three classes, of which the last coordinate never varies, and labels."""
    labels = np.repeat([0, 2, 3], 6)
    vectors = rng.normal(size=(18, 5)) + 3 * np.eye(5)[labels]
    vectors[:, -1] = 2.0
    return vectors, labels


def test_logistic_head_is_scikit_learns_pipeline(clips, rng):
    vectors, labels = clips
    others = rng.normal(size=(9, 5))
    others[:, -1] = 2.0
    found = few_shot.logistic(vectors, labels, others, 4, 0.1)
    peer = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)).fit(vectors, labels)
    np.testing.assert_allclose(found[:, [0, 2, 3]], peer.predict_proba(others), atol=1e-5)
    assert (found[:, 1] == 0).all()  # no clip of it


def test_draws_take_so_many_of_every_class_and_leave_some(rng):
    labels = np.array([1, 0, 1, 0, 0, 1, 1])
    drawn = few_shot.draw(labels, 2, rng)
    assert np.bincount(labels[drawn]).tolist() == [2, 2]
    assert len(set(drawn)) == 4 and (np.diff(drawn) > 0).all()
    with pytest.raises(ValueError, match="class 0 has 3 clips, expected more than 3"):
        few_shot.draw(labels, 3, rng)
