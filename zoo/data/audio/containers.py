"""Read where samples must end from a file's header: libsndfile reports what a cut file holds, not what it declares."""

import io
import re
import struct
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, BinaryIO

# Programs that write to a pipe cannot go back to fill in a length: ffmpeg leaves 2^32 - 1, SoX 2^31 - 4096.
_STREAMED = 0x7FFFF000
_MOST_CHUNKS = 10_000  # before the samples: a file of zeros is as many chunks as it has bytes for
_W64_HEAD = bytes.fromhex("726966662e91cf11a5d628db04c10000")  # the GUID of "riff"


def samples_end(stream: BinaryIO) -> int | None:
    """Return the byte at which samples must end, None where the header does not say. Rewinds the stream."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    head = stream.read(16)
    stream.seek(0)
    try:
        return next((end(stream, size) for known, end in _ENDS.items() if re.match(known, head, re.DOTALL)), None)
    except struct.error:  # the header itself is cut
        return None
    finally:
        stream.seek(0)


def _wav(stream: BinaryIO, size: int) -> int | None:
    """RF64 keeps the 64-bit length in a ds64 chunk (EBU Tech 3306)."""
    order = ">" if stream.read(12).startswith(b"RIFX") else "<"
    long_bytes = None
    for kind, begin, length in _chunks(stream, size, 12, f"{order}4sI", align=2):
        if kind == b"ds64":
            long_bytes = struct.unpack("<8xQ", stream.read(16))[0]
        if kind == b"data" and length == 0xFFFFFFFF and long_bytes is not None:
            return begin + long_bytes
        if kind == b"data":
            return None if length >= _STREAMED else begin + length
    return None


def _au(stream: BinaryIO, size: int) -> int | None:
    order = ">" if stream.read(4) == b".snd" else "<"
    begin, length = struct.unpack(f"{order}II", stream.read(8))
    return None if length >= _STREAMED else begin + length


def _nist(stream: BinaryIO, size: int) -> int | None:
    """Fields are lines such as "sample_count -i 16000"."""
    head = stream.read(1024)
    fields = dict(re.findall(rb"^(\w+) -\w+ (\S+)", head, re.MULTILINE))
    try:
        counts = [int(fields[name]) for name in (b"sample_count", b"sample_n_bytes", b"channel_count")]
        return int(head.split(b"\n")[1]) + counts[0] * counts[1] * counts[2]
    except (KeyError, ValueError, IndexError):
        return None


def _data_chunk(stream: BinaryIO, size: int, data: bytes, most: float = float("inf"), **layout: Any) -> int | None:
    """Return the end of the chunk `data`; a length below zero or from `most` on is one that a pipe left open."""
    for kind, first, length in _chunks(stream, size, **layout):
        if kind.startswith(data):
            return first + length if 0 <= length < most else None
    return None


def _chunks(stream: BinaryIO, size: int, begin: int, form: str, align: int = 1, counted: int = 0) -> Iterator[tuple]:
    """Yield kind (bytes), first byte and length of each chunk, the stream at that byte.

    Chunks begin at multiples of `align`; a stored length includes `counted` bytes of the chunk's header.
    """
    width = struct.calcsize(form)
    for _ in range(_MOST_CHUNKS):
        if begin + width > size:
            return
        stream.seek(begin)
        kind, length = struct.unpack(form, stream.read(width))
        yield kind, begin + width, length - counted
        body = max(0, length - counted)
        begin += width + body + -body % align


_ENDS: dict[bytes, Callable[[BinaryIO, int], int | None]] = {
    rb"(RIFF|RIFX|RF64).{4}WAVE": _wav,
    rb"FORM.{4}AIF[FC]": partial(_data_chunk, begin=12, form=">4sI", data=b"SSND", most=_STREAMED, align=2),
    rb"\.snd|dns\.": _au,
    rb"caff": partial(_data_chunk, begin=8, form=">4sq", data=b"data"),
    re.escape(_W64_HEAD): partial(_data_chunk, begin=40, form="<16sQ", data=b"data", align=8, counted=24),
    rb"NIST_1A\n": _nist,
}
