"""The rules for recordings, on every way into the zoo: any mix, scale and offset, any lie of a header."""

import io
from functools import partial

import numpy as np
import pytest
import recordings as r
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.data.audio.blocks import blocks, moments, windows
from zoo.data.audio.read import read, read_bytes
from zoo.data.audio.recording import BadClip
from zoo.data.audio.scan import probe
from zoo.inference.clips import MOST_CHANNELS, waveform_of

quick = settings(max_examples=60, deadline=None, derandomize=True, database=None)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """One file, written anew for each example."""
    return tmp_path_factory.mktemp("recordings") / "clip"


def ways(path, content, max_seconds=1.0):
    """Every way to read a file, by name: each returns a waveform (samples,) at 16 kHz or raises BadClip."""
    path.write_bytes(content)
    limits = {"min_seconds": 0.025, "max_seconds": max_seconds}
    return {
        "file": lambda: read(path, **limits),
        "bytes": lambda: read_bytes(content, "clip", **limits),
        "training": lambda: probe(path, **limits)[1],
        "blocks": lambda: np.concatenate(list(blocks(path, max_seconds=max_seconds))),
    }


@quick
@given(recording=r.recordings())
def test_any_mix_scale_and_offset_has_one_verdict_on_every_way(path, recording):
    content = r.encoded("WAV", recording.samples, recording.rate_hz, "FLOAT")
    found = {name: r.verdict(way) for name, way in ways(path, content).items()}
    assert found["file"] in r.expected(recording)
    if found["file"] == "too-short":  # only whole recordings are rated in blocks
        del found["blocks"]
    assert set(found.values()) == {found["file"]}
    n_samples, channels = recording.samples.shape
    if channels <= MOST_CHANNELS < n_samples:
        for array in (recording.samples, recording.samples.astype(np.float64).T):
            assert (
                r.verdict(partial(waveform_of, array, "#0", recording.rate_hz, r.RATE_HZ, 0.025, 1.0)) == found["file"]
            )


@quick
@given(st.sampled_from(r.CONTAINERS + r.COMPRESSED), st.integers(0, 2**32 - 1), st.booleans())
def test_any_lie_of_a_header_has_one_verdict_and_an_answer_is_of_all_samples(path, container, seed, stereo):
    rng = np.random.default_rng(seed)
    samples = rng.uniform(-0.5, 0.5, (4_000, 1 + stereo))
    whole = r.encoded(container, samples)
    content, complete = r.damaged(container, whole, rng)
    of_way, answers = ways(path, content, 10.0), {}
    for name, way in of_way.items():
        try:
            answers[name] = way()
        except BadClip as error:
            answers[name] = error.kind
    kinds = {answer for answer in answers.values() if isinstance(answer, str)}
    assert len(kinds) < 2 and (not kinds or kinds == set(answers.values()) or kinds <= {"too-short"})
    if not kinds:
        if complete:
            assert r.held(content) == r.held(whole)
        for answer in answers.values():
            assert np.isfinite(answer).all()
            np.testing.assert_allclose(answer, answers["file"], atol=1e-4)


def test_long_recordings_are_silent_or_cancel_as_a_whole(path, rng):
    """A minute of silence in a recording with speech is none; a whole one is, however it is read."""
    noise = np.concatenate([np.zeros(31 * 8_000), rng.uniform(-0.1, 0.1, 31 * 8_000)])
    cases = {"": noise[:, None], "silent": 1e-3 * noise[:, None], "cancelling": noise[:, None] * [1, -1]}
    for kind, samples in cases.items():
        soundfile.write(path, samples, 8_000, "FLOAT", format="WAV")
        assert r.verdict(lambda: moments(path)) == r.verdict(lambda: read(path, max_seconds=70)) == kind
        assert r.verdict(lambda: [len(window) for window, _, _ in windows(path, 160_000, 8_000)]) == kind


def test_an_offset_is_no_sound(path):
    for offset in (1e-3, -0.7, 90.0):
        soundfile.write(path, np.full(8_000, offset), 16_000, "FLOAT", format="WAV")
        assert r.verdict(lambda: read(path)) == "silent"
        assert r.verdict(partial(waveform_of, np.full(8_000, offset), "#0", 16_000, 16_000, 0.025, 1.0)) == "silent"


@pytest.mark.parametrize(("half_range", "kind"), [(5.1e-4, ""), (4.9e-4, "silent"), (0.0, "silent")])
def test_the_quietest_sound_is_five_ten_thousandths_of_half_the_range(half_range, kind, path):
    samples = np.tile([half_range, -half_range], 4_000) + 0.2
    soundfile.write(path, samples, 16_000, "FLOAT", format="WAV")
    assert r.verdict(lambda: read(path)) == r.verdict(lambda: list(blocks(path))) == kind
    assert r.verdict(lambda: waveform_of(samples, "#0", 16_000, 16_000, 0.025, 1.0)) == kind


@pytest.mark.parametrize(("share", "kind"), [(0.97, ""), (0.985, "cancelling"), (1.0, "cancelling")])
def test_channels_cancel_where_their_mixture_has_less_than_a_hundredth_of_them(share, kind, path, rng):
    noise = rng.uniform(-0.5, 0.5, 8_000)
    content = r.encoded("WAV", np.stack([noise, -share * noise], axis=1), subtype="FLOAT")
    assert {r.verdict(way) for way in ways(path, content).values()} == {kind}


@pytest.mark.parametrize(("peak", "kind"), [(99.0, ""), (101.0, "too-loud"), (9_000.0, "too-loud")])
def test_a_peak_beyond_a_hundred_is_at_the_scale_of_integers(peak, kind, path, rng):
    content = r.encoded("WAV", peak * np.sin(np.arange(8_000)), subtype="FLOAT")
    found = {r.verdict(way) for way in ways(path, content).values()}
    assert found == {kind} or (not kind and found == {""})
    if kind:
        with pytest.raises(BadClip, match="Divide integers by their full scale: 32768 for 16 bits"):
            read_bytes(content, "a")


def test_helper_knows_what_libsndfile_reads():
    assert r.held(r.encoded("WAV", np.ones((100, 2)))) == 400
    assert soundfile.info(io.BytesIO(r.encoded("RIFX", np.ones(100)))).endian == "BIG"
