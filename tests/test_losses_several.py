"""The loss of several targets with missing labels, against NumPy from the definition, Keras and audmetric."""

import doctest

import audmetric
import keras
import numpy as np
import pytest

from zoo import losses_several
from zoo.heads import Head, label_row
from zoo.losses_several import SeveralTargets

pytestmark = pytest.mark.backend

HEADS = (Head("emotion", ("a", "b", "c")), Head("sex", ("f", "m")), Head("age"), Head("arousal"))
WEIGHTS, DEVIATIONS = [1.0, 0.3, 0.5, 2.0], [1.0, 1.0, 12.0, 0.4]
LABELS = [
    {"emotion": "a", "sex": "f", "age": 25, "arousal": 0.5},
    {"emotion": "c", "age": 63},
    {"sex": "m", "arousal": -0.2},
    {"emotion": "b", "sex": "m", "age": 31},
    {"age": 44, "arousal": 0.1},
]


def rows(labels):
    return np.stack([label_row(HEADS, values) for values in labels])


def outputs(rng, n=5):
    shares = [np.exp(rng.normal(size=(n, size))) for size in (3, 2)]
    shares = [part / part.sum(axis=1, keepdims=True) for part in shares]
    return np.concatenate([*shares, rng.normal(40, 10, (n, 1)), rng.normal(0, 0.5, (n, 1))], axis=1).astype("float32")


def loss(kind="ccc", smoothing=0.0, weights=WEIGHTS):
    return SeveralTargets([len(head.classes) for head in HEADS], weights, DEVIATIONS, kind, smoothing)


def entropy(head, where, labels, found, clip_weights, smoothing):
    """The definition on lists: what is labelled, one by one."""
    terms = []
    for values, output, weight in zip(labels, found[:, where], clip_weights, strict=True):
        if head.name in values:
            shares = np.full(len(head.classes), smoothing / len(head.classes))
            shares[head.classes.index(values[head.name])] += 1 - smoothing
            terms.append(-weight * np.sum(shares * np.log(output)))
    return np.mean(terms)


def of_numbers(kind, name, column, labels, found, deviation):
    pairs = [(v[name], output) for v, output in zip(labels, found[:, column].astype(float), strict=True) if name in v]
    truth, prediction = np.array(pairs).T
    if kind == "mse":
        return np.mean(((prediction - truth) / deviation) ** 2)
    return 1 - audmetric.concordance_cc(truth, prediction)


def definition(labels, found, clip_weights, kind="ccc", smoothing=0.0):
    one = np.ones(len(labels))
    parts = [
        entropy(HEADS[0], slice(0, 3), labels, found, clip_weights, smoothing),
        entropy(HEADS[1], slice(3, 5), labels, found, one, smoothing),
        of_numbers(kind, "age", 5, labels, found, 12.0),
        of_numbers(kind, "arousal", 6, labels, found, 0.4),
    ]
    return np.dot(WEIGHTS, parts)


def value_and_gradient(function, labels, found, weights=None):
    found = np.asarray(found, "float32")
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        variable = tf.Variable(found)
        with tf.GradientTape() as tape:
            result = function(labels, variable, weights)
        gradient = tape.gradient(result, variable)
    elif keras.backend.backend() == "jax":
        import jax

        result, gradient = jax.value_and_grad(lambda found: function(labels, found, weights))(found)
    else:
        variable = keras.ops.convert_to_tensor(found).requires_grad_(True)
        result = function(labels, variable, weights)
        result.backward()
        result, gradient = result.detach(), variable.grad
    return float(result), keras.ops.convert_to_numpy(gradient)


@pytest.mark.parametrize(("kind", "smoothing"), [("ccc", 0.0), ("mse", 0.1)])
def test_missing_labels_have_no_part_in_means_and_moments(rng, kind, smoothing):
    found, clip_weights = outputs(rng), np.array([2, 0.5, 7, 1, 9], "float32")
    expected = definition(LABELS, found, clip_weights, kind, smoothing)
    value, gradient = value_and_gradient(loss(kind, smoothing), rows(LABELS), found, clip_weights)
    assert value == pytest.approx(expected, rel=1e-5)
    unlabelled = np.array([[head.name not in values for head in HEADS] for values in LABELS])
    columns = np.repeat(unlabelled, [3, 2, 1, 1], axis=1)
    assert np.isfinite(gradient).all() and np.all(gradient[columns] == 0)
    assert np.all(np.abs(gradient[~columns]).reshape(-1) > 0)


def test_gradients_are_slopes(rng):
    found, labels = outputs(rng), rows(LABELS)
    gradient = value_and_gradient(loss(), labels, found)[1]
    for clip, column, step in ((0, 0, 1e-3), (3, 4, 1e-3), (1, 5, 0.05), (0, 6, 2e-3)):
        moved = [found.copy(), found.copy()]
        moved[0][clip, column] -= step
        moved[1][clip, column] += step
        # Keras's normalisation by the sum is part of the function.
        low, high = (float(loss()(labels, one)) for one in moved)
        assert (high - low) / (2 * step) == pytest.approx(gradient[clip, column], rel=0.02)


@pytest.mark.parametrize("kind", ["ccc", "mse"])
def test_without_any_label_loss_and_gradient_are_zero(rng, kind):
    value, gradient = value_and_gradient(loss(kind), rows([{}] * 5), outputs(rng))
    assert value == 0 and np.all(gradient == 0)


def test_one_number_in_a_batch_has_no_ccc_and_adds_nothing(rng):
    labels = [{"age": 30}, {}, {}, {}, {}]
    value, gradient = value_and_gradient(loss(), rows(labels), outputs(rng))
    assert value == 0 and np.all(gradient == 0)
    found = outputs(rng)
    value, gradient = value_and_gradient(loss("mse"), rows(labels), found)
    assert value == pytest.approx(0.5 * ((found[0, 5] - 30) / 12) ** 2, rel=1e-5) and gradient[0, 5] != 0


def test_a_batch_of_one_age_is_finite(rng):
    """Where the truth is constant CCC is 0, and pulling the predictions together does not help."""
    value, gradient = value_and_gradient(loss(), rows([{"age": 30}] * 5), outputs(rng))
    assert value == pytest.approx(0.5) and np.isfinite(gradient).all()


def test_one_target_is_keras_cross_entropy(rng):
    shares, weights = outputs(rng)[:, :3], np.array([1, 2, 0.5, 1, 3], "float32")
    truth = np.eye(3, dtype="float32")[[0, 2, 1, 1, 0]]
    expected = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)(truth, shares, weights)
    found = SeveralTargets([3], [1], [1], label_smoothing=0.1)(truth, shares, weights)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)
    halved = shares / 2  # as heads of sigmoids may give them, which are no probabilities
    assert float(SeveralTargets([3], [1], [1])(truth, halved)) == pytest.approx(
        -np.mean(np.log(shares[np.arange(5), truth.argmax(axis=1)])), rel=1e-5
    )


def test_mixtures_of_rows_are_mixtures_of_losses(rng):
    """Mixup of a labelled clip with an unlabelled one counts by its share; numbers mix where both are there."""
    first, second = rows([LABELS[0]]), rows([LABELS[1]])
    found = outputs(rng, 1)
    mixed = 0.7 * first + 0.3 * second
    np.testing.assert_allclose(mixed[0, 5:7], [0.7 * 25 + 0.3 * 63, 1], rtol=1e-6)
    value = float(loss("mse")(mixed, found))
    age = ((found[0, 5] - (0.7 * 25 + 0.3 * 63)) / 12) ** 2
    arousal = ((found[0, 6] - 0.5) / 0.4) ** 2  # of the first alone
    emotion = -0.7 * np.log(found[0, 0]) - 0.3 * np.log(found[0, 2])
    expected = emotion + 0.3 * -np.log(found[0, 3]) + 0.5 * age + 2 * arousal
    assert value == pytest.approx(expected, rel=1e-5)


def test_training_with_missing_labels_stays_finite_and_the_loss_is_saved(rng, tmp_path):
    inputs = keras.Input((4,))
    parts = [
        keras.layers.Dense(size, activation=kind)(inputs) for size, kind in ((3, "softmax"), (2, "softmax"), (2, None))
    ]
    model = keras.Model(inputs, keras.layers.Concatenate()(parts))
    ways = {"jax": {"jit_compile": True}, "tensorflow": {"run_eagerly": True}}  # tracing takes seconds
    model.compile(keras.optimizers.Adam(0.01), loss(), **ways.get(keras.backend.backend(), {}))
    labels = rows([*LABELS, *([{}] * 5)])
    history = model.fit(rng.normal(size=(10, 4)), labels, epochs=2, batch_size=5, shuffle=False, verbose=0).history
    assert np.isfinite(history["loss"]).all() and all(np.isfinite(values).all() for values in model.get_weights())
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras").loss
    assert type(loaded) is SeveralTargets and loaded.get_config() == loss().get_config()


def test_examples_run():
    found = doctest.testmod(losses_several)
    assert found.attempted and not found.failed
