"""The speech detector, the cut into windows, and the bandwidth of a recording."""

import hashlib
from itertools import pairwise

import numpy as np
import pytest
import soxr
from spoken import RATE_HZ, call, utterance

from zoo.data.audio.bandwidth import bandwidth_hz
from zoo.data.audio.speech import silero
from zoo.data.audio.speech.windows import FRAME_SECONDS, is_speech, windows


def frames(*runs):
    """Flags of frames by lengths in seconds: without speech, with, without, ..."""
    flags = [np.full(round(seconds / FRAME_SECONDS), number % 2 == 1) for number, seconds in enumerate(runs)]
    return np.concatenate(flags)


def seconds(found):
    return [(first * FRAME_SECONDS, last * FRAME_SECONDS) for first, last in found]


def cut(*runs, **options):
    speech = frames(*runs)
    return seconds(windows(speech, np.where(speech, -20.0, -60.0), **options))


def test_the_network_is_the_published_one():
    """Of Silero VAD 6.2.3."""
    digest = hashlib.sha256(silero._FILE.read_bytes()).hexdigest()
    assert digest == "9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85"
    assert "MIT License" in silero._FILE.with_name("LICENSE.silero").read_text()


@pytest.mark.parametrize("size", [100, 512, 5_000])
def test_a_recording_in_pieces_is_scored_as_a_whole(size):
    samples, _ = call([0.3], seconds=3.0)
    whole, detector = silero.scores(samples), silero.Detector()
    parts = [detector.push(samples[start : start + size]) for start in range(0, len(samples), size)]
    assert len(whole) == len(samples) // silero.FRAME
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-5)


def test_speech_is_found_where_it_is():
    samples, _ = call([2.0], seconds=6.0)
    flags = is_speech(silero.scores(samples))
    inside = slice(round(2.2 / FRAME_SECONDS), round(3.8 / FRAME_SECONDS))
    assert flags[inside].mean() > 0.9 and not flags[: inside.start - 12].any() and not flags[inside.stop + 20 :].any()
    assert not is_speech(np.array([0.9] * 4 + [0.1] * 9)).any()  # 0.13 s
    assert is_speech(np.array([0.9] + [0.31] * 8 + [0.1])).sum() == 9
    assert not is_speech(np.full(50, 0.45)).any()


def test_words_are_joined_and_utterances_kept_apart():
    """By hand: 1 s of what is around speech is kept, and half of a pause that two windows share."""
    (one,) = cut(3.0, 1.0, 0.3, 1.2, 3.0)
    assert one == pytest.approx((1.9, 6.6), abs=0.1)
    first, second = cut(3.0, 2.5, 1.6, 2.5, 0.2)
    assert first == pytest.approx((1.9, 6.3), abs=0.1) and second == pytest.approx((6.3, 9.8), abs=0.1)
    assert len(cut(0.0, 1.0, 1.2, 1.0)) == 1  # a second alone would be too short
    assert len(cut(0.0, 2.5, 1.2, 2.5)) == 2
    assert cut(3.0) == [] and cut(0.0) == []


def test_long_speech_is_split_where_it_is_quietest():
    speech = frames(0.0, 12.0)
    levels = np.full(len(speech), -20.0)
    quiet = [round(at / FRAME_SECONDS) for at in (3.5, 7.0)]
    levels[quiet] = -50
    found = windows(speech, levels)
    assert [first for first, _ in found][1:3] == quiet and found[0][0] == 0 and found[-1][1] == len(speech)
    assert all(before[1] == after[0] for before, after in pairwise(found))
    assert all(1.9 <= last - first <= 5.0 for first, last in seconds(found))


@pytest.mark.parametrize("most", [0.5, 1.5, 5.0])
def test_windows_cover_all_speech_and_are_never_longer_than_allowed(most, rng):
    for _ in range(20):
        speech = frames(*rng.uniform(0.05, 8.0, 9))
        found = windows(speech, rng.normal(-30, 8, len(speech)), most)
        covered = np.zeros(len(speech), int)
        for first, last in found:
            covered[first:last] += 1
            assert (last - first) * FRAME_SECONDS <= most + 1e-9
        assert covered.max() <= 1 and covered[speech].all()


def test_bandwidth_is_the_highest_frequency_with_sound():
    time = np.arange(RATE_HZ) / RATE_HZ
    for hz in (500, 3_000, 7_000):
        assert bandwidth_hz(np.sin(2 * np.pi * hz * time).astype(np.float32), RATE_HZ) == pytest.approx(hz, abs=140)
    voice = utterance()
    narrow = soxr.resample(soxr.resample(voice, RATE_HZ, 8_000), 8_000, RATE_HZ)
    assert bandwidth_hz(narrow, RATE_HZ) < 4_200 < bandwidth_hz(voice, RATE_HZ)
    assert bandwidth_hz(np.zeros(RATE_HZ, np.float32), RATE_HZ) is None and bandwidth_hz(voice[:9], RATE_HZ) is None


def test_windows_of_one_frame_end():
    """Where the longest window is a single frame, each frame is a window."""
    assert windows(np.ones(3, bool), np.array([-50.0, -10.0, -20.0]), 0.05) == [(0, 1), (1, 2), (2, 3)]
