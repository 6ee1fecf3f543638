"""Recordings of synthetic speech, and a model of them, for tests of ser web."""

from pathlib import Path

import numpy as np
import soundfile

from zoo.data.synthetic.voice import draw_speaker, utterance

RATE_HZ = 16_000
PAUSE_SECONDS = 2
CLASSES = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")


def voice(seconds: float, peak: float = 0.3, seed: int = 0) -> np.ndarray:
    """A synthetic sentence with samples up to `peak`; the detector of speech finds these."""
    rng = np.random.default_rng(seed)
    spoken = utterance("calm", draw_speaker("M", rng), seconds, rng, RATE_HZ)
    return peak * spoken / np.abs(spoken).max()


def wav(path: Path, *parts: np.ndarray) -> bytes:
    """Write parts with two seconds of near silence behind each; return the file's bytes."""
    quiet = 1e-4 * np.random.default_rng(1).standard_normal(PAUSE_SECONDS * RATE_HZ)
    soundfile.write(path, np.concatenate([sound for part in parts for sound in (part, quiet)]), RATE_HZ)
    return path.read_bytes()


def loudness(waveforms):
    """Probabilities by loudness: the louder, the angrier; the rest is neutral."""
    shares = np.full((len(waveforms), len(CLASSES)), 0.01)
    for row, waveform in zip(shares, waveforms, strict=True):
        angry = float(np.clip(2 * np.abs(waveform).max(), 0.05, 0.9))
        row[CLASSES.index("angry")], row[0] = angry, 1 - 0.06 - angry
    return list(shares)
