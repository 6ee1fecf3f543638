"""A stream is refused where it is no raw samples, however it is cut; raw samples never are."""

import io
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.data.audio.formats import HEAD_BYTES
from zoo.errors import UserError
from zoo.inference.raw_audio import FORMATS, RawAudio

NOISE = 0.1 * np.random.default_rng(0).standard_normal(16_000)


class Pipe:
    """A stream that gives at most `size` bytes at once."""

    def __init__(self, content, size):
        self._rest, self._size = io.BytesIO(content), size

    def read1(self, most):
        return self._rest.read(min(most, self._size))


def samples(content, kind="s16le", size=10**9):
    audio = RawAudio(Pipe(content, size), kind)
    return np.concatenate([np.empty(0, np.float32), *audio]), audio.rest_bytes


def file(container, subtype=None):
    stream = io.BytesIO()
    soundfile.write(stream, NOISE, 16_000, subtype, format=container)
    return stream.getvalue()


def adts(count, length=371):
    """AAC-LC at 44.1 kHz, mono: ISO/IEC 14496-3, 1.A.2.2; with content, no silence."""
    head = 0xFFF1 << 40 | 1 << 38 | 4 << 34 | 1 << 30 | length << 13 | 0x7FF << 2
    rng = np.random.default_rng(0)
    return b"".join(head.to_bytes(7, "big") + rng.bytes(length - 7) for _ in range(count))


def transport(count):
    """MPEG-2 transport packets: a service description, then program 256."""
    rng = np.random.default_rng(0)
    heads = (struct.pack(">BHB", 0x47, 0x4011 if n == 0 else 0x0100, 0x10 | n % 16) for n in range(count))
    return b"".join(head + rng.bytes(184) for head in heads)


MP3 = file("MP3")
CONTENTS = {
    "WAV": file("WAV"),
    "FLAC": file("FLAC"),
    "OGG": file("OGG"),
    "Opus": file("OGG", "OPUS"),
    "MP3": MP3,
    "MP3 from within a frame": MP3[100:],
    "MP3 with a tag": b"ID3\x04\0\0\0\0\x02\x01" + bytes(257) + MP3,
    "AIFF": file("AIFF"),
    "AU": file("AU"),
    "CAF": file("CAF"),
    "Wave64": file("W64"),
    "RF64": file("RF64"),
    "NIST": file("NIST"),
    "VOC": file("VOC"),
    "WebM": b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01" + NOISE.astype("<f2").tobytes(),
    "MPEG-4": b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom" + NOISE.astype("<f2").tobytes(),
    "fragments of MPEG-4": b"\0\0\0\x18styp" + bytes(16) + NOISE.astype("<f2").tobytes(),
    "AAC": adts(60),
    "MPEG transport": transport(200),
    "AMR": b"#!AMR\n" + NOISE.astype("<f2").tobytes(),
    "WMA": bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + NOISE.astype("<f2").tobytes(),
    "gzip": b"\x1f\x8b\x08\0" + NOISE.astype("<f2").tobytes(),
    "a list": b"clips/a.wav\nclips/b.wav\n" * 99,
    "a short list": "ä/b.wav\n".encode(),
    "a list in UTF-8": "Aufnahmen/Käse – 声音.wav\n".encode() * 9,
}


@pytest.mark.parametrize("name", CONTENTS)
def test_what_is_no_raw_samples_is_refused_before_any_is_returned(name):
    """Also where bytes come one by one, and where the stream is only a header; text is too short for a header."""
    content = CONTENTS[name]
    cuts = [content] if name in ("MP3 from within a frame", "AAC", "MP3", "MPEG transport") else [content, content[:64]]
    for given_ in cuts:
        for size in (1, 7, 65_536):
            audio = RawAudio(Pipe(given_, size), "s16le")
            returned = 0
            with pytest.raises(UserError, match="--stream: expected raw samples, s16le, found "):
                for block in audio:
                    returned += len(block)
            assert returned == 0 or (name == "MP3 from within a frame" and returned < HEAD_BYTES)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("size", [1, 3, 1000, 10**9])
def test_samples_are_those_written_however_they_are_cut(kind, size):
    written = (NOISE[:10_001] * (32_768 if kind == "s16le" else 1)).astype(FORMATS[kind][0])
    found, rest = samples(written.tobytes() + b"\x01", kind, size)
    np.testing.assert_array_equal(found, written.astype(np.float32) / (32_768 if kind == "s16le" else 1))
    assert rest == 1


def test_samples_are_returned_as_they_come():
    """A header's 64 bytes are awaited; more only where they may begin a frame, as the sample -1025 does."""
    for first, awaited in ((0, 64), (-1, 64), (-1025, HEAD_BYTES)):
        raw = np.r_[first, np.rint(NOISE * 32_768)].astype("<i2").tobytes()
        source = io.BytesIO(raw)
        source.read1 = lambda most, source=source: source.read(2)
        next(iter(RawAudio(source, "s16le")))
        assert source.tell() == awaited


def test_floats_taken_for_integers_are_refused():
    for scale in (1e-3, 0.1, 1.0):
        raw = (scale * np.sin(np.arange(16_000) / 7)).astype("<f4").tobytes()
        with pytest.raises(UserError, match=r"found 32-bit floats. Add --sample-format f32le"):
            samples(raw)
        assert len(samples(raw, "f32le")[0]) == 16_000


def test_floats_beyond_any_number_pass_without_a_warning(recwarn):
    """A signalling NaN, as 16-bit samples read as floats give; the stream's check names it."""
    found, _ = samples(np.array([0x7F800001, 0xFFBF0000], "<u4").tobytes(), "f32le")
    assert np.isnan(found).all() and not recwarn


def tone(rng, n):
    """A steady tone with a period of whole samples: what may look like a frame's beginning comes again and again."""
    period = int(rng.integers(2, 300))
    return rng.uniform(1, 32_767) * np.sin(2 * np.pi * np.arange(n) / period * rng.integers(1, 9) + rng.uniform(0, 6))


def test_no_raw_samples_are_refused():
    """Noise, tones, repeated noise, walks and constants; beginning by chance as MP3, AAC, AC-3 or transport does."""
    n = HEAD_BYTES // 2
    kinds = [
        lambda rng: rng.integers(-32_768, 32_768, n),
        lambda rng: tone(rng, n),
        lambda rng: np.resize(rng.integers(-32_768, 32_768, int(rng.integers(1, 300))), n),
        lambda rng: rng.uniform(1, 9_000) * rng.standard_normal(n),
        lambda rng: np.cumsum(rng.uniform(0.1, 100) * rng.standard_normal(n)),
        lambda rng: np.full(n, rng.integers(-32_768, 32_768)),
    ]
    firsts = [b"", b"\xff\xfb\x90\x64", b"\xff\xf1\x50\x80", b"\x0b\x77", b"\x47\x40\x11\x10", b"\x56\xe0"]
    for seed in range(600):
        rng = np.random.default_rng(seed)
        signal = np.rint(kinds[seed % 6](rng)).clip(-32_768, 32_767).astype("<i2").tobytes()
        raw = firsts[seed // 6 % 6] + signal
        assert len(samples(raw)[0]) == len(raw) // 2, seed


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-32_768, 32_767), max_size=200), st.integers(1, 9))
def test_any_short_signal_but_one_that_reads_as_text_is_taken(values, size):
    raw = struct.pack(f"<{len(values)}h", *values)
    try:
        found, rest = samples(raw, size=size)
    except UserError as error:
        assert "text" in str(error) and all(byte >= 32 or byte in b"\t\n\r" for byte in raw)
    else:
        assert rest == 0 and [round(value * 32_768) for value in found] == values
