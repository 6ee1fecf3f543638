"""The table of heads: names, weights, columns of outputs and labels."""

import numpy as np
import pytest

from zoo.errors import UserError
from zoo.heads import Head, column_names, further_names, label_row, make, slices, split, weights

HEADS = make(("angry", "sad"), {"sex": ["f", "m"], "age": []}, "emotion=2,age=0.1")


def test_columns_of_outputs_and_labels():
    assert (Head("emotion", ("angry", "sad"), 2.0), Head("sex", ("f", "m"), 1.0), Head("age", (), 0.1)) == HEADS
    assert column_names(HEADS) == ["emotion: angry", "emotion: sad", "sex: f", "sex: m", "age"]
    assert column_names(HEADS[:1]) == ["angry", "sad"]
    assert [(one.start, one.stop) for one in slices(HEADS)] == [(0, 2), (2, 4), (4, 5)]
    assert [(one.start, one.stop) for one in slices(HEADS, labels=True)] == [(0, 2), (2, 4), (4, 6)]
    assert label_row(HEADS, {"sex": "m", "age": 31, "other": 1}).tolist() == [0, 0, 0, 1, 31, 1]
    assert label_row(HEADS, {"emotion": "angry"}).tolist() == [1, 0, 0, 0, 0, 0]
    found = split(HEADS, np.arange(10.0).reshape(2, 5))
    assert found["sex"].tolist() == [[2, 3], [7, 8]] and found["age"].tolist() == [4, 9]


def test_names_and_weights():
    assert further_names("") == () and further_names("sex, age") == ("sex", "age")
    assert weights("", ("emotion", "sex")) == {"emotion": 1.0, "sex": 1.0}
    assert weights(" sex = 0", ("emotion", "sex")) == {"emotion": 1.0, "sex": 0.0}
    assert make(("a", "b"), {}, main="mood")[0].name == "mood"


@pytest.mark.parametrize(
    ("also", "said"),
    [
        ("sex,", "expected names of targets, each of letters, digits and _, found ''"),
        ("sex,der Ton", "found 'der Ton'"),
        ("sex,sex", "sex is named twice"),
        ("sex,emotion", "emotion is the main target already"),
    ],
)
def test_names_that_cannot_be_are_refused(also, said):
    with pytest.raises(UserError, match=said):
        further_names(also)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sax=1", "unknown target in --target-weights 'sax'. Did you mean 'sex'"),
        ("sex=-1", "sex has '-1', expected a number of 0 to 1000"),
        ("sex=nan", "sex has 'nan'"),
        ("sex=much", "sex has 'much'"),
        ("sex", "sex has ''"),
        ("sex=1,sex=2", "sex is named twice"),
        ("emotion=0", "the main target, emotion, has no weight"),
    ],
)
def test_weights_that_cannot_be_are_refused(text, said):
    with pytest.raises(UserError) as error:
        weights(text, ("emotion", "sex"))
    assert said in str(error.value)


@pytest.mark.parametrize("names", [["one"], ["a", "a"], "ab", [1, 2], None, [str(n) for n in range(1001)]])
def test_heads_written_by_hand_are_checked(names):
    with pytest.raises(UserError, match="heads: sex has"):
        make(("a", "b"), {"sex": names})
