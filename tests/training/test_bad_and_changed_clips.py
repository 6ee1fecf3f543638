"""Clips that cannot be used are found before anything is fitted; audio that changes during training is noticed."""

import json
import shutil

import keras
import numpy as np
import pytest
import soundfile
from spoil import has

from zoo.config.flags import from_flags
from zoo.data.audio.read import read
from zoo.data.schema import Clip
from zoo.data.synthetic.corpora import synthesize
from zoo.errors import UserError
from zoo.features import from_config
from zoo.features.extractor import Extractor
from zoo.inference.categorical import load_classifier
from zoo.training import fit_linear, same_audio, train
from zoo.training.tasks import classification

RATE_HZ = 16_000
TRAINED, TESTED = "11a01Fa", "03a01Wa"  # clips of these sides of fold 0


def energies(waveform):
    """Return 88 features: the loudness of bands of the spectrum. NaN for a clip that begins with a mark."""
    if waveform[0] == 0.75:
        return np.full((1, 88), np.nan, np.float32)
    spectrum = np.abs(np.fft.rfft(waveform, 2048))[:880]
    return np.log(spectrum.reshape(88, 10).mean(axis=1) + 1e-3)[None].astype(np.float32)


@pytest.fixture(autouse=True)
def stand_in(monkeypatch):
    """Computes features in place of openSMILE, which need not be installed."""
    monkeypatch.setattr(from_config, "extractor", lambda config: Extractor(energies, {"stand": "in"}, RATE_HZ))


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    return synthesize("emodb", tmp_path_factory.mktemp("twin") / "emodb", 70, seconds=(0.3, 0.4))


@pytest.fixture
def emodb(twin, tmp_path):
    return shutil.copytree(twin, tmp_path / "emodb")


def words(emodb, out, *more):
    given = ("--model", "egemaps_svm", "--corpus", "emodb", "--fold", "0", "--data-root", emodb, "--out", out)
    return [*given, "--cache-dir", out.parent / "cache", *more]


def settings(emodb, out, **flags):
    given = {"model": "egemaps_svm", "corpus": "emodb", "fold": "0", "data_root": str(emodb), "out": str(out)}
    return from_flags({**given, "cache_dir": str(out.parent / "cache"), "backend": keras.backend.backend(), **flags})


def silence(path):
    soundfile.write(path, np.zeros(6400), RATE_HZ)


def cancel(path):
    speech = soundfile.read(path)[0]
    soundfile.write(path, np.stack([speech, -speech], axis=1), RATE_HZ)


def mark(path):
    speech = soundfile.read(path)[0]
    speech[0] = 0.75
    soundfile.write(path, speech, RATE_HZ, subtype="FLOAT")


SPOILT = {"silent": silence, "cancelling": cancel, "undefined": mark}


@pytest.mark.parametrize("kind", SPOILT)
def test_training_refuses_a_bad_clip_by_name(script, emodb, tmp_path, kind):
    SPOILT[kind](emodb / "wav" / f"{TRAINED}.wav")
    code, _, errors = script("train.py", *words(emodb, tmp_path / "run"))
    assert code == 2 and has(errors, emodb / "wav" / f"{TRAINED}.wav", ": expected ")
    assert "Traceback" not in errors and not (tmp_path / "run" / "fold-0-03" / "model.keras").exists()


def test_skipped_clips_are_in_the_record_with_their_kinds(script, emodb, tmp_path):
    names = [TRAINED, TESTED, "08a01Wa"]
    for name, spoil in zip(names, SPOILT.values(), strict=True):
        spoil(emodb / "wav" / f"{name}.wav")
    code, *_ = script("train.py", *words(emodb, tmp_path / "run", "--on-bad-clip", "skip"))
    assert code == 0
    record = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert {item["clip"]: item["kind"] for item in record["bad_clips"]} == dict(zip(names, SPOILT, strict=True))
    for item in record["bad_clips"]:
        assert has(item["reason"], emodb / "wav" / f"{item['clip']}.wav", ": expected ", "found")


@pytest.fixture(scope="module")
def finished(twin, tmp_path_factory):
    """A finished run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(from_config, "extractor", lambda config: Extractor(energies, {"stand": "in"}, RATE_HZ))
        return train.train(settings(twin, tmp_path_factory.mktemp("finished") / "run"))


def test_one_clip_without_finite_features_leaves_the_others_their_answers(finished):
    (fold,) = finished.source.folds
    classifier = load_classifier(finished.folder / f"fold-{fold.name}", finished.config)
    waveforms = [read(clip.path) for clip in fold.test[:4]]
    expected = classifier.probabilities(waveforms)
    waveforms[1] = np.concatenate([np.float32([0.75]), waveforms[1][1:]])
    found = classifier.probabilities(waveforms)
    assert np.isnan(found[1]).all() and np.shape(found) == np.shape(expected)
    np.testing.assert_allclose(np.delete(found, 1, 0), np.delete(expected, 1, 0), atol=1e-6)
    assert np.isnan(classifier.probabilities(waveforms[1:2])).all(), "alone too"


def change(path):
    samples, rate_hz = soundfile.read(path)
    soundfile.write(path, 0.9 * samples, rate_hz)


@pytest.mark.parametrize("change", [change, silence, lambda path: path.unlink()], ids=["louder", "silent", "removed"])
def test_a_test_clip_that_changes_during_training_is_not_scored(emodb, tmp_path, monkeypatch, change):
    path, given = emodb / "wav" / f"{TESTED}.wav", settings(emodb, tmp_path / "run")
    content, fit = path.read_bytes(), fit_linear.fit

    def fit_and_change(*arguments):
        history = fit(*arguments)
        change(path)
        return history

    with monkeypatch.context() as patch:
        patch.setattr(fit_linear, "fit", fit_and_change)
        with pytest.raises(UserError, match=f"{path}: expected "):
            train.train(given)
    assert not list((tmp_path / "run").rglob("predictions.csv")) and not list(tmp_path.rglob("run/**/metrics.json"))
    path.write_bytes(content)
    assert train.train(given, resume=True).folder == tmp_path / "run"


def test_a_test_clip_that_changes_while_it_is_tested_is_not_scored(emodb, tmp_path, monkeypatch):
    path, given, test_rows = (
        emodb / "wav" / f"{TESTED}.wav",
        settings(emodb, tmp_path / "run"),
        classification.test_rows,
    )

    def change_and_test(*arguments):
        change(path)
        return test_rows(*arguments)

    monkeypatch.setattr(classification, "test_rows", change_and_test)
    with pytest.raises(UserError, match=rf"{path}: expected the audio .*--resume, or train anew with another --out"):
        train.train(given)
    assert not list((tmp_path / "run").rglob("metrics.json"))


def test_the_same_audio_in_another_container_or_with_other_tags_is_the_same(emodb, tmp_path, monkeypatch):
    path, fit = emodb / "wav" / f"{TESTED}.wav", fit_linear.fit

    def fit_and_write_again(*arguments):
        history = fit(*arguments)
        samples, rate_hz = soundfile.read(path, dtype="int16")
        with soundfile.SoundFile(path, "w", rate_hz, 1, "PCM_16") as file:
            file.title = "another title"
            file.write(samples)
        return history

    monkeypatch.setattr(fit_linear, "fit", fit_and_write_again)
    before = path.read_bytes()
    train.train(settings(emodb, tmp_path / "run"))
    assert path.read_bytes() != before


def test_noise_that_changes_during_training_is_noticed(emodb, tmp_path, monkeypatch):
    noise, fit, rng = tmp_path / "noise", fit_linear.fit, np.random.default_rng(0)
    noise.mkdir()
    for name in "abc":
        soundfile.write(noise / f"{name}.wav", rng.uniform(-0.1, 0.1, 2 * RATE_HZ), RATE_HZ)

    def fit_and_change(*arguments):
        history = fit(*arguments)
        change(noise / "a.wav")
        return history

    monkeypatch.setattr(fit_linear, "fit", fit_and_change)
    given = settings(emodb, tmp_path / "run", augment_waveforms="noise", noise=str(noise), copies=1)
    with pytest.raises(UserError, match="the recordings of noise are not those this run was started on"):
        train.train(given)
    assert not list((tmp_path / "run").rglob("metrics.json"))


def test_the_error_of_changed_audio_says_what_to_do(tmp_path):
    clip = Clip(tmp_path / "a.wav", "a", "speaker", "label")
    features = {"a": type("Features", (), {"audio_sha256": "1" * 64})()}
    same_audio.check(clip, features, "1" * 64)
    with pytest.raises(UserError) as error:
        same_audio.check(clip, features, "2" * 64)
    assert has(str(error.value), clip.path, "111111111111...", "222222222222...", "--resume", "--out")
