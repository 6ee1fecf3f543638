"""Learning rates, moving averages of weights, soft labels, and resuming with all of these."""

import csv
from dataclasses import replace

import keras
import numpy as np
import pytest

from zoo.config.flags import from_flags
from zoo.data.batches.clips import Example
from zoo.data.batches.feature_store import InMemory
from zoo.errors import DivergedError, UserError
from zoo.frontends.log_mel import LogMel
from zoo.recipes import RESIDUAL_BIGRU
from zoo.runs.model_file import load_model, network_of
from zoo.training import fit as fitting
from zoo.training import snapshots
from zoo.training.tasks import classification
from zoo.training.tasks.base import FoldData
from zoo.utils.progress import Progress

PLAIN = {"weight_average": 0.0, "label_smoothing": 0.0, "mixup": 0.0}


def settings(**changes):
    """The recipe that has every ingredient, for a network that is soon compiled."""
    given = {**RESIDUAL_BIGRU["small_data"], "model": "fcn", "bands": 8, "epochs": 2, "batch_size": 6}
    return from_flags({**given, "backend": keras.backend.backend(), "corpus": "emodb", **changes})


def fold(folder, rng):
    def examples(count):
        lengths = rng.integers(9, 17, count)
        clips = [InMemory((index % 3 + rng.normal(size=(n, 8))).astype("float32")) for index, n in enumerate(lengths)]
        return [Example(clip, index % 3, 1 + index % 3) for index, clip in enumerate(clips)]

    return FoldData("0", folder, ("a", "b", "c"), examples(18), examples(9), LogMel(bands=8, clip_mean="removed"))


def trained(folder, config, after_epoch=lambda: None):
    folder.mkdir(exist_ok=True)
    with Progress() as progress:
        history = fitting.fit(fold(folder, np.random.default_rng(0)), config, progress, after_epoch)
    return history, keras.saving.load_model(folder / "model.keras", compile=False).get_weights()


class StoppedError(Exception):
    pass


def test_a_run_that_is_stopped_after_an_epoch_ends_the_same(tmp_path):
    """Averages, the schedule and the draws of mixtures, tempo and masks go on where they were."""

    def stop():
        raise StoppedError

    config = settings(band_warp=0.1, sampling="balanced", class_weights="none")
    expected, weights = trained(tmp_path / "whole", config)
    with pytest.raises(StoppedError):
        trained(tmp_path / "stopped", config, stop)
    history, found = trained(tmp_path / "stopped", config)
    for one, other in zip(weights, found, strict=True):
        np.testing.assert_array_equal(one, other)
    untimed = [[{**row, "seconds": 0} for row in rows] for rows in (expected, history)]
    assert untimed[0] == untimed[1] and len(history) == 2
    with (tmp_path / "stopped" / "history.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 2


def test_adagrad_divides_every_step_by_the_root_of_all_squared_gradients():
    """Duchi et al. 2011: worked by hand for one weight with loss w * x; again so after a new cycle begins."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    config = settings(optimizer="adagrad", learning_rate=0.1, schedule="decay", decay=0.0, weight_decay=0.0, **PLAIN)
    fitting.compile_model(model, lambda truth, answer: keras.ops.mean(answer), config, 4)
    model.optimizer.build(model.trainable_variables)
    for _ in range(2):
        squares, expected = 0.1, 1.0  # Keras begins the sum at 0.1
        model.set_weights([np.ones((1, 1), "float32")])
        for gradient in (2.0, 0.5):
            model.train_on_batch(np.full((3, 1), gradient, "float32"), np.zeros((3, 1), "float32"))
            squares += gradient**2
            expected -= 0.1 * gradient / np.sqrt(squares)
        assert float(model.get_weights()[0][0, 0]) == pytest.approx(expected, abs=1e-5)
        snapshots.begin_anew(model.optimizer)


def test_snapshots_are_of_each_cycles_end_and_their_mean_answer_is_kept(tmp_path, monkeypatch):
    """Two cycles of two epochs, stopped in the second, against the probabilities of both cycles' ends."""
    config = settings(snapshots=2, epochs=4, patience=1, weight_average=0.0)
    ends, rates, train = [], [], fitting._train

    def watched(model, *arguments):
        row, latest = train(model, *arguments)
        ends.append(model.get_weights())
        rates.append(fitting._learning_rate(model))
        return row, latest

    monkeypatch.setattr(fitting, "_train", watched)
    history, whole = trained(tmp_path / "whole", config)
    assert rates[0] == pytest.approx(rates[2]) and rates[1] == pytest.approx(rates[3], abs=1e-9)
    assert rates[1] < 0.1 * rates[0]

    def stop():
        if len(ends) == 7:  # in the middle of the second cycle
            raise StoppedError

    with pytest.raises(StoppedError):
        trained(tmp_path / "stopped", config, stop)
    again, resumed = trained(tmp_path / "stopped", config)
    assert [row | {"seconds": 0} for row in again] == [row | {"seconds": 0} for row in history] and len(again) == 4
    for one, other in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(one, other)

    task = fold(tmp_path, np.random.default_rng(0))
    network = classification.fitting(task, config).network
    saved = network_of(load_model(tmp_path / "whole" / "model.keras"))
    inputs = {"features": np.ones((2, 12, 8), "float32"), "n_frames": np.array([12, 9], "int32")}
    answers = []
    for weights in (ends[1], ends[3]):
        network.set_weights(weights)
        answers.append(network.predict(inputs, verbose=0))
    np.testing.assert_allclose(saved.predict(inputs, verbose=0), np.mean(answers, axis=0), atol=1e-6)
    assert np.abs(answers[0] - answers[1]).max() > 1e-4
    found = classification.validator(saved, task, config)()
    assert {name: history[-1][name] for name in found} == pytest.approx(found)
    assert fitting.kept_epoch(history, "validation_ua", config) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"snapshots": 3, "epochs": 4}, "--epochs is 4, expected a multiple of --snapshots 3"),
        ({"snapshots": 2, "schedule": "decay"}, "--snapshots needs --schedule cosine or one_cycle, found decay"),
        ({"snapshots": 2, "init_from": "RUN"}, "--snapshots and --init-from exclude each other"),
        ({"snapshots": 0}, "--snapshots is 0, expected 1 to 20"),
        ({"sampling": "balanced"}, "--sampling balanced and --class-weights balanced both even classes out"),
        (
            {"sampling": "corpora", "class_weights": "none", "corpus_weights": "balanced"},
            "--sampling corpora and --c",
        ),
        ({"sampling": "even"}, "unknown --sampling 'even'"),
        ({"band_warp": 0.7}, "--band-warp is 0.7, expected 0.0 to 0.5"),
        ({"model": "cnn1d_mfcc", "band_warp": 0.1}, "--band-warp has no effect on cnn1d_mfcc"),
        ({"model": "egemaps_svm", "sampling": "balanced"}, "--sampling has no effect on egemaps_svm"),
        ({"model": "conv_lstm", "snapshots": 2}, "--snapshots has no effect on conv_lstm"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, message):
    with pytest.raises(UserError) as error:
        settings(**changes) if "model" not in changes else from_flags(changes)
    assert str(error.value).startswith(message)


def test_warped_bands_are_of_training_alone(tmp_path):
    task = fold(tmp_path, np.random.default_rng(0))
    given = {**PLAIN, "augment": "none", "band_shift": 0, "tempo": 0.0}
    plain, warped = (classification.fitting(task, settings(**given, band_warp=share)) for share in (0.0, 0.2))
    moved = 0
    for one, other in zip(plain.batches(1), warped.batches(1), strict=True):
        moved += np.abs(np.subtract(one[0]["features"], other[0]["features"])).max() > 0.1
        for place in (1, 2):
            np.testing.assert_array_equal(one[place], other[place])
        np.testing.assert_array_equal(one[0]["n_frames"], other[0]["n_frames"])
    assert moved == len(warped.batches(1))
    warped.network.set_weights(plain.network.get_weights())
    scores = [classification.validator(one.network, task, settings())() for one in (plain, warped)]
    assert scores[0] == scores[1]


@pytest.mark.backend
def test_the_average_is_validated_and_kept_and_training_goes_on_without_it(tmp_path, monkeypatch):
    """With one step per epoch: average = 0.6 average + 0.4 weights, from the first step's on (Keras's start)."""
    config = settings(weight_average=0.6, batch_size=18, epochs=3, patience=3)
    seen: dict = {"latest": [], "scored": []}
    train, validator = fitting._train, classification.validator

    def watched(*arguments):
        row, latest = train(*arguments)
        seen["latest"].append(latest)
        return row, latest

    def watching(model, *arguments):
        scores = iter((0.1, 0.2, 0.3))  # the last epoch is the best
        validate = validator(model, *arguments)

        def score():
            seen["scored"].append(model.get_weights())
            return {**validate(), "validation_ua": next(scores)}

        return score

    monkeypatch.setattr(fitting, "_train", watched)
    monkeypatch.setattr(classification, "validator", watching)
    _, kept = trained(tmp_path / "averaged", config)
    averaged, scored = list(seen["latest"]), list(seen["scored"])
    trained(tmp_path / "plain", replace(config, weight_average=0.0))
    model = classification.fitting(fold(tmp_path, np.random.default_rng(0)), config).network
    trainable = {id(weight) for weight in model.trainable_weights}
    for index, weight in enumerate(model.weights):
        steps = [weights[index] for weights in averaged]
        for one, other in zip(steps, seen["latest"][3:], strict=True):
            np.testing.assert_array_equal(one, other[index])
        average = steps[0]
        for step, found in zip(steps, scored, strict=True):
            average = 0.6 * average + 0.4 * step if id(weight) in trainable else step
            np.testing.assert_allclose(found[index], average, rtol=1e-5, atol=1e-6)
    assert any(not np.array_equal(one, other) for one, other in zip(kept, averaged[-1], strict=False))


def test_one_cycle_rises_and_falls():
    rates = fitting.learning_rates(settings(learning_rate=0.01), 100)
    found = [float(rates(step)) for step in (0, 15, 30, 65, 100)]
    np.testing.assert_allclose(found, [0.0004, 0.0052, 0.01, 0.005, 0.0], atol=1e-8)
    assert np.isfinite(float(fitting.learning_rates(settings(), 1)(0)))  # one step alone


def test_the_loss_is_the_cross_entropy_with_smoothed_and_mixed_labels(tmp_path, rng):
    task = fold(tmp_path, rng)
    soft = classification.fitting(task, settings(label_smoothing=0.3, mixup=0.0))
    labels, answers = np.eye(3, dtype="float32"), rng.dirichlet(np.ones(3), 3).astype("float32")
    expected = -((0.7 * labels + 0.1) * np.log(answers)).sum(axis=1).mean()
    assert float(soft.loss(labels, answers)) == pytest.approx(expected, rel=1e-5)
    shapes = [labels.shape[1:] for _, labels, _ in soft.batches(1)]
    assert set(shapes) == {(3,)}
    plain = classification.fitting(task, settings(**PLAIN))
    assert plain.loss == "sparse_categorical_crossentropy"
    assert {labels.shape[1:] for _, labels, _ in plain.batches(1)} == {()}


def test_a_loss_that_is_not_finite_is_a_diverged_training():
    """`ser reproduce` goes on with its next learning rate behind such an error, and behind no other."""
    features = keras.Input((1,))
    model = keras.Model(features, keras.layers.Dense(1)(features))
    model.compile("sgd", loss=lambda truth, predicted: keras.ops.mean(predicted) * float("nan"))
    batches = [(np.ones((2, 1), np.float32), np.ones((2, 1), np.float32))]
    with pytest.raises(DivergedError, match="the training loss is nan"):
        fitting._train(model, Batches(batches), "fold 0", settings(**PLAIN), Progress())


class Batches(keras.utils.PyDataset):
    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]
