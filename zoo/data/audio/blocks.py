"""Read recordings of hours in pieces, so that memory does not grow with their length."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from zoo.data.audio.read import FORMATS, LOUDEST, BadClip, check_container

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
        with path.open("rb") as stream:
            check_container(stream, path)
        audio = soundfile.SoundFile(path)
    except (OSError, soundfile.LibsndfileError, TypeError) as error:  # TypeError: soundfile on a file called *.raw
        raise BadClip(path, "not-audio", str(error)) from error
    with audio:
        if audio.format not in FORMATS:
            raise BadClip(path, "not-audio", audio.format_info)
        resampler = soxr.ResampleStream(audio.samplerate, rate_hz, 1, dtype="float32", quality="HQ")
        done = 0
        while True:
            try:
                block = audio.read(_BLOCK_SECONDS * audio.samplerate, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise BadClip(path, "truncated", f"a recording that breaks off after {done} samples") from error
            if not np.isfinite(block).all():
                raise BadClip(path, "non-finite", f"NaN or infinite samples behind sample {done}")
            if len(block) and np.abs(block).max() > LOUDEST:
                raise BadClip(path, "too-loud", f"a sample beyond {LOUDEST:g} behind sample {done}")
            done += len(block)
            last = len(block) < _BLOCK_SECONDS * audio.samplerate
            mono = block.mean(axis=1, dtype=np.float32)
            yield mono if audio.samplerate == rate_hz else resampler.resample_chunk(mono, last=last)
            if last:
                break
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
