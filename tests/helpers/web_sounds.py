"""Recordings of tones like speech, for tests of ser web."""

from pathlib import Path

import numpy as np
import soundfile

RATE_HZ = 16_000
CLASSES = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")


def tone(seconds: float, hertz: float = 220.0, amplitude: float = 0.3) -> np.ndarray:
    """A tone of syllables, which swell twice a second, and quiet noise."""
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    swell = np.maximum(0, np.sin(2 * np.pi * 2 * time)) ** 0.5
    noise = np.random.default_rng(0).standard_normal(len(time))
    return amplitude * swell * np.sin(2 * np.pi * hertz * time) + 1e-4 * noise


def wav(path: Path, *parts: np.ndarray) -> bytes:
    """Write parts with a second of near silence behind each; return the file's bytes."""
    quiet = 1e-4 * np.random.default_rng(1).standard_normal(RATE_HZ)
    soundfile.write(path, np.concatenate([sound for part in parts for sound in (part, quiet)]), RATE_HZ)
    return path.read_bytes()


def loudness(waveforms):
    """Probabilities by loudness: the louder, the angrier; the rest is neutral."""
    shares = np.full((len(waveforms), len(CLASSES)), 0.01)
    for row, waveform in zip(shares, waveforms, strict=True):
        angry = float(np.clip(2 * np.abs(waveform).max(), 0.05, 0.9))
        row[CLASSES.index("angry")], row[0] = angry, 1 - 0.06 - angry
    return list(shares)
