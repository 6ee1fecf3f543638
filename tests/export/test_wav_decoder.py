"""The graph's decoder of WAV files, against files made by hand: it finds their samples, or names what is wrong."""

import re
import struct

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.data.audio.read import read_bytes
from zoo.data.audio.recording import BAD_KINDS, BadClip
from zoo.export import wav_decoder

RATE_HZ = 16_000
GUID = bytes.fromhex("0100000000001000800000aa00389b71")
PCM = np.random.default_rng(0).integers(-3000, 3000, 801, "<i2")

decoder = tf.function(
    lambda data: wav_decoder.decode(data, RATE_HZ), input_signature=[tf.TensorSpec((), tf.string)], autograph=False
)


def chunk(name, content=b"", declared=None):
    size = len(content) if declared is None else declared
    return name + struct.pack("<I", size) + content + b"\0" * (len(content) % 2)


def form(channels=1, rate_hz=RATE_HZ, bits=16, tag=1, extra=b""):
    width = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * width, width, bits) + extra)


def wav(*chunks, size=None, head=b"RIFF"):
    body = b"WAVE" + b"".join(chunks)
    return head + struct.pack("<I", len(body) if size is None else size) + body


def data(samples=PCM, declared=None):
    return chunk(b"data", samples.astype("<i2").tobytes(), declared)


def refusal(content):
    with pytest.raises(tf.errors.OpError) as error:
        decoder(content)
    return error.value.message


EXTENSIBLE = form(tag=0xFFFE, extra=struct.pack("<HHI", 22, 16, 4) + GUID)
ORDINARY = {
    "plain": wav(form(), data()),
    "extensible": wav(EXTENSIBLE, data()),
    "with an empty extension": wav(form(extra=b"\0\0"), data()),
    "JUNK first": wav(chunk(b"JUNK", bytes(28)), form(), data()),
    "bext first, LIST between": wav(chunk(b"bext", bytes(603)), form(), chunk(b"LIST", b"INFOxyz"), data()),
    "chunks behind": wav(form(), data(), chunk(b"LIST", b"INFO"), chunk(b"_PMX", b"abc"), chunk(b"cue ", bytes(9))),
    "a text behind that is cut": wav(form(), data(), chunk(b"id3 ", b"ID3", 99)),
    "zeros behind": wav(form(), data(), bytes(512)),
    "ID3v1 behind": wav(form(), data(), b"TAG" + b"x" * 125),
    "ID3v2 behind": wav(form(), data(), b"ID3\4\0\0\0\0\1\1" + b"x" * 129),
    "ffmpeg's pipe": wav(form(), data(declared=0xFFFFFFFF), size=0xFFFFFFFF),
    "SoX's pipe": wav(form(), data(declared=0x7FFFF000), size=0x7FFFF024),
    "another size of RIFF": wav(form(), data(), size=0),
    "an odd byte at the end": wav(form(), chunk(b"data", PCM.tobytes() + b"x")),
    "an odd byte without padding": wav(form(), chunk(b"data", PCM.tobytes() + b"x"))[:-1],
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_files_are_read_whole(name):
    mono, cancelling = decoder(ORDINARY[name])
    np.testing.assert_array_equal(mono, PCM / np.float32(32768))
    assert not cancelling


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "another format"),
        (b"RIFF", "another format"),
        (b"no audio" * 99, "another format"),
        (wav(form(), data(), head=b"RIFX"), "another format"),
        (wav(form(), data(), head=b"RF64"), "another format"),
        (wav(form()), "another format, or one that is damaged"),
        (wav(chunk(b"\0\0\0\0"), form(), data()), "another format, or one that is damaged"),
        (wav(data()), "another format, or one that is damaged"),
        (wav(data(), form()), "another format, or one that is damaged"),
        (wav(chunk(b"fmt ", form()[8:12]), data()), "16-bit PCM"),
        (wav(form(bits=8), data()), r"16-bit PCM.*\[1\] \[8\]"),
        (wav(form(bits=24), data()), r"16-bit PCM.*\[1\] \[24\]"),
        (wav(form(bits=32, tag=3), data()), r"16-bit PCM.*\[3\] \[32\]"),
        (wav(form(tag=7), data()), "16-bit PCM"),
        (wav(form(tag=0xFFFE), data()), "16-bit PCM"),
        (wav(EXTENSIBLE.replace(GUID, b"\3" + GUID[1:]), data()), "16-bit PCM"),
        (wav(form(rate_hz=44_100), data()), r"expected files at 16000 Hz.*\[44100\]"),
        (wav(form(channels=0), data()), "a usual number of channels"),
        (wav(form(channels=193), data()), "a usual number of channels"),
        (wav(form(), data(declared=0)), "unfinished"),
        (wav(form(), data(declared=800)), "unfinished"),
        (wav(form(), data(), bytes(5_000)), "unfinished"),
        (wav(form(), data(), b"\1\2\3\4" * 9), "unfinished"),
        (wav(form(), data(), chunk(b"abcd", b"x" * 9, 99)), "unfinished"),
        (wav(form(), data(), data()), "unfinished"),
        (wav(form(), data()) * 2, "joined"),
        (wav(form(), data(declared=0xFFFFFFFF)) * 2, "another one in its samples"),
        (wav(form(), data(declared=1604)), r"cut or damaged \(truncated\)"),
        (wav(form(), data(declared=0x7FFFEFFF)), "truncated"),
        (wav(form(), data())[:-1], "truncated"),
    ],
)
def test_other_files_are_refused_by_name(content, found):
    message = refusal(content)
    assert tf.compat.as_bytes(message).isascii()
    assert re.search(found, message, re.DOTALL), message


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([b"JUNK", b"LIST", b"bext", b"fact", b"abc "]), max_size=4), st.data())
def test_any_chunks_around_the_samples_and_any_channels(names, draw):
    """soundfile reads them the same; a length that is a lie ends in an error."""
    channels = draw.draw(st.integers(1, 9))
    lie = draw.draw(st.sampled_from([0, 0, 0, -6, 10**6]))
    samples = PCM[: 80 * channels].reshape(80, channels)
    chunks = [chunk(name, bytes(draw.draw(st.integers(0, 9)))) for name in names]
    place = draw.draw(st.integers(0, len(chunks)))
    content = wav(*chunks[:place], form(channels), data(samples, samples.nbytes + 2 * channels * lie), *chunks[place:])
    if lie:
        assert "truncated" in (message := refusal(content)) or "unfinished" in message
        return
    np.testing.assert_allclose(decoder(content)[0], (samples / 32768).mean(axis=1), atol=1e-7)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 43), st.integers(0, 255))
def test_any_byte_of_a_header_may_be_wrong(place, value):
    """An error, or all of the samples; never a part of them, or a failure of another operation."""
    content = bytearray(wav(form(), data()))
    content[place] = value
    try:
        mono, _ = decoder(bytes(content))
    except tf.errors.InvalidArgumentError as error:
        assert "wav_bytes: expected" in error.message
    else:
        channels = content[22]
        assert len(mono) == len(PCM) // channels


@pytest.mark.parametrize(
    ("weights", "cancels"),
    [((1, -1), True), ((1, -0.995), True), ((1, -0.9), False), ((0, 0), False), ((1, 0, -1), True), ((1,), False)],
)
def test_channels_that_cancel_are_told(tmp_path, weights, cancels):
    samples = np.rint(PCM[:, None] * np.array(weights)).astype(np.int16)
    soundfile.write(tmp_path / "x.wav", samples, RATE_HZ)
    assert decoder((tmp_path / "x.wav").read_bytes())[1] == cancels


@pytest.mark.skipif("unfinished" not in BAD_KINDS, reason="files do not tell more samples than declared yet")
@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(ORDINARY)), st.integers(0, 3), st.integers(0, 59), st.binary(min_size=1, max_size=20))
def test_damage_has_the_same_verdict_in_a_file(name, way, place, noise):
    """A byte of the header, a cut, bytes behind, another length: the same samples, or both refuse."""
    content = bytearray(ORDINARY[name])
    if way == 0:
        content[place] = noise[0]
    elif way == 1:
        content = content[: len(content) * place // 60]
    elif way == 2:
        content += noise
    else:
        at = content.find(b"data") + 4
        content[at : at + 4] = (noise + bytes(3))[:4]
    try:
        by_file = read_bytes(bytes(content), "x", RATE_HZ, 1e-4)
    except BadClip:
        by_file = None
    try:
        by_graph = decoder(bytes(content))[0]
    except tf.errors.InvalidArgumentError as error:
        if "files at 16000 Hz" not in error.message and "16-bit PCM" not in error.message:  # others a file may have
            assert by_file is None, error.message
    else:
        assert by_file is not None or len(by_graph) < 3
        if by_file is not None:
            np.testing.assert_allclose(by_graph, by_file, atol=1e-6)
