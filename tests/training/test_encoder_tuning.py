"""Fine-tuning of speech encoders: what is trained, what is done in training alone, what is saved and refused."""

import json

import keras
import numpy as np
import pytest
from keras import ops
from networks import JIT, half_precision, once

from zoo import registry
from zoo.config import saved
from zoo.config.flags import from_flags
from zoo.errors import UserError
from zoo.inference.open_predictor import open_predictor
from zoo.layers.encoder_training import LayerDrop, SpanMask
from zoo.models.encoder_head import depth_of, fine_tuned_encoder
from zoo.models.wav2vec2 import InTraining, speech_encoder
from zoo.models.weights import encoder_folder
from zoo.runs.folder import read_record
from zoo.runs.model_file import load_model, network_of
from zoo.training import encoder_tuning
from zoo.training.fit import learning_rates
from zoo.training.layer_rates import with_rates
from zoo.utils import memory

QUIET = {"dropout": 0.0, "encoder_dropout": 0.0, "attention_dropout": 0.0, "masked_frames": 0.0, "hidden_units": 16}
RESTLESS = {"encoder_dropout": 0.5, "attention_dropout": 0.5, "layer_drop": 0.9, "masked_frames": 0.9}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder") / "wavlm-tiny"
    encoder_folder.make_random("wavlm", "tiny", folder)
    return folder


@pytest.fixture(scope="module")
def clips():
    waveforms = np.random.default_rng(0).normal(0, 0.3, (2, 2_000, 1)).astype(np.float32)
    return {"features": waveforms, "n_frames": np.array([2_000, 1_300], np.int32)}


def network(folder, chosen=(2,), **options):
    keras.utils.set_random_seed(1)
    found = encoder_folder.read(folder)
    built = fine_tuned_encoder(3, found.config, list(chosen), **{**QUIET, **options})
    encoder_folder.load_into(built, found)
    return built


def settings(folder, **given):
    return from_flags({"model": "wavlm", "weights": str(folder), "fine_tune": "all", **given})


def answers(model, batch):
    return ops.convert_to_numpy(model(batch, training=False))


def step(model, clips, optimizer=None):
    """Trains for one step; returns the names of the layers that it changed, each with its changed weights' names."""
    before = {variable.path: ops.convert_to_numpy(variable).copy() for variable in model.weights}
    model.compile(
        optimizer or keras.optimizers.SGD(1.0), "sparse_categorical_crossentropy", jit_compile=JIT, run_eagerly=not JIT
    )
    model.train_on_batch(clips, np.array([0, 1]))
    changed = {}
    for variable in model.weights:
        if not np.array_equal(before[variable.path], ops.convert_to_numpy(variable)):
            changed.setdefault(variable.path.split("/")[0], set()).add(variable.name)
    return changed


@pytest.mark.backend
@pytest.mark.parametrize("fine_tune, lora, lowest", [("all", 0, 0), ("top", 0, 2), ("2", 0, 1), ("top", 3, 2)])
def test_a_step_changes_exactly_the_wished_weights(folder, clips, fine_tune, lora, lowest):
    model, config = network(folder, (0, 1, 2)), settings(folder, fine_tune=fine_tune, lora=lora)
    if lora:
        encoder_tuning.add_lora(model, config)
    encoder_tuning.freeze(model, config)
    changed = step(model, clips)
    depths = {layer.name: depth_of(layer.name) for layer in model.layers if layer.weights}
    wished = {name for name, depth in depths.items() if depth is None or depth >= lowest}
    if lora:
        of_encoder = {name: weights for name, weights in changed.items() if depths[name] is not None}
        assert of_encoder.keys() == {f"layer1_{part}" for part in ("q", "k", "v", "out")}
        # The other matrix moves once this one is not zero.
        assert set().union(*of_encoder.values()) == {"lora_kernel_b"}
    else:
        assert set(changed) == wished
        # A bias of keys adds the same to all scores of a frame; its gradient is zero but for rounding.
        assert all({"kernel", "bias"} - changed[f"layer1_{part}"] <= {"bias"} for part in ("q", "k", "v", "out"))
    assert "hidden" in changed and not any(name.startswith("conv") for name in changed)


def test_the_head_is_trained_alone_first(folder, clips):
    model, config = network(folder), settings(folder, lora=2)
    encoder_tuning.add_lora(model, config)
    encoder_tuning.freeze(model, config, head_alone=True)
    assert set(step(model, clips)) == {"hidden", "probabilities"}


@pytest.mark.backend
def test_merged_matrices_answer_as_they_did_beside_the_weights(folder, clips, tmp_path):
    model, config = network(folder), settings(folder, lora=3)
    encoder_tuning.add_lora(model, config)
    encoder_tuning.freeze(model, config)
    untrained = answers(model, clips)
    np.testing.assert_allclose(untrained, answers(network(folder), clips), atol=1e-6)  # they add nothing at first
    for _ in range(3):
        step(model, clips)
    merged = encoder_tuning.finished(model)
    assert np.abs(answers(model, clips) - untrained).max() > 1e-3
    np.testing.assert_allclose(answers(merged, clips), answers(model, clips), atol=1e-5)
    assert not any("lora" in variable.name for variable in merged.weights)
    merged.save(tmp_path / "merged.keras")
    loaded = keras.saving.load_model(tmp_path / "merged.keras")
    np.testing.assert_allclose(answers(loaded, clips), answers(merged, clips), atol=1e-6)


@pytest.mark.backend
def test_masks_dropouts_and_dropped_layers_are_of_training_alone(folder, clips):
    config = encoder_folder.read(folder).config
    *expected, _ = speech_encoder_of(folder, config)(clips)
    training = InTraining(0.5, 0.5, 0.9, 0.9, 3, 0.9, 3)
    restless = speech_encoder_of(folder, config, training=training)
    *states, _ = restless(clips, training=False)
    for state, one in zip(states, expected, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(state), ops.convert_to_numpy(one), atol=1e-6)
    first, second = (ops.convert_to_numpy(restless(clips, training=True)[-2]) for _ in range(2))
    assert np.abs(first - second).max() > 0.1


def speech_encoder_of(folder, config, **options):
    network = speech_encoder(config, **options)
    encoder_folder.load_into(network, encoder_folder.read(folder))
    return network


@pytest.mark.backend
def test_padding_does_not_change_an_answer(folder, clips):
    model = network(folder, (0, 1, 2), **RESTLESS)
    alone = answers(model, {"features": clips["features"][1:, :1_300], "n_frames": clips["n_frames"][1:]})
    np.testing.assert_allclose(answers(model, clips)[1:], alone, atol=1e-5)


@pytest.mark.backend
def test_recomputing_changes_no_gradient(folder, clips):
    """With dropout, whose draws are the same in the backward pass."""
    after = []
    for recompute in (False, True):
        model = network(folder, recompute=recompute, attention_dropout=0.4)
        step(model, clips)
        after.append(model.get_weights())
    for one, other in zip(*after, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.backend
def test_half_precision_trains(folder, clips):
    with half_precision():
        model = network(folder, **RESTLESS)
    encoder_tuning.freeze(model, settings(folder))
    step(model, clips, keras.optimizers.Adam(1e-3))
    assert all(np.isfinite(array).all() for array in model.get_weights())


@pytest.mark.backend
def test_spans_are_of_real_frames_and_as_many_as_said():
    """40 frames at a share of 0.5 in spans of 4 are 5 or 6 of them, 30 are 3 or 4; short clips have what fits."""
    layer = SpanMask(0.5, 4, 0.5, 2, seed=3)
    frames, counts = np.ones((4, 40, 8), np.float32), np.array([40, 30, 9, 3], np.int32)
    layer.build(frames.shape)
    layer.embedding.assign(np.full(8, 7.0))
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(frames, counts)), frames)
    shares, starts = [], set()
    for _ in range(40):
        found = ops.convert_to_numpy(layer(frames, counts, training=True))
        channels = (found == 0).all(axis=1)
        assert set(channels.sum(axis=1)) <= {2, 3, 4, 6}  # two spans of two channels, or three; some overlap
        masked = (found == 7).any(axis=2)
        assert not masked[1, 30:].any() and not masked[2, 9:].any() and not masked[3].any()
        assert 4 < masked[0].sum() <= 24 and 4 < masked[1].sum() <= 20 and 4 < masked[2].sum() <= 8
        shares.append(masked[0].mean())
        starts.add(int(masked[0].argmax()))
    # 5 or 6 of 37 places at random, each hiding 4 frames: 1 - (1 - 4 / 37) ** 5.5 of a frame in the middle.
    assert 0.40 < np.mean(shares) < 0.52 and len(starts) > 5


@pytest.mark.backend
def test_a_dropped_layer_is_as_if_it_were_not_there():
    before, behind = np.zeros((2, 3, 4), np.float32), np.ones((2, 3, 4), np.float32)
    layer = LayerDrop(0.25, seed=1)
    assert ops.convert_to_numpy(layer(before, behind)).min() == 1
    draws = [ops.convert_to_numpy(layer(before, behind, training=True)) for _ in range(200)]
    assert all(draw.min() == draw.max() for draw in draws)
    assert 0.65 < np.mean(draws) < 0.85


@pytest.mark.backend
@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop"])
def test_weights_are_trained_at_shares_of_the_rate(name):
    """Of a first step of each optimizer, and of weight decay, by a plain optimizer at that rate."""

    def stepped(kind, rate):
        variables = [keras.Variable(np.array([1.0, -2.0], np.float32), name=one) for one in ("slow", "fast")]
        optimizer = kind(rate, weight_decay=0.1)
        optimizer.build(variables)
        optimizer.apply([ops.convert_to_tensor(np.array([0.5, 0.25], np.float32))] * 2)
        return [ops.convert_to_numpy(variable) for variable in variables]

    plain = getattr(keras.optimizers, name)
    slow, fast = stepped(with_rates(plain, {"slow": 0.1}), 0.5)
    np.testing.assert_allclose(slow, stepped(plain, 0.05)[0], rtol=1e-5)
    np.testing.assert_allclose(fast, stepped(plain, 0.5)[1], rtol=1e-5)
    assert with_rates(plain, {}) is plain


def test_rates_fall_by_layer(folder):
    model, config = network(folder), settings(folder, encoder_rate=0.5, layer_decay=0.2)
    encoder_tuning.freeze(model, config)
    shares = encoder_tuning.rates(model, config)
    by_layer = {path.split("/")[0]: share for path, share in shares.items()}
    assert by_layer["layer1_q"] == 0.5 and by_layer["layer0_wide"] == pytest.approx(0.1)
    assert by_layer["project"] == by_layer["position_bias"] == pytest.approx(0.02)
    assert not {"hidden", "conv0", "conv0_norm"} & by_layer.keys()
    assert encoder_tuning.rates(model, settings(folder)) == {}


def test_the_rate_rises_and_falls(folder):
    schedule = learning_rates(settings(folder, schedule="cosine", warm_up=0.25, learning_rate=0.4), 20)
    found = [float(schedule(number)) for number in (0, 1, 4, 5, 20)]
    np.testing.assert_allclose(found, [0, 0.08, 0.32, 0.4, 0], atol=1e-6)


def test_depths_of_every_layer(folder):
    """A layer of the encoder without one would be trained as a part of the head."""
    config = encoder_folder.read(folder).config
    encoder = speech_encoder(config, training=InTraining(masked_frames=0.1, layer_drop=0.1))
    assert all(depth_of(layer.name) is not None for layer in encoder.layers if layer.weights)
    head = {layer.name for layer in network(folder, (0, 1, 2)).layers if layer.weights and depth_of(layer.name) is None}
    assert head == {"layer_weights", "hidden", "probabilities"}


@once
def test_memory_that_is_not_there_is_asked_for_before_training(folder, monkeypatch):
    """12 bytes for each weight and its copies, 12 for gradients and Adam's slots of those that are trained."""
    model, config = network(folder), settings(folder, fine_tune="1")
    head = 64 + 32 * 16 + 16 + 16 * 3 + 3
    trained = head + 32 * (2 * 48 + 4 * 32) + 48 + 5 * 32 + 4 * 32 + 8 * 8 + 8 + 4
    needed = 4 * (3 * model.count_params() + 3 * trained)
    monkeypatch.setattr(memory, "free_bytes", lambda: needed - 1)
    with pytest.raises(UserError, match=r"--fine-tune 1 of .* 0\.0 million weights.*free memory.*add --lora 8"):
        encoder_tuning.check_memory(model, config)
    assert sum(int(np.prod(one.shape)) for one in model.trainable_weights) == trained
    monkeypatch.setattr(memory, "free_bytes", lambda: needed)
    encoder_tuning.check_memory(network(folder), config)


@once
@pytest.mark.parametrize(
    "given, message",
    [
        ({"fine_tune": "", "lora": 8}, "--lora has no effect on wavlm without --fine-tune all, top or a number"),
        ({"fine_tune": "head", "layer_decay": 0.9}, "--layer-decay has no effect on wavlm without --fine-tune"),
        ({"fine_tune": "", "crop_seconds": 3.0}, "--crop-seconds has no effect on wavlm without --fine-tune"),
        ({"fine_tune": "", "freeze_epochs": 1}, "--freeze-epochs has no effect without --init-from or --fine-tune"),
        ({"fine_tune": "upper"}, "--fine-tune is 'upper', expected all, top, head, or a number"),
        ({"warm_up": 0.1}, "--warm-up 0.1 needs --schedule cosine, found decay"),
        ({"model": "encoder_svm"}, "--fine-tune has no effect on encoder_svm; a linear model is solved at once"),
        ({"model": "attention_fcn", "fine_tune": "all"}, "--weights has no effect on attention_fcn"),
        ({"model": "attention_fcn", "weights": ""}, "--fine-tune has no effect without --init-from; add that"),
    ],
)
def test_settings_without_effect_are_refused(folder, given, message):
    with pytest.raises(UserError, match=message):
        settings(folder, **given)


@once
def test_what_cannot_be_built_is_refused(folder):
    with pytest.raises(UserError, match=r"--fine-tune is 3, expected at most 2, the transformer layers of .*tiny"):
        encoder_tuning.freeze(network(folder), settings(folder, fine_tune="3"))
    config = encoder_folder.read(folder).config
    with pytest.raises(UserError, match=r"layer_drop is 2, expected 0\.0 to 1\.0"):
        registry.build_fine_tuned("wavlm", 3, config, [2], layer_drop=2)
    with pytest.raises(UserError, match=r"option of wavlm.*layer_dropp"):
        registry.build_fine_tuned("wavlm", 3, config, [2], layer_dropp=0.1)


@once
def test_presets_are_for_what_is_trained(folder):
    assert settings(folder).recipe == "fine_tune" and settings(folder, synthetic=True).recipe == "quick_fine_tune"
    assert settings(folder, fine_tune="head").recipe == settings(folder, fine_tune="").recipe == "frozen"
    assert from_flags({"model": "wavlm", "weights": str(folder), "recipe": "fine_tune"}).trains_encoder


@once
def test_records_from_before_fine_tuning_are_of_frozen_encoders(folder, tmp_path):
    before = {**settings(folder, fine_tune="").saved(), "fine_tune": "all"}
    for name in ("lora", "encoder_rate", "layer_decay", "warm_up"):
        del before[name]
    (tmp_path / "config.json").write_text(json.dumps(before))
    assert not saved.load(tmp_path / "config.json").trains_encoder
    (tmp_path / "config.json").write_text(json.dumps(settings(folder).saved()))
    assert saved.load(tmp_path / "config.json").trains_encoder


TRAIN = ("--corpus", "emodb", "--synthetic", "--fold", "0", "--clips", "70", "--batch-size", "16")
FLAGS = ("--fine-tune", "top", "--lora", "2", "--freeze-epochs", "1", "--crop-seconds", "0.5")


@once
@pytest.mark.slow
def test_a_run_from_training_to_its_export(folder, script, tmp_path, monkeypatch):
    """A run that stops behind its first epoch goes on as if it had not; its model needs no folder of weights."""
    train = ("--model", "wavlm", *TRAIN, *FLAGS, "--weights", folder, "--epochs", "2")
    code, out, err = script("train.py", *train, "--out", tmp_path / "run")
    assert code == 0, err
    assert "RANDOM" in out and "random weights: features of an untrained network" in out
    record = read_record(tmp_path / "run")
    assert record["weights_sha256"] == encoder_folder.read(folder).sha256

    stop_behind_an_epoch(monkeypatch)
    assert script("train.py", *train, "--out", tmp_path / "stopped")[0] != 0
    monkeypatch.undo()
    code, _, err = script("train.py", *train, "--out", tmp_path / "stopped", "--resume")
    assert code == 0, err
    whole, resumed = (models_of(tmp_path / name) for name in ("run", "stopped"))
    for one, other in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(one, other)

    code, _, err = script("export.py", tmp_path / "run", "--out", tmp_path / "export")
    assert code == 0, err
    assert "licence: none: random weights" in (tmp_path / "export" / "model_card.md").read_text()
    clip = np.random.default_rng(0).normal(0, 0.1, 20_000).astype(np.float32)
    of_export = open_predictor(tmp_path / "export", True).predict_waveforms([clip])[0]
    of_run = open_predictor(tmp_path / "run", False).predict_waveforms([clip])[0]
    np.testing.assert_allclose(of_export, of_run, atol=1e-5)

    other = tmp_path / "other"
    encoder_folder.make_random("wavlm", "tiny", other, seed=1)
    again = ("--out", tmp_path / "stopped", "--resume", "--weights", other)
    code, _, err = script("train.py", *train[:-4], *again, "--epochs", "2")
    assert code == 2 and "weights of --weights are not those this run was started on" in err


def stop_behind_an_epoch(monkeypatch):
    from zoo.training import checkpoint

    save = checkpoint.save

    def stopping(*arguments):
        save(*arguments)
        raise UserError("stopped")

    monkeypatch.setattr(checkpoint, "save", stopping)


def models_of(run):
    (path,) = run.glob("fold-*/model.keras")
    network = network_of(load_model(path))
    return network.get_weights()
