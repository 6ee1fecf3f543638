"""Read what a caller gives as a recording: a file, the content of one, or samples of any library."""

import os
from collections.abc import Sequence
from numbers import Number
from pathlib import Path
from typing import Any, Protocol, TypeGuard, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from zoo.data.audio.pipes import MOST_BYTES
from zoo.data.audio.read import read, read_bytes, to_mono
from zoo.data.audio.recording import MAX_RATE_HZ, MIN_RATE_HZ, BadClip, check_level, check_rate, check_stored
from zoo.errors import UserError

_BLOCK_BYTES = 1 << 20
MOST_CHANNELS = 8  # of samples, which do not say which of their dimensions is time


@runtime_checkable
class Readable(Protocol):
    """An object whose `read` returns bytes: an open file, io.BytesIO, a pipe, the body of a response."""

    def read(self, size: int = -1, /) -> bytes: ...


# A path, the bytes of an audio file or an object that they are read from, or samples: an array, a tensor, a list of
# numbers or of lists of numbers.
Clip = str | os.PathLike[str] | bytes | Readable | ArrayLike
CONTENT = (bytes, bytearray, memoryview)
_EXPECTED = f"samples (n,), (n, channels) or (channels, n), floats in -1..1 of at most {MOST_CHANNELS} channels"


def is_clip(value: Any) -> bool:
    """Say whether a value is one clip. A list is one where its elements are numbers, or lists of numbers."""
    if isinstance(value, (list, tuple)):
        first: Any = value
        while isinstance(first, (list, tuple)) and first:
            first = first[0]
        return isinstance(first, (Number, np.generic)) or any(isinstance(part, Number) for part in value)
    return is_file(value) or isinstance(value, (*CONTENT, Readable)) or hasattr(value, "__array__")


def is_file(clip: Any) -> TypeGuard[str | os.PathLike[str]]:
    """Say whether a clip is the path of a file."""
    return isinstance(clip, (str, os.PathLike))


def names_of(clips: Sequence[Clip]) -> list[str]:
    """Return what rows call clips: the path of a file or of an open one, "#" and the position of others."""
    return [_name_of(clip) or f"#{number}" for number, clip in enumerate(clips)]


def _name_of(clip: Clip) -> str:
    if is_file(clip):
        return str(clip)
    name = getattr(clip, "name", "") if isinstance(clip, Readable) else ""
    return str(name) if isinstance(name, (str, os.PathLike)) else ""  # of a descriptor it is a number


def waveform_of(
    clip: Clip, name: str, clip_rate_hz: int, rate_hz: int, min_seconds: float, max_seconds: float
) -> np.ndarray:
    """Return a clip as float32 (samples,) at `rate_hz`; `clip_rate_hz` is that of samples, files have their own.

    Raises BadClip as zoo.data.audio.read.read does, and UserError for what is no clip.
    """
    if is_file(clip):
        return read(Path(clip), rate_hz, min_seconds, max_seconds)
    if isinstance(clip, Readable) and not isinstance(clip, CONTENT):
        clip = content_of(clip, name)
    if isinstance(clip, CONTENT):
        return read_bytes(bytes(clip), name, rate_hz, min_seconds, max_seconds)
    samples = in_columns(as_floats(clip, name), name)
    check_rate(clip_rate_hz, samples.shape[1], name)
    with np.errstate(over="ignore"):  # what is too large becomes infinite, as in a file of doubles
        samples = samples.astype(np.float32)
    check_stored(samples, clip_rate_hz, name, min_seconds, max_seconds)
    mono = to_mono(samples, clip_rate_hz, rate_hz)
    check_level(mono, name, samples)
    return mono


def content_of(file: Readable, name: str) -> bytes:
    """Read a file object from where it is to its end, whether it can seek or not; up to `MOST_BYTES`.

    Raises UserError for one of text, one that is closed or fails, and for more.
    """
    parts: list[bytes] = []
    left = MOST_BYTES + 1
    try:
        while left > 0 and (part := file.read(min(left, _BLOCK_BYTES))):
            if not isinstance(part, CONTENT):
                raise UserError(
                    f"{name}: expected a file of bytes, found one of {type(part).__name__}; open it by 'rb'"
                )
            parts.append(bytes(part))
            left -= len(part)
    except (OSError, ValueError) as error:  # ValueError: closed
        raise UserError(f"{name}: expected a file that can be read, found one that cannot ({error})") from error
    if left <= 0:
        raise UserError(f"{name}: expected at most {MOST_BYTES >> 20} MiB, found more; save it and give its path")
    return b"".join(parts)


def as_floats(samples: Any, name: str) -> np.ndarray:
    """Return an array of floats from an array, a tensor or lists. Raises UserError for anything else."""
    if hasattr(samples, "detach") and hasattr(samples, "cpu"):  # PyTorch's, which may have a gradient or be elsewhere
        samples = samples.detach().cpu()
    kind = type(samples).__name__
    if not isinstance(samples, (list, tuple)) and not hasattr(samples, "__array__"):
        raise UserError(
            f"{name}: expected {_EXPECTED}, a path, or the bytes of an audio file or an open one, found {kind}"
        )
    try:
        array = np.asarray(samples)
    except Exception as error:  # each library has its own
        raise UserError(f"{name}: expected {_EXPECTED}, found {kind}: {_first_line(error)}") from error
    found = f"found {array.dtype} {array.shape}"
    if array.dtype.kind in "iu":
        full = 2 ** (8 * array.dtype.itemsize - 1)
        how = f"take {full} off and divide by {full}" if array.dtype.kind == "u" else f"divide by {full}"
        raise UserError(f"{name}: expected {_EXPECTED}, {found}; {how}, or by the full scale that they have")
    if array.dtype.kind != "f":
        raise UserError(f"{name}: expected {_EXPECTED}, {found}")
    return array


def whole_hz(rate_hz: Any, name: str) -> int:
    """Return a sampling rate. Raises UserError unless it is a whole number of Hz that recordings may have."""
    if isinstance(rate_hz, bool) or not isinstance(rate_hz, (int, float, np.integer, np.floating)):
        raise UserError(f"{name} is {rate_hz!r}, expected a whole number of Hz, such as 16000")
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ or rate_hz != int(rate_hz):
        raise UserError(f"{name} is {rate_hz} Hz, expected a whole number, {MIN_RATE_HZ} to {MAX_RATE_HZ}")
    return int(rate_hz)


def in_columns(samples: np.ndarray, name: str) -> np.ndarray:
    """Return samples (n, channels). Time is the longer dimension."""
    if samples.size == 0:
        raise BadClip(name, "empty", f"samples of the shape {samples.shape}")
    if samples.ndim == 1:
        return samples[:, None]
    if samples.ndim != 2 or not min(samples.shape) <= MOST_CHANNELS < max(samples.shape):
        raise UserError(f"{name}: expected {_EXPECTED}, found the shape {samples.shape}")
    return samples if samples.shape[1] <= MOST_CHANNELS else samples.T


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]
