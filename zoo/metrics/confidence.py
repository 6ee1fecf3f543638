"""Judge confidence: how well it ranks right answers above wrong ones, what abstaining gains, and its calibration.

`confidence` (n,) is higher where an answer is more likely to be right, `correct` (n,) says which are. `weights`
(..., n), whole numbers, count each clip so often; with leading axes, thousands of bootstrap resamples are one call, and
figures have shape (...). Clips of equal confidence are answered or left out together. NumPy only.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from zoo.metrics.undefined import ratio

BINS = 15  # of calibration, as in Guo et al. 2017


class RiskCoverage(NamedTuple):
    """A risk-coverage curve: a point for each different confidence, (points,), from the highest down."""

    threshold: np.ndarray
    coverage: np.ndarray
    risk: np.ndarray


class Accuracy(NamedTuple):
    """WA and UA of the clips that are answered, and their share of all, each in 0..1."""

    wa: np.ndarray
    ua: np.ndarray
    coverage: np.ndarray


class Reliability(NamedTuple):
    """A reliability table: bounds of each bin, its number of clips, their mean confidence and accuracy (NaN: none)."""

    lower: np.ndarray
    upper: np.ndarray
    n: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray


def auroc_of_errors(confidence: ArrayLike, correct: ArrayLike, weights: ArrayLike | None = None) -> np.ndarray:
    """AUROC of telling errors apart by confidence, 0..1, shape (...): P(right > wrong) + P(right = wrong) / 2.

    The probability that a right answer has a higher confidence than a wrong one; 0.5 by chance (Fawcett 2006, "An
    introduction to ROC analysis", section 7). NaN where all answers are right or all are wrong.

    >>> float(auroc_of_errors([0.9, 0.6, 0.6, 0.2], [True, True, False, False]))  # (1 + 1 + 1/2 + 1) / 4
    0.875

    Raises ValueError for empty input, different lengths, or a confidence that is not finite.
    """
    _, right, wrong = _by_confidence(confidence, correct, weights)
    below = np.cumsum(wrong[..., ::-1], axis=-1)[..., ::-1] - wrong  # wrong answers of lower confidence
    return ratio((right * (below + wrong / 2)).sum(axis=-1), right.sum(axis=-1) * wrong.sum(axis=-1))


def risk_coverage(confidence: ArrayLike, correct: ArrayLike, weights: ArrayLike | None = None) -> RiskCoverage:
    """Return the error of the answers that are kept (risk) by their share (coverage), as the threshold is lowered.

    risk(t) = wrong answers of a confidence >= t / answers of a confidence >= t (El-Yaniv and Wiener 2010, "On the
    foundations of noise-free selective classification"). With `weights` coverage and risk are (..., points).

    >>> curve = risk_coverage([0.9, 0.6, 0.6, 0.2], [True, True, False, False])
    >>> curve.threshold.tolist(), curve.coverage.tolist(), curve.risk.round(3).tolist()
    ([0.9, 0.6, 0.2], [0.25, 0.75, 1.0], [0.0, 0.333, 0.5])

    Raises ValueError as `auroc_of_errors`.
    """
    thresholds, right, wrong = _by_confidence(confidence, correct, weights)
    kept, errors = np.cumsum(right + wrong, axis=-1), np.cumsum(wrong, axis=-1)
    return RiskCoverage(thresholds, kept / kept[..., -1:], ratio(errors, kept))


def area_under_risk_coverage(confidence: ArrayLike, correct: ArrayLike, weights: ArrayLike | None = None) -> np.ndarray:
    """AURC, 0..1, lower is better, shape (...): the mean over k = 1..n of the error of the k most confident answers.

    Geifman, Uziel and El-Yaniv 2019 ("Bias-reduced uncertainty estimation for deep neural classifiers"), section 2. Of
    answers of equal confidence it is the expectation over their order.

    >>> area_under_risk_coverage([0.9, 0.6, 0.3], [True, False, True]).round(3).item()  # (0 + 1/2 + 1/3) / 3
    0.278

    Raises ValueError as `auroc_of_errors`.
    """
    _, right, wrong = _by_confidence(confidence, correct, weights)
    size = right + wrong
    kept, errors = np.cumsum(size, axis=-1), np.cumsum(wrong, axis=-1)
    before, errors_before, share = kept - size, errors - wrong, np.nan_to_num(ratio(wrong, size))
    # The sum of (errors_before + j share) / (before + j) over the places j = 1..size of a group.
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, int(kept.max()) + 1))])
    between = harmonic[kept.astype(int)] - harmonic[before.astype(int)]
    total = (size * share + (errors_before - share * before) * between).sum(axis=-1)
    return ratio(total, kept[..., -1])


def accuracy_at_coverage(
    confidence: ArrayLike,
    truth: ArrayLike,
    prediction: ArrayLike,
    n_classes: int,
    coverage: float,
    weights: ArrayLike | None = None,
) -> Accuracy:
    """Return WA and UA of the most confident share `coverage` of the clips (more, where clips are of one confidence).

    `truth` and `prediction` are class indices (n,). UA is the mean recall over the classes that still have a clip.

    >>> accuracy_at_coverage([0.9, 0.8, 0.7, 0.1], [0, 0, 1, 1], [0, 1, 1, 0], 2, 0.75).ua.item()  # (1/2 + 1) / 2
    0.75

    Raises ValueError as `auroc_of_errors`, for a coverage outside 0..1 or 0, and for indices out of range.
    """
    values, hits, truth = _labelled(confidence, truth, prediction, n_classes)
    if not 0 < coverage <= 1:
        raise ValueError(f"coverage: expected more than 0, at most 1, found {coverage}")
    counts = _counts(weights, len(values))
    order = np.argsort(-values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=np.inf))
    of_group = np.add.reduceat(counts[..., order], starts, axis=-1)
    before = np.cumsum(of_group, axis=-1) - of_group
    is_kept = before < coverage * of_group.sum(axis=-1, keepdims=True) - 1e-9
    kept = np.empty_like(counts)
    kept[..., order] = np.repeat(is_kept, np.diff([*starts, len(values)]), axis=-1)
    return _accuracy(kept * counts, counts, hits, truth, n_classes)


def accuracy_above(
    confidence: ArrayLike, truth: ArrayLike, prediction: ArrayLike, n_classes: int, threshold: float
) -> Accuracy:
    """Return WA and UA of the clips of a confidence >= `threshold` (NaN without any), and their share of all.

    >>> found = accuracy_above([0.9, 0.8, 0.7, 0.1], [0, 0, 1, 1], [0, 1, 1, 0], 2, 0.7)
    >>> found.ua.item(), found.coverage.item()
    (0.75, 0.75)

    Raises ValueError as `accuracy_at_coverage`.
    """
    values = np.asarray(confidence, np.float64)
    return accuracy_of_kept(values >= threshold, truth, prediction, n_classes)


def accuracy_of_kept(
    kept: ArrayLike, truth: ArrayLike, prediction: ArrayLike, n_classes: int, weights: ArrayLike | None = None
) -> Accuracy:
    """Return WA and UA of the clips that are `kept` (n,), and their share of all. Raises as `accuracy_at_coverage`."""
    values, hits, truth = _labelled(kept, truth, prediction, n_classes)
    counts = _counts(weights, len(values))
    return _accuracy((values > 0) * counts, counts, hits, truth, n_classes)


def expected_calibration_error(
    confidence: ArrayLike, correct: ArrayLike, bins: int = BINS, weights: ArrayLike | None = None
) -> np.ndarray:
    """Return the expected calibration error, 0..1: |accuracy - mean confidence| by bin, weighted by share of clips.

    Guo, Pleiss, Sun and Weinberger 2017 ("On calibration of modern neural networks"), equation 3: `bins` of equal
    width, closed on the right.

    >>> round(float(expected_calibration_error([0.9, 0.9, 0.6, 0.6], [True, False, True, True])), 6)  # both gaps 0.4
    0.4

    Raises ValueError as `auroc_of_errors`, and for a confidence outside 0..1.
    """
    values, right = _checked(confidence, correct)
    counts, member = _counts(weights, len(values)), _members(values, bins)
    gaps = (counts * (right - values)) @ member
    return ratio(np.abs(gaps).sum(axis=-1), counts.sum(axis=-1))


def reliability_table(confidence: ArrayLike, correct: ArrayLike, bins: int = 10) -> Reliability:
    """Return accuracy beside mean confidence by bin of confidence (Guo et al. 2017, section 2), `bins` as in the ECE.

    >>> table = reliability_table([0.9, 0.9, 0.4], [True, False, False], bins=2)
    >>> table.n.tolist(), table.confidence.tolist(), table.accuracy.tolist()
    ([1, 2], [0.4, 0.9], [0.0, 0.5])

    Raises ValueError as `expected_calibration_error`.
    """
    values, right = _checked(confidence, correct)
    member, edges = _members(values, bins), np.arange(bins + 1) / bins
    n = member.sum(axis=0)
    return Reliability(edges[:-1], edges[1:], n.astype(int), ratio(values @ member, n), ratio(right @ member, n))


def _checked(confidence: ArrayLike, correct: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    values, right = np.asarray(confidence, np.float64), np.asarray(correct)
    if values.ndim != 1 or values.size == 0 or values.shape != right.shape:
        raise ValueError(f"expected confidence and correct (n,) of one length, found {values.shape} and {right.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"confidence: expected finite numbers, found {values[~np.isfinite(values)][0]}")
    if not np.isin(right, (0, 1)).all():
        raise ValueError("correct: expected true or false")
    return values, right.astype(np.float64)


def _counts(weights: ArrayLike | None, n: int) -> np.ndarray:
    counts = np.ones(n) if weights is None else np.asarray(weights, np.float64)
    if counts.shape[-1:] != (n,) or (counts < 0).any() or (counts != np.floor(counts)).any():
        raise ValueError(f"weights: expected whole numbers (..., {n}), 0 or more, found the shape {counts.shape}")
    return counts


def _by_confidence(confidence: ArrayLike, correct: ArrayLike, weights: ArrayLike | None) -> tuple[np.ndarray, ...]:
    """Return the different confidences, highest first, and how many right and wrong answers (..., groups) have each."""
    values, right = _checked(confidence, correct)
    counts, order = _counts(weights, len(values)), np.argsort(-values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=np.inf))
    sides = ((counts * side)[..., order] for side in (right, 1 - right))
    return values[order][starts], *(np.add.reduceat(side, starts, axis=-1) for side in sides)


def _members(values: np.ndarray, bins: int) -> np.ndarray:
    """Return which bin holds each confidence, as ones in (n, bins)."""
    if values.min() < 0 or values.max() > 1:
        raise ValueError(f"confidence: expected 0..1, found {values.min():g} to {values.max():g}")
    return np.eye(bins)[np.clip(np.ceil(values * bins).astype(int) - 1, 0, bins - 1)]


def _labelled(
    confidence: ArrayLike, truth: ArrayLike, prediction: ArrayLike, n_classes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels, guesses = np.asarray(truth), np.asarray(prediction)
    for name, indices in (("truth", labels), ("prediction", guesses)):
        if indices.dtype.kind not in "iu" or indices.size == 0 or indices.min() < 0 or indices.max() >= n_classes:
            raise ValueError(f"{name}: expected class indices 0..{n_classes - 1}, found others")
    if labels.shape != guesses.shape:
        raise ValueError(f"{labels.size} true labels and {guesses.size} predictions must be equal")
    values, hits = _checked(confidence, labels == guesses)
    return values, hits, labels


def _accuracy(kept: np.ndarray, counts: np.ndarray, hits: np.ndarray, truth: np.ndarray, n_classes: int) -> Accuracy:
    of_class = np.eye(n_classes)[truth]
    n_true, n_right = kept @ of_class, (kept * hits) @ of_class
    recall, defined = ratio(n_right, n_true), n_true > 0
    ua = ratio(np.sum(recall, axis=-1, where=defined), defined.sum(axis=-1))
    return Accuracy(ratio(n_right.sum(axis=-1), n_true.sum(axis=-1)), ua, kept.sum(axis=-1) / counts.sum(axis=-1))
