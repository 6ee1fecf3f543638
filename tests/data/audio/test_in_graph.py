"""Decoding in the graph against soundfile and soxr. Without tensorflow-io, the way through soundfile is tested."""

import io
import struct

import numpy as np
import pytest
import recordings as r
import soundfile
import soxr
from hypothesis import given, settings

tf = pytest.importorskip("tensorflow")

from zoo.data.audio import in_graph as graph_audio  # noqa: E402
from zoo.data.audio.in_graph import decode, has_tfio  # noqa: E402
from zoo.data.audio.read import read_bytes  # noqa: E402
from zoo.errors import UserError  # noqa: E402

RATE_HZ = 16_000
quick = settings(max_examples=40, deadline=None, derandomize=True, database=None)
needs_tfio = pytest.mark.skipif(not has_tfio(), reason="tensorflow-io is not here (make test-tfio has it)")
both_ways = pytest.mark.parametrize("in_graph", [False, pytest.param(True, marks=needs_tfio)])

WIDTHS = {
    "WAV": ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT"),
    "WAVEX": ("PCM_16", "PCM_24", "PCM_32", "FLOAT"),
    "FLAC": ("PCM_S8", "PCM_16", "PCM_24"),
    "MP3": ("MPEG_LAYER_III",),
}


def speech_band_noise(seconds=1.0, rate_hz=RATE_HZ, seed=0):
    """Noise below 3 kHz, in which a shift by one sample cannot be missed."""
    noise = np.random.default_rng(seed).standard_normal(int(seconds * 6_000)) * 0.1
    return soxr.resample(noise, 6_000, rate_hz).astype(np.float32)


def encoded(samples, container="WAV", subtype=None, rate_hz=RATE_HZ, **options):
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate_hz, format=container, subtype=subtype, **options)
    return stream.getvalue()


def as_soundfile_has_it(data):
    samples, rate_hz = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    return samples.mean(axis=1), rate_hz


@both_ways
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("container", WIDTHS)
def test_every_format_equals_soundfile(container, channels, in_graph):
    samples = np.stack([speech_band_noise(seed=seed) for seed in range(channels)], axis=1)
    for subtype in WIDTHS[container]:
        data = encoded(samples, container, subtype)
        waveform = decode(data, in_graph=in_graph)
        assert waveform.dtype == tf.float32
        tolerance = 1e-5 if container == "MP3" else 2e-7
        np.testing.assert_allclose(waveform, as_soundfile_has_it(data)[0], rtol=0, atol=tolerance)


@both_ways
@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("container", ["WAV", "FLAC", "MP3"])
def test_other_rates_equal_soxr_without_a_delay(container, rate_hz, in_graph):
    data = encoded(speech_band_noise(rate_hz=rate_hz)[:-17], container, rate_hz=rate_hz)
    samples, found_hz = as_soundfile_has_it(data)
    assert found_hz == rate_hz
    expected = soxr.resample(samples, rate_hz, RATE_HZ)
    waveform = decode(data, in_graph=in_graph).numpy()
    assert len(waveform) == len(expected)
    np.testing.assert_allclose(waveform[400:-400], expected[400:-400], atol=3e-5)
    np.testing.assert_allclose(waveform, expected, atol=3e-3)


@both_ways
def test_target_rate_is_an_argument(in_graph):
    assert decode(encoded(speech_band_noise()), rate_hz=8_000, in_graph=in_graph).shape == (8_000,)


@both_ways
def test_mixed_files_in_a_parallel_map_are_traced_once(in_graph):
    clips = [encoded(speech_band_noise(length), kind) for length in (0.3, 1.1) for kind in ("WAV", "FLAC", "MP3")]
    traces = []

    @tf.function(input_signature=[tf.TensorSpec((), tf.string)])
    def read(content):
        traces.append(content)
        return decode(content, in_graph=in_graph)

    dataset = tf.data.Dataset.from_tensor_slices(clips).map(read, num_parallel_calls=2)
    assert dataset.element_spec == tf.TensorSpec((None,), tf.float32)
    for waveform, data in zip(dataset.as_numpy_iterator(), clips, strict=True):
        np.testing.assert_allclose(waveform, as_soundfile_has_it(data)[0], atol=1e-5)
    assert len(traces) == 1


def flac_with_length(samples):
    """Rewrites the last 32 bits of the length in STREAMINFO (RFC 9639, section 8.2)."""
    return FLAC[:22] + struct.pack(">I", samples) + FLAC[26:]


WAV, FLAC, MP3 = (encoded(speech_band_noise(), container) for container in ("WAV", "FLAC", "MP3"))
BAD_FILES = {
    "zero bytes": b"",
    "text": b"this is a text\n" * 100,
    "zeros": bytes(4000),
    "WAV without samples": encoded(speech_band_noise()[:0]),
    "WAV without chunks": b"RIFF\x04\0\0\0WAVE",
    "cut WAV": WAV[:-2],
    "cut FLAC": FLAC[: len(FLAC) // 2],
    "FLAC cut between frames": FLAC[: FLAC.rindex(b"\xff\xf8")],
    "FLAC without a length": flac_with_length(0),
    "FLAC one sample too long": flac_with_length(RATE_HZ + 1),
    "NaN": encoded(np.append(speech_band_noise(), np.nan), subtype="FLOAT"),
    "MP3 header alone": MP3[:4],
}


@both_ways
@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_files_are_refused(kind, in_graph):
    if kind == "FLAC without a length" and not in_graph:
        assert len(decode(BAD_FILES[kind], in_graph=False)) == RATE_HZ  # as a pipe leaves it; tensorflow-io cannot
        return
    with pytest.raises(tf.errors.OpError):
        decode(BAD_FILES[kind], name="clip 7", in_graph=in_graph)


@quick
@given(r.recordings())
def test_the_graph_mixes_channels_and_refuses_by_the_rules_for_files(recording):
    try:
        waveform = graph_audio.mixed(recording.samples, tf.constant(recording.rate_hz, tf.int64), tf.constant("a"))
    except tf.errors.InvalidArgumentError as error:
        found = str(error.message)
        content = encoded(recording.samples, subtype="FLOAT", rate_hz=recording.rate_hz)
        kind = r.verdict(lambda: read_bytes(content, "a", recording.rate_hz, min_seconds=0.0))
        assert kind and f"{kind}: expected" in found
    else:
        content = encoded(recording.samples, subtype="FLOAT", rate_hz=recording.rate_hz)
        samples = read_bytes(content, "a", recording.rate_hz, min_seconds=0.0)
        np.testing.assert_allclose(waveform, samples, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("behind", "ordinary"),
    [
        (b"", True),
        (bytes(100), True),
        (b"LIST" + struct.pack("<I", 3) + b"abc\0" + b"note" + struct.pack("<I", 2) + b"ab", True),
        (b"TAG" + bytes(125), True),
        (bytes(5_000), False),
        (b"\1\2\3", False),
        (b"LIST" + struct.pack("<I", 300) + b"abc\0", False),
        (b"data" + struct.pack("<I", 2) + b"ab", False),
        (WAV, False),
    ],
    ids=range(9),
)
def test_bytes_behind_the_samples_in_the_graph(behind, ordinary):
    found = graph_audio.only_chunks(tf.constant(WAV + behind), tf.constant(len(WAV), tf.int64))
    assert bool(found) == ordinary


@needs_tfio
@pytest.mark.parametrize("subtype", ["DOUBLE", "ULAW"])
def test_widths_that_tensorflow_io_lacks_are_refused(subtype):
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"clip 7[\s\S]*expected a usual width"):
        decode(encoded(speech_band_noise(), subtype=subtype), name="clip 7", in_graph=True)


@both_ways
@pytest.mark.parametrize("size", [3, 4])
@pytest.mark.parametrize("position", [12, 36])
@pytest.mark.parametrize("kind", [b"JUNK", b"LIST", b"note"])
def test_chunks_before_the_data_are_stepped_over(kind, position, size, in_graph):
    changed = WAV[:position] + kind + struct.pack("<I", size) + b"abcd" + WAV[position:]
    np.testing.assert_array_equal(decode(changed, in_graph=in_graph), as_soundfile_has_it(WAV)[0])


@needs_tfio
def test_mp3_behind_an_id3_tag():
    tag = b"ID3\x04\0\0" + bytes([0, 0, 2, 1]) + bytes(257)  # seven bits in each byte of its length
    np.testing.assert_array_equal(decode(tag + MP3, in_graph=True), decode(MP3, in_graph=True))


@needs_tfio
def test_saved_model_takes_bytes(tmp_path):
    module = tf.Module()
    module.read = tf.function(lambda data: decode(data), input_signature=[tf.TensorSpec((), tf.string)])
    tf.saved_model.save(module, tmp_path / "reader")
    data = encoded(speech_band_noise(rate_hz=44_100), "FLAC", rate_hz=44_100)
    loaded = tf.saved_model.load(tmp_path / "reader")
    np.testing.assert_array_equal(loaded.read(tf.constant(data)), decode(data))


def test_demanding_it_where_tensorflow_io_does_not_load_says_what_to_install(monkeypatch):
    monkeypatch.setattr(graph_audio, "_load_error", lambda: "undefined symbol: _ZN3tsl5mutex6unlockEv")
    with pytest.raises(UserError, match=r"undefined symbol.*pip install 'speech-emotion-zoo\[tfio\]'"):
        decode(WAV, in_graph=True)
    np.testing.assert_array_equal(decode(WAV), decode(WAV, in_graph=False))


@needs_tfio
def test_default_is_the_graph_where_it_can_be():
    data = encoded(speech_band_noise(rate_hz=44_100), rate_hz=44_100)
    np.testing.assert_array_equal(decode(data), decode(data, in_graph=True))
    assert not np.array_equal(decode(data), decode(data, in_graph=False))  # two resamplers
