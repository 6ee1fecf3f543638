"""From clips and noise to a trained, tested and usable enhancement of cepstral coefficients."""

import csv
import dataclasses
import io
import json
from unittest.mock import Mock

import audmetric
import keras
import numpy as np
import pytest
import soundfile
from predictions import predict
from rich.console import Console

from zoo import registry
from zoo.config.flags import from_flags
from zoo.data.audio.read import read
from zoo.data.augmentation import named_conditions
from zoo.data.batches.feature_store import extract
from zoo.data.corpora.registry import load
from zoo.data.protocols import lookup as protocols
from zoo.data.synthetic.corpora import synthesize
from zoo.errors import UserError
from zoo.features import enhancer, from_config, noisy_copies
from zoo.frontends.mfcc import mfcc_frames
from zoo.metrics import enhancement as enhancement_figures
from zoo.runs.model_file import load_model
from zoo.training.evaluate import changed_figures, evaluate_run
from zoo.training.tasks import enhancement
from zoo.training.train import train

RATE_HZ = 16_000
SNR = (0.0, 12.0)


def settings(root, noise, out, **changes):
    given = {"model": "denoising_autoencoder", "corpus": "emodb", "recipe": "quick", "epochs": 2, "fold": "0"}
    given |= {"snr": SNR, "option": {"recurrent_units": 6}, "batch_size": 8, "noise": str(noise)}
    given |= {"data_root": str(root), "cache_dir": f"{out}-cache", "out": str(out), "allow_incomplete": True}
    return from_flags({**given, "backend": keras.backend.backend(), **changes})


def rows_of(folder):
    with (folder / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def record_of(folder):
    return json.loads((folder / "metrics.json").read_text())


def row(clip, speaker, snr_db, clean, noisy, denoised, as_it_is=False):
    about = {"clip": clip, "speaker": speaker, "snr_db": snr_db, "taken_for_clean": str(int(as_it_is))}
    return {**about, **enhancement_figures.columns(clean, noisy, denoised)}


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """Six noises, each a tone of its own, to distinguish which was added."""
    folder = tmp_path_factory.mktemp("noise")
    time = np.arange(RATE_HZ) / RATE_HZ
    for number in range(6):
        soundfile.write(folder / f"n{number}.wav", 0.3 * np.sin(2 * np.pi * 500 * (number + 1) * time), RATE_HZ)
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return synthesize("emodb", tmp_path_factory.mktemp("twin") / "EmoDB", 70, seconds=(0.3, 0.6))


@pytest.fixture(scope="module")
def trained(corpus, noise, tmp_path_factory):
    return train(settings(corpus, noise, tmp_path_factory.mktemp("trained") / "run"))


@pytest.fixture(scope="module")
def fold(trained):
    (folder,) = trained.folder.glob("fold-*")
    return folder


def test_folder_holds_everything_and_the_history_both_errors(trained, fold):
    results = {"metrics.json", "predictions.csv", "enhancement.png"}
    assert {path.name for path in fold.iterdir()} == {
        *results,
        *("model.keras", "history.csv", "curves.png", "training_clips.json"),
    }
    assert results < {path.name for path in trained.folder.iterdir()}
    with (fold / "history.csv").open(newline="") as file:
        history = [{name: float(value) for name, value in line.items()} for line in csv.DictReader(file)]
    assert len(history) == 2
    best = min(history, key=lambda line: line["validation_mse"])
    assert record_of(fold)["validation_r2"] == best["validation_r2"] == max(line["validation_r2"] for line in history)
    assert record_of(fold)["best_epoch"] == best["epoch"]


def test_a_row_for_every_clip_at_every_ratio_and_without_noise(trained, fold):
    (division,) = trained.source.folds
    found = sorted((line["clip"], line["snr_db"]) for line in rows_of(fold))
    assert found == sorted((clip.name, snr) for clip in division.test for snr in ("", "0", "12"))
    assert record_of(fold)["n_clips"] == len(division.test)


def test_figures_are_the_saved_models_on_all_frames_together(trained, fold):
    """By the whole model, waveform in, against NumPy's correlation of the concatenated frames."""
    model, (division,) = load_model(fold / "model.keras"), trained.source.folds
    noises = noisy_copies.open_for(trained.config, RATE_HZ)
    mix, _ = noisy_copies.mixer(noises, 0.0, "test")
    frontend = from_config.extractor(trained.config).features
    waveforms = [read(clip.path, RATE_HZ) for clip in division.test]
    mixed = [mix(waveform, clip.name) for waveform, clip in zip(waveforms, division.test, strict=True)]
    clean, noisy = (np.concatenate([frontend(waveform) for waveform in several]) for several in (waveforms, mixed))
    found = [values[: 1 + len(waveform) // 160] for values, waveform in zip(predict(model, mixed), mixed, strict=True)]
    figures = record_of(fold)["by_snr"]["0"]
    for system, frames in (("noisy", noisy), ("enhanced", np.concatenate(found))):
        for k in range(13):
            figure = figures[system]["coefficients"][str(k)]
            assert figure["pearson"] == pytest.approx(np.corrcoef(clean[:, k], frames[:, k])[0, 1], abs=1e-3)
            assert figure["ccc"] == pytest.approx(audmetric.concordance_cc(clean[:, k], frames[:, k]), abs=1e-3)
            error = np.mean((clean[:, k] - frames[:, k]) ** 2) / clean[:, k].var()
            assert figure["mse"] == pytest.approx(error, rel=2e-3)


def test_with_both_kinds_of_speech_clean_clips_are_their_own_targets(trained, monkeypatch):
    """D4.2, 3.4.3: mixed enhancement is trained on every noisy condition together with clean speech."""
    (division,) = trained.source.folds
    clips = division.validation[:2]
    noisy = {snr: {clip.name: Mock(audio_sha256="0") for clip in clips} for snr in ("0", "12")}
    monkeypatch.setattr(noisy_copies, "extract_noisy", lambda *_: noisy)
    features = {clip.name: Mock(audio_sha256="0") for clip in clips}
    found = {
        speech: enhancement.examples(dataclasses.replace(trained.config, speech=speech), None, features, clips, False)
        for speech in ("noisy", "both")
    }
    assert [(pair.name, pair.condition) for pair in found["noisy"]] == [(c.name, snr) for snr in noisy for c in clips]
    assert found["both"][:4] == found["noisy"]
    assert [(p.name, p.condition, p.noisy, p.clean) for p in found["both"][4:]] == [
        (clip.name, "", features[clip.name], features[clip.name]) for clip in clips
    ]


def test_evaluated_again_it_has_the_same_figures(trained):
    summary, changed = evaluate_run(trained.folder)
    assert changed == []
    assert summary["mse"]["enhanced"] == pytest.approx(record_of(trained.folder)["mse"]["enhanced"], abs=1e-5)
    # A record of an earlier version has no CCC; what it has must come out again.
    old = json.loads(json.dumps(record_of(trained.folder)))
    del old["pooled"]["enhanced"]["ccc"], old["clean"]["noisy"]["coefficients"]["0"]["ccc"]
    assert changed_figures(enhancement, old, summary) == []
    old["pooled"]["gone"], old["by_snr"]["0"]["noisy"]["mse"]["value"] = 1.0, 9.0
    assert [line.split(":")[0] for line in changed_figures(enhancement, old, summary)] == [
        "pooled.gone",
        "by_snr.0.noisy.mse.value",
    ]


def test_clean_clips_pass_unchanged_and_the_share_is_recorded(trained, fold):
    model, (division,) = load_model(fold / "model.keras"), trained.source.folds
    waveforms = [read(clip.path, RATE_HZ) for clip in division.test]
    kept = {line["clip"]: line["taken_for_clean"] == "1" for line in rows_of(fold) if line["snr_db"] == ""}
    frontend = from_config.extractor(trained.config).features
    for clip, waveform, output in zip(division.test, waveforms, predict(model, waveforms), strict=True):
        frames = frontend(waveform)
        assert (np.abs(output[: len(frames)] - frames).max() < 1e-2) == kept[clip.name]
    assert sum(kept.values()) > len(kept) / 2
    detector = record_of(fold)["detector"]
    assert detector["clean_taken_for_noisy"] == pytest.approx(1 - np.mean(list(kept.values())))
    assert set(detector["by_snr"]) == {"0", "12"}


def test_the_body_maps_frames_to_frames_of_the_same_units(trained, fold, rng):
    body = enhancer.load(fold)
    assert not body.trainable_weights
    features = rng.normal(size=(2, 30, 13)).astype("float32") * 20
    batch = {"features": features, "n_frames": np.array([30, 12], "int32")}
    found = keras.ops.convert_to_numpy(body(batch))
    batch["features"] = np.concatenate([features, np.full((2, 9, 13), 1e4, "float32")], axis=1)
    again = keras.ops.convert_to_numpy(body(batch))
    np.testing.assert_allclose(again[0, :30], found[0], atol=1e-3)
    np.testing.assert_allclose(again[1, :12], found[1, :12], atol=1e-3)


def test_another_model_is_no_enhancer(tmp_path):
    network = registry.build("denoising_autoencoder", 13, 13, recurrent_units=2)
    enhancement.with_frontend(mfcc_frames(25, 10), network).save(tmp_path / "model.keras")
    with pytest.raises(UserError, match="expected a trained denoising_autoencoder"):
        enhancer.load(tmp_path)


def test_examples_are_of_their_sides_noise_and_every_ratio(corpus, noise, tmp_path):
    """Frame by frame, what the cache holds is the front-end on speech in noise of that side."""
    config = settings(corpus, noise, tmp_path / "run", max_clip_seconds=60.0)
    clips, own = load("emodb", corpus).clips[:2], from_config.extractor(config)
    clean, _ = extract(clips, own.features, own.settings, tmp_path / "cache")
    noises = noisy_copies.open_for(config, RATE_HZ)
    protocol = protocols.get(None, "emodb")
    for training, side in ((True, "train"), (False, "validation")):
        pairs = enhancement.examples(config, protocol, clean, clips, training)
        assert [(pair.name, pair.condition) for pair in pairs] == [
            (clip.name, f"{snr:g}") for snr in SNR for clip in clips
        ]
        mix, _ = noisy_copies.mixer(noises, SNR[1], side)
        expected = own.features(mix(read(clips[1].path, RATE_HZ), clips[1].name))
        np.testing.assert_array_equal(pairs[-1].noisy.read(), expected)
        np.testing.assert_array_equal(pairs[-1].clean.read(), own.features(read(clips[1].path, RATE_HZ)))


def test_targets_are_standardised_and_the_validation_score_is_the_share_of_variance_explained(trained):
    """A network that gives the training mean scores 0, one that gives the clean frames themselves 1."""
    (division,) = trained.source.folds
    arguments = (trained.config, trained.source.protocol, trained.features)

    class Task:
        name, train = "0", enhancement.examples(*arguments, division.train, True)
        validation = enhancement.examples(*arguments, division.validation, False)

    features, n_frames = keras.Input((None, 13), name="features"), keras.Input((), dtype="int32", name="n_frames")
    mean, variance = enhancement.clean_moments(Task)
    targets = [(np.asarray(y), np.asarray(w)) for _, y, w in enhancement.fitting(Task, trained.config).batches(1)]
    real = np.concatenate([y[w > 0] for y, w in targets])
    np.testing.assert_allclose((real.mean(axis=0), real.std(axis=0)), (13 * [0], 13 * [1]), atol=1e-3)
    constant = keras.Model({"features": features, "n_frames": n_frames}, features * 0.0)
    scores = enhancement.validator(constant, Task, trained.config)()
    assert scores["validation_r2"] == pytest.approx(0, abs=1e-6)
    standard = keras.Model({"features": features, "n_frames": n_frames}, (features - mean) / np.sqrt(variance))
    scores = enhancement.validator(standard, Task, trained.config)()
    assert scores["validation_mse"] == pytest.approx(scores["validation_mse_noisy"], rel=1e-5)
    frames = [pair.clean.read() for pair in Task.validation]
    noisy = [pair.noisy.read() for pair in Task.validation]
    error = np.concatenate([(a - b) / np.sqrt(variance) for a, b in zip(frames, noisy, strict=True)])
    assert scores["validation_mse_noisy"] == pytest.approx(np.mean(error**2), rel=1e-5)
    Task.validation = [enhancement.Pair(p.name, p.condition, p.clean, p.clean) for p in Task.validation]
    assert enhancement.validator(standard, Task, trained.config)()["validation_r2"] == pytest.approx(1, abs=1e-6)


def test_ratios_are_in_order_and_intervals_over_speakers(rng):
    rows = []
    for number in range(12):
        clean = rng.normal(size=(30, 2)) + number
        rows.append(row(str(number), f"s{number % 4}", "", clean, clean, clean, True))
        for snr, deviation in (("12", 0.3), ("0", 1.0), ("-5", 2.0)):
            noisy = clean + rng.normal(0, deviation, clean.shape)
            rows.append(row(str(number), f"s{number % 4}", snr, clean, noisy, clean))
    by_snr = enhancement_figures.evaluate(rows)["by_snr"]
    assert list(by_snr) == ["-5", "0", "12"]
    errors = [item["noisy"]["mse"] for item in by_snr.values()]
    assert errors[0]["low"] > errors[1]["value"] > errors[2]["high"]
    assert all(error["low"] < error["value"] < error["high"] for error in errors)


def test_figures_by_hand():
    clean = np.array([[0.0, 1.0], [2.0, 1.0]])  # the second coefficient is constant: neither figure exists
    noisy, denoised = clean + np.array([1.0, 0.0]), clean * [0.5, 1.0]
    rows = [row("a", "s", "", clean, clean, denoised, True), row("a", "s", "3", clean, noisy, denoised)]
    figures = enhancement_figures.evaluate(rows)
    three = figures["by_snr"]["3"]
    # Variances 1 and 1, covariance 1, means 1 apart: CCC 2 / 3, where the correlation is 1.
    agreement = {"ccc": pytest.approx(2 / 3), "pearson": pytest.approx(1.0)}
    assert three["noisy"]["coefficients"]["0"] == {"mse": 1.0, **agreement}
    assert three["enhanced"]["coefficients"]["0"]["mse"] == pytest.approx(0.5)  # errors 0 and 1, variance 1
    assert three["enhanced"]["coefficients"]["1"] == {"mse": None, "ccc": None, "pearson": None}
    assert three["enhanced"]["mse"] == {"value": None, "low": None, "high": None}
    assert figures["clean"]["enhanced"]["coefficients"]["0"]["mse"] == 0
    assert figures["clean"]["without_detector"]["coefficients"]["0"]["mse"] == pytest.approx(0.5)
    expected = {"clean_taken_for_noisy": 0.0, "noisy_taken_for_clean": 0.0, "by_snr": {"3": 0.0}}
    assert figures["detector"] == expected
    assert (figures["n_clips"], figures["n_frames"], figures["mse"]) == (1, 2, {"noisy": None, "enhanced": None})


def test_the_table_says_what_was_synthetic_and_how_much_was_left(trained):
    console = Console(file=io.StringIO(), width=200)
    enhancement.report.print_metrics(record_of(trained.folder), "title", console)
    text = console.file.getvalue()
    assert "SYNTHETIC DATA · title" in text and "0 dB" in text and "clean" in text
    assert f"{record_of(trained.folder)['by_snr']['0']['enhanced']['mse']['value']:.3f}" in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise": ""}, "expected --noise DIR"),
        ({"noise": "/nowhere/at/all"}, "--noise /nowhere/at/all: .* expected a folder"),
        ({"option": {"recurrent_layers": 0}}, "recurrent_layers is 0"),
        ({"conditions": ("clean",)}, "found clean alone. Give --detector none"),
        ({"conditions": ("6dB", "telephon")}, "unknown response in --conditions 'telephon'. Did you mean 'telephone'"),
        ({"conditions": ("6dB", "6.0dB")}, "names 6.0dB twice"),
        ({"conditions": ("telephone",), "responses": "/nowhere"}, "--responses /nowhere: .*expected a folder"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(corpus, noise, tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        train(settings(corpus, **{"noise": noise, "out": tmp_path / "run", **changes}))
    assert not (tmp_path / "run").exists()


def test_too_few_files_of_noise_are_refused_unless_divided_in_time(corpus, noise, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "n.wav").write_bytes((noise / "n0.wav").read_bytes())
    with pytest.raises(UserError, match=r"--noise .*one.* at least 3"):
        train(settings(corpus, tmp_path / "one", tmp_path / "run"))
    config = settings(corpus, f"time:{tmp_path / 'one'}", tmp_path / "run")
    enhancement.check(config, protocols.get(None, "emodb"))


def test_it_is_not_tested_in_other_noise(trained, fold):
    (division,) = trained.source.folds
    arguments = (fold, division.test, trained.source.protocol, "emodb", trained.config)
    with pytest.raises(UserError, match="tested in noise of its own"):
        enhancement.test_rows(*arguments, alter=lambda waveform, name: waveform)


def test_conditions_are_trained_on_and_tested_without_noise_too(corpus, noise, tmp_path):
    """A telephone, a measured classroom behind it, and a telephone in noise: each its own row; no detector."""
    response = np.zeros(400, np.float32)
    response[[0, 300]] = 1, 0.5
    (tmp_path / "responses").mkdir()
    soundfile.write(tmp_path / "responses/classroom.wav", response, RATE_HZ)
    conditions = ("telephone", "telephone+classroom", "telephone+6dB")
    given = {"conditions": conditions, "detector": "none", "responses": str(tmp_path / "responses"), "epochs": 1}
    run = train(settings(corpus, noise, tmp_path / "run", **given))
    record = record_of(run.folder)
    assert list(record["by_snr"]) == list(conditions)
    assert record["detector"]["clean_taken_for_noisy"] == 1 and record["detector"]["noisy_taken_for_clean"] == 0
    assert record["responses_sha256"] and record["noise_sha256"]
    (division,) = run.source.folds
    own, clip = from_config.extractor(run.config), division.validation[0]
    altered = noisy_copies.altered(run.config, RATE_HZ, "validation")["telephone+classroom"]
    waveform = read(clip.path, RATE_HZ)
    found = noisy_copies.extract_noisy(run.config, own, [clip], "validation")["telephone+classroom"][clip.name].read()
    np.testing.assert_allclose(found, own.features(altered.alter(waveform, clip.name)), atol=1e-4)
    through_phone = np.convolve(waveform, named_conditions.telephone(RATE_HZ))[: len(waveform)]
    expected = np.convolve(through_phone, response)[: len(waveform)]
    heard = altered.alter(waveform, clip.name)
    assert np.corrcoef(heard, expected)[0, 1] > 0.9999
    assert heard.std() == pytest.approx(waveform.std(), rel=0.01)


def test_matched_on_clean_speech_is_an_autoencoder_of_clean_speech(corpus, noise, tmp_path):
    given = {"conditions": ("clean",), "detector": "none", "epochs": 1}
    run = train(settings(corpus, "", tmp_path / "run", **given))
    record = record_of(run.folder)
    assert record["by_snr"] == {} and record["pooled"] == record["clean"]
    assert record["clean"]["noisy"]["mse"]["value"] == 0 < record["clean"]["enhanced"]["mse"]["value"]
    enhancement.report.print_metrics(record, "a run", Console(file=io.StringIO()))
