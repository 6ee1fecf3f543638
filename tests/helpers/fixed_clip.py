"""One clip for all recorded predictions: chirps with harmonics in a little noise, the same on every machine."""

from pathlib import Path

import numpy as np
import soundfile

RATE_HZ = 16_000
SECONDS = 1.5
LONG_SECONDS = 12.0  # for ratings, some of which look at eight seconds


def samples(seconds: float = SECONDS, noise: float = 0.005) -> np.ndarray:
    """A speech-like signal (samples,) in -1..1 of changing pitch and loudness with a pause, in noise so strong."""
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    pitch_hz = 120 + 60 * np.sin(2 * np.pi * 0.8 * time) + 20 * time
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE_HZ
    voiced = sum(np.sin(k * phase) / k for k in (1, 2, 3, 5, 8, 13))
    chirp = np.sin(2 * np.pi * (300 + 900 * time / seconds) * time)
    loudness = 0.5 + 0.4 * np.sin(2 * np.pi * 2.5 * time)
    loudness[(time > 0.45 * seconds) & (time < 0.55 * seconds)] = 0.0
    speech = 0.25 * loudness * (voiced + 0.5 * chirp)
    return speech + noise * np.random.default_rng(7).standard_normal(len(time))


def write(folder: Path, seconds: float = SECONDS, noise: float = 0.005) -> Path:
    """Writes the clip below `folder` as a WAV file of 16 bits; returns its path."""
    path = folder / f"fixed_clip_{seconds:g}s.wav"
    soundfile.write(path, samples(seconds, noise), RATE_HZ, subtype="PCM_16")
    return path


def spread(values, n: int = 6) -> list:
    """So many of a long list, from its first to its last, evenly."""
    return [values[index] for index in np.linspace(0, len(values) - 1, n).round().astype(int)]
