"""Trainings that begin with another model's weights: what is taken over, frozen, refused and recorded."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tiny_runs

import zoo.training.train
from zoo import registry
from zoo.config.flags import from_flags
from zoo.data.schema import Clip, Fold
from zoo.data.synthetic.corpora import synthesize
from zoo.errors import UserError
from zoo.export import model_card
from zoo.features import from_config
from zoo.frontends.compose import with_normalization
from zoo.runs import command_line
from zoo.runs.dataset import open_source, resolve
from zoo.runs.folder import read_record
from zoo.runs.model_file import bare, load_model, network_of
from zoo.training import initial_model, seen_before, transfer
from zoo.training.fit import compile_model, finished, fit
from zoo.training.initial_model import Initial, weights_of
from zoo.training.train import train

OLD, NEW = ("neutral", "happy", "sad", "angry"), ("Sadness", "bored", "neutral")


def network(n_classes=3, name="fcn", seed=1, **options):
    keras.utils.set_random_seed(seed)
    return registry.build(name, n_classes, 8, **{"hidden_units": 4, **options})


def initial(model, outputs=OLD):
    return Initial(weights_of(bare(model)), tuple(outputs), None, {}, {}, Path("INITIAL"))


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.backend
def test_weights_are_taken_over_exactly_and_the_head_by_name():
    old, new = network(4, seed=1), network(3, seed=2)
    for layer in old.layers:  # new statistics of batch normalisation differ from those of another start
        layer.set_weights([array + 0.25 for array in layer.get_weights()]) if layer.weights else None
    before = weights_of(new)
    transfer.put(initial(old), new, NEW)
    after, given = weights_of(new), weights_of(old)
    assert list(after) == ["conv1", "norm1", "conv2", "norm2", "conv3", "norm3", "head", "probabilities"]
    assert all(same(after[name], given[name]) for name in after if name != "probabilities")
    for array, theirs, own in zip(*(one["probabilities"] for one in (after, given, before)), strict=True):
        np.testing.assert_array_equal(array[..., [0, 2]], theirs[..., [OLD.index("sad"), OLD.index("neutral")]])
        np.testing.assert_array_equal(array[..., 1], own[..., 1])


def test_the_head_is_whole_where_classes_agree_and_new_where_they_are_unknown():
    old = network(4, seed=1)
    for names, expected in ((OLD, weights_of(old)), ((), weights_of(network(4, seed=2)))):
        new = network(4, seed=2)
        transfer.put(initial(old, names), new, OLD)
        assert same(weights_of(new)["probabilities"], expected["probabilities"])
        assert same(weights_of(new)["head"], weights_of(old)["head"])


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("fcn", {"hidden_units": 5}, "shapes, found others in 2: head (128, 5) (5,), here (128, 4) (4,); probabilit"),
        ("fcn", {"kernel_size": 5}, "conv1 (5, 5, 1, 64) (64,), here (3, 3, 1, 64) (64,)"),
        ("attention_fcn", {}, "found others: fcn_attention, which only the initial one has"),
        ("attention_blstm", {"recurrent_units": 2}, "found others: conv1, conv2, conv3, norm1, norm2 and 1 more, whi"),
    ],
)
def test_layers_that_do_not_fit_are_refused_by_name(name, options, said):
    new = network()
    before = weights_of(new)
    with pytest.raises(UserError) as error:
        transfer.put(initial(network(4, name, **options)), new, NEW, "PLACE")
    assert str(error.value).startswith("--init-from PLACE: expected") and said in str(error.value)
    assert all(same(weights_of(new)[layer], before[layer]) for layer in before)


def stages(**given):
    given = {"model": "fcn", "epochs": 9, "init_from": "RUN", "learning_rate": 0.01, **given}
    return from_flags({"backend": keras.backend.backend(), **given})


@pytest.mark.backend
def test_frozen_layers_do_not_move_nor_do_their_statistics(rng):
    model = with_normalization(np.zeros(8), np.ones(8), network(block_dropout=0.0))
    settings = stages(fine_tune="3", freeze_epochs=2)
    clips = {"features": rng.normal(size=(6, 9, 8)).astype("float32"), "n_frames": np.full(6, 9, "int32")}
    for epoch, moving in ((1, {"probabilities"}), (3, {"norm3", "head", "probabilities"})):
        before = weights_of(bare(model))
        compile_model(model, "sparse_categorical_crossentropy", transfer.stage(model, settings, epoch), 1)
        model.train_on_batch(clips, np.arange(6) % 3)
        after = weights_of(bare(model))
        assert {name for name in after if not same(after[name], before[name])} == moving


def test_each_stage_has_its_epochs_and_its_rate():
    model = network()
    for given, epoch, expected in (
        ({}, 1, (9, 0.01)),
        ({"freeze_epochs": 2}, 2, (2, 0.01)),
        ({"freeze_epochs": 2}, 3, (7, 0.001)),
        ({"freeze_epochs": 2, "fine_tune_rate": 0.005}, 3, (7, 0.005)),
        ({"fine_tune_rate": 0.005}, 1, (9, 0.005)),
    ):
        found = transfer.stage(model, stages(**given), epoch)
        assert (found.epochs, found.learning_rate) == pytest.approx(expected)
    scores = [{"validation_ua": value} for value in (0.9, 0.5, 0.6)]  # the best one is of the frozen epochs
    assert finished(scores, stages(patience=2)) and not finished(scores, stages(patience=2, freeze_epochs=2))
    trained = {words: transfer.trained_layers(words, 9) for words in ("all", "top", "1", "9", "head")}
    assert trained == {"all": 9, "top": 5, "1": 1, "9": 9, "head": 1}
    with pytest.raises(UserError, match="--fine-tune is 10, expected at most 9"):
        transfer.trained_layers("10", 9)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"model": "compare_svm", "init_from": "RUN"},
            "--init-from has no effect on compare_svm; a linear model is",
        ),
        ({"fine_tune": "head"}, "--fine-tune has no effect without --init-from; add that"),
        ({"adapt_batch_norm": True}, "--adapt-batch-norm has no effect without --init-from"),
        ({"init_from": "RUN", "fine_tune": "bottom"}, "--fine-tune is 'bottom', expected all, top, head, or a number"),
        ({"init_from": "RUN", "fine_tune": "0"}, "--fine-tune is '0', expected all"),
        ({"init_from": "RUN", "epochs": 3, "freeze_epochs": 3}, "--freeze-epochs is 3 of --epochs 3, which leaves no"),
        ({"init_from": "RUN", "init_normalization": "old"}, "unknown --init-normalization 'old'. Known: kept, new"),
    ],
)
def test_settings_that_cannot_work_are_refused(given, said):
    with pytest.raises(UserError) as error:
        from_flags({"model": "fcn", **given})
    assert str(error.value).startswith(said)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of fcn on the twin of IEMOCAP, of two folds."""
    return tiny_runs.make(tmp_path_factory.mktemp("initial") / "run", "fcn", "iemocap", n_folds=2)


def on_emodb(place, **given):
    given = {"model": "fcn", "corpus": "emodb", "synthetic": True, "clips": 70, "bands": 12, **given}
    given = {"option": {"hidden_units": 128}, "backend": keras.backend.backend(), **given}
    return resolve(from_flags({**given, "init_from": str(place)}))


def test_run_archive_and_weights_give_the_same_start(run, tmp_path):
    """The archive lies outside of a run; the weights are those of the network, of it behind moments, of all."""
    settings, model = on_emodb(run), load_model(run / "fold-1-x" / "model.keras")
    expected = initial_model.read(settings, "1-08")
    assert sorted(expected.outputs) == sorted(OLD)
    assert expected.about["fold"] == "1-x" and expected.about["corpus"] == "synthetic iemocap"
    within = initial_model.read(replace(settings, init_from=str(run / "fold-1-x" / "model.keras")), "0-03")
    assert within.about == expected.about

    shutil.copy(run / "fold-1-x" / "model.keras", tmp_path / "mine.keras")
    places = [tmp_path / "mine.keras"]
    for number, part in enumerate((bare(network_of(model)), network_of(model), model)):
        places.append(tmp_path / f"{number}.weights.h5")
        part.save_weights(places[-1])
    ours = registry.build("fcn", 7, 12)
    for place in places:
        found = initial_model.read(replace(settings, init_from=str(place)), "0-03", ours)
        assert found.outputs == () and found.about["kind"] == "file" and found.about["licence"] == "unknown"
        assert found.layers.keys() == expected.layers.keys()
        assert all(same(found.layers[name], expected.layers[name]) for name in expected.layers)


def test_the_fold_is_that_of_the_same_number_or_the_one_asked_for(run):
    assert initial_model.read(on_emodb(run), "1-08").about["fold"] == "1-x"
    assert initial_model.read(on_emodb(run, init_fold="0"), "1-08").about["fold"] == "0-x"
    for settings, said in (
        (on_emodb(run), "has the folds 0, 1 and none of the number 7. Say which one to take by --init-fold"),
        (on_emodb(run, init_fold="3"), "unknown --init-fold '3'. Known: 0, 1"),
    ):
        with pytest.raises(UserError, match=said):
            initial_model.read(settings, "7-15")


def test_other_features_and_what_is_no_model_are_refused(run, tmp_path):
    with pytest.raises(UserError) as error:
        initial_model.read(on_emodb(run, bands=20, window_ms=30.0), "0-03")
    said = "its features are others than those here: window_ms 40.0, here 30.0"
    assert said in str(error.value) and str(error.value).endswith("Give --window-ms 40.0 --bands 12")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "broken.weights.h5").write_bytes(b"no HDF5")
    linear = shutil.copytree(run, tmp_path / "linear")
    config = json.loads((linear / "config.json").read_text())
    record = json.loads((linear / "metrics.json").read_text())
    (linear / "config.json").write_text(json.dumps({**config, "model": "compare_svm", "recipe": "compare"}))
    (linear / "metrics.json").write_text(json.dumps({**record, "model": "compare_svm"}))
    for name, said in (
        ("absent", "found nothing"),
        ("", "found a folder without them"),
        ("notes.txt", "found a file"),
        ("linear", "expected a network, found compare_svm, a linear model"),
    ):
        with pytest.raises(UserError, match=said):
            initial_model.read(on_emodb(tmp_path / name), "0-03")
    with pytest.raises(UserError, match="expected the weights of fcn by Keras's save_weights, found others"):
        initial_model.read(on_emodb(tmp_path / "broken.weights.h5"), "0-03", registry.build("fcn", 7, 12))


@pytest.fixture(scope="module")
def on_same_corpus(tmp_path_factory):
    return tiny_runs.make(tmp_path_factory.mktemp("same") / "run", "fcn", "emodb", n_folds=2)


def test_speakers_that_the_initial_model_knows_are_refused(on_same_corpus):
    """Fold 0 of EmoDB tests speaker 03 alone: its model may begin fold 0, not fold 1, whose speaker trained it."""
    settings = on_emodb(on_same_corpus, fold="0")
    found = transfer.origins(settings, open_source(settings))
    assert list(found) == ["0-03"]
    seen = found["0-03"].about["seen_speakers"]["synthetic emodb"]
    assert len(seen) == 9 and "03" not in seen
    settings = on_emodb(on_same_corpus, fold="1", init_fold="0")
    with pytest.raises(UserError) as error:
        transfer.origins(settings, open_source(settings))
    assert "1 of 1 test speakers are known to it: 08 (the model of --init-from was trained on" in str(error.value)
    allowed = replace(settings, allow_leakage=True)
    source = open_source(allowed)
    found = transfer.origins(allowed, source)
    found = {name: replace(one, seen=replace(one.seen, clips=None)) for name, one in found.items()}  # no audio is read
    (finding,) = transfer.audit(found, source, {}, None, allowed)
    assert finding.startswith("Fold 1-08: 1 of 1 test speakers are known to it: 08")


def test_speakers_known_to_earlier_models_count(run):
    """A model that began with one of EmoDB and was then trained on IEMOCAP knows EmoDB's speakers."""
    settings = on_emodb(run, fold="1")
    about = {**initial_model.read(settings, "1-08").about, "before": [{"seen_speakers": {"synthetic emodb": ["08"]}}]}
    seen = seen_before.of(about, settings, None)
    assert seen.reason == "an export does not say where its corpus lies" and seen.clips is None
    (fold,) = open_source(settings).folds
    assert seen_before.same_speakers(seen, fold, settings) == ["1 of 1 test speakers are known to it: 08"]


@pytest.fixture(scope="module")
def emodb(tmp_path_factory):
    return synthesize("emodb", tmp_path_factory.mktemp("twin") / "emodb", 70, seconds=(0.3, 0.4))


def test_the_same_recordings_in_another_corpus_are_found(emodb, tmp_path):
    files = sorted(emodb.rglob("*.wav"))[:3]
    shutil.copy(files[1], tmp_path / "mine.wav")
    settings = on_emodb("RUN")
    extractor = from_config.extractor(settings)
    theirs = seen_before.Seen(settings, tuple(Clip(path, path.stem, "x", "sad") for path in files[:2]), {})
    tested = [Clip(tmp_path / "mine.wav", "mine", "me", "sad"), Clip(files[2], "other", "me", "sad")]
    cache = tmp_path / "cache"
    hashes = from_config.features_of(replace(settings, cache_dir=str(cache)), extractor, tested)[0]
    hashes = {name: item.audio_sha256 for name, item in hashes.items()}
    fold = Fold("0-x", (), (), tuple(tested))
    found = seen_before.same_audio(theirs, fold, hashes, extractor, replace(settings, cache_dir=str(cache)))
    assert found == ["1 of 2 test recordings are known to it: mine"]


def job(emodb, run, out, **given):
    given = {"model": "fcn", "recipe": "quick", "corpus": "emodb", "bands": 12, "epochs": 2, "batch_size": 35, **given}
    given |= {"fold": "0", "keep": "last"}
    given |= {"crop_seconds": 0.2, "data_root": str(emodb), "out": str(out), "cache_dir": f"{emodb}-cache"}
    return from_flags({"backend": keras.backend.backend(), "init_from": str(run), **given})


@pytest.mark.backend
def test_an_interrupted_training_in_stages_ends_as_an_uninterrupted_one(emodb, run, tmp_path, monkeypatch):
    """It is interrupted after the last epoch of the first stage. Another model of --init-from is refused then."""
    own = shutil.copytree(run, tmp_path / "initial")
    given = {"freeze_epochs": 1, "fine_tune": "2", "adapt_batch_norm": True, "init_normalization": "kept"}
    whole = train(job(emodb, own, tmp_path / "whole", **given)).folder

    def stop():
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(zoo.training.train, "fit", lambda *arguments: fit(*arguments, after_epoch=stop))
        train(job(emodb, own, tmp_path / "part", **given))
    first = own / "fold-0-x" / "model.keras"
    content = first.read_bytes()
    shutil.copy(own / "fold-1-x" / "model.keras", first)
    with pytest.raises(UserError, match="the weights of --init-from are not those this run was started on"):
        train(job(emodb, own, tmp_path / "part", **given), resume=True)
    first.write_bytes(content)
    part = train(job(emodb, own, tmp_path / "part", **given), resume=True).folder
    models = [load_model(folder / "fold-0-03" / "model.keras") for folder in (whole, part)]
    assert same(*(model.get_weights() for model in models))

    kept = load_model(first)
    means = [network_of(model).get_layer("normalization").get_config()["mean"] for model in (kept, models[0])]
    assert means[0] == means[1]
    before, after = (weights_of(bare(network_of(model))) for model in (kept, models[0]))
    assert same(before["conv1"], after["conv1"]) and not same(before["head"], after["head"])
    assert same(before["norm1"][:2], after["norm1"][:2]) and not same(before["norm1"][2:], after["norm1"][2:])
    assert all(layer.trainable for layer in bare(network_of(models[0])).layers if layer.weights)
    check_record(read_record(whole), job(emodb, own, whole, **given))


def check_record(record, settings):
    """Says where its initial weights are from; so do the command of its model card and that card."""
    (about,) = record["initial"]
    assert (about["kind"], about["name"], about["corpus"]) == ("run", "initial", "synthetic iemocap")
    assert about["licence"] == "none, a synthetic twin" and about["for_fold"] == "0-03" and len(about["sha256"]) == 64
    assert about["head"] == "kept: anger, happiness, neutral, sadness; new: boredom, disgust, fear"
    assert about["seen_speakers"]["synthetic iemocap"] and record["leakage"] == []
    words = command_line.of(resolve(settings))
    assert words[words.index("--init-from") + 1] == "INITIAL"
    lines = list(model_card._initial({"initial": record["initial"]}))
    assert lines[0].startswith(
        "- It began with the weights of the run initial, trained on synthetic iemocap; licence: "
    )
    assert lines[0].endswith(f"SHA-256 `{about['sha256']}`.")
