"""Class weights against the paper's Table 4 and scikit-learn."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from zoo.errors import UserError
from zoo.losses import class_weights

AIBO = ("A", "E", "N", "P", "R")
COUNTS = (881, 2093, 5590, 674, 721)
LABELS = np.repeat(range(5), COUNTS)


def test_inverse_is_table_4():
    weights = class_weights("inverse", LABELS, AIBO)
    assert {name: round(weight, 1) for name, weight in weights.items()} == {
        "A": 1.1,
        "E": 0.5,
        "N": 0.2,
        "P": 1.5,
        "R": 1.4,
    }


def test_balanced_is_scikit_learns():
    expected = compute_class_weight("balanced", classes=np.arange(5), y=LABELS)
    np.testing.assert_allclose(list(class_weights("balanced", LABELS, AIBO).values()), expected)


def test_none_and_explicit():
    assert class_weights("none", LABELS, AIBO) == dict.fromkeys(AIBO, 1.0)
    assert class_weights("no=2,yes=0.5", [0, 1], ("yes", "no")) == {"no": 2.0, "yes": 0.5}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("inverted", "Did you mean 'inverse'"),
        ("A=1,X=2", "'X'"),
        ("A=1,E=1,N=1,P=1", "no weight for R"),
        ("A=1,E=1,N=1,P=1,R=0", "positive"),
        ("A=1,E=1,N=1,P=1,R=much", "positive"),
    ],
)
def test_what_cannot_be_meant_is_named(kind, words):
    with pytest.raises(UserError, match=words):
        class_weights(kind, LABELS, AIBO)
