"""Read raw samples from a stream as they come, and refuse what are none: audio files, text, samples of another type."""

import codecs
import re
from collections.abc import Iterator
from io import BufferedIOBase

import numpy as np

from zoo.data.audio.formats import HEAD_BYTES, container_of
from zoo.errors import UserError

FORMATS = {"s16le": ("<i2", 32768), "f32le": ("<f4", 1)}  # NumPy's name, and full scale
_BLOCK_BYTES = 65_536
_HEADER_BYTES = 64  # enough to know a header
_LEAST_TEXT_BYTES = 8
# What may be the first bytes of MP3, AAC, AC-3 or MPEG transport frames, or of samples.
_FRAME = re.compile(rb"\xff[\xe2-\xe5\xf0-\xf9\xfa-\xfd]|\x0b\x77|\x56[\xe0-\xff]|G")
_CONTROL = re.compile(r"[^\t\n\r -~\x80-\U0010ffff]")
_FLOAT_HALVES = 0x3380, 0x3F80  # upper halves of 32-bit floats from 6e-8 to 1, without their sign
_LEAST_FLOATS, _FLOAT_SHARE = 256, 0.99
_LEAST_DISTINCT = 6  # characters, or halves: a constant is a signal too


class RawAudio:
    """Samples of a binary stream, mono; iterate to get float32 (n,), nominally in -1..1, as soon as they come.

    Iterating raises UserError where the stream is no raw samples of this kind. A header is looked for before anything
    is returned. Formats without one show within `HEAD_BYTES`; samples wait for these only where the stream begins like
    such a format. `rest_bytes` are those of a sample that the stream's end has cut.
    """

    def __init__(self, stream: BufferedIOBase, kind: str):
        self.rest_bytes = 0
        self._stream, self._kind = stream, kind
        self._head = b""
        self._looked = self._released = self._known = False

    def __iter__(self) -> Iterator[np.ndarray]:
        kind, full_scale = FORMATS[self._kind]
        held, width, ended = b"", np.dtype(kind).itemsize, False
        while not ended:
            block = self._stream.read1(_BLOCK_BYTES)  # what has come, no more
            held, ended = held + block, not block
            if self._raw(block, ended):
                self.rest_bytes = len(held) % width
                whole = len(held) - self.rest_bytes
                samples = np.frombuffer(held[:whole], kind)
                yield samples if samples.dtype.kind == "f" else samples.astype(np.float32) / np.float32(full_scale)
                held = held[whole:]

    def _raw(self, block: bytes, ended: bool) -> bool:
        """Look at the stream's first bytes, as they come; return whether samples may be given out."""
        if self._known:
            return True
        self._head += block[: HEAD_BYTES - len(self._head)]
        self._known = ended or len(self._head) == HEAD_BYTES
        if self._known or (len(self._head) >= _HEADER_BYTES and not self._looked):
            if found := _what_it_is(self._head, self._kind):
                raise UserError(f"--stream: expected raw samples, {self._kind}, found {found}")
            self._looked, self._released = True, self._known or not _FRAME.match(self._head)
        return self._released


def _what_it_is(head: bytes, kind: str) -> str | None:
    """Say what begins so and is no samples of this kind, and what to do; None for samples."""
    if container := container_of(head):
        todo = "Leave --stream out for a file; decode a stream, as by `ffmpeg -i URL -f s16le -ar 16000 -ac 1 -`"
        return f"an audio file or compressed stream ({container}). {todo}"
    if _is_text(head[:_HEADER_BYTES]):
        return f"text, beginning {head[:24]!r}. For a list of files, --from-stdin in place of --stream"
    if kind == "s16le" and _are_floats(head):
        return "32-bit floats. Add --sample-format f32le"
    return None


def _is_text(begin: bytes) -> bool:
    """Bytes of text lie far off zero as samples, and nearly all on one side."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(begin)  # the last character may be cut
    except UnicodeDecodeError:
        return False
    return len(begin) >= _LEAST_TEXT_BYTES and len(set(text)) >= _LEAST_DISTINCT and not _CONTROL.search(text)


def _are_floats(head: bytes) -> bool:
    """Every other sample of 16 bits would lie in two narrow ranges, on both sides of zero."""
    words = np.frombuffer(head[: len(head) // 4 * 4], "<u4")
    upper = words[words != 0] >> 16
    within = np.count_nonzero((upper & 0x7FFF >= _FLOAT_HALVES[0]) & (upper & 0x7FFF <= _FLOAT_HALVES[1]))
    various = len(np.unique(upper)) >= _LEAST_DISTINCT and 0 < np.count_nonzero(upper < 0x8000) < len(upper)
    return bool(len(upper) >= _LEAST_FLOATS and within >= _FLOAT_SHARE * len(upper) and various)
