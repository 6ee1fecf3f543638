"""Lists as Windows, macOS, find and editors write them; what is no list is refused."""

import io
import time

import numpy as np
import pytest
import soundfile

from zoo.data.audio import lists
from zoo.errors import UserError

NAMES = ["good.wav", "sub folder/käse.flac", "声/音.wav", " spaces .wav ", "RIFF", "OggS.wav", "#!AMR"]


def names(content):
    return lists.names_in(io.BytesIO(content), "--list x")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\0"])
@pytest.mark.parametrize("whole", [True, False])
def test_every_encoding_and_end_of_line(encoding, end, whole):
    """The last line may have no end, and lines may be empty."""
    text = end.join(NAMES) + end * whole
    assert names(text.encode(encoding)) == NAMES
    if end != "\0":
        assert names((end + text.replace(end, end * 2)).encode(encoding)) == NAMES


def test_byte_order_mark_of_big_endian_utf_16():
    assert names(b"\xfe\xff" + "a.wav\nb.wav".encode("utf-16-be")) == ["a.wav", "b.wav"]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", []),
        (b"\n\r\n\n", []),
        (b"\xff\xfe", []),
        (b"\0\0\0", []),
        (b"a\nb.wav\0c.wav\0", ["a\nb.wav", "c.wav"]),  # find -print0: names may hold line feeds
        (b"a.wav\nb\0.wav\nc.wav\n", ["a.wav", "b\0.wav", "c.wav"]),  # a name that cannot be, which is named
        (b"caf\xe9.wav\n", ["caf\udce9.wav"]),
        (b"esc\x1b[31m.wav\n" + b"long enough to be a text.wav\n", ["esc\x1b[31m.wav", "long enough to be a text.wav"]),
        ("half\ud800.wav\n".encode("utf-16-le", "surrogatepass"), ["half\ud800.wav"]),
        (b"x" * 100_000 + b"\ny", ["x" * 100_000, "y"]),
    ],
)
def test_lists_by_hand(content, found):
    assert names(content) == found


def audio(kind):
    stream = io.BytesIO()
    soundfile.write(stream, 0.1 * np.random.default_rng(0).standard_normal(16_000), 16_000, format=kind)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        *((audio(kind), kind) for kind in ("WAV", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF")),
        (b"PK\x03\x04" + bytes(100), "ZIP"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)), "data that is no text"),
        (np.random.default_rng(0).bytes(5_000), "data that is no text"),
        (b"\xff\xfea", "UTF-16"),
        (b"\xff\xfe\0\0abc", "UTF-32"),
    ],
)
def test_what_is_no_list_is_refused_with_its_kind(content, what):
    with pytest.raises(UserError, match=r"^--list x: expected .* found") as raised:
        names(content)
    assert what in str(raised.value) and "\n" not in str(raised.value)


def test_a_list_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(lists, "_MOST_BYTES", 1000)
    with pytest.raises(UserError, match="found more than"):
        lists.names_in(io.BytesIO(bytes(2000)), "--list x")


def test_a_million_names_take_seconds():
    content = b"".join(b"some/folder/of/recordings/%07d.wav\n" % number for number in range(1_000_000))
    start = time.process_time()
    assert len(names(content)) == 1_000_000
    assert time.process_time() - start < 5
