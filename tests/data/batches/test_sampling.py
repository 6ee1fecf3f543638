"""Clips of an epoch by shares of classes and corpora, against counts worked by hand."""

from collections import Counter

import numpy as np
import pytest

from zoo.data.batches.sampling import WAYS, draw

# 12 clips of class 0, 4 of class 1, 1 of class 2; corpus b has two of class 0 and two of class 1.
CLASSES = [0] * 12 + [1] * 4 + [2]
CORPORA = ["a"] * 10 + ["b"] * 4 + ["a"] * 3


def drawn(way, seed=0, classes=CLASSES, corpora=CORPORA):
    return draw(way, classes, corpora, np.random.default_rng(seed)).tolist()


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("clips", {0: 12, 1: 4, 2: 1}),
        ("balanced", {0: 6, 1: 5, 2: 6}),  # 17 / 3 each
        ("square_root", {0: 9, 1: 5, 2: 3}),  # 17 by 3.46 : 2 : 1
    ],
)
def test_classes_have_their_shares(way, expected):
    for seed in range(5):
        assert Counter(CLASSES[index] for index in drawn(way, seed)) == expected


def test_corpora_have_alike_and_in_each_its_classes():
    found = Counter((CORPORA[index], CLASSES[index]) for index in drawn("corpora"))
    # 17 / 2 of a corpus: a third of that for each of three classes, half for each of two.
    exact = {("a", 0): 17 / 6, ("a", 1): 17 / 6, ("a", 2): 17 / 6, ("b", 0): 17 / 4, ("b", 1): 17 / 4}
    assert found.keys() == exact.keys() and sum(found.values()) == 17
    assert all(abs(found[group] - share) < 1 for group, share in exact.items())


@pytest.mark.parametrize("way", WAYS[1:])
def test_no_clip_is_there_more_than_once_above_its_fellows(way):
    for seed in range(5):
        counts = Counter(drawn(way, seed))
        for group in set(zip(CORPORA, CLASSES, strict=True)) if way == "corpora" else set(CLASSES):
            kinds = list(zip(CORPORA, CLASSES, strict=True)) if way == "corpora" else CLASSES
            own = [counts[index] for index, kind in enumerate(kinds) if kind == group]
            assert max(own) - min(own) <= 1


def test_clips_that_are_left_out_differ_from_draw_to_draw():
    assert set().union(*(drawn("balanced", seed) for seed in range(20))) == set(range(17))
    assert drawn("balanced", 1) == drawn("balanced", 1) and drawn("balanced", 1) != drawn("balanced", 2)


def test_clips_without_a_class_are_there_once():
    classes = [-1, *CLASSES[:-1]]
    counts = Counter(drawn("balanced", classes=classes))
    assert counts[0] == 1 and sum(counts.values()) == 17
    assert Counter(classes[index] for index in counts.elements()) == {-1: 1, 0: 8, 1: 8}
    assert drawn("balanced", classes=[-1, -1], corpora=["", ""]) == [0, 1]
