"""Measure how well one rater agrees with the others: the accuracy of a person, beside that of a model."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from zoo.metrics.bootstrap import bootstrap_interval, check_speakers, figures
from zoo.metrics.classification import accuracies
from zoo.metrics.undefined import with_interval


def one_against_the_others(votes: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Compare each rater of a clip with the class that most of the other raters chose.

    `votes` (n, C) are numbers of raters. Returns confusion matrices (n, C, C), the others' class in rows, the rater's
    in columns, in numbers of raters; and how many raters of each clip (n,) had no one to be compared with, because the
    others tied or were none.

    >>> confusion, left_out = one_against_the_others([[3, 1]])  # 3 of the first class see 2:1, the one sees 3:0
    >>> confusion.astype(int).tolist(), left_out.tolist()
    ([[[3, 1], [0, 0]]], [0.0])

    Raises ValueError for another shape, a negative number or NaN.
    """
    numbers = np.asarray(votes, np.float64)
    if numbers.ndim != 2 or not np.isfinite(numbers).all() or (numbers < 0).any():
        raise ValueError(f"votes: expected numbers of raters (n, classes), found the shape {numbers.shape}")
    n, n_classes = numbers.shape
    confusion, left_out = np.zeros((n, n_classes, n_classes)), np.zeros(n)
    clips = np.arange(n)
    for chosen in range(n_classes):
        others = numbers.copy()
        others[:, chosen] -= np.minimum(others[:, chosen], 1)
        ordered = np.sort(others, axis=1)
        is_clear = ordered[:, -1] > (ordered[:, -2] if n_classes > 1 else 0)
        confusion[clips, others.argmax(axis=1), chosen] += np.where(is_clear, numbers[:, chosen], 0)
        left_out += np.where(is_clear, 0, numbers[:, chosen])
    return confusion, left_out


def human_ceiling(votes: ArrayLike, speakers: Sequence[object]) -> dict[str, Any]:
    """Return UA and WA of one rater against the others, each with its 95 % interval over speakers, for strict JSON.

    "clips" have a rater that could be compared, "ratings" were, "left_out" were not (`one_against_the_others`). UA is
    the mean recall over the classes of the others' choices.

    Raises ValueError as `one_against_the_others`, for no clip at all, a missing speaker or another number of them.
    """
    confusion, left_out = one_against_the_others(votes)
    check_speakers(speakers)
    if len(speakers) != len(confusion) or not len(confusion):
        raise ValueError(f"expected clips with a speaker each, found {len(confusion)} clips, {len(speakers)} speakers")
    names = np.array([str(speaker) for speaker in speakers])
    runs = [[confusion[names == name].sum(axis=0) for name in np.unique(names)]]
    (wa, ua), (low, high) = figures(runs, accuracies)[0], bootstrap_interval(runs, accuracies)
    return {
        "ua": with_interval(ua, low[1], high[1]),
        "wa": with_interval(wa, low[0], high[0]),
        "clips": int((confusion.sum(axis=(1, 2)) > 0).sum()),
        "ratings": int(confusion.sum()),
        "left_out": int(left_out.sum()),
    }
