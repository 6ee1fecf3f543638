"""Train, test and export linear models; settings that they refuse."""

import json
import shutil
from importlib.util import find_spec

import keras
import numpy as np
import pytest
from own_opensmile import whole
from predictions import predict_run
from quick_check import checked_with

from zoo.config.flags import from_flags
from zoo.data.audio.read import read
from zoo.data.synthetic.corpora import cached
from zoo.errors import UserError
from zoo.export.export import export
from zoo.export.fit_temperature import calibrate
from zoo.export.formats import FORMATS
from zoo.export.formats import export as export_as
from zoo.features import speaker_normalization
from zoo.frontends import opensmile as acoustics
from zoo.inference.categorical import load_classifier
from zoo.inference.export_predictor import of_export
from zoo.inference.open_predictor import is_continuous
from zoo.runs import dataset
from zoo.runs.folder import read_record, read_rows
from zoo.runs.open_run import open_run
from zoo.serving.saved_model import load
from zoo.studies import confidence_clips
from zoo.training.evaluate import evaluate_run
from zoo.training.tasks import classification
from zoo.training.train import train
from zoo.utils import extras
from zoo.utils.progress import Progress

needs_opensmile = pytest.mark.skipif(
    find_spec("opensmile") is None, reason="opensmile is not installed (pip install -e '.[opensmile]')"
)
CLIPS = 120


@pytest.fixture(scope="module", autouse=True)
def quick_check():
    """The check before publishing is test_export's matter."""
    with checked_with():
        yield


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def settings(cache, out, **flags):
    common = {"corpus": "emodb", "synthetic": True, "clips": CLIPS, "fold": "0", "cache_dir": str(cache)}
    return from_flags({**common, "out": str(out), **flags})


def is_there(format):
    return not extras.absent(format)


def recordings(cache):
    return sorted(cached("emodb", cache, CLIPS, seed=0).rglob("*.wav"))[:4]


@pytest.fixture(scope="module")
def network_run(tmp_path_factory, cache):
    out = tmp_path_factory.mktemp("fcn") / "run"
    return train(settings(cache, out, model="fcn", epochs=2, bands=12)).folder


def same_in_export(run, out, clips):
    """Assert that a run and its export predict the same."""
    exported = load(export(run, out))
    for one, other in zip(predict_run(run, clips), of_export(exported).predict(clips), strict=True):
        assert one["emotion"] == other["emotion"]
        for name, share in one["probabilities"].items():
            assert other["probabilities"][name] == pytest.approx(share, abs=1e-4)


@needs_opensmile
def test_egemaps_svm_is_trained_evaluated_again_and_exported(tmp_path, cache):
    run = train(settings(cache, tmp_path / "run", model="egemaps_svm", solver="liblinear")).folder
    record = read_record(run)
    assert record["ua"]["value"] > 0.4, "seven classes, in synthetic speech that differs with them"
    summary, changed = evaluate_run(run)
    assert not changed and summary["ua"] == record["ua"]
    opened = open_run(run)
    few = dataset.of_run(opened).folds[0].validation[:3]
    from_audio = classification.test_rows(opened.fold_folders[0], few, opened.protocol, opened.corpus, opened.settings)
    with Progress() as progress:  # for confidence, from features that training kept
        kept = confidence_clips.validation_rows(opened, opened.fold_folders[0], few, progress)
    for one, other in zip(kept, from_audio, strict=True):
        assert all(
            float(value) == pytest.approx(float(other[key]), abs=2e-6) for key, value in one.items() if "p_" in key
        )
        assert all(other[key] == one[key] for key in ("clip", "speaker", "truth"))
    same_in_export(run, tmp_path / "export", recordings(cache))
    for format in filter(is_there, FORMATS):
        assert export_as(run, tmp_path / format, format).is_dir()


@needs_opensmile
def test_a_run_with_features_standardised_by_speaker_predicts_for_no_other_speakers(tmp_path, cache):
    flags = {"model": "egemaps_svm", "functionals": "opensmile", "solver": "liblinear", "augment_waveforms": "speed"}
    flags |= {"copies": 1, "standardize_speakers": True, "refit": True}
    run = train(settings(cache, tmp_path / "run", **flags)).folder
    record = read_record(run)
    assert record["warnings"] == [speaker_normalization.NOTE]
    assert record["ua"]["value"] > 0.4
    _, changed = evaluate_run(run)
    assert not changed

    (fold,) = run.glob("fold-*")
    statistics = speaker_normalization.load(run)
    rows = read_rows(run)
    path = next(path for path in cached("emodb", cache, CLIPS, seed=0).rglob("*.wav") if path.stem in rows[0]["clip"])
    vector = acoustics.clip_functionals(read(path, 16_000), 16_000, "egemaps", "opensmile")[None]
    vector = (vector - statistics.means[rows[0]["speaker"]]) / statistics.deviations[rows[0]["speaker"]]
    model = keras.saving.load_model(fold / "model.keras")
    (output,) = model.predict_on_batch({"features": vector[None].astype(np.float32), "n_frames": np.ones(1, np.int32)})
    expected = [float(rows[0][f"p_{name}"]) for name in record["classes"]]
    np.testing.assert_allclose(output, expected, atol=1e-4)

    calls = (lambda: list(predict_run(run, recordings(cache))), lambda: export(run, tmp_path / "export"))
    for refused in (*calls, lambda: is_continuous(run, exported=False), lambda: calibrate(run)):
        with pytest.raises(UserError, match="a single recording has none"):
            refused()
    assert not (tmp_path / "export").exists()
    saved = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**saved, "standardize_speakers": False}))
    with pytest.raises(UserError, match="--calibrate needs validation clips"):
        calibrate(run)


@needs_opensmile
def test_features_are_those_of_opensmile(tmp_path, cache):
    waveform = read(recordings(cache)[0], 16_000)
    _, descriptors, _ = acoustics.descriptors(waveform, 16_000, "egemaps")
    found = acoustics.clip_functionals(waveform, 16_000, "egemaps", "five")
    assert found.shape == (125,)
    by_hand = [f(descriptors.astype(np.float64), axis=0) for f in (np.max, np.min, np.ptp, np.mean, np.std)]
    np.testing.assert_allclose(found, np.concatenate(by_hand), rtol=1e-4, atol=1e-4)
    own = whole(waveform).to_numpy()[0]
    np.testing.assert_array_equal(acoustics.clip_functionals(waveform, 16_000, "egemaps", "opensmile"), own)


@needs_opensmile
def test_too_short_or_unknown_functionals_are_refused():
    with pytest.raises(UserError, match=r"openSMILE expects at least 0\.06 s"):
        acoustics.clip_functionals(np.ones(500, np.float32), 16_000, "egemaps", "opensmile")
    with pytest.raises(UserError, match=r"unknown functionals 'six'\. Known: five, opensmile"):
        acoustics.clip_functionals(np.ones(5000, np.float32), 16_000, "egemaps", "six")


def test_the_joint_vector_is_what_the_network_of_the_run_has_before_its_head(tmp_path, cache, network_run):
    given = {"model": "deep_spectrum_svm", "from_run": str(network_run)}
    run = train(settings(cache, tmp_path / "run", **given)).folder
    clips = recordings(cache)
    same_in_export(run, tmp_path / "export", clips)
    (fold,) = network_run.glob("fold-*")
    whole = keras.saving.load_model(fold / "model.keras")
    network = next(layer for layer in whole.layers if isinstance(layer, keras.Model))
    inner = next(layer for layer in network.layers if isinstance(layer, keras.Model))
    head = keras.Model(inner.get_layer("joint").output, inner.output)
    (fold,) = run.glob("fold-*")
    fitted = keras.saving.load_model(fold / "model.keras")
    body = next(layer for layer in fitted.layers if isinstance(layer, keras.Model)).layers[2]
    waveform = read(clips[0], 16_000)
    batch = {"waveform": waveform[None], "n_samples": np.array([len(waveform)], np.int32)}
    features, n_frames = whole.get_layer("log_mel")(batch["waveform"], batch["n_samples"])
    joint = body({"features": features, "n_frames": n_frames})
    np.testing.assert_allclose(head(joint), whole.predict_on_batch(batch), atol=1e-5)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({}, "needs --from-run DIR"),
        ({"from_run": "nowhere"}, "nowhere: no fold of a run is in it"),
        ({"fold": "1"}, "whose test clips the others may have seen. Give --fold as the run had it"),
    ],
)
def test_an_unsuitable_from_run_is_refused(tmp_path, cache, network_run, flags, message):
    given = {"model": "deep_spectrum_svm", "from_run": str(network_run), **flags}
    if not flags:
        given.pop("from_run")
    with pytest.raises(UserError, match=message):
        train(settings(cache, tmp_path / "run", **given))


def test_a_run_of_another_protocol_is_refused(tmp_path, cache, network_run):
    other = shutil.copytree(network_run, tmp_path / "other")
    saved = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**saved, "protocol": "emodb-random"}))
    with pytest.raises(UserError, match=r"trained under emodb-random.*clips it was trained on would be tested"):
        train(settings(cache, tmp_path / "run", model="deep_spectrum_svm", from_run=str(other)))


def test_a_run_without_a_joint_vector_is_refused(tmp_path, cache):
    run = train(settings(cache, tmp_path / "rnn", model="rnn_mfcc", epochs=1)).folder
    with pytest.raises(UserError, match="expected a network with a layer 'joint', found the layers"):
        train(settings(cache, tmp_path / "run", model="deep_spectrum_svm", from_run=str(run)))


def test_mfcc_svr_rates_recordings_and_exports(tmp_path, cache):
    given = {"model": "mfcc_svr", "corpus": "recola", "clips": 0, "label_delay_seconds": 0.0, "functional_seconds": 4.0}
    run = train(settings(cache, tmp_path / "run", **given)).folder
    record = read_record(run)
    assert record["dimensions"]["arousal"]["ccc"]["value"] > 0.3
    _, changed = evaluate_run(run)
    assert not changed
    path = sorted(cached("recola", cache, 0, seed=0).rglob("*.wav"))[0]
    exported = load(export(run, tmp_path / "export"))
    for one, other in zip(predict_run(run, [path]), of_export(exported).predict([path]), strict=True):
        assert other["arousal"] == pytest.approx(one["arousal"], abs=1e-4)


def test_sgd_does_not_fit_ratings(tmp_path, cache):
    with pytest.raises(UserError, match="--solver sgd is for classes"):
        train(settings(cache, tmp_path / "run", model="mfcc_svr", corpus="recola", clips=0, solver="sgd"))


@needs_opensmile
def test_the_batch_does_not_change_the_output(tmp_path, cache):
    given = settings(cache, tmp_path / "run", model="egemaps_svm")
    (fold,) = train(given).folder.glob("fold-*")
    classifier = load_classifier(fold, given)
    waveforms = [read(path, classifier.rate_hz) for path in recordings(cache)]
    for waveform, expected in zip(waveforms, classifier.probabilities(waveforms), strict=True):
        np.testing.assert_allclose(classifier.probabilities([waveform])[0], expected, atol=1e-6)
    assert classifier.probabilities([]) == []


def test_gradient_flags_are_refused():
    with pytest.raises(UserError, match="--epochs has no effect on egemaps_svm; it belongs to the training"):
        from_flags({"model": "egemaps_svm", "corpus": "emodb", "synthetic": True, "epochs": 3})
