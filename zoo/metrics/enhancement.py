"""How near to clean speech noisy coefficients are, and what enhancement makes of them (MixedEmotions D4.2, Figure 4.2).

All figures follow from moments of each clip at each ratio, which rows of predictions.csv hold. A mean squared error is
in units of the clean coefficient's own variance over the clips it is taken over, so that coefficients can be compared
and averaged: 1 is what a constant, the clean mean, would reach.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from zoo.metrics import regression
from zoo.metrics.regression import Moments

FIGURES = ("n_clips", "n_frames", "mse", "pearson", "pooled", "by_snr", "clean", "detector")
SYSTEMS = ("noisy", "enhanced", "without_detector")
_OF_CLEAN = ("mean_truth", "squares_truth")
_OF_FRAMES = ("mean_prediction", "squares_prediction", "products", "squared_errors", "absolute_errors")
_RESAMPLES = 2_000

Row = Mapping[str, Any]


def columns(clean: np.ndarray, noisy: np.ndarray, denoised: np.ndarray) -> dict[str, str]:
    """Returns what the figures need of one clip: `n_frames` and, for each coefficient K, clean_mean_K, clean_squares_K
    (the sum of squares about the mean), and of noisy and of denoised frames mean, squares, products (with the clean
    ones, about the means), squared_errors and absolute_errors (sums over frames). Inputs are (frames, coefficients).
    """
    before, after = regression.moments(clean, noisy), regression.moments(clean, denoised)
    found = {"n_frames": str(len(clean))}
    for prefix, part, names in (
        ("clean", before, _OF_CLEAN),
        ("noisy", before, _OF_FRAMES),
        ("denoised", after, _OF_FRAMES),
    ):
        for name in names:
            values = getattr(part, name)
            found |= {_column(prefix, name, k): f"{value:.9g}" for k, value in enumerate(values)}
    return found


def evaluate(rows: Sequence[Row]) -> dict[str, Any]:
    """Returns every figure of a test as a dictionary that strict JSON can hold; what is undefined is None.

    `by_snr` (by ratio in dB), `pooled` (over all ratios) and `clean` (speech without noise) hold `n_clips` and, for
    each of `SYSTEMS`, `mse` and `pearson`: means over the coefficients, with 95 % intervals over speakers (None with
    one speaker), and both of every coefficient in `coefficients`. "enhanced" is what the model gives; in
    "without_detector" what it takes for clean is denoised too. `mse` and `pearson` are the pooled values again, of
    noisy and of enhanced speech. `detector` holds the shares (0..1) of clean clips taken for noisy, and of noisy clips
    taken for clean, pooled and by ratio.

    Raises ValueError without rows.
    """
    if not rows:
        raise ValueError("expected rows of tested clips, got none")
    clean = [row for row in rows if row["snr_db"] == ""]
    noisy = [row for row in rows if row["snr_db"] != ""]
    ratios = sorted({row["snr_db"] for row in noisy}, key=float)
    by_snr = {snr: [row for row in noisy if row["snr_db"] == snr] for snr in ratios}
    pooled = _condition(noisy)
    return {
        "n_clips": len(clean),
        "n_speakers": len({row["speaker"] for row in rows}),
        "n_frames": sum(int(row["n_frames"]) for row in clean),
        **{name: {system: pooled[system][name]["value"] for system in SYSTEMS[:2]} for name in ("mse", "pearson")},
        "pooled": pooled,
        "by_snr": {snr: _condition(members) for snr, members in by_snr.items()},
        "clean": _condition(clean),
        "detector": {
            "clean_taken_for_noisy": 1 - _taken(clean),
            "noisy_taken_for_clean": _taken(noisy),
            "by_snr": {snr: _taken(members) for snr, members in by_snr.items()},
        },
    }


def _condition(rows: Sequence[Row]) -> dict[str, Any]:
    n = sum(name.startswith("clean_mean_") for name in rows[0])
    parts = {prefix: [_moments(row, prefix, n) for row in rows] for prefix in ("noisy", "denoised")}
    left = [row["taken_for_clean"] == "1" for row in rows]
    enhanced = [parts["noisy" if as_is else "denoised"][index] for index, as_is in enumerate(left)]
    speakers = [row["speaker"] for row in rows]
    systems = zip(SYSTEMS, (parts["noisy"], enhanced, parts["denoised"]), strict=True)
    return {"n_clips": len(rows), **{system: _figures(members, speakers) for system, members in systems}}


def _figures(parts: Sequence[Moments], speakers: Sequence[str]) -> dict[str, Any]:
    pooled = regression.merged(parts)
    by_speaker = [
        regression.merged([part for part, name in zip(parts, speakers, strict=True) if name == speaker])
        for speaker in sorted(set(speakers))
    ]
    draws = None
    if len(by_speaker) > 1:
        shares = np.full(len(by_speaker), 1 / len(by_speaker))
        counts = np.random.default_rng(0).multinomial(len(by_speaker), shares, _RESAMPLES)
        draws = regression.merged(by_speaker, counts)
    figures: dict[str, Callable[[Moments], np.ndarray]] = {"mse": _mse, "pearson": lambda part: part.pearson}
    return {
        **{name: _with_interval(of, pooled, draws) for name, of in figures.items()},
        "coefficients": {
            str(k): {name: _number(of(pooled)[k]) for name, of in figures.items()}
            for k in range(len(pooled.mean_truth))
        },
    }


def _with_interval(figure: Callable[[Moments], np.ndarray], pooled: Moments, draws: Moments | None) -> dict[str, Any]:
    low = high = np.nan
    if draws is not None:
        low, high = np.quantile(figure(draws).mean(axis=-1), [0.025, 0.975])
    return {"value": _number(figure(pooled).mean()), "low": _number(low), "high": _number(high)}


def _mse(part: Moments) -> np.ndarray:
    """In units of the clean coefficients' variance. NaN where that is 0."""
    undefined = np.full(np.shape(part.squares_truth), np.nan)
    return np.divide(part.squared_errors, part.squares_truth, out=undefined, where=part.squares_truth > 0)


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


def _number(value: float | np.ndarray) -> float | None:
    return None if np.isnan(value) else float(value)
