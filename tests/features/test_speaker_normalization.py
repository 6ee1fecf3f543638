"""Z-scores per speaker, by NumPy from the definition; runs that need them cannot predict single recordings."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from zoo.config.flags import from_flags
from zoo.data.batches.feature_store import InMemory
from zoo.data.schema import Clip
from zoo.errors import UserError
from zoo.features import speaker_normalization
from zoo.features.speaker_normalization import Standardized, measure
from zoo.runs.open_run import check_predicts


def clip(name, speaker):
    return Clip(name=name, path=Path(name), speaker=speaker, label="sad")


@pytest.fixture
def two_speakers(rng):
    """Three clips of one speaker, the third feature of whom never varies, and one clip of another."""
    clips = [clip("a1", "ann"), clip("a2", "ann"), clip("b1", "bob"), clip("a3", "ann")]
    values = {item.name: rng.normal(5, 2, size=(1, 3)).astype(np.float32) for item in clips}
    for name in ("a1", "a2", "a3"):
        values[name][0, 2] = 7.3
    return clips, {name: InMemory(value) for name, value in values.items()}


def test_a_speaker_has_mean_zero_and_deviation_one_and_a_single_clip_is_zero(two_speakers):
    clips, features = two_speakers
    found = measure(clips, features)
    alone = measure([item for item in clips if item.speaker == "ann"], features)
    np.testing.assert_array_equal(alone.means["ann"], found.means["ann"])
    seen = np.concatenate([Standardized(features[f"a{n}"], found, "ann").read() for n in (1, 2, 3)])
    values = np.concatenate([features[f"a{n}"].values for n in (1, 2, 3)]).astype(np.float64)
    expected = (values[:, :2] - values[:, :2].mean(axis=0)) / values[:, :2].std(axis=0)
    np.testing.assert_allclose(seen[:, :2], expected, rtol=1e-5)
    np.testing.assert_allclose(seen[:, 2], 0, atol=1e-5)
    assert seen.dtype == np.float32
    np.testing.assert_array_equal(Standardized(features["b1"], found, "bob").read(), np.zeros((1, 3)))


def test_the_rounding_of_a_constant_is_no_deviation(two_speakers):
    clips, features = two_speakers
    features["a2"].values[0, 2] = np.nextafter(np.float32(7.3), np.float32(8))
    seen = measure(clips, features).standardized(np.array([[5.0, 5.0, 7.4]], np.float32), "ann")
    assert seen[0, 2] == pytest.approx(0.1, abs=1e-4)


def test_a_resumed_run_keeps_the_statistics_its_folds_were_fitted_against(two_speakers, tmp_path):
    clips, features = two_speakers
    found = measure(clips, features)
    speaker_normalization.keep(tmp_path, found)
    again = speaker_normalization.load(tmp_path)
    assert set(again.means) == {"ann", "bob"}
    for name in again.means:
        np.testing.assert_array_equal(again.means[name], found.means[name])
        np.testing.assert_array_equal(again.deviations[name], found.deviations[name])
    speaker_normalization.keep(tmp_path, found)
    features["a2"].values[0, 0] += 1
    with pytest.raises(UserError, match="no longer those it was started on"):
        speaker_normalization.keep(tmp_path, measure(clips, features))
    with pytest.raises(UserError, match="no longer those"):
        speaker_normalization.keep(tmp_path, measure(clips[:2], features))


def test_an_unknown_speaker_is_refused(two_speakers):
    with pytest.raises(UserError, match=r"speaker 'cleo' has no clips among .*\(ann, bob\)"):
        measure(*two_speakers).standardized(np.zeros((1, 3)), "cleo")


def test_rows_that_are_not_the_names_are_refused(tmp_path):
    values = {"means": np.zeros((2, 3)), "deviations": np.ones((1, 3))}
    np.savez(tmp_path / speaker_normalization.FILE, names=np.array(["ann"]), **values)
    with pytest.raises(UserError, match=r"Delete the file and write it anew.*train\.py --resume"):
        speaker_normalization.load(tmp_path)


@pytest.mark.parametrize("content", [None, b"", b"PK broken", "cut"])
def test_damaged_statistics_are_refused(two_speakers, tmp_path, content):
    if content is not None:
        speaker_normalization.keep(tmp_path, measure(*two_speakers))
        path = tmp_path / speaker_normalization.FILE
        path.write_bytes(path.read_bytes()[:100] if content == "cut" else content)
    with pytest.raises(UserError, match=r"speakers\.npz: expected the run's statistics of speakers"):
        speaker_normalization.load(tmp_path)


def test_runs_with_standardised_speakers_cannot_predict():
    settings = from_flags({"model": "compare_svm", "corpus": "emodb"})
    check_predicts(settings, Path("run"))
    with pytest.raises(UserError, match=r"^run standardises features by each speaker's own clips.*evaluate\.py"):
        check_predicts(replace(settings, standardize_speakers=True), Path("run"))
