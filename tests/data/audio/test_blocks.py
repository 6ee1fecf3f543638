"""Hours of audio in pieces: the same samples as in one go."""

import numpy as np
import pytest
import soundfile

from zoo.data.audio import blocks
from zoo.data.audio.read import read
from zoo.data.audio.recording import BadClip


@pytest.fixture
def recording(tmp_path, rng):
    path = tmp_path / "stereo.wav"
    soundfile.write(path, rng.uniform(-0.5, 0.5, (44_100 * 65, 2)), 44_100)
    return path


def test_blocks_joined_are_what_read_returns(recording):
    whole, joined = read(recording, max_seconds=100), np.concatenate(list(blocks.blocks(recording)))
    assert abs(len(joined) - len(whole)) <= 1
    length = min(len(joined), len(whole))
    np.testing.assert_allclose(joined[:length], whole[:length], atol=1e-5)


def test_moments_are_those_of_all_samples(recording):
    mean, variance = blocks.moments(recording, 44_100)
    samples = soundfile.read(recording)[0].mean(axis=1)
    assert mean == pytest.approx(samples.mean(), abs=1e-9)
    assert variance == pytest.approx(samples.var(), rel=1e-6)
    with pytest.raises(BadClip, match="65 s \\(the most is 60 s\\)"):
        blocks.moments(recording, 44_100, max_seconds=60)


@pytest.mark.parametrize(
    ("inner", "margin"), [(16_000 * 7, 16_000), (16_000 * 65, 100), (16_000 * 100, 5), (16_000 * 13, 0)]
)
def test_windows_cover_the_file_once_with_their_neighbours_samples(recording, inner, margin):
    whole = np.concatenate(list(blocks.blocks(recording)))
    position = 0
    for samples, before, after in blocks.windows(recording, inner, margin):
        own = len(samples) - before - after
        assert before == min(position, margin)
        np.testing.assert_array_equal(samples, whole[position - before : position + own + after])
        position += own
        assert own == inner or position == len(whole)
        assert after == min(margin, len(whole) - position)
    assert position == len(whole)


@pytest.mark.parametrize(
    ("samples", "cut_bytes", "message"),
    [
        (np.where(np.arange(640_000) == 560_000, np.nan, 0.1), 0, "1 of 160000 .* infinite behind sample 480000"),
        (np.ones(16_000), 100, "bytes where its header declares"),
        (np.zeros(16_000), 0, "silence"),
        (np.zeros(0), 0, "a header without samples"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, samples, cut_bytes, message):
    path = tmp_path / "bad.wav"
    soundfile.write(path, samples, 16_000, subtype="FLOAT")
    path.write_bytes(path.read_bytes()[: path.stat().st_size - cut_bytes])
    with pytest.raises(BadClip, match=rf"bad\.wav: .*{message}"):
        blocks.moments(path)
    path.write_text("no audio")
    with pytest.raises(BadClip, match=r"bad\.wav: expected WAV"):
        list(blocks.blocks(path))
