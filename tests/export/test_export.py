"""Exports answer as their runs do, appear whole or not at all, and refuse what cannot be answered."""

import io
import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import soundfile
import tensorflow as tf
import tiny_runs
from predictions import predict, predict_run
from streams import values

from zoo.confidence.temperature import with_temperature
from zoo.config import saved
from zoo.data.batches.by_length import padded
from zoo.errors import UserError
from zoo.export import fit_temperature, signatures, trained_run
from zoo.export.export import _description, export
from zoo.export.signatures import Plan
from zoo.inference.export_predictor import of_export
from zoo.runs.dataset import open_source
from zoo.runs.model_file import load_model
from zoo.serving import saved_model
from zoo.serving.description import read_description
from zoo.serving.versions import new_version, numbers
from zoo.training.tasks import classification

ROOT = Path(__file__).parents[2]

served = cache(saved_model.load)


def clip(n_samples, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, n_samples).astype(np.float32)


def wav(samples, rate_hz=16_000, subtype="PCM_16"):
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format="WAV", subtype=subtype)
    return file.getvalue()


def test_probabilities_are_the_mean_of_the_folds_softened(emotion):
    run, version = emotion
    waveform, n_samples = padded([clip(n, n) for n in (400, 16_001)], multiple=1_000)
    clips = [row[:n] for row, n in zip(waveform.copy(), n_samples, strict=True)]
    waveform[0, 400:] = waveform[1, 16_001:] = np.nan
    models = [load_model(path / "model.keras") for path in sorted(run.glob("fold-*"))]
    expected = np.mean([with_temperature(predict(model, clips), 1.7) for model in models], axis=0)
    assert np.ptp(expected, axis=0).max() > 0.01  # the clips differ, or nothing would be shown
    answers = served(version).run("serving_default", waveform=waveform, n_samples=n_samples)
    np.testing.assert_allclose(answers, expected, atol=1e-5)


def test_ratings_are_what_the_run_predicts(ratings, tmp_path):
    """By the run's own path, from files, with post-processing and the raters' delay."""
    run, version = ratings
    clips = [clip(n, n) for n in (640, 33_333)]
    files = [wav(one) for one in clips]
    answers = served(version).on_wav_bytes(files)
    assert list(map(len, answers)) == [1, 52]
    answered = served(version).module.signatures["wav_bytes"](wav_bytes=tf.constant(files))
    assert not answered["arousal_valence"][0, 1:].numpy().any()  # behind the first one's end
    for one, found in zip(clips, answers, strict=True):
        path = tmp_path / f"{len(one)}.wav"
        path.write_bytes(wav(one))
        rows = list(predict_run(run, [path], postprocessed=True))
        by_export = list(of_export(served(version)).predict([path]))
        assert [(row["file"], row["time"]) for row in by_export] == [(row["file"], row["time"]) for row in rows]
        np.testing.assert_allclose(found, values(rows), atol=1e-5)
        np.testing.assert_allclose(values(by_export), values(rows), atol=2e-6)


def test_an_export_leaves_out_silence_and_the_mean_of_a_clip(exported):
    """As the front-end in its run does, whatever else is in the batch."""
    run, version = exported("residual_bigru")
    assert {name: saved_model.read_description(version)["frontend"][name] for name in ("trim_db", "clip_mean")} == {
        "trim_db": 40.0,
        "clip_mean": "removed",
    }
    spoken = [clip(n, n) for n in (4_000, 9_000)]
    model = load_model(run / "fold-0-x" / "model.keras")
    silent = [np.pad(one, (8_000, 5_000)) for one in spoken]
    found = served(version).on_waveforms([*spoken, *silent])
    np.testing.assert_allclose(found, predict(model, [*spoken, *silent]), atol=1e-5)
    assert np.ptp(found[:2], axis=0).max() > 1e-3
    np.testing.assert_allclose(found[2:], found[:2], atol=0.02)  # frames at the ends hold some silence


def test_functionals_take_features_alone(functionals):
    run, version = functionals
    described = read_description(version)
    assert set(described["signatures"]) == {"features", "serving_default", "embedding"}
    of_functionals = {"feature_set": "egemaps", "functional_seconds": 3.0, "frame_seconds": 0.04}
    assert described["frontend"] == {"kind": "functionals", **of_functionals}
    batch = {"features": np.random.default_rng(0).normal(size=(2, 9, 88)).astype(np.float32)}
    batch["n_frames"] = np.array([9, 4], np.int32)
    expected = load_model(run / "fold-0-x" / "model.keras", waveforms=False).predict_on_batch(batch)
    found = served(version).run("serving_default", **batch)
    np.testing.assert_allclose(np.concatenate(found), np.concatenate([expected[0], expected[1, :4]]), atol=1e-5)
    assert "waveform" not in json.dumps(described["signatures"])


def test_segments_of_one_recording_are_its_own(exported):
    """The check before publishing compares with zoo.inference.tracer; here, that segments do not mix clips."""
    export = served(exported("conv_bigru")[1])
    clips = [clip(640 * 45, 1), clip(640 * 20 + 5, 2), clip(700, 3)]
    for row, one in zip(export.on_waveforms(clips), clips, strict=True):
        np.testing.assert_allclose(row, export.on_waveforms([one])[0], atol=1e-5)


QUIET = np.full(8_000, 0.5, np.float32)  # a constant offset is no signal, and padding none of its own
VALID = {
    "serving_default": {"waveform": clip(8_000)[None], "n_samples": [8_000]},
    "features": {"features": np.zeros((1, 30, 12)), "n_frames": [30]},
    "wav_bytes": {},
}


@pytest.mark.parametrize(
    ("signature", "change", "message"),
    [
        ("serving_default", {"n_samples": [0]}, r"n_samples: expected at least 400 \(0.025 s at 16000 Hz\)"),
        ("serving_default", {"n_samples": [-3]}, "at least 400"),
        ("serving_default", {"n_samples": [399]}, "at least 400"),
        ("serving_default", {"n_samples": [8_001]}, "n_samples: expected at most the length of waveform"),
        ("serving_default", {"n_samples": [8_000, 8_000]}, "expected one for each clip"),
        ("serving_default", {"waveform": np.full((1, 8_000), np.nan)}, "waveform: expected finite samples"),
        ("serving_default", {"waveform": np.full((1, 8_000), -np.inf)}, "expected finite samples"),
        (
            "serving_default",
            {"waveform": np.full((1, 8_000), 1e30)},
            r"a sample beyond 100 \(too-loud\). Divide integers",
        ),
        ("serving_default", {"waveform": np.zeros((1, 8_000))}, r"nothing above -66 dB of full scale \(silent\)"),
        ("serving_default", {"waveform": np.pad(QUIET, (0, 9))[None], "n_samples": [8_000]}, r"\(silent\)"),
        ("serving_default", {"waveform": np.zeros((0, 8_000)), "n_samples": []}, "at least one clip"),
        ("serving_default", {"waveform": np.zeros((1, 960_001)), "n_samples": [960_001]}, "at most 960000"),
        ("serving_default", {"waveform": [clip(8_000), 0 * clip(8_000)], "n_samples": [8_000] * 2}, r"silent.*\[1\]"),
        ("features", {"n_frames": [0]}, "n_frames: expected at least 1"),
        ("features", {"n_frames": [31]}, "at most the length of features"),
        ("features", {"features": np.full((1, 30, 12), np.nan)}, "expected finite"),
        ("features", {"features": np.zeros((0, 30, 12)), "n_frames": []}, "at least one"),
        ("wav_bytes", {"wav_bytes": [wav(clip(8_000), 8_000)]}, r"expected files at 16000 Hz[\s\S]*8000"),
        ("wav_bytes", {"wav_bytes": [wav(clip(8_000)), wav(clip(100))]}, "at least 400"),
        ("wav_bytes", {"wav_bytes": [wav(clip(8_000))[:60] + b"x"]}, "cut or damaged"),
        ("wav_bytes", {"wav_bytes": [b"no audio"]}, "another format"),
        ("wav_bytes", {"wav_bytes": [b""]}, "another format"),
        ("wav_bytes", {"wav_bytes": []}, "at least one clip"),
        ("wav_bytes", {"wav_bytes": [wav(clip(8_000)), wav(QUIET)]}, r"\(silent\).*\[1\]"),
        ("wav_bytes", {"wav_bytes": [wav(np.outer(clip(8_000), [1, -1]))]}, r"\(cancelling\).*\[0\]"),
        ("wav_bytes", {"wav_bytes": [wav(clip(8_000), subtype="FLOAT")]}, "(?i)format"),
    ],
)
def test_requests_that_cannot_be_answered_are_refused(emotion, signature, change, message):
    types = {"waveform": tf.float32, "features": tf.float32, "wav_bytes": tf.string}
    given = {**VALID[signature], **change}
    request = {name: tf.constant(value, types.get(name, tf.int32)) for name, value in given.items()}
    with pytest.raises(tf.errors.OpError, match=message):
        served(emotion[1]).run(signature, **request)


def test_channels_are_mixed_by_their_mean(emotion):
    two = np.stack([clip(8_000, 1), clip(8_000, 2)], axis=1)
    stereo, _ = soundfile.read(io.BytesIO(wav(two)), dtype="float32")
    expected = served(emotion[1]).on_waveforms([stereo.mean(axis=1)])
    np.testing.assert_allclose(served(emotion[1]).on_wav_bytes([wav(two)]), expected, atol=1e-5)


def test_the_description_says_what_it_is_and_what_the_run_warns_of(emotion, ratings):
    described = read_description(emotion[1])
    assert described["classes"] == (emotion[1] / "assets" / "classes.txt").read_text().split()
    assert (described["rate_hz"], described["shortest"], described["longest"]) == (16_000, 400, 960_000)
    assert described["frontend"]["kind"] == "LogMel" and described["frontend"]["bands"] == 12
    assert described["trained_on"] == "synthetic iemocap" and described["folds"] == ["0-x", "1-x"]
    assert described["temperature"] == 1.7 and described["metrics"]["ua"]["low"] == 0.4
    inputs = described["signatures"]["serving_default"]["inputs"]
    assert inputs["waveform"] == {"dtype": "float32", "shape": [None, None]}
    assert set(described["run_files"]) == {"config.json", "fold-0-x/model.keras", "fold-1-x/model.keras"}
    described = read_description(ratings[1])
    assert described["dimensions"] == ["arousal", "valence"] and described["delay_frames"] == 3
    assert [chain["chains"]["arousal"][0]["values"]["frames"] for chain in described["postprocess"]] == [5, 7]
    assert described["warnings"] == []  # of a record without any
    trained = trained_run.load(emotion[0])
    opened = replace(trained.opened, record={**trained.opened.record, "warnings": ["random"]})
    assert _description(replace(trained, opened=opened), Plan(("a", "b"), 1, 2), None)["warnings"] == ["random"]


def test_an_export_that_answers_otherwise_is_not_published(emotion, tmp_path, monkeypatch):
    """Guards the check: probabilities that are softer than they should be must be noticed."""
    right = signatures._probabilities
    monkeypatch.setattr(signatures, "_probabilities", lambda nets, plan: right(nets, replace(plan, temperature=1.01)))
    with pytest.raises(UserError, match="answers otherwise than the run: signature serving_default"):
        export(emotion[0], tmp_path / "out", fold="0")
    assert list((tmp_path / "out").iterdir()) == []


def test_the_next_number_is_taken(tmp_path):
    out = tmp_path / "out"
    for version, expected in ((None, 1), (None, 2), (7, 7)):
        with new_version(out, version) as (aside, final):
            assert not aside.name.isdecimal() and not final.exists()
        assert final == out / str(expected)
    for version in (7, 3, 0, -1, 2**63):
        with pytest.raises(UserError, match="expected one above 7"), new_version(out, version):
            raise AssertionError
    # A second writer is refused, and an error leaves nothing.
    with pytest.raises(UserError, match="another process"), new_version(out), new_version(out):
        raise AssertionError
    assert sorted(path.name for path in out.iterdir()) == ["1", "2", "7"]


WRITER = """
import sys, time
from pathlib import Path
from zoo.serving.versions import new_version
print("ready", flush=True)
while True:
    with new_version(Path(sys.argv[1])) as (aside, _):
        (aside / "variables").mkdir()
        for number in range(20):
            (aside / "variables" / str(number)).write_bytes(bytes(5000))
        (aside / "saved_model.pb").write_bytes(b"whole")
"""


def test_a_kill_at_any_moment_leaves_no_part_of_a_version(tmp_path, rng):
    asides = 0
    for _ in range(12):
        process = subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], cwd=ROOT, stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        process.communicate()
        asides += len(list(tmp_path.glob(".*")))
        for number in numbers(tmp_path):
            version = tmp_path / str(number)
            assert (version / "saved_model.pb").read_bytes() == b"whole"
            assert len(list((version / "variables").iterdir())) == 20
    assert asides  # some kills came in the middle, or nothing was tested
    with new_version(tmp_path):
        assert len(list(tmp_path.glob(".*"))) == 1


def changed(run, **changes):
    path = run / "metrics.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_runs_that_cannot_be_exported_are_refused(emotion, ratings, tmp_path):
    out = tmp_path / "out"
    old = shutil.copytree(emotion[0], tmp_path / "old")
    changed(old, versions={"speech-emotion-zoo": "0.0.3"})
    with pytest.raises(UserError, match=r"expected a run of version .*found one of 0.0.3"):
        export(old, out)
    (old / "metrics.json").unlink()
    for run, options, found in (
        (old, {}, "not finished"),
        (tmp_path / "nowhere", {}, "no run is here"),
        (emotion[0], {"fold": "5"}, "unknown fold"),
        (emotion[0], {"with_postprocess": True}, "--postprocess is for continuous"),
        (emotion[0], {"temperature": 1000.0}, "expected 0.01 to 100"),
        (emotion[0], {"max_seconds": 0.5}, "--max-clip-seconds is 0.5"),
        (ratings[0], {"temperature": 2.0}, "temperature is for probabilities"),
    ):
        with pytest.raises(UserError, match=found):
            export(run, out, **options)
    with pytest.raises(UserError, match="--calibrate is for probabilities"):
        fit_temperature.calibrate(ratings[0])
    assert not out.exists()


def test_calibration_is_of_each_folds_own_clips(tmp_path):
    """Temperature from validation clips of the synthetic twin; test figures from the recorded predictions."""
    run = tiny_runs.make(tmp_path / "run", "fcn", "emodb", clips=70, fold="0", max_clip_seconds=30.0)
    (fold,) = open_source(saved.load(run / "config.json")).folds
    (run / "fold-0-x").rename(run / f"fold-{fold.name}")
    changed(run, folds=[{"fold": fold.name}])
    changed(run / f"fold-{fold.name}", fold=fold.name)
    with patch.object(classification, "test_rows", wraps=classification.test_rows) as predicted:
        found = fit_temperature.calibrate(run)
    assert predicted.call_count == 1 and predicted.call_args.args[1] == fold.validation
    assert found["validation"]["clips"] == len(fold.validation) and found["test"]["clips"] == 7
    assert found["validation"]["log_loss_after"] <= found["validation"]["log_loss_before"] + 1e-9
    assert found["test"]["ece_before"] == pytest.approx(0.7 - 1 / 7)  # sure by 0.7 of the first class, right once
    assert fit_temperature.of_folds(run) == {f"fold-{fold.name}": pytest.approx(found["temperature"])}
