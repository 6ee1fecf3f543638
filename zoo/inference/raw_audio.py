"""Read raw samples from a stream as they come, and refuse what are none: audio files and text."""

import re
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from zoo.data.audio.formats import HEAD_BYTES, container_of
from zoo.errors import UserError

FORMATS = {"s16le": ("<i2", 32768), "f32le": ("<f4", 1)}  # NumPy's name, and full scale
_BLOCK_BYTES = 65_536
_FIRST_BYTES = 64  # enough to know headers
_TEXT = re.compile(rb"[\t\n\r -~]*")  # as samples these lie far off zero, all on one side


class RawAudio:
    """Samples of a binary stream, mono; iterate to get float32 (n,) in -1..1 as soon as they come.

    Iterating raises UserError where the stream is no raw samples. `rest_bytes` are those of a sample cut by its end.
    """

    def __init__(self, stream: BinaryIO, kind: str):
        self.rest_bytes = 0
        self._stream, (self._type, self._full_scale) = stream, FORMATS[kind]

    def __iter__(self) -> Iterator[np.ndarray]:
        held, width = _beginning(self._stream), np.dtype(self._type).itemsize
        while held:
            whole = len(held) - len(held) % width
            yield np.frombuffer(held[:whole], self._type).astype(np.float32) / np.float32(self._full_scale)
            self.rest_bytes = len(held) - whole
            block = _received(self._stream)
            held = held[whole:] + block if block else b""


def _received(stream: BinaryIO) -> bytes:
    return stream.read1(_BLOCK_BYTES)  # type: ignore[attr-defined]  what has come, no more


def _beginning(stream: BinaryIO) -> bytes:
    """Read as much as shows what the stream is. Raises UserError for one that is no raw samples."""
    head = b""
    while _undecided(head) and (block := _received(stream)):
        head += block
    kind = container_of(head[:HEAD_BYTES]) or ("text" if head and _TEXT.fullmatch(head[:_FIRST_BYTES]) else None)
    if kind:
        hint = "leave --stream out and name the files" if kind == "text" else "leave --stream out, or decode it first"
        raise UserError(f"--stream: expected raw samples, found {kind}; {hint}, as by `ffmpeg -i FILE -f s16le -ac 1 -`")
    return head


def _undecided(head: bytes) -> bool:
    """Formats of frames have no header; where the first bytes may begin a frame, the next frames show it."""
    return len(head) < _FIRST_BYTES or (len(head) < HEAD_BYTES and begins_like_a_frame(head))
