"""Read a recording, and refuse by name what soundfile accepts: cut files, NaN, files that declare ten hours."""

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr

from zoo.data.audio.compressed import Spliced, check_ogg, whole_flac, whole_mp3
from zoo.data.audio.containers import check_extent
from zoo.data.audio.formats import FORMATS, HEAD_BYTES, NO_SOUND, container_of, is_foreign
from zoo.data.audio.recording import (
    WHOLE,
    BadClip,
    Level,
    Segment,
    check_length,
    check_rate,
    check_values,
    mix,
    within,
)

_LFS_HEAD = b"version https://git-lfs"
_BLOCK_SECONDS = 30
AT_ONCE = 1 << 23  # values, 32 MiB: between two blocks of an MP3, libsndfile loses some of the sound
_WITHOUT_PLACES = ("MP3", "OGG")  # of samples: these are decoded from the beginning, as seeking is not exact in them
_TO_WAV = "ffmpeg -i {name} {new}"
_NO_FILES = {
    stat.S_ISFIFO: "a pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISDIR: "a folder",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


@dataclass(frozen=True)
class Stored:
    """A file's duration, rate, peak and `clipped_share` (0..1, of samples at |x| >= 0.999), all as stored."""

    seconds: float
    rate_hz: int
    peak: float
    clipped_share: float


def read(
    path: str | Path,
    rate_hz: int = 16_000,
    min_seconds: float = 0.025,
    max_seconds: float = 60.0,
    of_speech: bool = True,
    segment: Segment = WHOLE,
) -> np.ndarray:
    """Read a file as samples, float32 (samples,), mono at `rate_hz`, nominally in -1..1 (float files may exceed it).

    Nothing longer than `max_seconds` is decoded. Of a `segment`, seconds from the file's beginning, all is as if it
    were a file of its own: what is around it may be silent, damaged or long. Recordings of other sounds than speech,
    such as noise, may be silent (`of_speech=False`). An MP3 without a header, cut between two frames, reads as a
    shorter one.

    Raises BadClip for a file that is missing, no regular file, empty, a git-lfs pointer, no audio, cut, damaged or
    longer than its header declares, of an unusual rate, silent, of channels that cancel each other, holding NaN,
    infinity or a sample beyond `LOUDEST`, or lasting under `min_seconds` or over `max_seconds`; and for a segment that
    is not within the file.
    """
    return measured(path, rate_hz, min_seconds, max_seconds, of_speech, segment)[1]


def read_bytes(
    data: bytes, name: str, rate_hz: int = 16_000, min_seconds: float = 0.025, max_seconds: float = 60.0
) -> np.ndarray:
    """Return what `read` returns, for a file in memory; errors call it `name`."""
    return _measured(io.BytesIO(data), name, rate_hz, min_seconds, max_seconds)[1]


def measured(
    path: str | Path,
    rate_hz: int = 16_000,
    min_seconds: float = 0.025,
    max_seconds: float = 60.0,
    of_speech: bool = True,
    segment: Segment = WHOLE,
) -> tuple[Stored, np.ndarray]:
    """Return what a file's samples are as stored, and what `read` returns, by a single decoding. Raises as `read`."""
    with open_file(path) as stream:
        return _measured(stream, named(path, segment), rate_hz, min_seconds, max_seconds, of_speech, segment)


def named(path: str | Path, segment: Segment) -> str | Path:
    """Return what errors call a file, or a segment of it."""
    end = "its end" if segment[1] is None else f"{segment[1]:g} s"
    return path if segment == WHOLE else f"{path} from {segment[0]:g} s to {end}"


def decode(path: str | Path, min_seconds: float = 0.025, max_seconds: float = 60.0) -> tuple[np.ndarray, int]:
    """Return a file's samples as stored, float32 (samples, channels), and its rate in Hz.

    Raises BadClip as `read` does, but not for silence or channels that cancel each other.
    """
    with open_file(path) as stream, open_audio(stream, path) as audio:
        check_length(audio.frames, audio.samplerate, path, min_seconds, max_seconds)
        return np.concatenate(list(stored(audio, path, AT_ONCE))), audio.samplerate


def resample(mono: np.ndarray, file_rate_hz: int, rate_hz: int) -> np.ndarray:
    """Return samples (n,) at another rate: float32 (samples,)."""
    return mono if file_rate_hz == rate_hz else soxr.resample(mono, file_rate_hz, rate_hz, quality="HQ")


def to_mono(samples: np.ndarray, file_rate_hz: int, rate_hz: int) -> np.ndarray:
    """Return (samples, channels) mixed down by their mean and resampled: float32 (samples,) at `rate_hz`."""
    return resample(mix(samples), file_rate_hz, rate_hz)


@contextmanager
def open_file(path: str | Path) -> Iterator[BinaryIO]:
    """Open a regular file. Raises BadClip "missing" for what is none, and where it cannot be opened or read.

    A pipe or device in its place is refused without waiting for it.
    """
    if "\0" in str(path):
        raise BadClip(path, "missing", "a NUL in its name")
    try:
        with open(path, "rb", opener=_at_once) as stream:
            mode = os.fstat(stream.fileno()).st_mode
            if not stat.S_ISREG(mode):
                found = next((name for is_such, name in _NO_FILES.items() if is_such(mode)), "no regular file")
                raise BadClip(path, "missing", found)
            yield stream
    except OSError as error:
        raise BadClip(path, "missing", error.strerror or type(error).__name__) from error


def open_audio(stream: BinaryIO, name: str | Path) -> soundfile.SoundFile:
    """Open a recording as one that declares exactly the samples it holds.

    Raises BadClip for one that is empty, a git-lfs pointer, of no format in `FORMATS`, or of an unusual rate or number
    of channels, and where header and content disagree.
    """
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    if size == 0:
        raise BadClip(name, "empty", "zero bytes")
    head = stream.read(HEAD_BYTES)
    if head.startswith(_LFS_HEAD):
        raise BadClip(name, "pointer", f"a git-lfs pointer of {size} bytes")
    container = container_of(head)
    if container is not None and is_foreign(container):
        raise BadClip(name, "foreign", container, _TO_WAV)
    if container in NO_SOUND:
        raise BadClip(name, "not-audio", container)
    try:
        audio = soundfile.SoundFile(_whole(stream, size, container, name))
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: soundfile on a file called *.raw
        reason = str(error).split(": ", 1)[-1].rstrip(".")  # not the name of an object in memory
        found = f"{container}, which is damaged or unusual" if container else f"a file that begins {head[:16]!r}"
        raise BadClip(name, "not-audio", f"{found} ({reason})") from error
    if audio.format not in FORMATS:
        raise BadClip(name, "not-audio", audio.format_info)
    if audio.format == "MP3" and container is None:
        raise BadClip(name, "truncated", "an MP3 without two whole frames")
    check_rate(audio.samplerate, audio.channels, name)
    return audio


def stored(
    audio: soundfile.SoundFile, name: str | Path, at_once: int = 0, bounds: tuple[int, int] | None = None
) -> Iterator[np.ndarray]:
    """Yield all samples as stored, float32 (n, channels), up to 30 s at a time, or up to `at_once` values if more.

    `bounds` are the first sample and the one behind the last, where not all are wanted. Raises BadClip for a recording
    that breaks off, and for NaN, infinity and too loud samples.
    """
    size = max(_BLOCK_SECONDS * audio.samplerate, at_once // audio.channels)
    first, last = bounds or (0, audio.frames)
    done = first if first and audio.format not in _WITHOUT_PLACES and audio.seek(first) == first else 0
    while done < last:
        try:
            block = audio.read(min(size, last - done), dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise BadClip(
                name, "truncated", f"a recording that breaks off or is damaged after {done} samples"
            ) from error
        if not len(block):
            raise BadClip(name, "truncated", f"{done} of {audio.frames} samples")
        done, before = done + len(block), done
        if done > first:
            block = block[max(0, first - before) :]
            check_values(block, name, f" behind sample {before}" if before else "")
            yield block


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _whole(stream: BinaryIO, size: int, container: str | None, name: str | Path) -> Spliced:
    """Return a stream whose header declares what it holds. Raises BadClip where that cannot be."""
    samples = check_extent(stream, size, name)
    if container == "FLAC":
        return whole_flac(stream, size, name)
    if container == "MP3":
        return whole_mp3(stream, 0, size, name)
    if container == "OGG":
        check_ogg(stream, size, name)
    if samples is None:
        return Spliced(b"", stream, 0, size)
    if samples.is_mp3:
        return whole_mp3(stream, samples.begin, size if samples.end is None else samples.end, name)
    at, length = samples.length
    if length:
        return Spliced(stream.read(at) + length, stream, at + len(length), size)
    if samples.end is not None and container in ("Wave64", "AU", "NIST Sphere"):
        size = samples.end  # libsndfile takes what follows for samples
    return Spliced(b"", stream, 0, size)


def _measured(
    stream: BinaryIO,
    name: str | Path,
    rate_hz: int,
    min_seconds: float,
    max_seconds: float,
    of_speech: bool = True,
    segment: Segment = WHOLE,
) -> tuple[Stored, np.ndarray]:
    level, parts, peak, clipped = Level(), [], 0.0, 0
    with open_audio(stream, name) as audio:
        bounds = within(segment, audio.frames, audio.samplerate, name)
        check_length(bounds[1] - bounds[0], audio.samplerate, name, min_seconds, max_seconds)
        for block in stored(audio, name, AT_ONCE, bounds):
            parts.append(mix(block))
            level.add_stored(block, parts[-1])
            size = np.abs(block)
            peak, clipped = max(peak, float(size.max())), clipped + np.count_nonzero(size >= 0.999)
    mono = np.concatenate(parts)
    waveform = resample(mono, audio.samplerate, rate_hz)
    level.add_resampled(waveform)
    if of_speech:
        level.check(name)
    share = clipped / (len(mono) * audio.channels)
    return Stored(len(mono) / audio.samplerate, audio.samplerate, peak, share), waveform
