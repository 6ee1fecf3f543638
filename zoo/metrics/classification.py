"""How well utterances were classified: accuracies, their intervals, and the test between two runs.

Everything is a function of the confusion matrix, rows truth, columns prediction. Functions of it accept leading axes
(..., C, C), so that a bootstrap over thousands of resamples is one call. NumPy only: no backend is needed here.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

Labels = Sequence[int] | Sequence[str] | np.ndarray


def class_indices(labels: Labels, classes: Sequence[str]) -> np.ndarray:
    """Returns labels as indices into `classes`, shape (n,). Integers are indices already, strings are looked up.

    Raises:
        ValueError: labels are empty, not one-dimensional, missing (NaN) or not in `classes`; or `classes` repeats.
    """
    names = list(classes)
    if len(set(names)) != len(names):
        raise ValueError(f"classes must differ, found {names}")
    array = np.asarray(labels)
    if array.dtype.kind in "iu" or array.ndim != 1:
        return _checked_indices("labels", array, len(names))
    index_of = {name: index for index, name in enumerate(names)}
    for position, label in enumerate(array.tolist()):
        if label not in index_of:
            raise ValueError(f"label {label!r} at position {position} is not one of the classes {names}")
    return _checked_indices("labels", [index_of[label] for label in array.tolist()], len(names))


def confusion_matrix(truth: ArrayLike, prediction: ArrayLike, n_classes: int) -> np.ndarray:
    """Counts clips by true class (row) and predicted class (column), shape (n_classes, n_classes), integer.

    `truth` and `prediction` are class indices in 0..n_classes-1, shape (n,).

    Raises:
        ValueError: empty input, different lengths, indices that are not integers (NaN) or out of range.
    """
    return _grouped_confusions(truth, prediction, np.zeros(np.shape(truth), np.int64), 1, n_classes)[0]


def weighted_accuracy(confusion: np.ndarray) -> np.ndarray:
    """WA in 0..1: the share of clips that are right, of shape (...). NaN for a matrix without clips."""
    return _ratio(_hits(confusion).sum(axis=-1), np.sum(confusion, axis=(-2, -1)))


def unweighted_accuracy(confusion: np.ndarray) -> np.ndarray:
    """UA in 0..1: the mean recall over the classes present in the truth, of shape (...).

    A class without a true clip has no recall and is left out, not counted as zero.
    """
    return _mean_of_defined(recalls(confusion))


def recalls(confusion: np.ndarray) -> np.ndarray:
    """The share of each class's clips that were found, shape (..., C). NaN for a class absent from the truth."""
    return _ratio(_hits(confusion), np.sum(confusion, axis=-1))


def precisions(confusion: np.ndarray) -> np.ndarray:
    """The share of each class's predictions that are right, shape (..., C).

    Zero for a class in the truth that is never predicted; NaN for a class in neither truth nor prediction.
    """
    n_true, n_predicted = np.sum(confusion, axis=-1), np.sum(confusion, axis=-2)
    return np.where((n_true > 0) & (n_predicted == 0), 0.0, _ratio(_hits(confusion), n_predicted))


def f1_scores(confusion: np.ndarray) -> np.ndarray:
    """2 hits / (true + predicted) of each class, shape (..., C). NaN for a class in neither truth nor prediction."""
    return _ratio(2 * _hits(confusion), np.sum(confusion, axis=-1) + np.sum(confusion, axis=-2))


def macro_f1(confusion: np.ndarray) -> np.ndarray:
    """The mean F1 over the classes present in truth or prediction, of shape (...).

    That is scikit-learn's and audmetric's reading: unlike for UA, a class that is predicted but never true counts as 0.
    """
    return _mean_of_defined(f1_scores(confusion))


def bootstrap_interval(
    statistic: Callable[[np.ndarray], np.ndarray],
    truth: ArrayLike,
    prediction: ArrayLike,
    speakers: Sequence[object] | np.ndarray,
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap over speakers (Efron and Tibshirani 1993, chapter 13): (low, high) of a statistic.

    Clips of one speaker are not independent, so whole speakers are drawn with replacement and their clips pooled.
    A resample that lacks a class uses the classes it has. With few speakers the interval is too narrow; with one
    there is nothing to resample and the result is (nan, nan).

    Args:
        statistic: maps confusion matrices (n_resamples, C, C) to (n_resamples,), e.g. `unweighted_accuracy`.
        truth: class indices, shape (n,).
        prediction: class indices, shape (n,).
        speakers: who speaks each clip, shape (n,).

    Raises:
        ValueError: as `confusion_matrix`; a missing speaker; n_resamples under 1; level outside 0..1.
    """
    if n_resamples < 1 or not 0 < level < 1:
        raise ValueError(f"expected n_resamples >= 1 and 0 < level < 1, found {n_resamples} and {level}")
    # Classes above the highest label seen are absent everywhere, and so change no statistic.
    n_classes = 1 + max(_checked_indices("truth", truth).max(), _checked_indices("prediction", prediction).max())
    _, confusions = _speaker_confusions(truth, prediction, speakers, n_classes)
    n_speakers = len(confusions)
    if n_speakers == 1:
        return math.nan, math.nan
    # How often each speaker is drawn decides a resample, so weighted sums of matrices replace copies of clips.
    draws = np.random.default_rng(seed).multinomial(n_speakers, np.full(n_speakers, 1 / n_speakers), n_resamples)
    resampled = (draws @ confusions.reshape(n_speakers, -1)).reshape(n_resamples, n_classes, n_classes)
    low, high = np.quantile(statistic(resampled), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def z_test(accuracy_a: float, n_a: int, accuracy_b: float, n_b: int) -> tuple[float, float]:
    """One-tailed z-test on two accuracies (Zhao et al. 2019, section IV): is b more accurate than a?

    z = (b - a) / sqrt(p (1 - p) (1/n_a + 1/n_b)), p the pooled accuracy. The two are taken as independent samples of
    independent clips, as the paper does. Accuracies that are both 0 or both 1 have no variance: z = 0, p = 0.5.

    Args:
        accuracy_a: the share of n_a clips that a has right, 0..1.
        accuracy_b: the share of n_b clips that b has right, 0..1.

    Returns:
        z, and the probability of one at least as large if b were no more accurate than a.

    Raises:
        ValueError: an accuracy outside 0..1 or NaN; no clips.
    """
    for accuracy, n in ((accuracy_a, n_a), (accuracy_b, n_b)):
        if not 0 <= accuracy <= 1 or n < 1:
            raise ValueError(f"expected an accuracy in 0..1 on at least one clip, found {accuracy} on {n}")
    pooled = (accuracy_a * n_a + accuracy_b * n_b) / (n_a + n_b)
    variance = pooled * (1 - pooled) * (1 / n_a + 1 / n_b)
    if variance == 0:
        return 0.0, 0.5
    z = (accuracy_b - accuracy_a) / math.sqrt(variance)
    return z, 0.5 * math.erfc(z / math.sqrt(2))


def evaluate(
    truth: Labels, prediction: Labels, classes: Sequence[str], speakers: Sequence[object] | np.ndarray
) -> dict[str, Any]:
    """Returns every figure of a test as a dictionary that strict JSON can hold: what is undefined (NaN) is None.

    WA and UA come with their 95 % interval over speakers (None with one speaker). `absent_classes` are those without
    a true clip. All figures are in 0..1; `confusion` has a row per true class, in the order of `classes`.

    Args:
        truth: class indices or names, shape (n,).
        prediction: class indices or names, shape (n,).
        classes: the names, in the order of the indices.
        speakers: who speaks each clip, shape (n,).

    Raises:
        ValueError: empty input, different lengths, labels not in `classes`, NaN, a missing speaker.
    """
    truth, prediction = class_indices(truth, classes), class_indices(prediction, classes)
    names, by_speaker = _speaker_confusions(truth, prediction, speakers, len(classes))
    confusion = by_speaker.sum(axis=0)
    n_true = confusion.sum(axis=1)
    columns = (n_true, recalls(confusion), precisions(confusion), f1_scores(confusion))

    def with_interval(statistic: Callable[[np.ndarray], np.ndarray]) -> dict[str, float | None]:
        low, high = bootstrap_interval(statistic, truth, prediction, speakers)
        return {"value": _number(statistic(confusion)), "low": _number(low), "high": _number(high)}

    return {
        "n_clips": int(confusion.sum()),
        "n_speakers": len(names),
        "wa": with_interval(weighted_accuracy),
        "ua": with_interval(unweighted_accuracy),
        "macro_f1": _number(macro_f1(confusion)),
        "per_class": {
            name: {"n": int(n), "recall": _number(recall), "precision": _number(precision), "f1": _number(f1)}
            for name, n, recall, precision, f1 in zip(classes, *columns, strict=True)
        },
        "per_speaker": {
            name: {"n": int(one.sum()), "wa": _number(weighted_accuracy(one)), "ua": _number(unweighted_accuracy(one))}
            for name, one in zip(names, by_speaker, strict=True)
        },
        "confusion": confusion.tolist(),
        "classes": list(classes),
        "absent_classes": [name for name, n in zip(classes, n_true, strict=True) if n == 0],
    }


def _checked_indices(what: str, labels: ArrayLike, n_classes: int | None = None) -> np.ndarray:
    indices = np.asarray(labels)
    if indices.ndim != 1 or indices.size == 0:
        raise ValueError(f"{what}: expected at least one class index in one dimension, found shape {indices.shape}")
    if indices.dtype.kind not in "iu":
        raise ValueError(f"{what}: expected integers, found {indices.dtype} (a missing label makes integers float NaN)")
    if indices.min() < 0 or (n_classes is not None and indices.max() >= n_classes):
        allowed = "0 or more" if n_classes is None else f"0..{n_classes - 1}"
        raise ValueError(f"{what}: expected indices {allowed}, found {indices.min()}..{indices.max()}")
    return indices.astype(np.int64)


def _grouped_confusions(
    truth: ArrayLike, prediction: ArrayLike, groups: np.ndarray, n_groups: int, n_classes: int
) -> np.ndarray:
    """One confusion matrix per group, shape (n_groups, n_classes, n_classes)."""
    rows = _checked_indices("truth", truth, n_classes)
    columns = _checked_indices("prediction", prediction, n_classes)
    if not len(rows) == len(columns) == len(groups):
        raise ValueError(
            f"{len(rows)} true labels, {len(columns)} predictions and {len(groups)} speakers must be equal"
        )
    cells = (groups * n_classes + rows) * n_classes + columns
    return np.bincount(cells, minlength=n_groups * n_classes**2).reshape(n_groups, n_classes, n_classes)


def _speaker_confusions(
    truth: ArrayLike, prediction: ArrayLike, speakers: Sequence[object] | np.ndarray, n_classes: int
) -> tuple[list[str], np.ndarray]:
    """The speakers' names in order, and their confusion matrices, shape (n_speakers, n_classes, n_classes)."""
    for position, speaker in enumerate(speakers):
        if speaker is None or speaker == "" or speaker != speaker:
            raise ValueError(f"the speaker at position {position} is missing: {speaker!r}")
    names, groups = np.unique([str(speaker) for speaker in speakers], return_inverse=True)
    return names.tolist(), _grouped_confusions(truth, prediction, groups, len(names), n_classes)


def _hits(confusion: np.ndarray) -> np.ndarray:
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)


def _mean_of_defined(scores: np.ndarray) -> np.ndarray:
    """The mean over the last axis of what is not NaN. np.nanmean would warn where nothing is left."""
    defined = ~np.isnan(scores)
    return _ratio(np.sum(scores, axis=-1, where=defined), defined.sum(axis=-1))


def _number(value: float | np.ndarray) -> float | None:
    return None if np.isnan(value) else float(value)
