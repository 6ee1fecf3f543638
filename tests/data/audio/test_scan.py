"""File facts and the leakage audit, against hashlib and hand-made folds."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from zoo.data.audio.read import read
from zoo.data.audio.recording import BadClip
from zoo.data.audio.scan import arrays_sha256, audio_sha256, file_sha256, probe
from zoo.data.protocols.leakage import audit
from zoo.data.schema import Clip, Fold
from zoo.errors import UserError


def test_facts_of_a_stereo_file_at_another_rate(tmp_path, rng):
    path = tmp_path / "a.wav"
    samples = rng.uniform(-0.5, 0.5, (96_000, 2))
    samples[:48, 0] = 1.0  # 48 of 192,000
    soundfile.write(path, samples, 48_000, subtype="FLOAT")
    facts, waveform = probe(path)
    assert (facts.seconds, facts.rate_hz, facts.peak) == (2.0, 48_000, 1.0)
    assert facts.clipped_share == pytest.approx(48 / 192_000)
    np.testing.assert_array_equal(waveform, read(path))


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_same_recording_as_wav_and_flac_agrees(tmp_path, subtype, rng):
    pcm = rng.integers(-(2**30), 2**30, 16_000, np.int32)  # libsndfile rounds floats differently per container
    for name in ("a.wav", "a.flac"):
        soundfile.write(tmp_path / name, pcm, 16_000, subtype=subtype)
    assert probe(tmp_path / "a.wav")[0].audio_sha256 == probe(tmp_path / "a.flac")[0].audio_sha256


def test_audio_hash_is_of_the_16_bit_samples(tmp_path):
    pcm = np.array([-32768, -1, 0, 1, 32767] * 100, np.int16)
    soundfile.write(tmp_path / "a.wav", pcm, 16_000)
    assert probe(tmp_path / "a.wav")[0].audio_sha256 == hashlib.sha256(pcm.astype("<i2").tobytes()).hexdigest()
    beyond = np.array([-3.0, 3.0], np.float32)
    assert audio_sha256(beyond) == audio_sha256(np.array([-1.0, 32767 / 32768], np.float32))
    assert audio_sha256(np.array([0.6, -0.6]) / 32768) == audio_sha256(np.array([1.0, -1.0]) / 32768)
    assert audio_sha256(np.array([0.1])) != audio_sha256(np.array([0.1 + 2**-15]))


def test_file_hash_is_of_the_bytes(tmp_path):
    content = bytes(range(256)) * 8192  # two blocks of reading
    (tmp_path / "a.wav").write_bytes(content)
    assert file_sha256(tmp_path / "a.wav") == hashlib.sha256(content).hexdigest()
    with pytest.raises(BadClip):
        file_sha256(tmp_path / "none.wav")


def fold(*sides):
    """Make a fold of sides such as "A/a1 B/b1": clips a1 of speaker A and b1 of B."""
    pairs = [[pair.split("/") for pair in side.split()] for side in sides]
    return Fold("3", *(tuple(Clip(Path(name), name, speaker, "neutral") for speaker, name in side) for side in pairs))


def hashes(of, **same):
    """One hash per clip, its own name unless given."""
    return {clip.name: same.get(clip.name, clip.name) for side in of.sides for clip in side}


def test_clean_fold_has_no_findings():
    clean = fold("A/a1 A/a2 B/b1", "C/c1", "D/d1")
    assert audit(clean, hashes(clean, a2="a1")) == []  # copies on one side leak nothing


@pytest.mark.parametrize(
    ("leaking", "finding"),
    [
        (
            fold("A/a1 B/b1", "A/a2", "C/c2 A/a3 B/b2"),
            "2 of 3 speakers on two sides: A (train, validation, test), B (train, test).",
        ),
        (fold("A/a1 A/a2", "B/b1", "C/c1"), "1 of 3 recordings on two sides: a2 (train) = c1 (test)."),
    ],
)
def test_shared_speakers_and_copies_are_refused_or_reported(leaking, finding):
    of_audio = hashes(leaking, c1="a2")
    assert audit(leaking, of_audio, allow=True) == [f"Fold 3: {finding}"]
    with pytest.raises(UserError) as caught:
        audit(leaking, of_audio)
    assert str(caught.value).startswith(f"Fold 3: {finding}") and "--allow-leakage" in str(caught.value)


def test_one_clip_on_two_sides_is_both_findings_and_long_lists_are_cut():
    both = fold(*[" ".join(f"S{i}/s{i}" for i in range(8))] * 2, "")
    findings = audit(both, hashes(both), allow=True)
    assert len(findings) == 2
    for finding in findings:
        assert "8 of 8" in finding and finding.endswith("and 3 more.") and "5 (" not in finding


def test_hash_of_arrays_is_of_names_lengths_and_values():
    arrays = {"b": np.array([1.0, 2.0], np.float32), "a": np.array([0.5])}
    by_hand = b"a\0" + b"1\0" + np.float32(0.5).tobytes() + b"b\0" + b"2\0" + np.float32([1, 2]).tobytes()
    assert arrays_sha256(arrays) == hashlib.sha256(by_hand).hexdigest()
    assert arrays_sha256(dict(sorted(arrays.items()))) == arrays_sha256(arrays)
    others = ({**arrays, "b": np.zeros(2)}, {"b": arrays["b"]}, {"b": arrays["a"], "a": arrays["b"]}, {})
    assert arrays_sha256(arrays) not in [arrays_sha256(other) for other in others]
