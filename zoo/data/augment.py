"""Augmentation of training features. A function of the features and a random generator, nothing else."""

import numpy as np


def specaugment(
    features: np.ndarray,
    rng: np.random.Generator,
    fill: np.ndarray,
    *,
    time_masks: int = 2,
    max_time_share: float = 0.15,
    band_masks: int = 2,
    max_band_share: float = 0.2,
) -> np.ndarray:
    """Hides random stretches of time and of bands (Park et al. 2019, SpecAugment, without its time warping).

    Each mask's width is uniform from zero to its share of the clip's frames or of the bands.

    Args:
        features: (frames, bands).
        fill: (bands,), put in place of what is hidden; the training mean, which normalisation maps to zero.
    """
    features = features.copy()
    n_frames, n_bands = features.shape
    for _ in range(time_masks):
        start, width = _stretch(rng, n_frames, max_time_share)
        features[start : start + width] = fill
    for _ in range(band_masks):
        start, width = _stretch(rng, n_bands, max_band_share)
        features[:, start : start + width] = fill[start : start + width]
    return features


def perturb(
    features: np.ndarray,
    rng: np.random.Generator,
    *,
    max_warp: float = 0.12,
    max_tempo: float = 0.15,
    max_gain: float = 1.0,
) -> np.ndarray:
    """Makes another speaker of a clip: vocal-tract length, tempo and loudness, each drawn uniformly.

    The band axis is stretched by up to 1 +- `max_warp` (vocal tract length perturbation, Jaitly and Hinton 2013, on the
    mel axis), the time axis by up to 1 +- `max_tempo`, and up to +- `max_gain` is added, as features are logarithms.
    (frames, bands) -> (frames stretched, bands).
    """
    warp, tempo = 1 + rng.uniform(-max_warp, max_warp), 1 + rng.uniform(-max_tempo, max_tempo)
    n_frames, n_bands = features.shape
    bands = _resample(features.T, np.arange(n_bands) * warp).T
    return _resample(bands, np.arange(max(1, round(n_frames * tempo))) / tempo) + rng.uniform(-max_gain, max_gain)


def _resample(rows: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Returns rows at fractional positions, by linear interpolation; beyond the last row, the last."""
    positions = np.minimum(positions, len(rows) - 1)
    below = np.minimum(positions.astype(int), max(len(rows) - 2, 0))
    share = (positions - below)[:, None]
    above = np.minimum(below + 1, len(rows) - 1)
    return ((1 - share) * rows[below] + share * rows[above]).astype(rows.dtype)


def _stretch(rng: np.random.Generator, length: int, max_share: float) -> tuple[int, int]:
    width = int(rng.integers(0, int(max_share * length) + 1))
    return int(rng.integers(0, length - width + 1)), width
