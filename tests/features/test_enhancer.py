"""Networks behind a denoising autoencoder: what is trained, saved and served is their parts one after another."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from unittest import mock

import keras
import librosa
import numpy as np
import pytest
import soundfile
from predictions import predict, predict_run

from zoo import registry
from zoo.config import saved as config
from zoo.config.flags import from_flags
from zoo.data.audio.read import read
from zoo.data.batches.clips import Example
from zoo.data.batches.feature_store import InMemory
from zoo.data.synthetic.corpora import synthesize
from zoo.errors import UserError
from zoo.features import enhancer, from_config, noisy_copies
from zoo.frontends.clean_speech import KINDS, CleanSpeech
from zoo.frontends.compose import with_frontend
from zoo.frontends.mfcc import CepstralStatistics, StreamStatistics, mfcc_frames
from zoo.runs import upstream_runs
from zoo.runs.dataset import open_source, resolve
from zoo.runs.folder import fold_folder, read_record
from zoo.runs.model_file import load_model, network_of
from zoo.studies import robustness
from zoo.studies.robustness_conditions import Asked
from zoo.training.evaluate import evaluate_run
from zoo.training.train import train
from zoo.utils.atomic_files import write_csv, write_json

RATE_HZ, WINDOW, HOP = 11_025, 512, 128
MFCCS = {"rate_hz": RATE_HZ, "coefficients": 16, "mel_bands": 24, "amplitude": "peak"}
MFCCS |= {"window_ms": 1000 * WINDOW / RATE_HZ, "hop_ms": 1000 * HOP / RATE_HZ}


def flags(corpus, out, **changes):
    given = {"corpus": "emodb", "data_root": str(corpus), "recipe": "quick", "fold": "0,1", "epochs": 1}
    given |= {"allow_incomplete": True, "cache_dir": str(corpus.parent / "cache"), "out": str(out), **MFCCS}
    return {**given, "backend": keras.backend.backend(), **changes}


def network_flags(corpus, out, **changes):
    small = {"model": "cnn1d_mfcc", "option": {"filters": [6], "pool_size": 2}}
    return from_flags(flags(corpus, out, **{**small, **changes}))


def saved(folder, **changes):
    """A folder with the configuration of a denoising autoencoder's run, which is all that is looked at first."""
    folder.mkdir()
    settings = from_flags({"model": "denoising_autoencoder", "corpus": "emodb", **MFCCS, **changes})
    (folder / "config.json").write_text(json.dumps(settings.saved()))
    return folder


def frames_by_librosa(path):
    waveform = read(path, RATE_HZ)
    arguments = {"n_fft": WINDOW, "hop_length": HOP, "n_mels": 24, "n_mfcc": 16, "pad_mode": "constant"}
    return librosa.feature.mfcc(y=waveform / np.abs(waveform).max(), sr=RATE_HZ, **arguments).T.astype("float32")


def image_by_librosa(behind, path):
    """Mean of the enhanced MFCCs, their deltas and delta-deltas, (coefficients, 3)."""
    frames = frames_by_librosa(path)
    enhanced = np.asarray(behind.predict_on_batch({"features": frames[None], "n_frames": np.array([len(frames)])}))[0].T
    streams = [enhanced, librosa.feature.delta(enhanced), librosa.feature.delta(enhanced, order=2)]
    return np.stack([stream.mean(axis=1) for stream in streams], axis=-1)


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("noise"), np.random.default_rng(0)
    for number in range(6):
        soundfile.write(folder / f"n{number}.wav", 0.1 * rng.standard_normal(16_000), 16_000)
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return synthesize("emodb", tmp_path_factory.mktemp("twin") / "EmoDB", 70, seconds=(0.3, 0.6))


@pytest.fixture(scope="module")
def autoencoder(corpus, noise, tmp_path_factory):
    """A finished run as train.py leaves it, of networks with the weights they began with and any detector."""
    run = tmp_path_factory.mktemp("dae")
    own = {"model": "denoising_autoencoder", "snr": (3.0,), "noise": str(noise)}
    settings = resolve(from_flags(flags(corpus, run, **own)))
    write_json(run / "config.json", settings.saved())
    write_json(run / "metrics.json", {"noise_sha256": noisy_copies.open_for(settings, RATE_HZ).settings["sha256"]})
    rng = np.random.default_rng(0)
    for fold in open_source(settings).folds:
        folder = fold_folder(run, fold)
        write_csv(folder / "predictions.csv", [{"clip": clip.name} for clip in fold.test])
        network = registry.build("denoising_autoencoder", 16, 16, recurrent_units=4, recurrent_layers=1)
        detector = CleanSpeech(name="clean_speech")
        detector.build((None, None, 16))
        detector.set_weights([rng.normal(0, 0.1, 16 * KINDS), np.zeros(())])
        complete = enhancer.assemble(network, rng.normal(0, 10, 16), rng.uniform(1, 100, 16), detector)
        with_frontend(from_config.frontend(settings), complete).save(folder / "model.keras")
    return run


@pytest.fixture(scope="module")
def trained(corpus, autoencoder, tmp_path_factory):
    return train(network_flags(corpus, tmp_path_factory.mktemp("net") / "run", enhancer=str(autoencoder)))


def test_the_saved_model_is_its_parts_one_after_another(trained, autoencoder):
    fold = trained.source.folds[0]
    model = load_model(fold_folder(trained.folder, fold) / "model.keras")
    behind, clips = enhancer.load(fold_folder(autoencoder, fold)), [clip.path for clip in fold.test]
    left_alone = [is_clean for _, is_clean in enhancer.denoiser(behind)([frames_by_librosa(path) for path in clips])]
    assert True in left_alone and False in left_alone, "both of the enhancer's ways are to be seen"
    network = network_of(model).get_layer("cnn1d_mfcc_normalized")
    images = np.stack([image_by_librosa(behind, path) for path in clips]).astype("float32")
    expected = network.predict_on_batch({"features": images, "n_frames": np.full(len(images), 16)})
    np.testing.assert_allclose(predict(model, [read(path, RATE_HZ) for path in clips]), expected, atol=1e-4)


def test_statistics_are_standardised_as_the_enhancer_leaves_the_training_clips(trained, autoencoder):
    fold = trained.source.folds[1]
    behind = enhancer.load(fold_folder(autoencoder, fold))
    images = np.stack([image_by_librosa(behind, clip.path) for clip in fold.train])
    network = network_of(load_model(fold_folder(trained.folder, fold) / "model.keras"))
    scale = network.get_layer("cnn1d_mfcc_normalized").get_layer("normalization")
    mean, variance = (keras.ops.convert_to_numpy(value).reshape(16, 3) for value in (scale.mean, scale.variance))
    np.testing.assert_allclose(mean, images.mean(axis=0), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(variance, images.var(axis=0), rtol=1e-2, atol=1e-5)


def test_each_fold_has_its_own_enhancer_which_training_left_alone(trained, autoencoder):
    found = []
    for fold in trained.source.folds:
        network = network_of(load_model(fold_folder(trained.folder, fold) / "model.keras"))
        inside = network.get_layer("enhanced_statistics").get_layer("enhancer")
        expected = enhancer.load(fold_folder(autoencoder, fold)).get_weights()
        for one, other in zip(inside.get_weights(), expected, strict=True):
            np.testing.assert_array_equal(one, other)
        assert not inside.trainable_weights and network.trainable_weights
        found.append(expected)
    assert any(np.any(one != other) for one, other in zip(*found, strict=True))


def test_it_is_evaluated_predicted_and_scored_in_noise_like_any_other(trained, noise, tmp_path):
    _, changed = evaluate_run(trained.folder)
    assert changed == []
    clip = trained.source.folds[0].test[0].path
    (answer,) = predict_run(trained.folder, [clip])
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    asked = Asked(noise=str(noise), snr_db=(3.0,), fold="0", n_clips=4)
    record = robustness.measure(trained.folder, asked, tmp_path / "grid")
    assert not record["noise_unlike_training"], "the enhancer's noise is the network's"
    assert len(record["conditions"]) == 2 and not record["differs"]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="exports are made by TensorFlow")
def test_exports_have_both_folds_enhancers_and_answer_as_the_run_does(trained, tmp_path):
    from zoo.export.export import export
    from zoo.inference.export_predictor import of_export
    from zoo.serving.saved_model import load

    exported = export(trained.folder, tmp_path / "cnn")
    clip = trained.source.folds[0].test[1].path
    (expected,), (found,) = predict_run(trained.folder, [clip]), of_export(load(exported)).predict([clip])
    for name, share in expected["probabilities"].items():
        assert found["probabilities"][name] == pytest.approx(share, abs=1e-5)


def test_a_fold_that_was_not_finished_is_done_again_with_its_enhancer(trained, tmp_path):
    run = shutil.copytree(trained.folder, tmp_path / "run")
    folder = fold_folder(run, trained.source.folds[0])
    before = (folder / "predictions.csv").read_text()
    (folder / "metrics.json").unlink()
    settings = config.load(run / "config.json")
    with mock.patch.object(enhancer, "put_in", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        train(replace(settings, out=str(run)), resume=True)
    assert network_of(load_model(folder / "model.keras")).name == "cnn1d_mfcc_normalized"
    train(replace(settings, out=str(run)), resume=True)
    assert (folder / "predictions.csv").read_text() == before


def test_images_of_clips_and_copies_are_their_own_whatever_is_beside_them(autoencoder, corpus, tmp_path, rng):
    settings = network_flags(corpus, tmp_path, enhancer=str(autoencoder), statistics="six")
    clips = [InMemory(rng.normal(0, 20, (length, 16)).astype("float32")) for length in (30, 1, 7, 55)]
    examples = [Example(clips[0], 2, 0.5, (clips[1],)), Example(clips[2], 1, 1.0, (clips[3],))]
    fold = min(autoencoder.glob("fold-*")).name.removeprefix("fold-")
    found = enhancer.behind(examples, settings, fold)
    assert [(one.label, one.weight, len(one.versions)) for one in found] == [(2, 0.5, 1), (1, 1.0, 1)]
    images = [image.read() for one in found for image in (one.features, *one.versions)]
    for image, clip in zip(images, clips, strict=True):
        (alone,) = enhancer.behind([Example(clip, 0)], settings, fold)
        assert image.shape == (16, 18) and np.isfinite(image).all()
        np.testing.assert_allclose(image, alone.features.read(), rtol=1e-3, atol=2e-3)
    assert found[0].features.n_frames == 16
    np.testing.assert_array_equal(found[0].features.read(3, 2), images[0][3:5])


def test_records_name_the_noise_of_the_enhancer_and_a_noise_of_the_networks_own(corpus, autoencoder, tmp_path):
    theirs = read_record(autoencoder)["noise_sha256"]
    own = {"noise": "own", "augment_waveforms": "noise"}
    for changes, name in (({}, "noise_sha256"), (own, "enhancer_noise_sha256")):
        settings = resolve(network_flags(corpus, tmp_path, enhancer=str(autoencoder), **changes))
        found = upstream_runs.hashes(settings, open_source(settings).folds)
        assert set(found) == {"enhancer_sha256", name} and found[name] == theirs


def test_a_run_does_not_go_on_behind_an_enhancer_that_was_trained_again(trained, corpus, autoencoder, tmp_path):
    run = shutil.copytree(trained.folder, tmp_path / "run")
    data = json.loads((run / "data.json").read_text())
    write_json(run / "data.json", {**data, "enhancer_sha256": "of another"})
    with pytest.raises(UserError, match="the models of --enhancer are not those this run was started on"):
        train(network_flags(corpus, run, enhancer=str(autoencoder)), resume=True)


def test_features_on_disk_are_never_those_of_runs_without_an_enhancer(corpus, autoencoder, tmp_path):
    plain, enhanced = (
        from_config.extractor(network_flags(corpus, tmp_path, enhancer=run)).settings for run in ("", str(autoencoder))
    )
    assert plain != enhanced and "statistics" in plain and "statistics" not in enhanced


def test_an_enhancer_of_other_mfccs_is_refused_before_anything_is_written(corpus, tmp_path):
    theirs = {"coefficients": 13, "mel_bands": 26, "rate_hz": 16_000, "window_ms": 25.0, "hop_ms": 10.0}
    run = saved(tmp_path / "dae", **theirs, amplitude="recorded")
    differences = (
        *("--coefficients is 13 there and 16 here", "--mel-bands is 26 there and 24 here"),
        *("--rate-hz is 16000 there and 11025 here", "--window-ms is 25.0 there and 46.4"),
        *("--hop-ms is 10.0 there and 11.6", "--amplitude is recorded there and peak here"),
    )
    with pytest.raises(UserError, match=f"--enhancer .*dae enhances other MFCCs.*{'.*'.join(differences)}"):
        train(network_flags(corpus, tmp_path / "run", enhancer=str(run)))
    assert not (tmp_path / "run").exists()
    settings = from_flags({"model": "mfcc_svr", "corpus": "recola", "enhancer": str(saved(tmp_path / "other"))})
    with pytest.raises(UserError, match=r"--coefficients is 16 there and 13 here.*--rate-hz is 11025 there and 16000"):
        enhancer.check(settings)


def test_what_is_no_enhancer_or_of_other_folds_is_refused(corpus, autoencoder, trained, tmp_path):
    with pytest.raises(UserError, match="expected a run of denoising_autoencoder, found one of cnn1d_mfcc"):
        train(network_flags(corpus, tmp_path / "run", enhancer=str(trained.folder)))
    with pytest.raises(UserError, match=r"--enhancer .* has folds .*, expected 2.*whose test clips the others may"):
        train(network_flags(corpus, tmp_path / "run", enhancer=str(autoencoder), fold="2"))
    with pytest.raises(UserError, match="nowhere: no run is here"):
        train(network_flags(corpus, tmp_path / "run", enhancer="nowhere"))
    lacking = shutil.copytree(autoencoder, tmp_path / "lacking")
    for path in lacking.glob("fold-*/predictions.csv"):
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join([lines[0], *lines[2:]]))
    with pytest.raises(UserError, match=r"has not tested 1 of the \d+ clips to be tested"):
        train(network_flags(corpus, tmp_path / "run", enhancer=str(lacking)))
    assert not (tmp_path / "run").exists()


def test_by_default_the_autoencoder_is_on_the_mfccs_of_mfcc_svr():
    """Its caches of old are found again, for they go by these settings."""
    expected = mfcc_frames(25.0, 10.0).get_config()
    for recipe in ("paper", "tuned", "quick"):
        settings = from_flags({"model": "denoising_autoencoder", "recipe": recipe})
        assert from_config.frontend(settings).get_config() == expected
    ratings = from_flags({"model": "mfcc_svr", "corpus": "recola"})
    assert from_config.frontend(ratings).get_config() == expected == enhancer.frames(ratings).get_config()
    names = ("rate_hz", "coefficients", "mel_bands", "peak_normalize")
    assert [expected[name] for name in names] == [16_000, 13, 26, False]


def test_runs_of_networks_made_before_enhancers_load_as_without_one():
    runs = sorted((Path(__file__).parents[2] / "docs" / "runs" / "ravdess-khan").glob("*_mfcc-*/config.json"))
    older = [path for path in runs if "enhancer" not in json.loads(path.read_text())]
    assert older and {config.load(path).enhancer for path in older} == {""}


def test_more_coefficients_than_bands_are_refused():
    with pytest.raises(UserError, match="front-end: coefficients is 40, expected 1 to mel_bands, which is 26"):
        from_config.frontend(from_flags({"model": "denoising_autoencoder", "coefficients": 40}))


@pytest.mark.parametrize("statistics", ["mean", "six"])
def test_statistics_of_given_frames_are_those_of_the_waveforms_own(statistics, rng):
    whole = CepstralStatistics(
        rate_hz=8_000, coefficients=10, window_ms=32.0, hop_ms=16.0, mel_bands=16, statistics=statistics
    )
    waveform, counts = rng.normal(size=(2, 4_000)).astype("float32"), np.array([4_000, 900], "int32")
    apart = StreamStatistics.from_config(StreamStatistics(statistics=statistics).get_config())
    frames = mfcc_frames(32.0, 16.0, 8_000, 10, 16, peak_normalize=True)(waveform, counts)
    for one, other in zip(apart(*frames), whole(waveform, counts), strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other))
    assert apart.channels == whole.channels
