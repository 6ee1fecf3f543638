"""Compress recordings as MP3 to put them into a page: every browser plays it, and libsndfile writes it.

Frames are of one size (constant bit rate): browsers then find a time exactly, also in a recording of hours.
"""

import base64
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

from zoo.data.audio.read import open_audio, open_file, stored
from zoo.data.audio.recording import Segment, mix, within

RATE_HZ = 16_000
# 40 kbit/s per channel at this rate. With less, no frame holds the tag by which players cut off the 69 ms of silence
# that encoders put in front.
_LEVEL = 0.8  # of libsndfile's 0 (least) to 1 (most compression)


def data_address(content: bytes, kind: str) -> str:
    """Return content as an address for a page, data:KIND;base64,..."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def mp3(path: Path, stereo: bool = False, segment: Segment = (0.0, None)) -> bytes:
    """Return a file, or a segment of it, as an MP3 at 16 kHz, in constant memory beside the result.

    `stereo` keeps two channels of a file that has two; others are mixed. Raises BadClip as zoo.data.audio.read.decode.
    """
    with open_file(path) as stream, open_audio(stream, path) as audio:
        bounds = within(segment, audio.frames, audio.samplerate, path)
        both = stereo and audio.channels == 2
        blocks = stored(audio, path, bounds=bounds)
        kept = (block if both else mix(block)[:, None] for block in blocks)
        length = bounds[1] - bounds[0]
        return _encoded(_resampled(kept, audio.samplerate, 1 + both, length), 1 + both)


def _resampled(blocks: Iterable[np.ndarray], rate_hz: int, channels: int, length: int) -> Iterator[np.ndarray]:
    if rate_hz == RATE_HZ:
        yield from blocks
        return
    resampler = soxr.ResampleStream(rate_hz, RATE_HZ, channels, dtype="float32", quality="HQ")
    for block in blocks:
        length -= len(block)
        yield resampler.resample_chunk(block if channels > 1 else block[:, 0], last=length <= 0)


def _encoded(blocks: Iterable[np.ndarray], channels: int) -> bytes:
    written = io.BytesIO()
    form = {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "CONSTANT", "compression_level": _LEVEL}
    with soundfile.SoundFile(written, "w", RATE_HZ, channels, **form) as file:
        for block in blocks:
            file.write(np.clip(block, -1, 1))
    return written.getvalue()
