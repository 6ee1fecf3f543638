"""Compute mel bands as librosa defines them, without its import, which takes a second (it brings Numba)."""

import numpy as np

MEL_SCALES = ("htk", "slaney")
_LINEAR_HZ, _HZ_PER_MEL = 1000.0, 200 / 3  # below it, Slaney's scale is linear
_STEP = np.log(6.4) / 27  # of the logarithm of a frequency above it, per mel


def mel_frequencies(count: int, highest_hz: float, scale: str) -> np.ndarray:
    """Return `count` frequencies in Hz from 0 to `highest_hz`, equally far apart in mel.

    `scale` is "htk", m = 2595 log10(1 + f / 700) (O'Shaughnessy 1987), or "slaney", linear below 1 kHz and logarithmic
    above (Slaney's Auditory Toolbox 1998).
    """
    if scale == "htk":
        return 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + highest_hz / 700), count) / 2595) - 1)
    if scale != "slaney":
        raise ValueError(f"the mel scale is {scale!r}, expected one of {', '.join(MEL_SCALES)}")
    mels_below = _LINEAR_HZ / _HZ_PER_MEL
    above = highest_hz > _LINEAR_HZ
    highest = mels_below + np.log(highest_hz / _LINEAR_HZ) / _STEP if above else highest_hz / _HZ_PER_MEL
    mels = np.linspace(0, highest, count)
    return np.where(mels < mels_below, _HZ_PER_MEL * mels, _LINEAR_HZ * np.exp(_STEP * (mels - mels_below)))


def mel_filters(rate_hz: float, n_fft: int, bands: int, scale: str, *, equal_area: bool = False) -> np.ndarray:
    """Return triangular filters (bands, n_fft // 2 + 1), float32, over the bins of a real transform.

    Each rises from its lower neighbour's centre to its own and falls to the next one's, to a height of 1, or with
    `equal_area` to what makes all of them one in area over Hz.
    """
    edges = mel_frequencies(bands + 2, rate_hz / 2, scale)
    lower, centre, upper = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bins = np.fft.rfftfreq(n_fft, 1 / rate_hz)
    weights = np.maximum(0, np.minimum((bins - lower) / (centre - lower), (upper - bins) / (upper - centre)))
    weights = weights.astype(np.float32)
    return (weights * (2 / (upper - lower))).astype(np.float32) if equal_area else weights
