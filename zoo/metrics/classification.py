"""Compute accuracies from the confusion matrix: rows are the truth, columns the predictions.

Functions of it accept leading axes (..., C, C), so that thousands of bootstrap resamples are one call. NumPy only.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from zoo.metrics.bootstrap import Parts, bootstrap_interval, check_speakers, figures
from zoo.metrics.undefined import number, ratio, with_interval

Labels = Sequence[int] | Sequence[str] | np.ndarray


def class_indices(labels: Labels, classes: Sequence[str]) -> np.ndarray:
    """Return labels as indices into `classes`, shape (n,). Integers are indices already, strings are looked up.

    >>> class_indices(["sad", "angry"], ("angry", "sad")).tolist()
    [1, 0]

    Raises ValueError for labels that are empty, not one-dimensional, missing (NaN) or not in `classes`.
    """
    index_of = {name: index for index, name in enumerate(classes)}
    array = np.asarray(labels)
    if array.dtype.kind not in "iu" and array.ndim == 1:
        for position, label in enumerate(array.tolist()):
            if label not in index_of:
                raise ValueError(f"label {label!r} at position {position} is not one of the classes {list(classes)}")
        array = np.array([index_of[label] for label in array.tolist()])
    return _checked_indices("labels", array, len(classes))


def confusion_matrix(truth: ArrayLike, prediction: ArrayLike, n_classes: int) -> np.ndarray:
    """Count utterances by true class (row) and predicted class (column), shape (n_classes, n_classes), integer.

    `truth` and `prediction` are class indices in 0..n_classes-1, shape (n,).

    >>> confusion_matrix([0, 0, 1], [0, 1, 1], 2).tolist()
    [[1, 1], [0, 1]]

    Raises ValueError for empty input, different lengths, indices that are not integers (NaN) or out of range.
    """
    return speaker_confusions(truth, prediction, np.zeros(np.size(truth)), n_classes)[1].sum(axis=0)


def speaker_confusions(
    truth: ArrayLike, prediction: ArrayLike, speakers: Sequence[object] | np.ndarray, n_classes: int
) -> tuple[list[str], np.ndarray]:
    """Return the speakers' names in order, and their confusion matrices, shape (n_speakers, n_classes, n_classes).

    >>> names, confusions = speaker_confusions([0, 1, 1], [0, 1, 0], ["b", "a", "b"], 2)
    >>> names, confusions.tolist()
    (['a', 'b'], [[[0, 0], [0, 1]], [[1, 0], [1, 0]]])

    Raises ValueError as `confusion_matrix`, and for a missing speaker.
    """
    rows = _checked_indices("truth", truth, n_classes)
    columns = _checked_indices("prediction", prediction, n_classes)
    lengths = len(rows), len(columns), len(speakers)
    if len(set(lengths)) > 1:
        raise ValueError("{} true labels, {} predictions and {} speakers must be equal".format(*lengths))
    check_speakers(speakers)
    names, groups = np.unique([str(speaker) for speaker in speakers], return_inverse=True)
    cells = (groups * n_classes + rows) * n_classes + columns
    counts = np.bincount(cells, minlength=len(names) * n_classes**2)
    return names.tolist(), counts.reshape(len(names), n_classes, n_classes)


def weighted_accuracy(confusion: np.ndarray) -> np.ndarray:
    """WA, in 0..1: the share of utterances classified correctly, shape (...). NaN without utterances.

    >>> float(weighted_accuracy(np.array([[6, 2], [1, 1]])))  # (6 + 1) / 10
    0.7
    """
    return ratio(_hits(confusion).sum(axis=-1), np.sum(confusion, axis=(-2, -1)))


def unweighted_accuracy(confusion: np.ndarray) -> np.ndarray:
    """UA, in 0..1: the mean recall over the classes present in the truth, shape (...); an absent class has none.

    >>> float(unweighted_accuracy(np.array([[6, 2, 0], [1, 1, 0], [0, 0, 0]])))  # (6/8 + 1/2) / 2
    0.625
    """
    return _mean_of_defined(recalls(confusion))


def recalls(confusion: np.ndarray) -> np.ndarray:
    """Recall of each class in 0..1, hits / true, shape (..., C). NaN for a class absent from the truth.

    >>> recalls(np.array([[3, 0, 1], [1, 1, 0], [0, 0, 0]])).tolist()
    [0.75, 0.5, nan]
    """
    return ratio(_hits(confusion), np.sum(confusion, axis=-1))


def precisions(confusion: np.ndarray) -> np.ndarray:
    """Precision of each class in 0..1, hits / predicted, shape (..., C).

    Zero for a class in the truth that is never predicted; NaN for a class in neither truth nor prediction.

    >>> precisions(np.array([[3, 0, 1], [1, 1, 0], [0, 0, 0]])).tolist()
    [0.75, 1.0, 0.0]
    """
    n_true, n_predicted = np.sum(confusion, axis=-1), np.sum(confusion, axis=-2)
    return np.where((n_true > 0) & (n_predicted == 0), 0.0, ratio(_hits(confusion), n_predicted))


def f1_scores(confusion: np.ndarray) -> np.ndarray:
    """F1 of each class in 0..1, 2 hits / (true + predicted), shape (..., C). NaN for a class in neither.

    >>> f1_scores(np.array([[3, 0, 1], [1, 1, 0], [0, 0, 0]])).round(3).tolist()  # 6/8, 2/3, 0
    [0.75, 0.667, 0.0]
    """
    return ratio(2 * _hits(confusion), np.sum(confusion, axis=-1) + np.sum(confusion, axis=-2))


def macro_f1(confusion: np.ndarray) -> np.ndarray:
    """Macro F1, in 0..1: the mean F1 over the classes present in truth or prediction, shape (...).

    As in scikit-learn and audmetric, and unlike for UA, a class that is predicted but never true counts as 0.

    >>> round(float(macro_f1(np.array([[3, 0, 1], [1, 1, 0], [0, 0, 0]]))), 3)  # (6/8 + 2/3 + 0) / 3
    0.472
    """
    return _mean_of_defined(f1_scores(confusion))


def accuracies(parts: Parts, counts: np.ndarray) -> np.ndarray:
    """Pool confusion matrices, each `counts` (n, parts) times: WA and UA in 0..1, shape (n, 2).

    >>> accuracies([np.array([[1, 0], [0, 0]]), np.array([[0, 0], [1, 0]])], np.array([[1, 1], [3, 1]])).tolist()
    [[0.5, 0.5], [0.75, 0.5]]
    """
    stacked = np.stack(parts).astype(np.float64)
    confusions = (counts @ stacked.reshape(len(stacked), -1)).reshape(-1, *stacked.shape[1:])
    return np.stack([weighted_accuracy(confusions), unweighted_accuracy(confusions)], axis=-1)


def z_test(accuracy_a: float, n_a: int, accuracy_b: float, n_b: int) -> tuple[float, float]:
    """One-tailed z-test on two accuracies (Zhao et al. 2019, section IV), is b more accurate than a: (z, p).

    z = (b - a) / sqrt(p (1 - p) (1/n_a + 1/n_b)), p the pooled accuracy. The two are taken as independent samples of
    independent utterances, as in the paper. Accuracies that are both 0 or both 1 have no variance: z = 0, p = 0.5.

    >>> z, p = z_test(0.6, 100, 0.7, 100)  # 0.1 / sqrt(0.65 * 0.35 * 2 / 100)
    >>> round(z, 6), round(p, 4)
    (1.482499, 0.0691)
    """
    pooled = (accuracy_a * n_a + accuracy_b * n_b) / (n_a + n_b)
    variance = pooled * (1 - pooled) * (1 / n_a + 1 / n_b)
    if variance == 0:
        return 0.0, 0.5
    z = (accuracy_b - accuracy_a) / math.sqrt(variance)
    return z, 0.5 * math.erfc(z / math.sqrt(2))


def evaluate(
    truth: Labels, prediction: Labels, classes: Sequence[str], speakers: Sequence[object] | np.ndarray
) -> dict[str, Any]:
    """Return every figure of a test, all in 0..1, as a dictionary for strict JSON: what is undefined (NaN) is None.

    `truth` and `prediction` are class indices or names, shape (n,). WA and UA come with their 95 % interval over
    speakers (None with one speaker). `absent_classes` are those without a true utterance; `confusion` has a row per
    true class, in the order of `classes`.

    Raises ValueError for empty input, different lengths, labels not in `classes`, NaN, a missing speaker.
    """
    truth, prediction = class_indices(truth, classes), class_indices(prediction, classes)
    names, by_speaker = speaker_confusions(truth, prediction, speakers, len(classes))
    confusion = by_speaker.sum(axis=0)
    n_true = confusion.sum(axis=1)
    columns = (n_true, recalls(confusion), precisions(confusion), f1_scores(confusion))
    runs = [list(by_speaker)]
    (wa, ua), (low, high) = figures(runs, accuracies)[0], bootstrap_interval(runs, accuracies)
    return {
        "n_clips": int(confusion.sum()),
        "n_speakers": len(names),
        "wa": with_interval(wa, low[0], high[0]),
        "ua": with_interval(ua, low[1], high[1]),
        "macro_f1": number(macro_f1(confusion)),
        "per_class": {
            name: {"n": int(n), "recall": number(recall), "precision": number(precision), "f1": number(f1)}
            for name, n, recall, precision, f1 in zip(classes, *columns, strict=True)
        },
        "per_speaker": {
            name: {"n": int(one.sum()), "wa": number(weighted_accuracy(one)), "ua": number(unweighted_accuracy(one))}
            for name, one in zip(names, by_speaker, strict=True)
        },
        "confusion": confusion.tolist(),
        "classes": list(classes),
        "absent_classes": [name for name, n in zip(classes, n_true, strict=True) if n == 0],
    }


def _checked_indices(what: str, labels: ArrayLike, n_classes: int) -> np.ndarray:
    indices = np.asarray(labels)
    if indices.ndim != 1 or indices.size == 0 or indices.dtype.kind not in "iu":
        raise ValueError(f"{what}: expected at least one integer (n,), found {indices.dtype} of shape {indices.shape}")
    if indices.min() < 0 or indices.max() >= n_classes:
        raise ValueError(f"{what}: expected indices 0..{n_classes - 1}, found {indices.min()}..{indices.max()}")
    return indices.astype(np.int64)


def _hits(confusion: np.ndarray) -> np.ndarray:
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def _mean_of_defined(scores: np.ndarray) -> np.ndarray:
    """The mean over the last axis of what is not NaN. np.nanmean would warn where nothing is left."""
    defined = ~np.isnan(scores)
    return ratio(np.sum(scores, axis=-1, where=defined), defined.sum(axis=-1))
