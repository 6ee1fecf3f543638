"""Augment features and waveforms at random in training."""

import numpy as np

_WARPED_SHARE = 0.6  # of half the rate, which holds the formants: 4.8 kHz of 8 (Jaitly and Hinton 2013, section 2)


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


def warp_bands(features: np.ndarray, rng: np.random.Generator, share: float, frequencies_hz: np.ndarray) -> np.ndarray:
    """Warp the frequencies of features (frames, bands) by a factor uniform in 1 - `share` to 1 + `share`.

    Vocal-tract length perturbation (Jaitly and Hinton 2013, eq 1): frequencies are multiplied by the factor up to a
    bend, and from there the line goes to half the rate, which stays. Between two bands features are linear in Hz.
    `frequencies_hz` (bands + 2,) are the bands' centres, equally far apart in mel, with both ends of the axis.
    """
    factor = 1 + share * rng.uniform(-1, 1)
    highest_hz = frequencies_hz[-1]
    bend_hz = _WARPED_SHARE * highest_hz * min(factor, 1)  # behind the warp; 1 / factor of it before
    before_hz = np.interp(frequencies_hz[1:-1], [0, bend_hz, highest_hz], [0, bend_hz / factor, highest_hz])
    places = np.interp(before_hz, frequencies_hz[1:-1], np.arange(features.shape[1]))
    lower = places.astype(int)
    upper = np.minimum(lower + 1, features.shape[1] - 1)
    part = (places - lower).astype(np.float32)
    return (1 - part) * features[:, lower] + part * features[:, upper]


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
