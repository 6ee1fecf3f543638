"""The study of noise: what it writes, and that each figure is what its parts make of it one after another."""

import csv
import dataclasses
import json

import numpy as np
import pytest
import soundfile
from predictions import predict_run

from zoo import registry
from zoo.config.flags import from_flags
from zoo.config.saved import load as load_config
from zoo.data.audio.read import read
from zoo.export.export import export
from zoo.features import enhancer, from_config, noisy_copies
from zoo.inference.export_predictor import of_export
from zoo.runs.dataset import open_source
from zoo.runs.folder import fold_folder, read_record
from zoo.runs.model_file import load_model, network_of
from zoo.serving.saved_model import load
from zoo.studies.enhanced_ratings import measure
from zoo.training.evaluate import evaluate_run
from zoo.training.tasks import continuous
from zoo.utils.atomic_files import write_json

RATIOS = (0.0, 12.0)


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("noise"), np.random.default_rng(0)
    for number in range(6):
        soundfile.write(folder / f"n{number}.wav", 0.1 * rng.standard_normal(24_000), 16_000)
    return str(folder)


@pytest.fixture(scope="module", autouse=True)
def quick_enhancer():
    with pytest.MonkeyPatch.context() as patch:
        entry = registry.MODELS["denoising_autoencoder"]
        recipe = {**entry.recipes["quick"], "epochs": 1, "option": {"recurrent_units": 6, "recurrent_layers": 1}}
        patch.setitem(registry.MODELS, "denoising_autoencoder", dataclasses.replace(entry, recipes={"quick": recipe}))
        yield


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """Makes configurations that share a cache, and so the synthetic corpus in it."""
    given = {"model": "mfcc_svr", "corpus": "recola", "synthetic": True, "fold": "0", "protocol": "avec-2016"}
    given |= {"functional_seconds": 4.0, "label_delay_seconds": 0.0, "complexities": (1e-4,)}
    given |= {"cache_dir": str(tmp_path_factory.mktemp("cache"))}
    return lambda out, **flags: from_flags({**given, "out": str(out), **flags})


@pytest.fixture(scope="module")
def run(tmp_path_factory, settings, noise):
    return measure(settings(tmp_path_factory.mktemp("run") / "svr"), "mixed", noise, RATIOS).folder


def conditions(run):
    with (run / "conditions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_ratio_is_scored_by_models_of_both_readings_with_and_without(run):
    ways = [("clean", "none"), ("clean", "mixed"), ("enhanced", "mixed"), ("noisy", "none"), ("noisy", "mixed")]
    expected = [(ratio, *way) for ratio in ("", *map(str, RATIOS)) for way in ways]
    assert [(row["snr_db"], row["fitted_on"], row["enhancement"]) for row in conditions(run)] == expected
    found = {key: float(row["arousal_value"]) for key, row in zip(expected, conditions(run), strict=True)}
    clean = found["", "clean", "none"]
    assert clean == read_record(run)["dimensions"]["arousal"]["ccc"]["value"]
    assert found["0.0", "clean", "none"] < clean, "white noise at 0 dB and a regression on clean speech"
    assert found["0.0", "noisy", "none"] > found["0.0", "clean", "none"], "a regression that knows the noise"


def test_figures_are_those_of_the_parts_one_after_another(run, noise):
    given = load_config(run / "config.json")
    source = open_source(given)
    (fold,) = source.folds
    mix, _ = noisy_copies.mixer(noisy_copies.open_for(dataclasses.replace(given, noise=noise), 16_000), 12.0, "test")
    plain = network_of(load_model(fold_folder(run, fold) / "model.keras"))
    behind = enhancer.load(fold_folder(run / "enhancer-mixed", fold))
    extract, truth, found = from_config.extractor(given).features, [], []
    for clip in fold.test:
        frames = extract(mix(read(clip.path, 16_000, max_seconds=1e9), clip.name))
        count = np.array([len(frames)], np.int32)
        enhanced = behind.predict_on_batch({"features": frames[None], "n_frames": count})
        ratings = plain.predict_on_batch({"features": enhanced, "n_frames": count})[0]
        labels, rated = continuous._labels(given, clip, len(ratings))
        truth.append(labels[rated][:, 0])
        found.append(ratings[rated][:, 0])
    x, y = np.concatenate(truth).astype(float), np.concatenate(found).astype(float)
    ccc = 2 * np.mean((x - x.mean()) * (y - y.mean())) / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    assert float(conditions(run)[-4]["arousal_value"]) == pytest.approx(ccc, abs=1e-4)


def test_the_published_regression_is_the_one_of_clean_recordings(run):
    """Fitted once: the same weights, and the same C, with the enhancer in front of the test recordings alone."""
    (fold,) = open_source(load_config(run / "config.json")).folds
    plain, published, ours = (
        network_of(load_model(fold_folder(place, fold) / "model.keras"))
        for place in (run, run / "test-enhanced-mixed", run / "enhanced-mixed")
    )
    for one, other in zip(plain.layers[-1].get_weights(), published.layers[-1].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(published.get_weights()) == len(ours.get_weights()) > len(plain.get_weights())
    moments = [layer.layers[-1].layers[1] for layer in (plain, published)]
    np.testing.assert_array_equal(*(np.asarray(layer.mean) for layer in moments))


def test_the_enhanced_run_is_a_run_like_any_other(run, tmp_path):
    enhanced = run / "enhanced-mixed"
    _, changed = evaluate_run(enhanced)
    assert not changed
    path = open_source(load_config(run / "config.json")).folds[0].test[0].path
    exported = load(export(enhanced, tmp_path / "export"))
    for one, other in zip(predict_run(enhanced, [path]), of_export(exported).predict([path]), strict=True):
        assert other["arousal"] == pytest.approx(one["arousal"], abs=1e-4)


@pytest.mark.parametrize("older", [False, True], ids=["today", "older"])
def test_resumed_it_keeps_what_is_there(run, settings, noise, older):
    """Models, and figures in noise, also of a folder whose first run had the noise among its own settings."""
    missing = run / "conditions" / "12dB-mixed-noisy-mixed.json"
    figures, table = missing.read_bytes(), (run / "conditions.csv").read_bytes()
    missing.unlink()
    kept = [*run.rglob("model.keras"), *(run / "conditions").iterdir()]
    before = {path: path.stat().st_mtime_ns for path in kept}
    if older:
        record, data = (json.loads((run / name).read_text()) for name in ("config.json", "data.json"))
        fields = {"noise": noise, "snr": RATIOS, "enhance": "mixed", "heard": "clean", "condition": "mixed"}
        write_json(run / "config.json", {**record, **fields, "snr_level": "active", "noise_split": "files"})
        write_json(run / "data.json", {**data, "noise_sha256": "of the study's noise"})
    measure(settings(run), "mixed", noise, RATIOS, resume=True)
    assert {path: path.stat().st_mtime_ns for path in kept} == before
    assert missing.read_bytes() == figures and (run / "conditions.csv").read_bytes() == table


def test_the_script_trains_a_model_for_each_ratio(script, settings, noise, tmp_path):
    out, cache = tmp_path / "svr", settings(tmp_path).cache_dir
    words = ["--synthetic", "--protocol", "avec-2016", "--complexities", "1e-4", "--out", out, "--cache-dir", cache]
    code, printed, _ = script(
        "enhanced_ratings.py", *words, "--noise", f"time:{noise}", "--enhance", "matched", "--snr", "3"
    )
    assert code == 0 and "in noise:" in printed and f"results: {out}" in printed
    assert [row["enhancement"] for row in conditions(out)] == 2 * ["none", "matched", "matched", "none", "matched"]
    beside = [f"{kind}-3dB" for kind in ("enhanced", "enhancer", "noisy", "noisy-enhanced", "test-enhanced")]
    assert sorted(path.parent.name for path in out.glob("*-3dB/config.json")) == beside
    assert json.loads((out / "conditions.json").read_text())["noise"]["split"] == "time"
    assert load_config(out / "noisy-3dB" / "config.json").noise == f"time:{noise}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected --noise DIR, a folder of recordings of noise"),
        (["--noise", "nowhere"], "nowhere: expected a folder of"),
        (["--enhance", "both"], "unknown --enhance 'both'. Known: matched, mixed"),
        (["--noise", "x", "--snr", "3", "3"], "--snr is 3 3, expected different numbers"),
        (["--model", "fcn"], "--model fcn: the study trains mfcc_svr and its enhancers itself. Leave it out"),
        (["--enhanced", "test", "--noise"], "--enhanced test has no effect without --enhancer RUN"),
        (["--functional-seconds", "0.1", "--noise"], "--functional-seconds is 0.1, expected a multiple of a frame's"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(script, noise, tmp_path, words, message):
    words = [*words, noise] if words[-1:] == ["--noise"] else words
    code, _, said = script("enhanced_ratings.py", "--synthetic", *words, "--out", "run")
    assert code == 2 and message in said
    assert not (tmp_path / "run").exists()
