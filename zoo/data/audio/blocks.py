"""Read recordings of hours in pieces, so that memory does not grow with their length."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

from zoo.data.audio.read import open_audio
from zoo.data.audio.recording import BadClip, check_values

_BLOCK_SECONDS = 30


def blocks(path: Path, rate_hz: int = 16_000) -> Iterator[np.ndarray]:
    """Yield a file's samples, float32 (n,), mono at `rate_hz`: joined, what `zoo.data.audio.read.read` returns.

    Raises BadClip for a file that cannot be opened, that breaks off, or that holds NaN, infinity or too loud samples.
    """
    try:
        stream = path.open("rb")
    except OSError as error:
        raise BadClip(path, "not-audio", str(error)) from error
    with stream, open_audio(stream, path) as audio:
        rate, size = audio.samplerate, _BLOCK_SECONDS * audio.samplerate
        resampler = soxr.ResampleStream(rate, rate_hz, 1, dtype="float32", quality="HQ")
        done, last = 0, False
        while not last:
            try:
                block = audio.read(size, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise BadClip(path, "truncated", f"a recording that breaks off after {done} samples") from error
            check_values(block, path, f" behind sample {done}")
            done += len(block)
            last = len(block) < size
            mono = block.mean(axis=1, dtype=np.float32)
            yield mono if rate == rate_hz else resampler.resample_chunk(mono, last=last)
        if audio.format != "MP3" and done < audio.frames:
            raise BadClip(path, "truncated", f"{done} of {audio.frames} samples")


def seconds_of(path: Path) -> float:
    """Return the duration that a file's header states; 0 where it cannot be read: reading the file says why."""
    try:
        return soundfile.info(path).duration
    except (OSError, soundfile.LibsndfileError, TypeError):
        return 0.0


def moments(path: Path, rate_hz: int = 16_000, max_seconds: float = float("inf")) -> tuple[float, float]:
    """Return mean and variance of a file's samples.

    Raises BadClip as `blocks` does, for silence, and for more than `max_seconds`.
    """
    total, squares, count = 0.0, 0.0, 0
    for block in blocks(path, rate_hz):
        total += block.sum(dtype=float)
        squares += np.square(block, dtype=float).sum()
        count += len(block)
        if count > max_seconds * rate_hz:
            raise BadClip(path, "too-long", f"more than the most of {max_seconds:g} s")
    if not count:
        raise BadClip(path, "empty", "a header without samples")
    if not squares:
        raise BadClip(path, "silent", f"{count / rate_hz:g} s of zeros")
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
