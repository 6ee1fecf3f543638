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


def _stretch(rng: np.random.Generator, length: int, max_share: float) -> tuple[int, int]:
    width = int(rng.integers(0, int(max_share * length) + 1))
    return int(rng.integers(0, length - width + 1)), width
