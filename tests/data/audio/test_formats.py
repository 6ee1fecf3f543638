"""What a content is by its first bytes: soundfile's own formats, and beginnings from the formats' definitions."""

import io
import struct

import numpy as np
import pytest
import soundfile

from zoo.data.audio.formats import FORMATS, HEAD_BYTES, READABLE, container_of

SAMPLES = 0.1 * np.random.default_rng(0).standard_normal(16_000)
WITH_A_HEADER = sorted(soundfile.available_formats().keys() - {"RAW", "SD2"})
CODINGS = ("PCM_16", "DPCM_16", "ALAW", "VORBIS", "MPEG_LAYER_III")


@pytest.mark.parametrize("container", WITH_A_HEADER)
def test_every_format_that_soundfile_writes_is_known_but_those_without_a_header(container):
    subtype = next(coding for coding in CODINGS if soundfile.check_format(container, coding))
    stream = io.BytesIO()
    soundfile.write(stream, SAMPLES, 16_000, subtype, format=container)
    name = container_of(stream.getvalue()[:HEAD_BYTES])
    assert name and (name in READABLE) == (container in FORMATS)


BEGINNINGS = {
    "MPEG-4": [b"\0\0\0\x20ftypM4A \0\0\0\0", b"\0\0\0\x18ftypisom", b"\0\0\0\x14ftypqt  ", b"\0\0\0\x18ftyp3gp4"],
    "WebM": [b"\x1aE\xdf\xa3\x9fB\x86\x81\x01"],
    "AMR": [b"#!AMR\n\x3c", b"#!AMR-WB\n", b"#!AMR_MC1.0\n"],
    "Windows Media": [bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")],
    "AAC": [b"ADIF\0"],
    "MIDI": [b"MThd\0\0\0\x06", b"RIFF\0\0\0\0RMID"],
    "AVI": [b"RIFF\0\0\0\0AVI LIST"],
    "WAV": [b"RIFF\xff\xff\xff\xffWAVE", b"RIFX\0\0\0\0WAVE", b"RF64\xff\xff\xff\xffWAVEds64", b"BW64", b"RIFF"],
    "OGG": [b"OggS\0\x02"],
    "AIFF": [b"FORM\0\0\0\0AIFC"],
    "MP3": [b"ID3\x04\0\0\0\0\x02\x01" + bytes(50)],
    "FLAC": [b"ID3\x03\0\0\0\0\0\x0a" + bytes(10) + b"fLaC"],
}


@pytest.mark.parametrize("name", BEGINNINGS)
def test_beginnings_are_named(name):
    for head in BEGINNINGS[name]:
        assert str(container_of(head)).startswith(name)
        assert str(container_of(head + bytes(5000))).startswith(name)


def adts(count, length=371):
    """AAC-LC at 44.1 kHz, mono: ISO/IEC 14496-3, 1.A.2.2."""
    head = 0xFFF1 << 40 | 1 << 38 | 4 << 34 | 1 << 30 | length << 13 | 0x7FF << 2
    return count * (head.to_bytes(7, "big") + bytes(length - 7))


def ac3(count):
    """48 kHz, 192 kbit/s: 768 bytes a frame (ATSC A/52, table 5.18)."""
    return count * (b"\x0b\x77\0\0" + bytes([20, 8 << 3]) + bytes(762))


def mp3(rate_hz, channels=1):
    stream = io.BytesIO()
    soundfile.write(stream, np.tile(SAMPLES[:, None], (1, channels)), rate_hz, format="MP3")
    return stream.getvalue()


@pytest.mark.parametrize("begins_at", [0, 100])
@pytest.mark.parametrize(
    ("name", "content"),
    [("AAC", adts(20)), ("AC-3", ac3(9)), *(("MP3", mp3(rate, 2)) for rate in (8_000, 16_000, 44_100))],
    ids=range(5),
)
def test_frames_without_a_header_are_known_from_their_first_or_from_within_one(name, content, begins_at):
    assert container_of(content[begins_at:][:HEAD_BYTES]) == name


@pytest.mark.parametrize("scale", [1e-4, 1e-3, 1e-2, 0.1, 1.0])
def test_samples_without_a_header_are_nothing_known(scale, rng):
    for kind in ("<i2", ">i2", "<f4"):
        for _ in range(20):
            samples = np.clip(scale * rng.standard_normal(4_000), -1, 1)
            raw = (samples * (32_767 if "i" in kind else 1)).astype(kind).tobytes()
            assert container_of(raw[:HEAD_BYTES]) is None
            for sync in (-1025, -1537, -3841, 0x770B):  # which as bytes begin a frame
                assert container_of(struct.pack("<h", sync) + raw[:HEAD_BYTES]) is None


@pytest.mark.parametrize("head", [b"", b"R", b"\xff", bytes(3000), b"\xff" * 3000, b"this is a text\n" * 100])
def test_what_is_no_audio_is_nothing_known(head):
    assert container_of(head) is None
