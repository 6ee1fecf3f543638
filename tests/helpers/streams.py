"""Streams as tests push them, piece by piece."""

import numpy as np
import soundfile

from zoo.inference.stream import Stream

CUTS = {"at once": [10**9], "hops": [6400], "odd": [9999, 3, 50_000], "small": [1, 639, 641, 7]}


def speech(seconds, seed=0, rate_hz=16_000):
    """Noise that swells, of 16 bits, off zero."""
    rng = np.random.default_rng(seed)
    size = round(seconds * rate_hz)
    samples = rng.normal(0.01, 0.1, size) * np.interp(np.arange(size), np.linspace(0, size, 6), rng.uniform(0.3, 1, 6))
    return (np.round(samples * 32768).clip(-32768, 32767) / 32768).astype(np.float32)


def pushed(model, samples, sizes=(10**9,), **options):
    """All rows of a stream that comes in pieces of these sizes, over and over."""
    opened, rows, start, turn = Stream(model, **options), [], 0, 0
    while start < len(samples):
        rows += opened.push(samples[start : start + sizes[turn % len(sizes)]])
        start, turn = start + sizes[turn % len(sizes)], turn + 1
    return rows + opened.finish()


def values(rows, names=("arousal", "valence")):
    return np.array([[row[name] for name in names] for row in rows])


def written(samples, tmp_path):
    soundfile.write(tmp_path / "whole.wav", samples, 16_000)
    return tmp_path / "whole.wav"


def level_of(samples):
    return float(samples.mean(dtype=float)), float(samples.std(dtype=float))
