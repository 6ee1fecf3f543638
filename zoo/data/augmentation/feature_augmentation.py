"""Augmentation of training features. Functions of the features and a random generator, nothing else."""

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


def perturb_voice(
    waveform: np.ndarray,
    rng: np.random.Generator,
    *,
    rate_hz: int = 16_000,
    max_gain_db: float = 6.0,
    max_colour_db: float = 6.0,
    least_snr_db: float = 15.0,
) -> np.ndarray:
    """Makes another microphone and room tone of a segment, and leaves its timing, and so its ratings, as they are.

    A random gain; a random colour (gains at five frequencies, octaves apart in steps, between them by interpolation);
    white noise at a random ratio; and the sign turned at random, which no ear hears.

    Args:
        waveform: (samples, 1).
        least_snr_db: the ratio is uniform from here to 30 dB above it.
    """
    spectrum = np.fft.rfft(waveform[:, 0])
    frequencies_hz = np.fft.rfftfreq(len(waveform), 1 / rate_hz)
    anchors = np.log2(np.array([60.0, 250.0, 1000.0, 3000.0, 8000.0]))
    octave = np.log2(np.maximum(frequencies_hz, 1.0))
    gain_db = np.interp(octave, anchors, rng.uniform(-max_colour_db, max_colour_db, len(anchors)))
    gain_db += rng.uniform(-max_gain_db, max_gain_db)
    coloured = np.fft.irfft(spectrum * 10 ** (gain_db / 20), len(waveform)) * rng.choice((-1.0, 1.0))
    noise_db = -rng.uniform(least_snr_db, least_snr_db + 30)
    noise = rng.standard_normal(len(waveform)) * coloured.std() * 10 ** (noise_db / 20)
    return (coloured + noise).astype(np.float32)[:, None]


def _stretch(rng: np.random.Generator, length: int, max_share: float) -> tuple[int, int]:
    width = int(rng.integers(0, int(max_share * length) + 1))
    return int(rng.integers(0, length - width + 1)), width
