"""Headers that declare less or more than a file holds: the whole signal is read, or the file is refused by name."""

import io
import struct

import numpy as np
import pytest
import recordings as r
import soundfile

from zoo.data.audio.blocks import blocks, seconds_of
from zoo.data.audio.read import read, read_bytes
from zoo.data.audio.recording import BadClip
from zoo.data.audio.scan import probe

RATE_HZ = 16_000
NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, RATE_HZ).astype(np.float32)
PCM = np.rint(NOISE * 32_768).astype("<i2").tobytes()
CONTAINERS = r.CONTAINERS


def declaring(container, n_bytes):
    return r.declaring(container, encoded(container), n_bytes)


def verdict(content, tmp_path):
    """The kind by which a content is refused, or its samples: the same as a file, as bytes, in blocks and probed."""
    path = tmp_path / "clip"
    path.write_bytes(content)
    ways = (
        lambda: read(path),
        lambda: read_bytes(content, "clip"),
        lambda: np.concatenate(list(blocks(path))),
        lambda: probe(path)[1],
    )
    found = []
    for way in ways:
        try:
            found.append(way())
        except BadClip as error:
            found.append(error.kind)
    if isinstance(found[0], str):
        assert found == [found[0]] * 4
    else:
        for other in found[1:]:
            np.testing.assert_array_equal(other, found[0])
        assert seconds_of(path) == pytest.approx(len(found[0]) / RATE_HZ, abs=1e-4)
    return found[0]


def encoded(container, samples=NOISE, rate_hz=RATE_HZ, subtype="PCM_16"):
    return r.encoded(container, samples, rate_hz, subtype)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("n_bytes", [0, 2, 1000, 16_000, 31_998])
def test_fewer_samples_declared_than_there_are(container, n_bytes, tmp_path):
    assert verdict(declaring(container, n_bytes), tmp_path) == "unfinished"


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("n_bytes", [32_002, 99_998])
def test_more_samples_declared_than_there_are(container, n_bytes, tmp_path):
    assert verdict(declaring(container, n_bytes), tmp_path) == "truncated"


@pytest.mark.parametrize("second", ["WAV", "AIFF", "FLAC"])
@pytest.mark.parametrize("container", CONTAINERS + r.COMPRESSED[:3])
def test_two_recordings_in_one_file(container, second, tmp_path):
    first = encoded(container)
    for joined in (first + first, first + encoded(second), first + bytes(8) + first):
        assert verdict(joined, tmp_path) in ("joined", "unfinished", "truncated")
    assert verdict(first + first, tmp_path) == "joined"


@pytest.mark.parametrize(
    ("container", "n_bytes"), [("WAV", 0xFFFFFFFF), ("RIFX", 0x7FFFF024), ("AU", 0xFFFFFFFF), ("CAF", -5)]
)
def test_a_pipe_leaves_the_length_open_but_joined_recordings_are_seen(container, n_bytes, tmp_path):
    content = declaring(container, n_bytes)
    np.testing.assert_allclose(verdict(content, tmp_path), NOISE, atol=2**-15)
    assert verdict(content + content, tmp_path) == "joined"


LIST = b"LIST" + struct.pack("<I", 10) + b"INFOISFT\0\0"
BEXT = b"bext" + struct.pack("<I", 602) + bytes(range(200)) * 3 + b"ab"
ODD = b"note" + struct.pack("<I", 3) + b"abc\0"
ID3V1 = b"TAG" + b"title".ljust(125, b"\0")
ID3V2 = b"ID3\x03\0\0\0\0\x01\x00" + b"TIT2" + bytes(range(124))
APE = b"APETAGEX" + struct.pack("<IIII", 2000, 40, 1, 0xA0000000) + bytes(8) + bytes(range(8)) + bytes(32)


@pytest.mark.parametrize(
    "behind",
    [
        LIST,
        BEXT,
        ODD + LIST,
        ODD[:-1],
        LIST + ODD,
        ID3V1,
        ID3V2,
        ID3V2 + ID3V1,
        APE,
        bytes(4096),
        b"\0",
        LIST + bytes(9),
    ],
    ids=range(12),
)
def test_ordinary_bytes_behind_the_samples(behind, tmp_path):
    np.testing.assert_allclose(verdict(encoded("WAV") + behind, tmp_path), NOISE, atol=2**-15)


def test_chunks_behind_the_samples_in_other_containers(tmp_path):
    name = b"NAME" + struct.pack(">I", 5) + b"title\0"
    info = b"info" + struct.pack(">q", 6) + b"\0\0\0\1a\0"
    guid = b"bext" + bytes.fromhex("f3acd3118cd100c04f8edb8a") + struct.pack("<Q", 24 + 5) + b"abcde\0\0\0"
    for container, behind in (("AIFF", name + name), ("CAF", info), ("W64", guid), ("RIFX", name), ("RF64", LIST)):
        np.testing.assert_allclose(verdict(encoded(container) + behind, tmp_path), NOISE, atol=2**-15)
    for container in ("AU", "NIST"):
        np.testing.assert_allclose(verdict(encoded(container) + bytes(512), tmp_path), NOISE, atol=2**-15)
        assert verdict(encoded(container) + name, tmp_path) == "unfinished"


@pytest.mark.parametrize(
    "behind",
    [PCM[:100], PCM, bytes(5000), b"data" + struct.pack("<I", 100) + PCM[:100], LIST + PCM, b"abcdefgh\xff" * 9],
)
def test_samples_behind_the_samples(behind, tmp_path):
    assert verdict(encoded("WAV") + behind, tmp_path) == "unfinished"


def test_data_of_odd_length_with_and_without_its_padding_before_the_next_chunk(tmp_path):
    content = encoded("WAV", NOISE[:15_999], subtype="PCM_U8")
    assert len(content) == 44 + 16_000
    for whole in (content + LIST, content[:-1] + LIST, content[:-1]):
        assert len(verdict(whole, tmp_path)) == 15_999


@pytest.mark.parametrize("number", [0, 8_000, 20_000, 0xFFFFFFFF])
def test_counts_beside_the_length_leave_the_whole_signal(number, tmp_path):
    """COMM of AIFF, fact of WAV, sampleCount and riffSize of ds64, RIFF's own size: the samples' length decides."""
    aiff, wav = encoded("AIFF"), encoded("WAV", subtype="FLOAT")
    long, short = encoded("RF64"), encoded("WAV")
    comm, fact, ds64 = aiff.index(b"COMM") + 10, wav.index(b"fact") + 8, long.index(b"ds64")
    changed = (
        aiff[:comm] + struct.pack(">I", number) + aiff[comm + 4 :],
        wav[:fact] + struct.pack("<I", number) + wav[fact + 4 :],
        long[: ds64 + 8] + struct.pack("<Q", number) + long[ds64 + 16 :],
        long[: ds64 + 24] + struct.pack("<Q", number) + long[ds64 + 32 :],
        short[:4] + struct.pack("<I", number) + short[8:],
    )
    for content in changed:
        np.testing.assert_allclose(verdict(content, tmp_path), NOISE, atol=2**-15)


def test_the_message_of_an_unfinished_wav_repairs_it(tmp_path):
    path = tmp_path / "my clip.wav"
    path.write_bytes(declaring("WAV", 0))
    with pytest.raises(BadClip) as caught:
        read(path)
    found = f"32000 bytes behind the samples that its header declares (0 bytes). {remedy(path)}"
    assert str(caught.value) == f"{path}: expected a header that declares all its samples, found {found}"


def test_the_message_of_joined_recordings_gives_the_second():
    content = encoded("WAV")
    with pytest.raises(BadClip, match="found another one at byte 32044") as caught:
        read_bytes(content + content, "a.wav")
    assert str(caught.value).endswith("Run `ffmpeg -skip_initial_bytes 32044 -i a.wav a.new.wav`")
    np.testing.assert_array_equal(read_bytes((content + content)[32_044:], "a"), read_bytes(content, "a"))


def remedy(path):
    files = f"'{path}' -c copy '{path.with_suffix('.new.wav')}'"
    return f"Repair the header, or write the recording anew. Run `ffmpeg -ignore_length 1 -i {files}`"


def test_mp3_without_a_header_is_read_whole_where_libsndfile_stops_at_an_estimate(tmp_path):
    content = r.without_mp3_header(encoded("MP3"))
    assert soundfile.info(io.BytesIO(content)).frames < 10_000
    samples = verdict(content, tmp_path)
    delay = 576  # of the encoder, which only a header declares
    np.testing.assert_allclose(samples[delay:][:15_000], read_bytes(encoded("MP3"), "a")[:15_000], atol=1e-6)
    np.testing.assert_array_equal(verdict(r.mp3_in_wav(content), tmp_path), samples)


def test_mp3_in_wav_is_read_whole_and_refused_where_it_is_cut(tmp_path):
    content = encoded("MP3")
    np.testing.assert_array_equal(verdict(r.mp3_in_wav(content), tmp_path), verdict(content, tmp_path))
    assert verdict(r.mp3_in_wav(content)[:-50], tmp_path) == "truncated"
    assert verdict(r.mp3_in_wav(content[:-50]), tmp_path) == "truncated"
    assert verdict(r.mp3_in_wav(content, declared=1_000), tmp_path) == "unfinished"


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_mp3_of_every_kind_is_whole_with_tags_and_refused_where_it_is_cut(channels, rate_hz):
    content = encoded("MP3", np.tile(NOISE[:, None], (1, channels)), rate_hz)
    samples = read_bytes(content, "a", rate_hz)
    assert len(samples) == RATE_HZ
    for whole in (ID3V2 + content, content + ID3V1, content + bytes(300), ID3V2 + ID3V2 + content + APE + ID3V1):
        np.testing.assert_array_equal(read_bytes(whole, "a", rate_hz), samples)
    for broken in (content[:-1], content[: len(content) // 2], content[:2_000] + b"U" * 50 + content[2_000:]):
        with pytest.raises(BadClip, match=r"that is cut or damaged at byte|14 frames where its header declares 30"):
            read_bytes(broken, "a", rate_hz)
    with pytest.raises(BadClip, match="frames where its header declares"):
        read_bytes(content + r.without_mp3_header(content), "a", rate_hz)


def test_an_mp3_header_that_leaves_out_half_a_second_is_not_followed(tmp_path):
    """LAME's header has 12 bits for the samples at each end that are not of the recording."""
    content = encoded("MP3")
    at = content.index(b"Xing") + 120 + 21
    delay, padding = content[at] << 4 | content[at + 1] >> 4, (content[at + 1] & 15) << 8 | content[at + 2]
    assert 0 < delay + padding < 3_000
    lie = content[:at] + b"\xff\xff\xff" + content[at + 3 :]
    assert soundfile.info(io.BytesIO(lie)).frames < 10_000
    np.testing.assert_array_equal(verdict(lie, tmp_path), verdict(r.without_mp3_header(content), tmp_path))


@pytest.mark.parametrize("kept", [4, 300, 500, 700, 1_000])
def test_the_begin_of_an_mp3_is_refused(kept, tmp_path):
    for content in (encoded("MP3"), r.without_mp3_header(encoded("MP3"))):
        assert verdict(content[:kept], tmp_path) in ("truncated", "not-audio")


def test_flac_behind_an_id3_tag_is_read_and_compared_with_its_header(tmp_path):
    content = ID3V2 + encoded("FLAC")
    np.testing.assert_allclose(verdict(content, tmp_path), NOISE, atol=2**-15)
    assert verdict(content[:-50], tmp_path) == "truncated"
    assert verdict(content + encoded("FLAC"), tmp_path) == "joined"


def test_samples_of_aiff_begin_behind_an_offset(tmp_path):
    """SSND gives an offset, for blocks of a disk (AIFF 1.3, section 4)."""
    content = encoded("AIFF")
    at = content.index(b"SSND")
    size = struct.pack(">II", 32_000 + 8 + 16, 16)
    moved = content[: at + 4] + size + bytes(4) + bytes(16) + content[at + 16 :]
    np.testing.assert_allclose(verdict(moved, tmp_path), NOISE, atol=2**-15)
    assert verdict(moved[:-1_000], tmp_path) == "truncated"


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_ogg_that_is_cut_damaged_or_goes_on(subtype, tmp_path):
    content = encoded("OGG", np.tile(NOISE, 9), 48_000, subtype=subtype)
    pages = [at for at in range(len(content)) if content.startswith(b"OggS\0", at)]
    assert len(verdict(content + bytes(64), tmp_path)) == 3 * RATE_HZ
    cut = [content[:-1], *(content[:at] for at in pages[1:]), content[: pages[3]] + content[pages[4] :]]
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    for broken in (*cut, bytes(flipped), content + b"abc"):
        assert verdict(broken, tmp_path) in ("truncated", "not-audio")
    assert verdict(content + encoded("OGG", NOISE, subtype=subtype), tmp_path) == "joined"
