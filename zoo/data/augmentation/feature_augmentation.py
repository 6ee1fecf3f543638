"""Augment features and waveforms at random in training."""

import numpy as np


def specaugment(features: np.ndarray, rng: np.random.Generator, fill: np.ndarray) -> np.ndarray:
    """Mask random stretches of time and of bands of features (frames, bands) by `fill` (bands,), the training mean.

    SpecAugment (Park et al. 2019) without its time warping: two masks of up to 15 % of the frames and two of up to 20 %
    of the bands, their widths uniform from zero.
    """
    features = features.copy()
    n_frames, n_bands = features.shape
    for _ in range(2):
        start, width = _stretch(rng, n_frames, 0.15)
        features[start : start + width] = fill
    for _ in range(2):
        start, width = _stretch(rng, n_bands, 0.2)
        features[:, start : start + width] = fill[start : start + width]
    return features


def shift_bands(features: np.ndarray, rng: np.random.Generator, most: int) -> np.ndarray:
    """Move features (frames, bands) up or down by at most `most` bands; the edge's band is repeated.

    On a mel axis this is nearly what another length of the vocal tract does: its perturbation (Jaitly and Hinton 2013)
    in whole bands.
    """
    n_bands = features.shape[1]
    shift = rng.integers(-most, most + 1)
    return features[:, np.clip(np.arange(n_bands) - shift, 0, n_bands - 1)]


def change_tempo(features: np.ndarray, n_frames: int) -> np.ndarray:
    """Interpolate features (frames, bands) linearly to `n_frames` >= 1 frames: another tempo, pitch and formants kept.

    Tempo perturbation (Ko et al. 2015), of frames in place of samples. The first and the last frame stay.
    """
    places = np.linspace(0, len(features) - 1, n_frames)
    before = places.astype(int)
    share = (places - before).astype(np.float32)[:, None]
    after = np.minimum(before + 1, len(features) - 1)
    return (1 - share) * features[before] + share * features[after]


def mixup(one: np.ndarray, other: np.ndarray, share: float, fill: np.ndarray | float) -> np.ndarray:
    """Return share * one + (1 - share) * other of two clips' features (frames, bands) (Zhang et al. 2018, eq 1).

    The shorter one goes on with `fill` (bands,).
    """
    mixed = np.full((max(len(one), len(other)), one.shape[1]), fill, np.float32)
    mixed[: len(one)] += share * (one - fill)
    mixed[: len(other)] += (1 - share) * (other - fill)
    return mixed


def perturb_voice(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change microphone and background noise of a segment (samples, 1) at 16 kHz, but not its timing and ratings.

    A random gain and random gains at five frequencies (each within 6 dB; interpolated over octaves between them), white
    noise at 15 to 45 dB below the segment, and a random sign, which is inaudible.
    """
    spectrum = np.fft.rfft(waveform[:, 0])
    frequencies_hz = np.fft.rfftfreq(len(waveform), 1 / 16_000)
    anchors = np.log2(np.array([60.0, 250.0, 1000.0, 3000.0, 8000.0]))
    octave = np.log2(np.maximum(frequencies_hz, 1.0))
    gain_db = np.interp(octave, anchors, rng.uniform(-6, 6, len(anchors)))
    gain_db += rng.uniform(-6, 6)
    coloured = np.fft.irfft(spectrum * 10 ** (gain_db / 20), len(waveform)) * rng.choice((-1.0, 1.0))
    level = 10 ** (-rng.uniform(15, 45) / 20)
    noise = rng.standard_normal(len(waveform)) * coloured.std() * level
    return (coloured + noise).astype(np.float32)[:, None]


def _stretch(rng: np.random.Generator, length: int, max_share: float) -> tuple[int, int]:
    width = int(rng.integers(0, int(max_share * length) + 1))
    return int(rng.integers(0, length - width + 1)), width
