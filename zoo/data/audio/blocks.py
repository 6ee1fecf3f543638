"""Read recordings of hours in pieces, so that memory does not grow with their length."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soxr

from zoo.data.audio.read import open_audio, open_file, stored
from zoo.data.audio.recording import BadClip, Level, check_length, mix


def blocks(path: Path, rate_hz: int = 16_000, max_seconds: float = float("inf")) -> Iterator[np.ndarray]:
    """Yield a file's samples, float32 (n,), mono at `rate_hz`: joined, what `zoo.data.audio.read.read` returns.

    Raises BadClip as `read` does; for silence and channels that cancel each other, behind the last block.
    """
    level = Level()
    with open_file(path) as stream, open_audio(stream, path) as audio:
        rate = audio.samplerate
        check_length(audio.frames, rate, path, 0.0, max_seconds)
        resampler = soxr.ResampleStream(rate, rate_hz, 1, dtype="float32", quality="HQ")
        left = audio.frames
        for channels in stored(audio, path):
            mono = mix(channels)
            level.add_stored(channels, mono)
            left -= len(mono)
            block = mono if rate == rate_hz else resampler.resample_chunk(mono, last=left <= 0)
            level.add_resampled(block)
            yield block
    level.check(path)


def seconds_of(path: Path) -> float:
    """Return a file's duration; 0 where it cannot be read: reading the file says why."""
    try:
        with open_file(path) as stream, open_audio(stream, path) as audio:
            return audio.frames / audio.samplerate
    except BadClip:
        return 0.0


def moments(path: Path, rate_hz: int = 16_000, max_seconds: float = float("inf")) -> tuple[float, float]:
    """Return mean and variance of a file's samples. Raises BadClip as `blocks` does."""
    total, squares, count = 0.0, 0.0, 0
    for block in blocks(path, rate_hz, max_seconds):
        total += block.sum(dtype=float)
        squares += np.square(block, dtype=float).sum()
        count += len(block)
    return total / count, squares / count - (total / count) ** 2


def windows(path: Path, inner: int, margin: int, rate_hz: int = 16_000) -> Iterator[tuple[np.ndarray, int, int]]:
    """Yield overlapping windows of a file: samples (n,), and how many of the first and last are the neighbours'.

    A window has `inner` samples of its own and up to `margin` of each neighbour's.
    """
    source = blocks(path, rate_hz)
    held, before = np.empty(0, np.float32), 0
    while True:
        while len(held) < before + inner + margin and (block := next(source, None)) is not None:
            held = np.concatenate([held, block])
        if len(held) <= before:
            return
        after = max(0, min(margin, len(held) - before - inner))
        yield held[: before + inner + after], before, after
        start = max(0, before + inner - margin)  # of the next window
        before, held = before + inner - start, held[start:]
