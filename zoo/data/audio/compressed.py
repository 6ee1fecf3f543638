"""Count the samples that FLAC, OGG and MP3 files hold by their frames, where libsndfile goes by what they declare."""

import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from zoo.data.audio.containers import SECOND, find_again, id3_bytes, tags_end
from zoo.data.audio.frame_lengths import mp3_frame
from zoo.data.audio.recording import BadClip

_FLAC_AGAIN = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
_FLAC_SIZES = {1: 192, **{code: 576 << code - 2 for code in range(2, 6)}, **{n: 256 << n - 8 for n in range(8, 16)}}
_MOST_FLAC_BYTES = 1 << 20  # of a frame whose largest size is not declared
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_MOST_LEFT_OUT = 4 * 1_152  # samples of an MP3; encoders leave out up to three frames
_ANEW = "ffmpeg -i {name} {new}"


class Spliced(io.RawIOBase):
    """Read `prefix`, then a stream from the byte `begin` up to `end`, as one file for libsndfile."""

    def __init__(self, prefix: bytes, stream: BinaryIO, begin: int, end: int):
        self._prefix, self._stream, self._begin = prefix, stream, begin
        self._size, self._at = len(prefix) + end - begin, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        # A damaged header sends libsndfile before the first byte, and it cannot take an exception.
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        count = max(0, min(len(buffer), self._size - self._at))
        data = self._prefix[self._at : self._at + count]
        if len(data) < count:
            self._stream.seek(self._begin + max(0, self._at - len(self._prefix)))
            data += self._stream.read(count - len(data))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def whole_flac(stream: BinaryIO, size: int, name: str | Path) -> Spliced:
    """Return a FLAC stream that declares as many samples as its frames hold; a pipe leaves their number at 0.

    Raises BadClip "joined" where another FLAC follows, "unfinished" for frames beyond the declared samples,
    "truncated" for fewer and where the last frame is not whole.
    """
    stream.seek(0)
    begin = id3_bytes(stream.read(10))
    stream.seek(begin)
    head = stream.read(42)  # "fLaC", 4 bytes, STREAMINFO: RFC 9639, section 8.2
    if len(head) < 42:
        raise BadClip(name, "truncated", f"{size} bytes, less than its header")
    again = find_again(stream, begin + 8, _FLAC_AGAIN)
    if again is not None:
        raise BadClip(name, "joined", f"another one at byte {again}", SECOND.replace("{at}", str(again)))
    declared = int.from_bytes(head[21:26], "big") & 2**36 - 1
    held = _flac_samples(stream, begin, size, head)
    if held is None:
        raise BadClip(name, "truncated", "a FLAC without a whole frame at its end")
    if declared and held > declared:
        raise BadClip(name, "unfinished", f"{held} samples where its header declares {declared}", _ANEW)
    if held < declared:
        raise BadClip(name, "truncated", f"{held} of {declared} samples")
    filled = int.from_bytes(head[18:26], "big") & ~(2**36 - 1) | held
    return Spliced(head[:18] + filled.to_bytes(8, "big"), stream, begin + 26, size)


def _flac_samples(stream: BinaryIO, begin: int, size: int, head: bytes) -> int | None:
    """Return the number of the sample behind the last frame, by that frame's header; None without a whole one."""
    size_of_block = int.from_bytes(head[10:12], "big")
    longest = int.from_bytes(head[15:18], "big") or _MOST_FLAC_BYTES
    start = max(begin + 42, size - longest - 4_096)  # zeros and tags may follow the last frame
    stream.seek(start)
    tail = stream.read(size - start)
    if tail[-128:].startswith(b"TAG"):
        tail = tail[:-128]
    at = len(tail)
    stripped = tail.rstrip(b"\0")
    ends = {len(tail), *(min(len(tail), len(stripped) + zeros) for zeros in range(3))}
    while (at := max(tail.rfind(b"\xff\xf8", 0, at), tail.rfind(b"\xff\xf9", 0, at))) >= 0:
        fields = _flac_header(tail[at : at + 16])
        if fields and any(_crc(tail[at:end], 16, 0x8005) == 0 for end in ends):
            number, block = fields
            return (number if tail[at + 1] & 1 else number * size_of_block) + block
    return None


def _flac_header(begin: bytes) -> tuple[int, int] | None:
    """Return the number of a frame (of its first sample where block sizes vary) and its size in samples.

    RFC 9639, section 9.1. None where the bytes are no header by their checksum.
    """
    if len(begin) < 6:
        return None
    ones = f"{begin[4]:08b}".find("0")
    length = max(1, ones)  # of the number, coded as UTF-8 is
    if ones in (-1, 1) or 4 + length > len(begin):
        return None
    number = begin[4] & (0x7F if not ones else 0x7F >> ones)
    for byte in begin[5 : 4 + length]:
        number = number << 6 | byte & 0x3F
    at, size_code, rate_code = 4 + length, begin[2] >> 4, begin[2] & 15
    extra = {6: 1, 7: 2}.get(size_code, 0)
    block = int.from_bytes(begin[at : at + extra], "big") + 1 if extra else _FLAC_SIZES.get(size_code, 0)
    at += extra + {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    return (number, block) if block and at < len(begin) and _crc(begin[: at + 1], 8, 0x07) == 0 else None


def _crc(data: bytes, width: int, polynomial: int) -> int:
    table = _CRC_TABLES[polynomial]
    value, mask, shift = 0, (1 << width) - 1, width - 8
    for byte in data:
        value = (value << 8 & mask) ^ table[value >> shift ^ byte]
    return value


def _crc_table(width: int, polynomial: int) -> list[int]:
    values = [byte << width - 8 for byte in range(256)]
    for _ in range(8):
        values = [(v << 1 ^ polynomial if v >> width - 1 else v << 1) & (1 << width) - 1 for v in values]
    return values


_CRC_TABLES = {0x07: _crc_table(8, 0x07), 0x8005: _crc_table(16, 0x8005)}


def check_ogg(stream: BinaryIO, size: int, name: str | Path) -> None:
    """Raise BadClip for an OGG stream that is cut, damaged or followed by another one (RFC 3533, section 6)."""
    next_page: dict[int, int] = {}  # by stream
    ended: set[int] = set()
    end = 0
    for at, page in _ogg_pages(stream, size):
        flags, serial, number = page[5], page[14:18], int.from_bytes(page[18:22], "little")
        of = int.from_bytes(serial, "little")
        if flags & 2 and (of in next_page or ended):
            raise BadClip(name, "joined", f"another one at byte {at}", _ANEW)
        if number != next_page.get(of, number) or of in ended or _ogg_crc(page) != page[22:26]:
            raise BadClip(name, "truncated", f"an OGG stream that is damaged at byte {at}")
        next_page[of] = (number + 1) % 2**32
        if flags & 4:
            ended.add(of)
        end = at + len(page)
    if tags_end(stream, size, end) != size:
        raise BadClip(name, "truncated", f"an OGG stream that is damaged at byte {end}")
    if ended != next_page.keys():
        raise BadClip(name, "truncated", "an OGG stream without its last page", _ANEW)


def _ogg_pages(stream: BinaryIO, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield the first byte of each whole page and the page, up to what is none."""
    at = 0
    while at < size:
        stream.seek(at)
        head = stream.read(27)
        if len(head) < 27 or not head.startswith(b"OggS\0"):
            return
        table = stream.read(head[26])
        page = head + table + stream.read(sum(table))
        if len(page) < 27 + head[26] + sum(table):
            return
        yield at, page
        at += len(page)


def _ogg_crc(page: bytes) -> bytes:
    """Return the CRC-32 of a page with its own field at 0. zlib's goes through bits in the other direction."""
    turned = (page[:22] + bytes(4) + page[26:]).translate(_REVERSED)
    value = ~zlib.crc32(turned, 0xFFFFFFFF) & 0xFFFFFFFF
    return value.to_bytes(4, "little").translate(_REVERSED)[::-1]


class _Mp3(NamedTuple):
    header: int  # first byte of the first frame, which may be a header
    begin: int  # first byte of the first frame with samples
    frames: int  # with samples
    declared: int | None  # frames, by a header of Xing or VBRI
    end: int


def whole_mp3(stream: BinaryIO, begin: int, end: int, name: str | Path) -> Spliced:
    """Return an MP3 between two bytes of a stream as a stream that declares its frames.

    Without a header, libsndfile estimates a length by the first frame, and reads no further. Raises BadClip
    "truncated" where bytes are no frame or fewer are there than declared, "joined" where more are.
    """
    found = _mp3_frames(stream, begin, end, name)
    if found.declared is None or _left_out(_read(stream, found.header, 200)) > _MOST_LEFT_OUT:
        prefix = _xing(_read(stream, found.begin, 200), found.frames)
        return Spliced(prefix, stream, found.begin, found.end)
    if not 0 <= found.declared - found.frames <= 1:  # some count the header's own frame
        kind = "truncated" if found.frames < found.declared else "joined"
        command = _ANEW if kind == "joined" else ""
        raise BadClip(name, kind, f"{found.frames} frames where its header declares {found.declared}", command)
    return Spliced(b"", stream, found.header, found.end)


def _mp3_frames(stream: BinaryIO, begin: int, end: int, name: str | Path) -> _Mp3:
    at = begin
    while tag := id3_bytes(_read(stream, at, 10)):
        at += tag
    zeros = _read(stream, at, 4_096)
    at = first = at + len(zeros) - len(zeros.lstrip(b"\0"))
    kind, frames = _read(stream, at, 2)[1:2], 0
    while at < end:
        head = _read(stream, at, 6)
        length = mp3_frame(head) if len(head) == 6 and head[1:2] == kind else 0
        if not length:
            break
        at, frames = at + length, frames + 1
    after = tags_end(stream, end, at)
    if at > end or after is None or end - after > 1:
        raise BadClip(name, "truncated", f"an MP3 that is cut or damaged at byte {min(at, end)}")
    declared, length = _xing_frames(_read(stream, first, 200))
    return _Mp3(first, first + length, frames - bool(length), declared, at)


def _read(stream: BinaryIO, at: int, count: int) -> bytes:
    stream.seek(at)
    return stream.read(count)


def _xing_at(head: bytes) -> int:
    """Return where a Xing header lies in a frame: behind its side information (ISO/IEC 11172-3, 2.4.1.7)."""
    mono, mpeg_1 = head[3] >> 6 == 3, head[1] >> 3 & 3 == 3
    return 4 + {(True, True): 17, (True, False): 32, (False, True): 9, (False, False): 17}[mpeg_1, mono]


def _xing_frames(head: bytes) -> tuple[int | None, int]:
    """Return the frames that a Xing, Info or VBRI header declares, and the length of the frame that holds it, or 0."""
    at = _xing_at(head)
    if head[at : at + 4] in (b"Xing", b"Info"):
        counted = head[at + 7] & 1
        return int.from_bytes(head[at + 8 : at + 12], "big") if counted else None, mp3_frame(head[:6])
    if head[36:40] == b"VBRI":
        return int.from_bytes(head[50:54], "big"), mp3_frame(head[:6])
    return None, 0


def _left_out(head: bytes) -> int:
    """Return how many samples at both ends a header of LAME says are the encoder's own; 0 without one."""
    at = _xing_at(head)
    if head[at : at + 4] not in (b"Xing", b"Info"):
        return 0
    flags = head[at + 7]
    at += 8 + sum(size for bit, size in enumerate((4, 4, 100, 4)) if flags >> bit & 1) + 21
    return int.from_bytes(head[at : at + 2], "big") // 16 + int.from_bytes(head[at + 1 : at + 3], "big") % 4096


def _xing(head: bytes, frames: int) -> bytes:
    """Return a frame without samples whose Xing header declares `frames`, of the kind of the frame that begins `head`.

    Nothing for Layer II, which has no such header and one bit rate.
    """
    if head[1] >> 1 & 3 != 1:
        return b""
    begin = bytes([0xFF, head[1] | 1, 0xE0 | head[2] & 0x0C, head[3]])  # no checksum, the highest bit rate
    content = begin.ljust(_xing_at(head), b"\0") + b"Xing\0\0\0\x01" + frames.to_bytes(4, "big")
    return content.ljust(mp3_frame(content[:6]), b"\0")
