"""The reader against soundfile, librosa and files broken on purpose."""

import io
import os
import shlex
import socket
import struct

import librosa
import numpy as np
import pytest
import soundfile

from zoo.data.audio.blocks import blocks, seconds_of
from zoo.data.audio.read import decode, read, read_bytes
from zoo.data.audio.recording import BAD_KINDS, BadClip
from zoo.data.audio.scan import file_sha256, probe

RATE_HZ = 16_000


def tone(seconds=1.0, rate_hz=RATE_HZ, hz=440.0):
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate_hz)) / rate_hz)).astype(np.float32)


def write(path, samples=None, rate_hz=RATE_HZ, **options):
    soundfile.write(path, tone() if samples is None else samples, rate_hz, **options)
    return path


TOLERANCES = {"PCM_U8": 2**-7, "PCM_16": 2**-15, "PCM_24": 2**-23, "PCM_32": 1e-7, "FLOAT": 0.0, "ULAW": 2**-5}
CONTAINERS = ("WAV", "WAVEX", "RF64", "FLAC", "AIFF", "AU", "CAF", "W64", "NIST")


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_width_and_container_gives_the_written_samples(tmp_path, container):
    for subtype in soundfile.available_subtypes(container).keys() & TOLERANCES.keys():
        path = write(tmp_path / subtype, format=container, subtype=subtype)
        samples = read(path)
        assert samples.dtype == np.float32
        np.testing.assert_allclose(samples, tone(), rtol=0, atol=TOLERANCES[subtype])
        np.testing.assert_array_equal(read_bytes(path.read_bytes(), "a"), samples)


@pytest.mark.parametrize("suffix", [".ogg", ".mp3"])
def test_lossy_formats_are_read(tmp_path, suffix):
    samples = read(write(tmp_path / f"a{suffix}"))
    assert abs(len(samples) - RATE_HZ) <= 1
    assert np.corrcoef(samples[1000:15000], tone()[1000:15000])[0, 1] > 0.99


def test_stereo_is_the_mean_of_its_channels_and_samples_beyond_one_stay(tmp_path):
    channels = np.stack([8 * tone(hz=300), tone(hz=500)], axis=1)
    path = write(tmp_path / "a.wav", channels, subtype="FLOAT")
    np.testing.assert_allclose(read(path), channels.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize(
    ("file_hz", "rate_hz"), [(8_000, 16_000), (11_025, 16_000), (44_100, 16_000), (48_000, 16_000), (16_000, 8_000)]
)
def test_any_rate_comes_out_as_the_same_tone_and_as_librosa_has_it(tmp_path, file_hz, rate_hz):
    path = write(tmp_path / "a.wav", tone(rate_hz=file_hz), file_hz, subtype="FLOAT")
    samples = read(path, rate_hz)
    assert abs(len(samples) - rate_hz) <= 1
    inner = slice(500, rate_hz - 500)
    np.testing.assert_allclose(samples[inner], tone(rate_hz=rate_hz)[inner], atol=2e-4)
    expected, _ = librosa.load(path, sr=rate_hz, res_type="soxr_hq")
    np.testing.assert_allclose(samples[inner], expected[inner], atol=1e-6)


@pytest.mark.parametrize(("suffix", "form"), [(".wav", "<I"), (".au", ">I")])
@pytest.mark.parametrize("by_a_pipe", [0xFFFFFFFF, 0x7FFFF000])
def test_lengths_that_a_pipe_left_open_are_no_cuts(tmp_path, suffix, form, by_a_pipe):
    data, declared = write(tmp_path / f"a{suffix}").read_bytes(), struct.pack(form, 2 * RATE_HZ)
    assert declared in data
    samples = read_bytes(data.replace(declared, struct.pack(form, by_a_pipe), 1), "a")
    np.testing.assert_allclose(samples, tone(), atol=2**-15)


def test_chunks_around_the_data_are_stepped_over(tmp_path):
    data = write(tmp_path / "a.wav").read_bytes()
    odd = b"note" + struct.pack("<I", 3) + b"abc\0"  # three bytes and the pad byte
    assert len(read_bytes(data[:12] + odd + data[12:] + odd, "a.wav")) == RATE_HZ
    with pytest.raises(BadClip, match="32054 bytes where its header declares 32056"):
        read_bytes((data[:12] + odd + data[12:])[:-2], "a.wav")


def test_mp3_without_a_xing_header_is_read_though_its_length_is_an_estimate(tmp_path):
    rate_hz = 44_100
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 5 * rate_hz) * (np.arange(5 * rate_hz) > 3 * rate_hz)
    data = write(tmp_path / "a.mp3", noise, rate_hz).read_bytes()
    data = data[data.index(data[:2], 4) :]  # from the second frame on
    assert soundfile.info(io.BytesIO(data)).duration > 6.0
    assert len(read_bytes(data, "a.mp3", max_seconds=6.0)) / RATE_HZ == pytest.approx(5.0, abs=0.1)


def bad(path, **limits):
    """Read a bad file; return the error's kind, after checking that its message names the file and the remedy."""
    with pytest.raises(BadClip) as caught:
        read(path, **limits)
    message = str(caught.value)
    _, remedy, command = message.partition(BAD_KINDS[caught.value.kind][1])
    assert message.startswith(f"{path}: expected ") and remedy
    assert not command or (command.startswith(" Run `ffmpeg ") and str(path) in shlex.split(command))
    assert caught.value.path == path
    return caught.value.kind


def test_missing_file_and_folder(tmp_path):
    assert bad(tmp_path / "none.wav") == bad(tmp_path) == "missing"


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.wav", b"", "empty"),
        ("a.wav", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "pointer"),
        ("a.wav", b"this is a text\n" * 100, "not-audio"),
        ("a.wav", b"x", "not-audio"),
        ("a.wav", b"RIFF\0\0\0\0WAVE" + bytes(1_000_000), "not-audio"),  # endless chunks
        ("a.raw", bytes(3200), "not-audio"),  # a name that soundfile takes for a format
    ],
    ids=range(6),
)
def test_files_that_are_no_recording(tmp_path, name, content, kind):
    (tmp_path / name).write_bytes(content)
    assert bad(tmp_path / name) == kind


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("kept", [0.3, 0.999])
def test_cut_files(tmp_path, container, kept):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, RATE_HZ)
    path = write(tmp_path / "a.wav", noise, format=container)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    assert bad(path) == "truncated"


@pytest.mark.parametrize(
    ("container", "endian"),
    [("WAV", "LITTLE"), ("WAV", "BIG"), ("AU", "LITTLE"), ("AIFF", "LITTLE"), ("NIST", "BIG")],
)
def test_either_order_of_bytes_and_a_cut_of_one_sample(tmp_path, container, endian):
    path = write(tmp_path / "a.wav", format=container, endian=endian)
    np.testing.assert_allclose(read(path), tone(), atol=2**-15)
    path.write_bytes(path.read_bytes()[:-2])
    assert bad(path) == "truncated"


def test_ogg_damaged_in_the_middle(tmp_path, rng):
    path = write(tmp_path / "a.ogg", rng.uniform(-0.5, 0.5, 4 * RATE_HZ))
    data = path.read_bytes()
    path.write_bytes(data[:10_000] + bytes(3000) + data[13_000:])
    assert bad(path) == "truncated"


def test_odd_data_without_its_pad_byte(tmp_path):
    data = write(tmp_path / "b.wav", tone()[:1001], subtype="PCM_U8").read_bytes()
    assert len(read_bytes(data[: 44 + 1001], "b")) == 1001


@pytest.mark.parametrize("value", [np.nan, -np.inf, 1e300])
def test_non_finite_samples(tmp_path, value):
    assert bad(write(tmp_path / "a.wav", np.append(tone(), value), subtype="DOUBLE")) == "non-finite"


@pytest.mark.parametrize(
    ("suffix", "samples", "kind"),
    [
        ("wav", np.zeros(RATE_HZ), "silent"),
        ("wav", np.full((RATE_HZ, 2), (0.5, -0.5)), "silent"),  # constant, as if the microphone were off
        ("wav", tone()[:, None] * [1, -1], "cancelling"),
        ("wav", tone()[:, None] * [1, -0.99], "cancelling"),
        ("wav", 9e-4 * tone(), "silent"),
        ("wav", tone()[:0], "empty"),
        ("wav", tone(0.02), "too-short"),
        ("wav", tone(2.001), "too-long"),
        ("mp3", tone(3.0), "too-long"),
        ("voc", tone(), "foreign"),  # a container whose cuts cannot be seen
    ],
)
def test_silence_lengths_beyond_the_limits_and_other_containers_are_refused(tmp_path, suffix, samples, kind):
    assert bad(write(tmp_path / f"a.{suffix}", samples), max_seconds=2.0) == kind


@pytest.mark.parametrize("seconds", [0.025, 2.0])
def test_lengths_at_the_limits_are_read(tmp_path, seconds):
    assert len(read(write(tmp_path / "a.wav", tone(seconds)), max_seconds=2.0)) == seconds * RATE_HZ


def flac(declared, samples=None):
    """A FLAC that declares another length, which has 36 bits in STREAMINFO (RFC 9639, section 8.2)."""
    stream = io.BytesIO()
    soundfile.write(stream, tone() if samples is None else samples, RATE_HZ, format="FLAC")
    data = bytearray(stream.getvalue())
    data[21] = data[21] & 0xF0 | declared >> 32
    data[22:26] = struct.pack(">I", declared & 0xFFFFFFFF)
    return bytes(data)


@pytest.mark.parametrize(
    ("declared", "kind"),
    [(10 * 3600 * RATE_HZ, "truncated"), (RATE_HZ + 1, "truncated"), (RATE_HZ - 1, "unfinished"), (1, "unfinished")],
)
def test_flac_that_declares_another_length_is_refused_before_it_is_decoded(tmp_path, declared, kind, monkeypatch):
    path = tmp_path / "a.flac"
    path.write_bytes(flac(declared))
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *_, **__: pytest.fail("decoded"))
    assert bad(path) == kind


def test_flac_from_a_pipe_declares_no_samples_and_is_read(rng):
    samples = rng.uniform(-0.5, 0.5, RATE_HZ)
    content, tag = flac(0, samples), b"TAG" + bytes(125)
    for whole in (content, content + bytes(100), content + tag):
        np.testing.assert_allclose(read_bytes(whole, "a"), samples, atol=2**-15)
    for cut in range(1, 4_000, 399):
        with pytest.raises(BadClip, match="a FLAC without a whole frame at its end"):
            read_bytes(content[:-cut], "a")


def test_read_bytes_names_what_it_was_given():
    with pytest.raises(BadClip, match="upload 7: expected a recording, found zero bytes"):
        read_bytes(b"", "upload 7")


PHONE_FORMATS = {
    "note.m4a": (b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom\0\0\0\0", "MPEG-4"),
    "note.wav": (b"\0\0\0\x1cftypisom\0\0\2\0isomiso2mp41", "MPEG-4"),  # whatever its name says
    "note.webm": (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01", "WebM"),
    "note.amr": (b"#!AMR\n\x3c\x08", "AMR"),
    "note.wma": (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), "Windows Media"),
    "it's a note.3gp": (b"\0\0\0\x18ftyp3gp4\0\0\0\0", "MPEG-4"),
}


@pytest.mark.parametrize("name", PHONE_FORMATS)
def test_formats_of_phones_are_named_with_the_command_that_converts_them(tmp_path, name):
    head, container = PHONE_FORMATS[name]
    path = tmp_path / name
    path.write_bytes(head + bytes(range(256)) * 20)
    assert bad(path) == "foreign"
    with pytest.raises(BadClip) as caught:
        read(path)
    words = shlex.split(str(caught.value).split("Run `")[1].rstrip("`"))
    assert words[:3] == ["ffmpeg", "-i", str(path)] and words[3].endswith(".wav") and words[3] != str(path)
    assert f"found {container}" in str(caught.value) and "corpus" not in str(caught.value)


def test_no_message_shows_an_object_in_memory(tmp_path, rng):
    for number, content in enumerate([rng.bytes(2_000), b"fLaC" + rng.bytes(2_000), b"OggS\0\2" + rng.bytes(2_000)]):
        for head in (b"", b"RIFF\0\0\0\0WAVE", b"FORM\0\0\0\0AIFF"):
            path = tmp_path / f"{number}.wav"
            path.write_bytes(head + content)
            for way in (lambda path=path: read(path), lambda path=path: read_bytes(path.read_bytes(), "a")):
                with pytest.raises(BadClip) as caught:
                    way()
                assert "<" not in str(caught.value).split("expected")[1].split("begins")[0]


@pytest.mark.parametrize("found", ["a pipe", "a socket", "a device", "a folder"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, found):
    path = tmp_path / "a.wav"
    with socket.socket(socket.AF_UNIX) as server:
        if found == "a pipe":
            os.mkfifo(path)
        elif found == "a socket":
            server.bind(str(path))
        elif found == "a folder":
            path.mkdir()
        else:
            path.symlink_to("/dev/zero")
        for way in (read, probe, file_sha256, lambda path: list(blocks(path)), decode):
            with pytest.raises(BadClip) as caught:
                way(path)
            assert caught.value.kind == "missing"
            assert found in str(caught.value) or found in ("a socket", "a folder")  # named by the system
        assert seconds_of(path) == 0.0


def test_a_name_with_a_nul_is_refused():
    with pytest.raises(BadClip, match="NUL"):
        read("a\0.wav")


@pytest.mark.parametrize(
    ("rate_hz", "channels"), [(1, 1), (3_999, 1), (400_000, 1), (48_000, 17), (4_000, 193), (2**31 - 1, 1)]
)
def test_unusual_rates_and_numbers_of_channels_are_refused_before_samples_are_made(rate_hz, channels, monkeypatch):
    stream = io.BytesIO()
    soundfile.write(stream, np.tile(tone(0.1)[:, None], (1, channels)), rate_hz, format="WAV")
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(BadClip, match=f"{channels} channel.* at {rate_hz} Hz"):
        read_bytes(stream.getvalue(), "a")


def test_channels_are_mixed_as_they_are_decoded(monkeypatch):
    """Ten minutes of eight channels of digital silence: 15 kB of FLAC, 254 MB of samples at 16 kHz."""
    stream, sizes, decoded = io.BytesIO(), [], soundfile.SoundFile.read
    with soundfile.SoundFile(stream, "w", 8_000, 8, format="FLAC") as file:
        for _ in range(600):
            file.write(np.zeros((8_000, 8), np.int16))

    def reading(*arguments, **options):
        block = decoded(*arguments, **options)
        sizes.append(block.size)
        return block

    monkeypatch.setattr(soundfile.SoundFile, "read", reading)
    with pytest.raises(BadClip, match="600 s"):
        read_bytes(stream.getvalue(), "a")
    assert not sizes
    with pytest.raises(BadClip, match="silence"):
        read_bytes(stream.getvalue(), "a", max_seconds=600)
    assert sum(sizes) == 600 * 8_000 * 8 and max(sizes) <= 1 << 23
