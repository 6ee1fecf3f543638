"""Compute figures of confidence on test clips, with 95 % intervals over speakers."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from zoo.metrics.bootstrap import Parts, Pool, bootstrap_interval, check_speakers, figures
from zoo.metrics.confidence import (
    accuracy_at_coverage,
    accuracy_of_kept,
    area_under_risk_coverage,
    auroc_of_errors,
    expected_calibration_error,
)
from zoo.metrics.undefined import with_interval

FIGURES = ("auroc", "aurc", "ece", "ua", "wa", "ua_at_coverage", "wa_at_coverage", "ua_gain")
OF_ABSTAINING = ("coverage", "ua", "wa", "ua_gain", "wa_gain")


def evaluate(
    confidence: ArrayLike,
    truth: ArrayLike,
    prediction: ArrayLike,
    speakers: Sequence[object] | np.ndarray,
    n_classes: int,
    coverage: float = 0.8,
) -> dict[str, Any]:
    """Return `FIGURES` of a test, each as {"value", "low", "high"} with its 95 % interval over speakers.

    "ua" and "wa" are of all clips, "ua_gain" is what UA gains at the `coverage`. What is undefined is None.

    Raises ValueError as `accuracy_at_coverage`, for a confidence outside 0..1 and for a missing speaker.
    """
    columns = (np.asarray(confidence, np.float64), np.asarray(truth), np.asarray(prediction))

    def of(values: np.ndarray, truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> list[np.ndarray]:
        correct, labels = truth == prediction, (values, truth, prediction, n_classes)
        every, most = (accuracy_at_coverage(*labels, share, weights) for share in (1.0, coverage))
        of_ranks = [measure(values, correct, weights) for measure in (auroc_of_errors, area_under_risk_coverage)]
        ece = expected_calibration_error(values, correct, weights=weights)
        return [*of_ranks, ece, every.ua, every.wa, most.ua, most.wa, most.ua - every.ua]

    return _with_intervals(FIGURES, of, columns, speakers)


def evaluate_abstaining(
    kept: ArrayLike,
    truth: ArrayLike,
    prediction: ArrayLike,
    speakers: Sequence[object] | np.ndarray,
    n_classes: int,
) -> dict[str, Any]:
    """Return `OF_ABSTAINING` of a test whose clips `kept` (n,) are answered, each with its interval over speakers.

    "ua" and "wa" are of the clips answered, the gains what they are above those of all clips.

    Raises ValueError as `evaluate`.
    """
    columns = (np.asarray(kept), np.asarray(truth), np.asarray(prediction))

    def of(kept: np.ndarray, truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> list[np.ndarray]:
        answered, every = (
            accuracy_of_kept(which, truth, prediction, n_classes, weights) for which in (kept, np.ones(len(kept)))
        )
        gains = answered.ua - every.ua, answered.wa - every.wa
        return [answered.coverage, answered.ua, answered.wa, *gains]

    return _with_intervals(OF_ABSTAINING, of, columns, speakers)


def _with_intervals(
    names: Sequence[str],
    of: Callable[..., list[np.ndarray]],
    columns: tuple[np.ndarray, ...],
    speakers: Sequence[object] | np.ndarray,
) -> dict[str, Any]:
    """Return figures of clips, `of` columns and weights, with intervals: a clip counts as often as its speaker."""
    check_speakers(speakers)
    labels = np.array([str(speaker) for speaker in speakers])
    if any(len(labels) != column.size for column in columns):
        raise ValueError(f"expected a speaker for each clip, found {len(labels)} for {columns[0].size}")
    runs = [[tuple(column[labels == name] for column in columns) for name in np.unique(labels)]]
    pool = _pool(of)
    low, high = bootstrap_interval(runs, pool)
    return {name: with_interval(*each) for name, *each in zip(names, figures(runs, pool)[0], low, high, strict=True)}


def _pool(of: Callable[..., list[np.ndarray]]) -> Pool:
    def pool(parts: Parts, counts: np.ndarray) -> np.ndarray:
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        weights = np.repeat(counts, [len(part[0]) for part in parts], axis=1)
        return np.stack(of(*columns, weights), axis=-1)

    return pool
