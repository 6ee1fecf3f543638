"""Compute concordance, correlation and errors of ratings, with intervals over speakers. NumPy and SciPy only.

All but Kendall's tau follow from joint moments of truth and prediction, which are taken part by part and merged into
those of the concatenation. A mean of the parts' CCC is not the CCC. Population moments, float64.

What has no value is NaN, in `evaluate` None: CCC where both are constant and equal, or on one frame (as in audmetric);
Pearson's and Kendall's correlation where either is constant. CCC is 0 where either is constant and they differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from zoo.metrics.bootstrap import Parts, bootstrap_interval, check_speakers
from zoo.metrics.undefined import number, ratio, with_interval


@dataclass(frozen=True)
class Moments:
    """Joint moments of truth and prediction, one of each per dimension: arrays (..., dims), but `n` is (..., 1)."""

    n: np.ndarray  # frames
    mean_truth: np.ndarray
    mean_prediction: np.ndarray
    squares_truth: np.ndarray  # sum of (truth - mean)^2
    squares_prediction: np.ndarray
    products: np.ndarray  # sum of (truth - mean) (prediction - mean)
    squared_errors: np.ndarray  # sum of (prediction - truth)^2
    absolute_errors: np.ndarray  # sum of |prediction - truth|

    @property
    def ccc(self) -> np.ndarray:
        """Concordance correlation coefficient (Lin 1989) in -1..1, shape (..., dims):
        2 cov(x, y) / (var x + var y + (mean x - mean y)^2).
        """
        spread = self.squares_truth + self.squares_prediction + self.n * (self.mean_prediction - self.mean_truth) ** 2
        return ratio(2 * self.products, np.where(self.n > 1, spread, 0))

    @property
    def pearson(self) -> np.ndarray:
        """Pearson's correlation coefficient cov(x, y) / sqrt(var x var y) in -1..1, shape (..., dims)."""
        return ratio(self.products, np.sqrt(self.squares_truth) * np.sqrt(self.squares_prediction))

    @property
    def rmse(self) -> np.ndarray:
        """Root of the mean squared error, in units of the ratings, shape (..., dims)."""
        return np.sqrt(self.squared_errors / self.n)

    @property
    def mae(self) -> np.ndarray:
        """Mean absolute error, in units of the ratings, shape (..., dims)."""
        return self.absolute_errors / self.n


def moments(truth: ArrayLike, prediction: ArrayLike) -> Moments:
    """Return the moments of ratings (n, dims), or (n,) of one dimension: arrays (dims,), or (1,).

    >>> both = moments([0.0, 1.0, 2.0], [0.0, 1.0, 1.0])  # variances 2/3 and 2/9, covariance 1/3, means 1 and 2/3
    >>> [round(float(figure[0]), 3) for figure in (both.ccc, both.pearson, both.rmse, both.mae)]
    [0.667, 0.866, 0.577, 0.333]

    Raises ValueError for no frames, different shapes, or values that are not finite.
    """
    # Column by column in memory NumPy sums pairwise, and keeps more digits.
    truth, prediction = (np.asfortranarray(values.reshape(len(values), -1)) for values in _checked(truth, prediction))
    (mean_truth, x), (mean_prediction, y), errors = _centred(truth), _centred(prediction), prediction - truth
    sums = (np.sum(terms, axis=0) for terms in (x**2, y**2, x * y, errors**2, np.abs(errors)))
    return Moments(np.array([float(len(truth))]), mean_truth, mean_prediction, *sums)


def merged(parts: Sequence[Moments], counts: ArrayLike | None = None) -> Moments:
    """Return the moments of the concatenation of the parts (Chan, Golub and LeVeque 1983).

    >>> parts = [moments([0.0, 1.0], [0.0, 1.0]), moments([2.0], [1.0])]
    >>> round(float(merged(parts).ccc[0]), 3), merged(parts, [1, 2]).n.tolist()
    (0.667, [4.0])

    `counts` (..., parts) state how often each part is in the concatenation (default: once), for any number of
    concatenations at once, whose moments then are (..., dims).
    """
    n_parts, means_truth, means_prediction, *inner = (
        np.stack([getattr(part, field.name) for part in parts]) for field in fields(Moments)
    )
    counts = np.asarray(np.ones(len(parts)) if counts is None else counts, np.float64)[..., None]
    frames = counts * n_parts
    n = frames.sum(axis=-2)

    def mean_and_offsets(means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # From the first one's mean, so that equal means stay exactly equal.
        mean = means[0] + np.sum(frames * (means - means[0]), axis=-2) / n
        return mean, means - mean[..., None, :]

    (mean_truth, x), (mean_prediction, y) = mean_and_offsets(means_truth), mean_and_offsets(means_prediction)
    between = zip(inner, (x**2, y**2, x * y, 0.0, 0.0), strict=True)
    sums = (np.sum(counts * within + frames * offsets, axis=-2) for within, offsets in between)
    return Moments(n, mean_truth, mean_prediction, *sums)


def merged_by_speaker(parts: Sequence[Moments], speakers: Sequence[str]) -> list[Moments]:
    """Merge the moments of each speaker's recordings; the speakers are in order of their names."""
    return [
        merged([part for part, name in zip(parts, speakers, strict=True) if name == speaker])
        for speaker in sorted(set(speakers))
    ]


def concordances(parts: Parts, counts: np.ndarray) -> np.ndarray:
    """Pool moments, each `counts` (n, parts) times: the mean CCC, then that of each dimension, shape (n, 1 + dims).

    >>> parts = [moments([0.0, 1.0], [0.0, 1.0]), moments([2.0], [1.0])]
    >>> concordances(parts, np.array([[1, 1], [1, 0]])).round(3).tolist()
    [[0.667, 0.667], [1.0, 1.0]]
    """
    by_dimension = merged(parts, counts).ccc
    return np.concatenate([by_dimension.mean(axis=-1, keepdims=True), by_dimension], axis=-1)


def ccc(truth: ArrayLike, prediction: ArrayLike) -> np.ndarray:
    """Concordance correlation coefficient (`Moments.ccc`) of ratings (n, dims) -> (dims,), or (n,) -> ().

    Raises ValueError as `moments`.

    >>> round(float(ccc([0.0, 1.0, 2.0], [0.0, 1.0, 1.0])), 3)  # 2/3 / (6/9 + 2/9 + 1/9)
    0.667
    """
    return moments(truth, prediction).ccc.reshape(np.shape(truth)[1:])


def kendall(truth: ArrayLike, prediction: ArrayLike) -> np.ndarray:
    """Kendall's tau-b, which takes ties into account, in -1..1 of ratings (n, dims) -> (dims,), or (n,) -> ().

    (concordant - discordant) / sqrt((pairs - ties in x) (pairs - ties in y)). Raises ValueError as `moments`.

    >>> round(float(kendall([0.0, 1.0, 2.0], [0.0, 1.0, 1.0])), 3)  # 2 / sqrt(3 * 2)
    0.816
    """
    from scipy.stats import kendalltau  # takes a second to import, and every prediction imports this module

    truth, prediction = _checked(truth, prediction)
    columns = zip(truth.reshape(len(truth), -1).T, prediction.reshape(len(truth), -1).T, strict=True)
    taus = [kendalltau(*pair).statistic if len(truth) > 1 else np.nan for pair in columns]
    return np.reshape(np.array(taus, np.float64), truth.shape[1:])


def evaluate(
    truth: Sequence[np.ndarray], prediction: Sequence[np.ndarray], dimensions: Sequence[str], speakers: Sequence[str]
) -> dict[str, Any]:
    """Return every figure of a test as a dictionary for strict JSON: what is undefined (NaN) is None.

    `truth` and `prediction` are each recording's ratings (frames, dims) of the frames that were rated. Of each
    dimension, over all frames of all recordings: `ccc` with its 95 % interval over speakers (None with one speaker),
    `pearson`, `rmse` and `mae`; averaged over the recordings where they are defined: `mean_ccc` and `kendall`, with the
    numbers of those where they are not in `undefined`. The `ccc` beside `dimensions` is the mean of theirs.

    Raises ValueError as `moments`, for no recordings, a missing speaker and sequences of different lengths.
    """
    lengths = len(truth), len(prediction), len(speakers)
    if len(set(lengths)) > 1 or not len(truth):
        raise ValueError(f"expected as many (at least one) truths, predictions and speakers, found {lengths}")
    check_speakers(speakers)
    for ratings in truth:
        if np.ndim(ratings) != 2 or np.shape(ratings)[1] != len(dimensions):
            raise ValueError(f"expected ratings (frames, {len(dimensions)}), found shape {np.shape(ratings)}")
    pairs = list(zip(truth, prediction, strict=True))
    by_recording = [moments(*pair) for pair in pairs]
    by_speaker = merged_by_speaker(by_recording, speakers)
    pooled = merged(by_recording)
    _, *intervals = zip(*bootstrap_interval([by_speaker], concordances), strict=True)
    cccs, taus = np.stack([part.ccc for part in by_recording]), np.stack([kendall(*pair) for pair in pairs])

    def figures(k: int) -> dict[str, Any]:
        return {
            "ccc": with_interval(pooled.ccc[k], *intervals[k]),
            "mean_ccc": number(_mean_of_defined(cccs[:, k])),
            "pearson": number(pooled.pearson[k]),
            "rmse": number(pooled.rmse[k]),
            "mae": number(pooled.mae[k]),
            "kendall": number(_mean_of_defined(taus[:, k])),
            "undefined": {"ccc": int(np.isnan(cccs[:, k]).sum()), "kendall": int(np.isnan(taus[:, k]).sum())},
        }

    return {
        "n_recordings": len(by_recording),
        "n_speakers": len(by_speaker),
        "n_frames": int(pooled.n[0]),
        "ccc": number(np.mean(pooled.ccc)),
        "dimensions": {name: figures(k) for k, name in enumerate(dimensions)},
    }


def evaluate_clips(truth: ArrayLike, prediction: ArrayLike, speakers: Sequence[str]) -> dict[str, Any]:
    """Return every figure of one number per clip, (n,) each, as a dictionary for strict JSON: undefined ones are None.

    Over all clips: `ccc` with its 95 % interval over speakers (None with one speaker), `pearson`, `rmse` and `mae`.
    `range` is that of the truth. Raises ValueError as `moments`, and for other lengths or a missing speaker.

    >>> evaluate_clips([20.0, 30.0], [20.0, 28.0], ["a", "b"])["mae"]
    1.0
    """
    values, found = _checked(truth, prediction)
    if values.ndim != 1 or len(values) != len(speakers):
        raise ValueError(f"expected a number and a speaker per clip, found {values.shape} and {len(speakers)} speakers")
    check_speakers(speakers)
    names = [str(speaker) for speaker in speakers]
    clips = [moments(values[n : n + 1], found[n : n + 1]) for n in range(len(values))]
    by_speaker = merged_by_speaker(clips, names)
    pooled = moments(values, found)
    (_, low), (_, high) = bootstrap_interval([by_speaker], concordances)
    figures = {name: number(getattr(pooled, name)[0]) for name in ("pearson", "rmse", "mae")}
    counts = {"n_clips": len(values), "n_speakers": len(by_speaker)}
    return {**counts, "ccc": with_interval(pooled.ccc[0], low, high), **figures, "range": [values.min(), values.max()]}


def _checked(truth: ArrayLike, prediction: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    truth, prediction = np.asarray(truth, np.float64), np.asarray(prediction, np.float64)
    if truth.shape != prediction.shape or truth.ndim not in (1, 2) or truth.size == 0:
        expected = "expected ratings and predictions of one shape, (frames,) or (frames, dimensions)"
        raise ValueError(f"{expected}, found {truth.shape} and {prediction.shape}")
    for name, values in (("ratings", truth), ("predictions", prediction)):
        if n_bad := np.count_nonzero(~np.isfinite(values)):
            raise ValueError(f"{name}: {n_bad} of {values.size} values are not finite. Leave frames without them out")
    return truth, prediction


def _centred(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean over frames, and the values less it. From the first value: a constant's variance is exactly 0."""
    shifted = values - values[0]
    mean = shifted.mean(axis=0)
    return values[0] + mean, shifted - mean


def _mean_of_defined(values: np.ndarray) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else np.nan
