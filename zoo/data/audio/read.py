"""Read a recording, and refuse by name what soundfile accepts: cut files, NaN, files that declare ten hours."""

import io
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr

from zoo.data.audio.containers import samples_end
from zoo.data.audio.formats import FORMATS
from zoo.data.audio.recording import BadClip, check_level, check_rate, check_stored
from zoo.errors import UserError

_LFS_HEAD = b"version https://git-lfs"
_UNKNOWN_FRAMES = 2**63 - 1  # in libsndfile, of a FLAC without a declared length


def read(path: str | Path, rate_hz: int = 16_000, min_seconds: float = 0.025, max_seconds: float = 60.0) -> np.ndarray:
    """Return a file's samples, float32 (samples,), mono at `rate_hz`, nominally in -1..1; float ones may be beyond.

    Nothing past `max_seconds` is decoded. A cut OGG or MP3 reads as a shorter one.

    Raises BadClip for a file that is missing, empty, a git-lfs pointer, no audio, cut short, of an unusual rate, silent,
    holding NaN, infinity or a sample beyond `LOUDEST`, or lasting under `min_seconds` or over `max_seconds`.
    """
    samples, file_rate_hz = decode(path, min_seconds, max_seconds)
    return speech(samples, file_rate_hz, rate_hz, path)


def read_bytes(
    data: bytes, name: str, rate_hz: int = 16_000, min_seconds: float = 0.025, max_seconds: float = 60.0
) -> np.ndarray:
    """Return what `read` returns, for a file in memory; errors call it `name`."""
    samples, file_rate_hz = _decode(io.BytesIO(data), name, min_seconds, max_seconds)
    return speech(samples, file_rate_hz, rate_hz, name)


def check_waveform(samples: np.ndarray, name: str, rate_hz: int, min_seconds: float, max_seconds: float) -> np.ndarray:
    """Check a waveform by the rules for files and return it as float32 (samples,).

    Raises UserError unless `samples` are floats of one dimension, and BadClip as `read` does.
    """
    if samples.ndim != 1 or samples.dtype.kind != "f":
        raise UserError(f"{name}: expected a waveform (samples,) of floats, found {samples.dtype} {samples.shape}")
    check_stored(samples, rate_hz, name, min_seconds, max_seconds)
    check_level(samples, name)
    return samples.astype(np.float32)


def decode(path: str | Path, min_seconds: float = 0.025, max_seconds: float = 60.0) -> tuple[np.ndarray, int]:
    """Return a file's samples as stored, float32 (samples, channels), and its rate in Hz. Raises as `read` does."""
    try:
        with Path(path).open("rb") as stream:
            return _decode(stream, path, min_seconds, max_seconds)
    except OSError as error:
        raise BadClip(path, "missing", error.strerror or type(error).__name__) from error


def to_mono(samples: np.ndarray, file_rate_hz: int, rate_hz: int) -> np.ndarray:
    """Return (samples, channels) mixed down by their mean and resampled: float32 (samples,) at `rate_hz`."""
    mono = samples.mean(axis=1, dtype=np.float32)
    return mono if file_rate_hz == rate_hz else soxr.resample(mono, file_rate_hz, rate_hz, quality="HQ")


def speech(samples: np.ndarray, file_rate_hz: int, rate_hz: int, name: str | Path) -> np.ndarray:
    """Return what `to_mono` returns. Raises BadClip where it is silent or its channels cancel each other."""
    mono = to_mono(samples, file_rate_hz, rate_hz)
    check_level(mono, name, samples)
    return mono


def _decode(stream: BinaryIO, name: str | Path, min_seconds: float, max_seconds: float) -> tuple[np.ndarray, int]:
    with open_audio(stream, name) as audio:
        rate_hz = audio.samplerate
        check_rate(rate_hz, audio.channels, name)
        # An MP3 without a Xing header has no declared length, only libsndfile's estimate, up to 1.5 times too long.
        declared = 0 if audio.format == "MP3" else audio.frames
        if declared == _UNKNOWN_FRAMES:
            raise BadClip(name, "truncated", "a header without a length, as left by a program that wrote to a pipe")
        if declared > max_seconds * rate_hz:
            raise BadClip(name, "too-long", f"{declared / rate_hz:.4g} s (the most is {max_seconds:g} s)")
        try:
            samples = audio.read(int(max_seconds * rate_hz) + 1, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise BadClip(name, "truncated", "a recording that breaks off or is damaged") from error
    if len(samples) < declared:
        raise BadClip(name, "truncated", f"{len(samples)} of {declared} samples")
    check_stored(samples, rate_hz, name, min_seconds, max_seconds)
    return samples, rate_hz


def open_audio(stream: BinaryIO, name: str | Path) -> soundfile.SoundFile:
    """Open a recording. Raises BadClip for one that is empty, a git-lfs pointer, cut, or of no format in `FORMATS`."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    if size == 0:
        raise BadClip(name, "empty", "zero bytes")
    begin = stream.read(len(_LFS_HEAD))
    if begin == _LFS_HEAD:
        raise BadClip(name, "pointer", f"a git-lfs pointer of {size} bytes")
    end = samples_end(stream)
    if end is not None and end > size:
        raise BadClip(name, "truncated", f"{size} bytes where its header declares {end}")
    try:
        audio = soundfile.SoundFile(stream)
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: soundfile on a file called *.raw
        raise BadClip(name, "not-audio", f"a file that begins {begin[:16]!r} ({str(error).rstrip('.')})") from error
    if audio.format not in FORMATS:
        raise BadClip(name, "not-audio", audio.format_info)
    return audio
