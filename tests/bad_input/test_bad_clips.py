"""Recordings that cannot be used, on their way into training."""

import os

import numpy as np
import pytest
from spoil import KINDS, SMALL, has, truncate

from zoo.data.audio.recording import BadClip
from zoo.data.batches.feature_store import extract
from zoo.data.corpora import registry as corpora


@pytest.fixture
def clips(emodb):
    return corpora.load("emodb", emodb).clips[: len(KINDS) + 2]


@pytest.fixture
def extracted(tmp_path):
    """Extracts clips by a stand-in front-end: the loudness of every 10 ms."""

    def frontend(waveform):
        return np.abs(np.resize(waveform, (len(waveform) // 160, 160))).mean(axis=1, keepdims=True)

    return lambda clips, **options: extract(clips, frontend, {}, tmp_path / "cache", **options)


def test_unusable_files_are_named_with_the_remedy_or_skipped_and_listed(clips, extracted):
    for (spoil, expected, found, remedy), clip in zip(KINDS.values(), clips[1:], strict=False):
        spoil(clip.path)
        with pytest.raises(BadClip) as error:
            extracted([clips[0], clip])
        message = str(error.value)
        assert message.startswith(f"{clip.path}: expected {expected}, found ") and has(message, found, remedy)
    features, bad = extracted(clips, on_bad_clip="skip")
    assert [item["clip"] for item in bad] == [clip.name for clip in clips[1:-1]]
    assert all(has(item["reason"], *parts) for item, (_, *parts) in zip(bad, KINDS.values(), strict=True))
    assert list(features) == [clips[0].name, clips[-1].name]


def test_the_longest_duration_can_be_raised(clips, extracted):
    KINDS["10 minutes"][0](clips[0].path)
    features, _ = extracted(clips[:1], max_seconds=601)
    assert features[clips[0].name].n_frames == 60_000


def test_a_file_without_permission_is_refused(clips, extracted, monkeypatch):
    opened = os.open

    def locked(path, *arguments, **options):
        if path == str(clips[1].path):
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "open", locked)
    with pytest.raises(BadClip, match=f"{clips[1].path}: expected a readable file, found Permission denied"):
        extracted(clips)


def test_train_stops_before_training(refused, emodb, tmp_path):
    truncate(emodb / "wav" / "11a01Fa.wav")
    message = refused("train.py", *SMALL, "--data-root", emodb, "--out", tmp_path / "run")
    assert has(message, emodb / "wav" / "11a01Fa.wav", "5000 bytes where its header declares", "Copy")
    assert not (tmp_path / "run").exists()


def test_skipping_all_files_of_a_class_is_refused(refused, emodb):
    for path in emodb.glob("wav/*W?.wav"):
        path.write_bytes(b"")
    message = refused("train.py", *SMALL, "--data-root", emodb, "--on-bad-clip", "skip")
    assert has(message, "fold 0-03: too many clips cannot be used", "no training clip of anger", "train 48,")
    assert has(message, "Repair the files", "check_corpus.py")
