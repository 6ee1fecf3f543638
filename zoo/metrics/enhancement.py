"""Compare noisy and enhanced cepstra with those of clean speech (MixedEmotions D4.2, Figure 4.2: CCC).

All figures follow from moments of each utterance at each ratio, in the rows of predictions.csv. A mean squared error is
in units of the clean coefficient's variance over the same utterances: 1 is what a constant, the clean mean, reaches.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from zoo.metrics import regression
from zoo.metrics.bootstrap import Parts, bootstrap_interval
from zoo.metrics.regression import Moments
from zoo.metrics.undefined import number, ratio, with_interval

FIGURES = ("n_clips", "n_frames", "mse", "pearson", "pooled", "by_snr", "clean", "detector")
SYSTEMS = ("noisy", "enhanced", "without_detector")
MEASURES = ("mse", "ccc", "pearson")
_OF_CLEAN = ("mean_truth", "squares_truth")
_OF_FRAMES = ("mean_prediction", "squares_prediction", "products", "squared_errors", "absolute_errors")

Row = Mapping[str, Any]


def columns(clean: np.ndarray, noisy: np.ndarray, denoised: np.ndarray) -> dict[str, str]:
    """Return the moments of one utterance; inputs are (frames, coefficients).

    `n_frames` and, for each coefficient K, clean_mean_K, clean_squares_K (the sum of squares about the mean), and of
    noisy and of denoised frames mean, squares, products (with the clean ones, about the means), squared_errors and
    absolute_errors (sums over frames).
    """
    before, after = regression.moments(clean, noisy), regression.moments(clean, denoised)
    found = {"n_frames": str(len(clean))}
    for prefix, part in (("clean", before), ("noisy", before), ("denoised", after)):
        for name in _OF_CLEAN if prefix == "clean" else _OF_FRAMES:
            found |= {_column(prefix, name, k): f"{value:.9g}" for k, value in enumerate(getattr(part, name))}
    return found


def evaluate(rows: Sequence[Row]) -> dict[str, Any]:
    """Return every figure of a test as a dictionary for strict JSON; what is undefined is None.

    `by_snr` (by ratio in dB, then by other conditions in words), `pooled` (over all of them, without any `clean` again)
    and `clean` (speech as it is) hold `n_clips` and, for each of `SYSTEMS`, the three of `MEASURES`: means over the
    coefficients, with 95 % intervals over speakers (None with one speaker), and those of every coefficient in
    `coefficients`. "enhanced" is the model's output; in "without_detector" what it takes for clean is denoised too.
    Each measure stands again at the top, pooled, of noisy and of enhanced speech. `detector` holds the shares (0..1) of
    clean utterances taken for noisy, and of noisy ones taken for clean, pooled and by ratio.
    """
    clean = [row for row in rows if row["snr_db"] == ""]
    noisy = [row for row in rows if row["snr_db"] != ""]
    labels = sorted(dict.fromkeys(row["snr_db"] for row in noisy), key=lambda label: ratio_db(label, np.inf))
    by_snr = {label: [row for row in noisy if row["snr_db"] == label] for label in labels}
    pooled = _condition(noisy or clean)
    return {
        "n_clips": len(clean),
        "n_speakers": len({row["speaker"] for row in rows}),
        "n_frames": sum(int(row["n_frames"]) for row in clean),
        **{name: {system: pooled[system][name]["value"] for system in SYSTEMS[:2]} for name in MEASURES},
        "pooled": pooled,
        "by_snr": {snr: _condition(members) for snr, members in by_snr.items()},
        "clean": _condition(clean),
        "detector": {
            "clean_taken_for_noisy": 1 - _taken(clean),
            "noisy_taken_for_clean": _taken(noisy) if noisy else 0.0,
            "by_snr": {snr: _taken(members) for snr, members in by_snr.items()},
        },
    }


def ratio_db(label: str, otherwise: float = np.nan) -> float:
    """Return the ratio that a condition is, in dB; `otherwise` for one in words."""
    try:
        return float(label)
    except ValueError:
        return otherwise


def _condition(rows: Sequence[Row]) -> dict[str, Any]:
    n = sum(name.startswith("clean_mean_") for name in rows[0])
    noisy, denoised = ([_moments(row, prefix, n) for row in rows] for prefix in ("noisy", "denoised"))
    both = zip(rows, noisy, denoised, strict=True)
    enhanced = [before if row["taken_for_clean"] == "1" else after for row, before, after in both]
    speakers = [row["speaker"] for row in rows]
    figures = [_figures(parts, speakers) for parts in (noisy, enhanced, denoised)]
    return {"n_clips": len(rows), **dict(zip(SYSTEMS, figures, strict=True))}


def _figures(parts: Sequence[Moments], speakers: Sequence[str]) -> dict[str, Any]:
    by_coefficient = _measures(regression.merged(parts))
    low, high = bootstrap_interval([regression.merged_by_speaker(parts, speakers)], _pooled)
    means = {name: with_interval(by_coefficient[i].mean(), low[i], high[i]) for i, name in enumerate(MEASURES)}
    each = {str(k): dict(zip(MEASURES, map(number, row), strict=True)) for k, row in enumerate(by_coefficient.T)}
    return {**means, "coefficients": each}


def _pooled(parts: Parts, counts: np.ndarray) -> np.ndarray:
    return _measures(regression.merged(parts, counts)).mean(axis=-1).T


def _measures(part: Moments) -> np.ndarray:
    """Return `MEASURES` (3, ..., coefficients), the errors in units of the clean coefficients' variance."""
    return np.stack([ratio(part.squared_errors, part.squares_truth), part.ccc, part.pearson])


def _taken(rows: Sequence[Row]) -> float:
    return sum(row["taken_for_clean"] == "1" for row in rows) / len(rows)


def _moments(row: Row, prefix: str, n: int) -> Moments:
    values = {"n": np.array([float(row["n_frames"])])}
    for name in (item.name for item in fields(Moments) if item.name != "n"):
        of = "clean" if name in _OF_CLEAN else prefix
        values[name] = np.array([float(row[_column(of, name, k)]) for k in range(n)])
    return Moments(**values)


def _column(prefix: str, name: str, coefficient: int) -> str:
    return f"{prefix}_{name.removesuffix('_truth').removesuffix('_prediction')}_{coefficient}"
