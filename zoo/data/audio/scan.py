"""Measure a file in a single decoding, and hash files and waveforms."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.data.audio.read import decode, speech
from zoo.data.audio.recording import BadClip


@dataclass(frozen=True)
class Probe:
    """A file's duration, rate, peak and `clipped_share` (0..1, of samples at |x| >= 0.999), all as stored.

    `audio_sha256` is of the resampled waveform, rounded to 16 bits: the same for a recording as WAV and as FLAC.
    """

    seconds: float
    rate_hz: int
    audio_sha256: str
    peak: float
    clipped_share: float


def probe(
    path: str | Path, rate_hz: int = 16_000, min_seconds: float = 0.025, max_seconds: float = 60.0
) -> tuple[Probe, np.ndarray]:
    """Return a file's facts and its waveform, float32 (samples,) at `rate_hz`. Raises BadClip as `read` does."""
    samples, file_rate_hz = decode(path, min_seconds, max_seconds)
    waveform = speech(samples, file_rate_hz, rate_hz, path)
    level, seconds = np.abs(samples), len(samples) / file_rate_hz
    clipped_share = float(np.mean(level >= 0.999))
    return Probe(seconds, file_rate_hz, audio_sha256(waveform), float(level.max()), clipped_share), waveform


def file_sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal. Raises BadClip where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise BadClip(path, "missing", error.strerror or type(error).__name__) from error
    return digest.hexdigest()


def audio_sha256(waveform: np.ndarray) -> str:
    """Return the SHA-256 of a waveform (samples,) as 16-bit little-endian PCM, in hexadecimal."""
    pcm = np.clip(np.rint(waveform * 32768.0), -32768, 32767).astype("<i2")
    return hashlib.sha256(pcm.tobytes()).hexdigest()


def arrays_sha256(arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of names and values (float32, little-endian) of arrays (samples,), whatever their order."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name}\0{len(arrays[name])}\0".encode() + arrays[name].astype("<f4").tobytes())
    return digest.hexdigest()
