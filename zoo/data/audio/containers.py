"""Where the samples of a recording must end, by the header of its container.

libsndfile shrinks a cut file's declared length to what the file holds; here the header is taken at its word.
"""

import io
import re
import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO

# Programs that write to a pipe cannot go back to fill in a length: ffmpeg leaves 2^32 - 1, SoX 2^31 - 4096.
_STREAMED = 0x7FFFF000
_MOST_CHUNKS = 10_000  # before the samples: a file of zeros is as many chunks as it has bytes for
_W64_HEAD = bytes.fromhex("726966662e91cf11a5d628db04c10000")  # the GUID of "riff"


def samples_end(stream: BinaryIO) -> int | None:
    """Returns the byte at which a file's sample data must end; None where its header does not say.

    It says in WAV (RIFF, RIFX, RF64), AIFF and AIFF-C, AU, CAF, Wave64 and NIST Sphere. Leaves the stream at its start.
    """
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    head = stream.read(16)
    try:
        for known, end in _ENDS:
            if known(head):
                stream.seek(0)
                return end(stream, size)
        return None
    except struct.error:  # the header itself is cut
        return None
    finally:
        stream.seek(0)


def _wav(stream: BinaryIO, size: int) -> int | None:
    """RF64 keeps the 64-bit length in a ds64 chunk (EBU Tech 3306)."""
    order = ">" if stream.read(12).startswith(b"RIFX") else "<"
    long_bytes = None
    for kind, begin, length in _chunks(stream, 12, size, f"{order}4sI", even=True):
        if kind == b"ds64":
            long_bytes = struct.unpack("<8xQ", stream.read(16))[0]
        if kind == b"data" and length == 0xFFFFFFFF and long_bytes is not None:
            return begin + long_bytes
        if kind == b"data":
            return None if length >= _STREAMED else begin + length
    return None


def _aiff(stream: BinaryIO, size: int) -> int | None:
    for kind, begin, length in _chunks(stream, 12, size, ">4sI", even=True):
        if kind == b"SSND":
            return None if length >= _STREAMED else begin + length
    return None


def _au(stream: BinaryIO, size: int) -> int | None:
    order = ">" if stream.read(4) == b".snd" else "<"
    begin, length = struct.unpack(f"{order}II", stream.read(8))
    return None if length >= _STREAMED else begin + length


def _caf(stream: BinaryIO, size: int) -> int | None:
    for kind, begin, length in _chunks(stream, 8, size, ">4sq"):
        if kind == b"data":
            return None if length < 0 else begin + length  # -1: as a pipe leaves it
    return None


def _w64(stream: BinaryIO, size: int) -> int | None:
    position = 40  # two GUIDs and a length
    for _ in range(_MOST_CHUNKS):
        if position + 24 > size:
            return None
        stream.seek(position)
        kind, length = struct.unpack("<16sQ", stream.read(24))
        if kind.startswith(b"data"):
            return position + length
        position += max(24, length + -length % 8)  # a length counts its own header; chunks begin at multiples of 8
    return None


def _nist(stream: BinaryIO, size: int) -> int | None:
    """Fields are lines such as "sample_count -i 16000"."""
    head = stream.read(1024)
    fields = dict(re.findall(rb"^(\w+) -\w+ (\S+)", head, re.MULTILINE))
    try:
        counts = [int(fields[name]) for name in (b"sample_count", b"sample_n_bytes", b"channel_count")]
        return int(head.split(b"\n")[1]) + counts[0] * counts[1] * counts[2]
    except (KeyError, ValueError, IndexError):
        return None


def _chunks(
    stream: BinaryIO, position: int, size: int, form: str, even: bool = False
) -> Iterator[tuple[bytes, int, int]]:
    """Yields kind, first byte and length of each chunk, the stream at that byte."""
    width = struct.calcsize(form)
    for _ in range(_MOST_CHUNKS):
        if position + width > size:
            return
        stream.seek(position)
        kind, length = struct.unpack(form, stream.read(width))
        yield kind, position + width, length
        position += width + max(0, length) + (length % 2 if even else 0)


_ENDS: tuple[tuple[Callable[[bytes], bool], Callable[[BinaryIO, int], int | None]], ...] = (
    (lambda head: head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:12] == b"WAVE", _wav),
    (lambda head: head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"), _aiff),
    (lambda head: head[:4] in (b".snd", b"dns."), _au),
    (lambda head: head[:4] == b"caff", _caf),
    (lambda head: head == _W64_HEAD, _w64),
    (lambda head: head[:8] == b"NIST_1A\n", _nist),
)
