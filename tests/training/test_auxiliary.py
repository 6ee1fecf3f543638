"""Contrast and adversaries in training: their labels, loss and columns, what is saved, and what is refused."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from networks import once
from scipy.special import softmax

from zoo import registry
from zoo.config.flags import from_flags
from zoo.data.batches.clips import Example
from zoo.data.batches.feature_store import InMemory
from zoo.data.schema import Clip
from zoo.errors import UserError
from zoo.frontends.compose import with_normalization
from zoo.frontends.log_mel import LogMel
from zoo.heads import Head
from zoo.layers.gradient_reversal import GradientReversal
from zoo.losses_auxiliary import supervised_contrast
from zoo.models.auxiliary_heads import PROJECTION, with_auxiliary_heads
from zoo.recipes import RESIDUAL_BIGRU
from zoo.runs import further_targets
from zoo.runs.model_file import network_of
from zoo.training import fit as fitting
from zoo.training.tasks import classification
from zoo.training.tasks.base import FoldData
from zoo.utils.progress import Progress

CLASSES, SPEAKERS = ("a", "b", "c"), ("s0", "s1")


def settings(**changes):
    given = {**RESIDUAL_BIGRU["small_data"], "model": "fcn", "bands": 8, "epochs": 2, "batch_size": 6}
    given |= {"corpus": "emodb", "contrastive": 0.5, "adversarial": "speaker=0.1,sex=0.2", "label_smoothing": 0.0}
    return from_flags({**given, "backend": keras.backend.backend(), **changes})


def fold(folder, rng):
    """Clips of three classes and two speakers; the sex of every third one is unknown."""

    def examples(count):
        lengths = rng.integers(9, 17, count)
        clips = [InMemory((index % 3 + rng.normal(size=(n, 8))).astype("float32")) for index, n in enumerate(lengths)]
        return [Example(clip, index % 3, 1 + index % 3, name=f"{index}") for index, clip in enumerate(clips)]

    train = examples(18)
    clips = tuple(
        Clip(Path(example.name), example.name, f"s{number % 2}", CLASSES[example.label], targets=sex(number))
        for number, example in enumerate(train)
    )
    return FoldData("0", folder, CLASSES, train, examples(9), LogMel(bands=8, clip_mean="removed"), clips=clips)


def sex(number):
    return {} if number % 3 == 0 else {"sex": "fm"[number % 2]}


def trained(folder, config, after_epoch=lambda: None):
    folder.mkdir(exist_ok=True)
    with Progress() as progress:
        fitting.fit(fold(folder, np.random.default_rng(0)), config, progress, after_epoch)
    return keras.saving.load_model(folder / "model.keras", compile=False)


class StoppedError(Exception):
    pass


@pytest.mark.backend
def test_a_stopped_run_ends_the_same_and_the_saved_model_has_no_auxiliary_heads(tmp_path):
    def stop():
        raise StoppedError

    whole = trained(tmp_path / "whole", settings())
    with pytest.raises(StoppedError):
        trained(tmp_path / "stopped", settings(), stop)
    found = trained(tmp_path / "stopped", settings())
    for one, other in zip(whole.get_weights(), found.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    (network,) = [layer for layer in network_of(whole).layers if isinstance(layer, keras.Model)]
    plain = registry.build("fcn", 3, 8)
    assert whole.output_shape == (None, 3)
    assert [layer.name for layer in network.layers] == [layer.name for layer in plain.layers]
    without = trained(tmp_path / "without", settings(contrastive=0.0, adversarial=""))
    assert any(not np.array_equal(*pair) for pair in zip(whole.get_weights(), without.get_weights(), strict=True))


@once
def test_the_loss_is_the_sum_of_its_parts_over_labelled_clips(tmp_path, rng):
    task, config = fold(tmp_path, rng), settings(mixup=0.0)
    made = classification.fitting(task, config)
    names, seen = {example.name: example for example in task.train}, []
    assert set(names) == {clip.name for clip in task.clips}
    for _, labels, weights in made.batches(1):
        labels, weights = np.asarray(labels), np.asarray(weights)
        assert labels.shape[1] == 3 + 2 + 2
        seen += labels.tolist()
        parts = [softmax(rng.normal(size=(len(labels), n)), axis=1) for n in (3, 2, 2)]
        vectors = rng.normal(size=(len(labels), PROJECTION))
        main, speaker, of_sex = (
            -(labels[:, where] * np.log(part)).sum(axis=1)
            for where, part in zip((slice(0, 3), slice(3, 5), slice(5, 7)), parts, strict=True)
        )
        known = labels[:, 5:].sum()
        expected = (main * weights).mean() + speaker.mean() + of_sex.sum() / known
        expected += 0.5 * float(supervised_contrast(labels[:, :3], vectors, 0.1))
        found = made.loss(labels, np.concatenate([*parts, vectors], axis=1).astype("float32"), weights)
        assert float(found) == pytest.approx(expected, rel=1e-4)
    rows = []
    for number in range(18):
        row = [0.0] * 7
        row[number % 3] = row[3 + number % 2] = 1.0
        if number % 3:
            row[5 + number % 2] = 1.0
        rows.append(row)
    assert sorted(seen) == sorted(rows)


@once
def test_what_is_below_an_adversary_unlearns_what_it_learns(rng):
    """A step of plain descent, with the reversal and without: the network's share of it has the factor -scale."""
    batch = {"features": rng.normal(size=(6, 12, 8)).astype("float32"), "n_frames": np.full(6, 12, "int32")}
    labels = np.eye(2, dtype="float32")[np.arange(6) % 2]

    def step(scale):
        """Returns how each weight moves; without reversal for None."""
        keras.utils.set_random_seed(0)
        network = with_normalization(np.zeros(8), np.ones(8), registry.build("fcn", 3, 8, block_dropout=0.0))
        model = with_auxiliary_heads(network, (Head("speaker", SPEAKERS, scale or 1.0),), projected=False)
        if scale is None:
            model.layers[-1].get_layer("reversal_speaker").scale = -1.0
        model.compile(keras.optimizers.SGD(1.0), lambda y, p: keras.losses.categorical_crossentropy(y, p[:, 3:]))
        own = {id(weight) for weight in network.trainable_variables}
        below = [weight for weight in model.trainable_variables if id(weight) in own]
        above = [weight for weight in model.trainable_variables if id(weight) not in own]
        before = [[weight.numpy() for weight in part] for part in (below, above)]
        model.train_on_batch(batch, labels)
        after = [[weight.numpy() for weight in part] for part in (below, above)]
        return [[new - old for new, old in zip(*pair, strict=True)] for pair in zip(after, before, strict=True)]

    plain, reversed_ = step(None), step(0.25)
    moved = [one for one in plain[0] if np.abs(one).max() > 1e-4]
    assert len(moved) > 4
    for one, other in zip(plain[0], reversed_[0], strict=True):
        np.testing.assert_allclose(other, -0.25 * one, rtol=1e-3, atol=1e-6)
    for one, other in zip(plain[1], reversed_[1], strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-6)


@once
@pytest.mark.parametrize("name", ["attention_fcn", "residual_bigru", "rnn_mfcc"])
def test_heads_take_the_joint_vector_or_what_the_last_layer_takes(name):
    inputs = {"n_coefficients": 20} if name == "rnn_mfcc" else {}
    network = registry.build(name, 3, 3 if inputs else 12, **inputs)
    found = with_auxiliary_heads(network, (Head("speaker", SPEAKERS, 0.1),), projected=True)
    assert found.output_shape == (None, 3 + 2 + PROJECTION)
    (reversal,) = [layer for layer in found.layers if isinstance(layer, GradientReversal)]
    expected = network.get_layer("probabilities").input if inputs else network.get_layer("joint").output
    assert reversal.input is expected is found.get_layer("projection_hidden").input and reversal.scale == 0.1


def clips(**targets):
    return [Clip(Path(str(n)), str(n), "s", "a", targets={k: v[n] for k, v in targets.items()}) for n in range(2)]


@once
def test_adversaries_are_classes_of_training_clips():
    task = fold(None, np.random.default_rng(0))
    assert further_targets.adversaries(task.clips, ["speaker", "sex"]) == {"speaker": ["s0", "s1"], "sex": ["f", "m"]}
    pool = [replace(clip, tags={"corpus": "ab"[number % 2]}) for number, clip in enumerate(task.clips)]
    assert further_targets.adversaries(pool, ["corpus"]) == {"corpus": ["a", "b"]}
    unknown = [replace(clip, tags={"speaker": "unknown"}) for clip in task.clips]
    for some, name, said in (
        (unknown, "speaker", "found none"),
        (clips(sex="fm"), "speaker", "found 's'. Leave it out, or name another one: sex, speaker; of several corpora"),
        (clips(age=(20.0, 30.0)), "age", "found numbers"),
        (clips(sex="fm"), "mood", "found none"),
    ):
        with pytest.raises(UserError) as error:
            further_targets.adversaries(some, [name])
        assert str(error.value).startswith(f"--adversarial {name}: expected two classes") and said in str(error.value)


@once
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"adversarial": "speaker"}, "--adversarial: speaker has '', expected a number above 0, up to 100"),
        ({"adversarial": "speaker=-1"}, "speaker has '-1', expected a number above 0"),
        ({"adversarial": "speaker=0.1,speaker=1"}, "'speaker' is named twice; expected NAME=SCALE"),
        ({"adversarial": "=1"}, "'' is no name of letters, digits and _"),
        ({"adversarial": "sex=1", "also": "sex"}, "--adversarial sex=1: sex is to be learnt too; leave one of both"),
        ({"adversarial": "emotion=1"}, "emotion is to be learnt too"),
        ({"contrastive": -1.0}, "--contrastive is -1.0, expected 0.0 to 1000.0"),
        ({"contrastive": 0.0, "contrastive_temperature": 0.5}, "--contrastive-temperature has no effect without --con"),
        ({"contrastive_temperature": 0.0}, "--contrastive-temperature is 0.0, expected 0.01 to 100.0"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, said):
    with pytest.raises(UserError) as error:
        settings(**changes)
    assert said in str(error.value)
