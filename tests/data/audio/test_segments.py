"""Segments of long recordings: read as if each were a file of its own, wherever a clip is read."""

import numpy as np
import pytest
import soundfile

from zoo.data.audio.read import read
from zoo.data.audio.recording import BadClip
from zoo.data.audio.scan import probe
from zoo.data.batches.feature_store import extract
from zoo.data.schema import Clip

RATE_HZ = 44_100


@pytest.fixture(scope="module")
def long_one(tmp_path_factory):
    """Three seconds in stereo, of which the last is silence."""
    folder = tmp_path_factory.mktemp("long")
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (3 * RATE_HZ, 2))
    samples[2 * RATE_HZ :] = 0
    for name in ("one.wav", "one.flac", "one.ogg", "one.mp3"):
        soundfile.write(folder / name, samples, RATE_HZ)
    return folder


@pytest.mark.parametrize("name", ["one.wav", "one.flac", "one.ogg", "one.mp3"])
@pytest.mark.parametrize("segment", [(0.5, 1.25), (0.0, 0.3), (1.7, 2.1)])
def test_a_segment_reads_as_a_file_of_its_samples(long_one, tmp_path, name, segment):
    decoded, _ = soundfile.read(long_one / name)
    first, last = (round(seconds * RATE_HZ) for seconds in segment)
    soundfile.write(tmp_path / "part.wav", decoded[first:last], RATE_HZ, subtype="FLOAT")
    found, expected = read(long_one / name, segment=segment), read(tmp_path / "part.wav")
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert probe(long_one / name, segment=segment)[0].seconds == pytest.approx(segment[1] - segment[0])
    assert probe(long_one / name, segment=segment)[0].audio_sha256 == probe(tmp_path / "part.wav")[0].audio_sha256


def test_a_segment_to_the_end_and_one_whose_end_was_rounded(long_one):
    np.testing.assert_array_equal(
        read(long_one / "one.wav", segment=(1.5, None)), read(long_one / "one.wav", segment=(1.5, 3.09))
    )
    assert len(read(long_one / "one.wav", segment=(1.5, None))) == 24_000


@pytest.mark.parametrize(
    ("segment", "limits", "kind"),
    [
        ((0.5, 3.2), {}, "beyond"),
        ((3.0, None), {}, "beyond"),
        ((7.0, 8.0), {}, "beyond"),
        ((2.2, 2.9), {}, "silent"),
        ((0.5, 0.51), {}, "too-short"),
        ((0.0, 2.0), {"max_seconds": 1.0}, "too-long"),
    ],
)
def test_bad_segments_are_named_with_their_times(long_one, segment, limits, kind):
    with pytest.raises(BadClip) as error:
        read(long_one / "one.wav", segment=segment, **limits)
    assert error.value.kind == kind and f"one.wav from {segment[0]:g} s to" in str(error.value)


def test_only_the_segment_counts(long_one):
    """A recording of three seconds has segments under a limit of one; its silence is no matter."""
    assert len(read(long_one / "one.wav", segment=(1.0, 2.0), max_seconds=1.0)) == 16_000


def test_features_of_segments_have_their_own_place_in_the_cache(long_one, tmp_path):
    times = [(0.0, None), (0.0, 1.0), (0.5, 1.0), (0.5, None)]
    clips = [
        Clip(long_one / "one.wav", f"one{n}", "x", "y", start_seconds=a, end_seconds=b)
        for n, (a, b) in enumerate(times)
    ]

    def lengths(waveform):
        return np.array([[len(waveform), waveform[0]]], np.float32)

    for _ in range(2):  # the second time from the cache
        found, _ = extract(clips, lengths, {}, tmp_path)
        assert [found[clip.name].read()[0, 0] for clip in clips] == [48_000, 16_000, 8_000, 40_000]
        assert found["one2"].read()[0, 1] == read(long_one / "one.wav", segment=(0.5, 1.0))[0]
        assert found["one2"].audio_sha256 == probe(long_one / "one.wav", segment=(0.5, 1.0))[0].audio_sha256
    assert len(list(tmp_path.rglob("*.npy"))) == 4
