"""Measure a file in a single decoding, and hash files and waveforms."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.data.audio.read import Stored, measured, open_file
from zoo.data.audio.recording import WHOLE, Segment


@dataclass(frozen=True)
class Probe(Stored):
    """Facts of a file. `audio_sha256` is of the resampled waveform, rounded to 16 bits: the same as WAV and as FLAC."""

    audio_sha256: str


def probe(
    path: str | Path,
    rate_hz: int = 16_000,
    min_seconds: float = 0.025,
    max_seconds: float = 60.0,
    segment: Segment = WHOLE,
) -> tuple[Probe, np.ndarray]:
    """Return the facts of a file or a `segment` of it, and its waveform, float32 (samples,) at `rate_hz`.

    Raises BadClip as `read` does.
    """
    facts, waveform = measured(path, rate_hz, min_seconds, max_seconds, segment=segment)
    return Probe(**vars(facts), audio_sha256=audio_sha256(waveform)), waveform


def file_sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal. Raises BadClip where it cannot be read."""
    digest = hashlib.sha256()
    with open_file(path) as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
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
