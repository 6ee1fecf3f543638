"""Read recordings of hours in pieces, so that memory does not grow with their length."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from zoo.data.audio.read import BadClip, check_values, open_audio

_BLOCK_SECONDS = 30


@dataclass(frozen=True)
class Window:
    """Samples (n,) of a recording, of which the first `before` and the last `after` belong to its neighbours."""

    samples: np.ndarray
    before: int
    after: int


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


def moments(path: Path, rate_hz: int = 16_000, max_seconds: float = float("inf")) -> tuple[float, float, int]:
    """Return mean, variance and number of a file's samples.

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
    return total / count, squares / count - (total / count) ** 2, count


def windows(path: Path, inner: int, margin: int, rate_hz: int = 16_000) -> Iterator[Window]:
    """Yield windows of `inner` samples of their own and `margin` of each neighbour's, in order, to the file's end."""
    held, before, ended = np.empty(0, np.float32), 0, False
    source = blocks(path, rate_hz)
    while not ended or len(held) > before:
        while not ended and len(held) < before + inner + margin:
            block = next(source, None)
            ended = block is None
            held = held if block is None else np.concatenate([held, block])
        if len(held) <= before:
            return
        after = max(0, min(margin, len(held) - before - inner))
        yield Window(held[: before + inner + after], before, after)
        start = max(0, before + inner - margin)  # of the next window
        before, held = before + inner - start, held[start:]
