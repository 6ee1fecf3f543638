"""Ratings of noisy recordings with an enhancer in front: what is written, and that it is what its parts make of it."""

import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest
import soundfile
from predictions import predict_run

from zoo import registry
from zoo.config.flags import from_flags
from zoo.config.run_config import RunConfig
from zoo.config.saved import load as load_config
from zoo.data.audio.read import read
from zoo.errors import UserError
from zoo.export.export import export
from zoo.features import enhancer, from_config, noisy_copies
from zoo.inference.export_predictor import of_export
from zoo.runs.dataset import open_source
from zoo.runs.folder import fold_folder, read_record
from zoo.runs.model_file import load_model, network_of
from zoo.serving.saved_model import load
from zoo.training.evaluate import evaluate_run
from zoo.training.tasks import continuous
from zoo.training.train import train

RATIOS = (0.0, 12.0)


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("noise"), np.random.default_rng(0)
    for number in range(6):
        soundfile.write(folder / f"n{number}.wav", 0.1 * rng.standard_normal(24_000), 16_000)
    return folder


@pytest.fixture(scope="module")
def quick_enhancer():
    with pytest.MonkeyPatch.context() as patch:
        entry = registry.MODELS["denoising_autoencoder"]
        recipe = {**entry.recipes["quick"], "epochs": 1, "option": {"recurrent_units": 6, "recurrent_layers": 1}}
        patch.setitem(
            registry.MODELS, entry.builder.split(":")[1], dataclasses.replace(entry, recipes={"quick": recipe})
        )
        yield


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """Makes configurations that share a cache, and so the synthetic corpus in it."""
    given = {"model": "mfcc_svr", "corpus": "recola", "synthetic": True, "fold": "0", "protocol": "avec-2016"}
    given |= {"functional_seconds": 4.0, "label_delay_seconds": 0.0, "snr": RATIOS, "complexities": (1e-4,)}
    given |= {"cache_dir": str(tmp_path_factory.mktemp("cache"))}
    return lambda out, **flags: from_flags({**given, "out": str(out), **flags})


@pytest.fixture(scope="module")
def run(tmp_path_factory, settings, noise, quick_enhancer):
    out = tmp_path_factory.mktemp("run") / "svr"
    return train(settings(out, enhance="mixed", noise=str(noise))).folder


def conditions(run):
    with (run / "conditions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_ratio_is_scored_by_models_of_both_readings_with_and_without(run):
    ways = [("clean", "none"), ("clean", "mixed"), ("noisy", "none"), ("noisy", "mixed")]
    expected = [(ratio, *way) for ratio in ("", *map(str, RATIOS)) for way in ways]
    assert [(row["snr_db"], row["fitted_on"], row["enhancement"]) for row in conditions(run)] == expected
    found = {key: float(row["arousal_value"]) for key, row in zip(expected, conditions(run), strict=True)}
    clean = found["", "clean", "none"]
    assert clean == read_record(run)["dimensions"]["arousal"]["ccc"]["value"]
    assert found["0.0", "clean", "none"] < clean, "white noise at 0 dB and a regression on clean speech"
    assert found["0.0", "noisy", "none"] > found["0.0", "clean", "none"], "a regression that knows the noise"


def test_figures_are_those_of_the_parts_one_after_another(run):
    given = load_config(run / "config.json")
    source = open_source(given)
    (fold,) = source.folds
    noises = noisy_copies.open_for(given, 16_000)
    hear = noisy_copies.hearing(given, noises, 12.0, "test").hear
    plain = network_of(load_model(fold_folder(run, fold) / "model.keras"))
    behind = enhancer.load(fold_folder(run / "enhancer-mixed", fold))
    extract, truth, found = from_config.extractor(given).features, [], []
    for clip in fold.test:
        frames = extract(hear(read(clip.path, 16_000, max_seconds=1e9), clip.name))
        count = np.array([len(frames)], np.int32)
        enhanced = behind.predict_on_batch({"features": frames[None], "n_frames": count})
        ratings = plain.predict_on_batch({"features": enhanced, "n_frames": count})[0]
        labels, rated = continuous._labels(given, clip, len(ratings))
        truth.append(labels[rated][:, 0])
        found.append(ratings[rated][:, 0])
    x, y = np.concatenate(truth).astype(float), np.concatenate(found).astype(float)
    ccc = 2 * np.mean((x - x.mean()) * (y - y.mean())) / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    assert float(conditions(run)[-3]["arousal_value"]) == pytest.approx(ccc, abs=1e-4)


def test_the_enhanced_run_is_a_run_like_any_other(run, tmp_path):
    enhanced = run / "enhanced-mixed"
    _, changed = evaluate_run(enhanced)
    assert not changed
    path = open_source(load_config(run / "config.json")).folds[0].test[0].path
    exported = load(export(enhanced, tmp_path / "export"))
    for one, other in zip(predict_run(enhanced, [path]), of_export(exported).predict([path]), strict=True):
        assert other["arousal"] == pytest.approx(one["arousal"], abs=1e-4)


def test_resumed_it_keeps_what_is_there(run, settings, noise, quick_enhancer):
    """Models, and figures in noise: an interrupted measurement goes on behind the last that was written."""
    missing = run / "conditions" / "12dB-mixed-noisy-mixed.json"
    figures, table = missing.read_bytes(), (run / "conditions.csv").read_bytes()
    missing.unlink()
    kept = [*run.rglob("model.keras"), *(run / "conditions").iterdir()]
    before = {path: path.stat().st_mtime_ns for path in kept}
    train(settings(run, enhance="mixed", noise=str(noise)), resume=True)
    assert {path: path.stat().st_mtime_ns for path in kept} == before
    assert missing.read_bytes() == figures and (run / "conditions.csv").read_bytes() == table


def test_noise_used_for_testing_is_the_test_third(run, noise):
    named = json.loads((run / "conditions.json").read_text())["noise"]
    assert named == noisy_copies.open_for(load_config(run / "config.json"), 16_000).settings


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"enhance": "mixed"}, "expected --noise DIR, a folder of recordings of it"),
        ({"heard": "noisy"}, "expected --noise DIR"),
        ({"enhance": "mixed", "noise": "nowhere"}, "nowhere"),
        ({"noise": "somewhere"}, "--noise has no effect on mfcc_svr without --enhance"),
        ({"snr_level": "all"}, "--snr-level has no effect on mfcc_svr without --enhance"),
        ({"enhance": "mixed", "heard": "noisy"}, "trains runs with --heard noisy and --enhancer itself"),
        ({"enhancer": "nowhere"}, "nowhere: no run is here"),
        (
            {"functional_seconds": 0.1},
            r"--functional-seconds is 0.1, expected a multiple of a frame's 0.04 s. Try 0.08",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(tmp_path, settings, flags, message):
    unused = {} if flags.get("enhance") else {"snr": RunConfig.snr}
    with pytest.raises(UserError, match=message):
        train(settings(tmp_path / "run", **{**unused, **flags}))
    assert not (tmp_path / "run").exists()


def test_an_enhancer_that_trained_on_the_test_clips_is_refused(tmp_path, settings, run):
    other = shutil.copytree(run / "enhancer-mixed", tmp_path / "other")
    (fold,) = other.glob("fold-*")
    lines = (fold / "predictions.csv").read_text().splitlines(keepends=True)
    (fold / "predictions.csv").write_text("".join(line for line in lines if "dev_3" not in line))
    with pytest.raises(UserError, match="has not tested 1 of the 6 clips to be tested, first dev_3"):
        train(settings(tmp_path / "run", enhancer=str(other), snr=RunConfig.snr))
