"""Features that other processes make of files: the cache keeps them as those of waveforms, by the same rules."""

import shutil

import numpy as np
import pytest
import soundfile

from zoo.data.audio.recording import BadClip
from zoo.data.audio.scan import probe
from zoo.data.batches.feature_store import extract, features_of_clip
from zoo.data.schema import Clip
from zoo.errors import UserError


@pytest.fixture
def clips(tmp_path, rng):
    for name in "ab":
        soundfile.write(tmp_path / f"{name}.wav", 0.1 * rng.normal(size=8000), 16_000)
    return [Clip(tmp_path / f"{name}.wav", name, "speaker", "label") for name in "ab"]


def means(waveform):
    return waveform.reshape(-1, 100).mean(axis=1, keepdims=True)


class OfFile:
    """Makes `means` of files, and keeps what it was called with."""

    def __init__(self, spoil=lambda path, values: values):
        self.called, self.spoil = [], spoil

    def __call__(self, path, segment, max_seconds):
        self.called.append((path.name, segment, max_seconds))
        facts, waveform = probe(path, 16_000, 0.025, max_seconds, segment)
        return facts, self.spoil(path, means(waveform))


@pytest.mark.parametrize("threads", [1, 3])
def test_features_of_files_are_those_of_waveforms(clips, tmp_path, threads):
    of_file = OfFile()
    shutil.copy(clips[0].path, tmp_path / "same.wav")
    clips += [Clip(tmp_path / "same.wav", "same", "speaker", "label")]
    found, bad = extract(clips, means, {}, tmp_path / "cache", max_seconds=9.0, threads=threads, of_file=of_file)
    expected, _ = extract(clips, means, {}, tmp_path / "other")
    assert bad == [] and len(of_file.called) == 2, "clips of the same bytes are read once"
    assert {call[1:] for call in of_file.called} == {((0.0, None), 9.0)}
    for name, features in expected.items():
        np.testing.assert_array_equal(found[name].read(), features.read())
        assert (found[name].seconds, found[name].audio_sha256) == (features.seconds, features.audio_sha256)
    extract(clips, means, {}, tmp_path / "cache", max_seconds=9.0, of_file=of_file)
    assert len(of_file.called) == 2, "what is in the cache is not made again"


def test_altered_clips_are_not_made_of_files(clips, tmp_path):
    of_file = OfFile()
    found, _ = extract(clips, means, {}, tmp_path, alter=lambda waveform, name: 0.5 * waveform, of_file=of_file)
    assert not of_file.called
    np.testing.assert_allclose(found["a"].read(), 0.5 * means(soundfile.read(clips[0].path, dtype="float32")[0]))


def test_a_file_that_changes_while_it_is_read_is_not_kept(clips, tmp_path):
    def write_again(path, values):
        soundfile.write(path, np.full(8000, 0.25), 16_000)
        return values

    with pytest.raises(UserError, match="the file has changed while it was read"):
        extract(clips, means, {}, tmp_path / "cache", of_file=OfFile(write_again))
    assert not list((tmp_path / "cache").rglob("*.npy"))


def test_features_that_are_not_finite_are_refused(clips, tmp_path):
    of_file = OfFile(lambda path, values: np.where(path.name == "b.wav", np.nan, values))
    _, bad = extract(clips, means, {}, tmp_path / "cache", of_file=of_file, on_bad_clip="skip")
    assert [(item["clip"], item["kind"]) for item in bad] == [("b", "undefined")]
    with pytest.raises(BadClip, match="80 of 80 features that are NaN"):
        features_of_clip(clips[1], means, of_file=of_file)
    np.testing.assert_array_equal(features_of_clip(clips[0], means, of_file=of_file), features_of_clip(clips[0], means))


def test_a_front_end_whose_code_is_unchanged_is_not_started_for_its_fingerprint(clips, tmp_path):
    """openSMILE takes a second to start, where all features are in the cache."""
    code, calls = tmp_path / "code.py", []
    code.write_text("one = 1")

    def frontend(waveform):
        calls.append(len(waveform))
        return means(waveform)

    def folder(settings=(), sources=(code,), frontend=frontend):
        calls.clear()
        made, _ = extract(clips[:1], frontend, dict(settings), tmp_path / "cache", sources=sources)
        return made["a"].path.parent

    first = folder()
    assert folder() == first and not calls
    another = lambda waveform: frontend(waveform)  # noqa: E731 (a new process knows no fingerprint)
    assert folder(frontend=another) == first and not calls
    code.write_text("one = 2")
    assert folder(frontend=lambda waveform: frontend(waveform)) == first and 16_000 in calls
    assert folder(frontend=lambda waveform: 2 * frontend(waveform)) == first, "by its code, which is the same"
    code.write_text("one = 3")
    assert folder(frontend=lambda waveform: 2 * frontend(waveform)) != first
    assert folder({"bands": 2}, frontend=lambda waveform: frontend(waveform)) != first and 16_000 in calls
    for place in (tmp_path / "cache" / "fingerprints").iterdir():
        place.write_text("damaged")
    assert folder(frontend=lambda waveform: frontend(waveform)) == first and 16_000 in calls
