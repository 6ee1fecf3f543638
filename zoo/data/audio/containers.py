"""Compare where samples end by a file's header with what the file holds, in both directions.

libsndfile reads as many samples as there are of those that a header declares: it tells neither that a file was cut nor
that more samples follow, as in recordings that were not finished, or written or joined in pieces.
"""

import re
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from zoo.data.audio.recording import BadClip

# Programs that write to a pipe cannot go back to fill in a length: ffmpeg leaves 2^32 - 1, SoX 2^31 - 4096.
_STREAMED = 0x7FFFF000
_MOST_CHUNKS = 10_000  # a file of zeros is as many chunks as it has bytes for
_PADDING = 4_096  # zeros behind the samples, up to a block of a disk
_W64_HEAD = bytes.fromhex("726966662e91cf11a5d628db04c10000")  # the GUID of "riff"
_NEXT = rb"RIFF.{4}WAVE|RIFX.{4}WAVE|RF64.{4}WAVE|FORM.{4}AIF[FC]|\.snd\x00\x00|caff\x00\x01|NIST_1A\n|riff\x2e\x91"
_NEXT_HEAD = re.compile(_NEXT, re.DOTALL)
_CHUNK_WITHOUT_SAMPLES = re.compile(rb"(?!data|SSND|RIF[FX]|RF64|FORM|TAG|riff)[A-Za-z_(][ -~]{3}")
# Texts at a file's end, which may be cut themselves; libsndfile steps over them.
_TEXTS = (b"LIST", b"id3 ", b"ID3 ", b"bext", b"iXML", b"_PMX", b"JUNK", b"junk", b"FLLR", b"PAD ", b"info")
SECOND = "ffmpeg -skip_initial_bytes {at} -i {name} {new}"  # the second of joined recordings
_TO_WAV = "ffmpeg -i {name} {new}"
_ANY_LENGTH = "ffmpeg -ignore_length 1 -i {name} -c copy {new}"
_AS_RAW = "ffmpeg -f CODING -ar RATE -ac CHANNELS -skip_initial_bytes {begin} -i {name} {new}"


class _Chunks(NamedTuple):
    """How chunks follow each other: their header, which multiples they begin at, how much of it a length includes."""

    form: str
    align: int = 1
    counted: int = 0

    def walk(self, stream: BinaryIO, size: int, begin: int) -> Iterator[tuple[bytes, int, int]]:
        """Yield kind, first byte and length of each chunk from `begin` on, the stream at that byte."""
        width = struct.calcsize(self.form)
        for _ in range(_MOST_CHUNKS):
            if begin + width > size:
                return
            stream.seek(begin)
            kind, length = struct.unpack(self.form, stream.read(width))
            length -= self.counted
            yield kind, begin + width, length
            body = max(0, length)
            begin += width + body + -body % self.align


class Samples(NamedTuple):
    """Where a file's samples begin and end, in bytes; an end of None is the file's. `chunks` may follow them.

    `length` is the byte and the bytes of the header by which libsndfile reads a file whose length was left open.
    """

    begin: int
    end: int | None
    chunks: _Chunks | None
    repair: str
    is_mp3: bool = False
    length: tuple[int, bytes] = (0, b"")


def check_extent(stream: BinaryIO, size: int, name: str | Path) -> Samples | None:
    """Return where the samples lie in a file of chunks or of samples behind a header; None in other files.

    Raises BadClip "truncated" for samples that the file has not got, "unfinished" for bytes behind the samples that are
    no chunks, tags or padding, "joined" where another recording begins there. Rewinds the stream.
    """
    stream.seek(0)
    head = stream.read(16)
    stream.seek(0)
    try:
        samples = next((of(stream, size) for known, of in _HEADS.items() if re.match(known, head, re.DOTALL)), None)
    except struct.error:  # the header itself is cut
        samples = None
    if samples is not None:
        _check(stream, size, samples, name)
    stream.seek(0)
    return samples


def find_again(stream: BinaryIO, begin: int, pattern: re.Pattern[bytes]) -> int | None:
    """Return where a pattern of up to 64 bytes is first found from the byte `begin` on."""
    stream.seek(begin)
    kept = b""
    while block := stream.read(1 << 20):
        found = pattern.search(kept + block)
        if found:
            return begin - len(kept) + found.start()
        begin += len(block)
        kept = (kept + block)[-64:]
    return None


def tags_end(stream: BinaryIO, size: int, at: int) -> int | None:
    """Return the byte behind the tags (ID3, APE, Lyrics3) and zeros from `at` on; None where other bytes begin."""
    for _ in range(_MOST_CHUNKS):
        stream.seek(at)
        begin, left = stream.read(_PADDING), size - at
        if left <= len(begin) and not any(begin):
            return size
        if (begin.startswith(b"TAG") and left == 128) or begin.startswith(b"LYRICSBEGIN"):
            return size
        if begin.startswith(b"ID3"):
            at += id3_bytes(begin)
        elif begin.startswith(b"APETAGEX"):
            at += 32 + int.from_bytes(begin[12:16], "little")
        else:
            return at if left > 0 else size
    return None


def id3_bytes(begin: bytes) -> int:
    """Return the length of the ID3v2 tag that begins a content, its header included; 0 without one."""
    if not begin.startswith(b"ID3") or len(begin) < 10:
        return 0
    footer = 10 if begin[5] & 0x10 else 0
    return 10 + footer + sum((byte & 0x7F) << shift for byte, shift in zip(begin[6:10], (21, 14, 7, 0), strict=True))


def _check(stream: BinaryIO, size: int, samples: Samples, name: str | Path) -> None:
    if samples.end is None:
        again = find_again(stream, samples.begin, _NEXT_HEAD)
        if again is not None:
            raise BadClip(name, "joined", f"another one at byte {again}", SECOND.replace("{at}", str(again)))
        return
    end = samples.end
    if end > size:
        raise BadClip(name, "truncated", f"{size} bytes where its header declares {end}")
    align = samples.chunks.align if samples.chunks else 1
    padding = _bytes_at(stream, end)[: -end % align]
    starts = {end, end + len(padding)} if align == 2 or not any(padding) else {end}  # some writers leave it out
    if any(_is_ordinary(stream, size, start, samples.chunks) for start in starts):
        return
    for start in starts:
        if _NEXT_HEAD.match(_bytes_at(stream, start)):
            raise BadClip(name, "joined", f"another one at byte {start}", SECOND.replace("{at}", str(start)))
    found = f"{size - end} bytes behind the samples that its header declares ({end - samples.begin} bytes)"
    raise BadClip(name, "unfinished", found, samples.repair.replace("{begin}", str(samples.begin)))


def _is_ordinary(stream: BinaryIO, size: int, at: int, chunks: _Chunks | None) -> bool:
    """Return whether from `at` to the file's end there are chunks without samples, tags, padding or nothing."""
    if chunks is not None:
        for kind, first, length in chunks.walk(stream, size, at):
            begin = first - struct.calcsize(chunks.form)
            if not _CHUNK_WITHOUT_SAMPLES.match(kind) or length < 0 or first + length > size:
                at = begin
                if kind in _TEXTS:
                    return True
                break
            at = min(size, first + length + -(first + length) % chunks.align)
    after = tags_end(stream, size, at)
    return after is not None and size - after <= 1


def _bytes_at(stream: BinaryIO, at: int) -> bytes:
    stream.seek(at)
    return stream.read(16)


_LITTLE, _BIG = _Chunks("<4sI", align=2), _Chunks(">4sI", align=2)
_CAF, _W64 = _Chunks(">4sq"), _Chunks("<16sQ", align=8, counted=24)


def _wav(stream: BinaryIO, size: int) -> Samples | None:
    """RF64 keeps the 64-bit length in a ds64 chunk (EBU Tech 3306)."""
    chunks = _BIG if stream.read(12).startswith(b"RIFX") else _LITTLE
    long_bytes, is_mp3 = None, False
    for kind, begin, length in chunks.walk(stream, size, 12):
        if kind == b"fmt ":
            is_mp3 = stream.read(2) in (b"\x50\0", b"\x55\0")  # MPEG, MPEGLAYER3
        if kind == b"ds64":
            long_bytes = struct.unpack("<8xQ", stream.read(16))[0]
        if kind == b"data":
            long = length == 0xFFFFFFFF and long_bytes is not None and long_bytes < 2**63
            end = begin + (long_bytes or 0) if long else _end(begin, length, size)
            return Samples(begin, end, chunks, _ANY_LENGTH, is_mp3)
    return None


def _au(stream: BinaryIO, size: int) -> Samples:
    order = ">" if stream.read(4) == b".snd" else "<"
    begin, length = struct.unpack(f"{order}II", stream.read(8))
    return Samples(begin, _end(begin, length, size), None, _TO_WAV)


def _nist(stream: BinaryIO, size: int) -> Samples | None:
    """Fields are lines such as "sample_count -i 16000"."""
    head = stream.read(1024)
    fields = dict(re.findall(rb"^(\w+) +-\w+ +(\S+)", head, re.MULTILINE))
    try:
        counts = [int(fields[name]) for name in (b"sample_count", b"sample_n_bytes", b"channel_count")]
        begin = int(head.split(b"\n")[1])
    except (KeyError, ValueError, IndexError):
        return None
    return Samples(begin, begin + counts[0] * counts[1] * counts[2], None, _TO_WAV)


def _chunked(stream: BinaryIO, size: int, data: bytes, begin: int, chunks: _Chunks, repair: str) -> Samples | None:
    """Find the chunk of samples; CAF marks a length that a pipe left open by -1, AIFF as WAV does."""
    for kind, first, length in chunks.walk(stream, size, begin):
        if kind.startswith(data):
            if length == -1:
                return Samples(first, None, chunks, repair, length=(first - 8, struct.pack(">q", size - first)))
            return Samples(first, _end(first, max(0, length), size), chunks, repair)
    return None


def _end(begin: int, length: int, size: int) -> int | None:
    """Return where samples end; None where the length is one that a pipe left open."""
    return None if length >= _STREAMED and begin + length > size else begin + length


_HEADS: dict[bytes, Callable[[BinaryIO, int], Samples | None]] = {
    rb"(RIFF|RIFX|RF64).{4}WAVE": _wav,
    rb"FORM.{4}AIF[FC]": partial(_chunked, data=b"SSND", begin=12, chunks=_BIG, repair=_AS_RAW),
    rb"\.snd|dns\.": _au,
    rb"caff": partial(_chunked, data=b"data", begin=8, chunks=_CAF, repair=_AS_RAW),
    re.escape(_W64_HEAD): partial(_chunked, data=b"data", begin=40, chunks=_W64, repair=_AS_RAW),
    rb"NIST_1A\n": _nist,
}
