"""Class weights against the paper's Table 4 and scikit-learn; losses of ratings against float64 NumPy and audmetric."""

import doctest

import audmetric
import keras
import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from zoo import losses
from zoo.data.class_weights import class_weights
from zoo.errors import UserError
from zoo.losses import LOSSES, get_loss

AIBO = ("A", "E", "N", "P", "R")
COUNTS = (881, 2093, 5590, 674, 721)
LABELS = np.repeat(range(5), COUNTS)


def test_class_weights():
    inverse = class_weights("inverse", LABELS, AIBO)
    assert [round(inverse[name], 1) for name in AIBO] == [1.1, 0.5, 0.2, 1.5, 1.4]  # Table 4
    expected = compute_class_weight("balanced", classes=np.arange(5), y=LABELS)
    np.testing.assert_allclose(list(class_weights("balanced", LABELS, AIBO).values()), expected)
    assert class_weights("none", LABELS, AIBO) == dict.fromkeys(AIBO, 1.0)
    assert class_weights("no=2,yes=0.5", [0, 1], ("yes", "no")) == {"no": 2.0, "yes": 0.5}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("inverted", "Did you mean 'inverse'"),
        ("A=1,X=2", "'X'"),
        ("A=1,E=1,N=1,P=1", "no weight for R"),
        ("A=1,E=1,N=1,P=1,R=0", "positive"),
        ("A=1,E=1,N=1,P=1,R=much", "positive"),
    ],
)
def test_unknown_kinds_and_incomplete_weights_are_refused(kind, words):
    with pytest.raises(UserError, match=words):
        class_weights(kind, LABELS, AIBO)


def of_parts(name, part_loss):
    """The definition on lists of unequal sequences (frames, targets): `part_loss` of each or of all as one."""

    def loss(truth, prediction):
        if name not in ("ccc_sum", "pearson"):
            truth, prediction = [np.concatenate(truth)], [np.concatenate(prediction)]
        columns = ((t[:, k], p[:, k]) for t, p in zip(truth, prediction, strict=True) for k in range(t.shape[1]))
        return np.mean([part_loss(np.asarray(t, float), np.asarray(p, float)) for t, p in columns])

    return loss


def mean_square(truth, prediction):
    return np.mean((prediction - truth) ** 2)


def one_minus_ccc(truth, prediction):
    return 1 - audmetric.concordance_cc(truth, prediction)


def one_minus_pearson(truth, prediction):
    return 1 - audmetric.pearson_cc(truth, prediction)


_PARTS = {"sse": mean_square, "ccc_sum": one_minus_ccc, "ccc": one_minus_ccc, "pearson": one_minus_pearson}
EXPECTED = {name: of_parts(name, _PARTS[name]) for name in LOSSES}


def value(name, truth, prediction, weights=None):
    return float(get_loss(name)(truth, prediction, weights))


def value_and_gradient(name, truth, prediction, weights=None, reduction="mean"):
    """The loss and its gradient in the prediction, by the backend's own differentiation."""
    loss, prediction = get_loss(name, reduction), np.asarray(prediction, "float32")
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        variable = tf.Variable(prediction)
        with tf.GradientTape() as tape:
            result = loss(truth, variable, weights)
        gradient = tape.gradient(result, variable)
    elif keras.backend.backend() == "jax":
        import jax

        result, gradient = jax.value_and_grad(lambda prediction: loss(truth, prediction, weights))(prediction)
    else:
        variable = keras.ops.convert_to_tensor(prediction).requires_grad_(True)
        result = loss(truth, variable, weights)
        result.backward()
        result, gradient = result.detach(), variable.grad
    return float(result), keras.ops.convert_to_numpy(gradient)


def ratings(rng, shape=(4, 60, 2), offset=0.1, deviation=0.2):
    truth = offset + deviation * (rng.normal(size=shape) + rng.normal(size=(shape[0], 1, shape[2])))
    prediction = offset + 0.6 * (truth - offset) + deviation * (0.4 * rng.normal(size=shape) + 0.3)
    return truth.astype("float32"), prediction.astype("float32")


@pytest.mark.backend
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("shape", [(4, 60, 2), (1, 7, 1), (3, 2, 5)])
def test_losses_are_their_definitions(rng, name, shape):
    truth, prediction = ratings(rng, shape)
    assert value(name, truth, prediction) == pytest.approx(EXPECTED[name](truth, prediction), rel=1e-5)


@pytest.mark.backend
@pytest.mark.parametrize(
    ("name", "terms"), [("sse", 8 * 400 * 13 / 2), ("ccc_sum", 8 * 13), ("ccc", 13), ("pearson", 8 * 13)]
)
def test_a_sum_as_published_is_so_many_times_the_mean(rng, name, terms):
    """Of a batch of 8 sequences of 400 frames with 13 outputs: a rate of 1e-6 on the sum is .0208 on the mean."""
    truth, prediction = ratings(rng, (8, 400, 13))
    summed, slope = value_and_gradient(name, truth, prediction, reduction="sum")
    mean, mean_slope = value_and_gradient(name, truth, prediction)
    assert summed == pytest.approx(terms * mean, rel=1e-5)
    np.testing.assert_allclose(slope, terms * mean_slope, rtol=1e-4, atol=1e-5 * np.abs(slope).max())


@pytest.mark.backend
def test_sums_are_their_definitions_on_sequences_of_unequal_length(rng):
    (truth, prediction), lengths = ratings(rng), (60, 10, 35, 0)
    mask = np.arange(60) < np.array(lengths)[:, None]
    parts = [(t[:n], p[:n]) for t, p, n in zip(truth, prediction, lengths, strict=True) if n]
    whole = [np.concatenate(side) for side in zip(*parts, strict=True)]
    expected = {
        "sse": sum(np.sum((p.astype(float) - t) ** 2) for t, p in parts) / 2,
        "ccc_sum": sum(one_minus_ccc(t[:, k], p[:, k]) for t, p in parts for k in range(2)),
        "ccc": sum(one_minus_ccc(whole[0][:, k], whole[1][:, k]) for k in range(2)),
    }
    truth[~mask] = np.nan
    for name, total in expected.items():
        assert float(get_loss(name, "sum")(truth, prediction, mask)) == pytest.approx(total, rel=1e-5)
    # CURRENNT goes back from the errors themselves.
    gradient = value_and_gradient("sse", truth, prediction, mask, reduction="sum")[1]
    np.testing.assert_allclose(gradient[mask], (prediction - truth)[mask], rtol=1e-6)
    weights = np.array([2, 0, 1, 1], "float32")
    again = np.array([0, 0, 2])
    for name in ("sse", "ccc_sum"):
        twice = float(get_loss(name, "sum")(truth[again], prediction[again], mask[again]))
        weighted = mask * weights[:, None]
        assert float(get_loss(name, "sum")(truth, prediction, weighted)) == pytest.approx(twice, rel=1e-5)


def closed_form(truth, prediction):
    """d(1 - CCC)/dx_i = 2/N (2 cov (x_i - mean y) / spread^2 + (mean y - y_i) / spread)."""
    y, x = truth.astype("float64"), prediction.astype("float64")
    covariance = np.mean((x - x.mean()) * (y - y.mean()))
    spread = x.var() + y.var() + (x.mean() - y.mean()) ** 2
    return 2 / x.size * (2 * covariance * (x - y.mean()) / spread**2 + (y.mean() - y) / spread)


@pytest.mark.backend
@pytest.mark.parametrize(("offset", "deviation"), [(0.1, 0.2), (1e3, 1e-3), (-1e3, 1), (0, 1e-22), (0, 1e22)])
def test_gradient_of_ccc_is_its_closed_form(rng, offset, deviation):
    truth, prediction = ratings(rng, (3, 40, 1), offset, deviation)
    expected = {
        "ccc": closed_form(truth, prediction),
        "ccc_sum": np.stack([closed_form(t, p) for t, p in zip(truth, prediction, strict=True)]) / 3,
    }
    for name, gradient in expected.items():
        found = value_and_gradient(name, truth, prediction)[1]
        np.testing.assert_allclose(found, gradient, rtol=1e-4, atol=1e-5 * np.abs(gradient).max())


@pytest.mark.backend
@pytest.mark.parametrize(("offset", "deviation"), [(0.1, 0.2), (1e3, 1e-3), (0, 1e-22), (0, 1e22)])
def test_pearson_heeds_no_scale_and_no_offset_and_its_gradient_is_its_closed_form(rng, offset, deviation):
    """dr/dx_i = (y_i - r sd(y)/sd(x) x_i) / (N sd(x) sd(y)), both about their means (eq 8 of D4.2 differentiated)."""
    truth, prediction = ratings(rng, (1, 40, 1), offset, deviation)
    found, gradient = value_and_gradient("pearson", truth, prediction)
    y, x = truth.astype("float64").ravel(), prediction.astype("float64").ravel()
    y, x, r = y - y.mean(), x - x.mean(), np.corrcoef(y, x)[0, 1]
    assert found == pytest.approx(1 - r, rel=1e-4)
    expected = -(y - r * y.std() / x.std() * x) / (40 * x.std() * y.std())
    np.testing.assert_allclose(gradient.ravel(), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    moved = 3 * prediction - 2 * np.float32(offset)  # float32 rounds it anew
    expected = 1 - np.corrcoef(y, moved.astype("float64").ravel())[0, 1]
    assert value("pearson", truth, moved) == pytest.approx(expected, rel=1e-4)
    assert abs(expected - found) < 2e-3
    assert value("pearson", truth, -prediction) == pytest.approx(2 - found, rel=1e-4)
    for constant in (np.full_like(truth, 0.3), np.full_like(truth, 1e3)):
        loss, gradient = value_and_gradient("pearson", truth, constant)
        assert loss == 1 and np.isfinite(gradient).all()


@pytest.mark.backend
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("junk", [0.0, -50.0, np.nan, np.inf])
def test_a_masked_frame_equals_an_absent_one(rng, name, junk):
    (truth, prediction), lengths = ratings(rng), (60, 10, 35, 2)
    mask = np.arange(60) < np.array(lengths)[:, None]
    parts = [[row[:n] for row, n in zip(rows, lengths, strict=True)] for rows in (truth, prediction)]
    expected = EXPECTED[name](*parts)
    truth[~mask], prediction[~mask] = junk, 2 * junk
    for weights in (mask, mask.astype("float32"), 0.5 * mask[..., None], np.repeat(mask[..., None], 2, axis=2)):
        assert value(name, truth, prediction, weights) == pytest.approx(expected, rel=1e-5)
    gradient = value_and_gradient(name, truth, prediction, mask)[1]
    assert np.all(gradient[~mask] == 0) and np.isfinite(gradient).all() and np.abs(gradient[mask]).max() > 0


@pytest.mark.backend
@pytest.mark.parametrize("name", LOSSES)
def test_weights_repeat_frames_and_sequences(rng, name):
    truth, prediction = ratings(rng)
    twice = rng.random(60) < 0.3
    repeated = [list(np.repeat(values, 1 + twice, axis=1)) for values in (truth, prediction)]
    weights = np.tile(1.0 + twice, (4, 1))
    assert value(name, truth, prediction, weights) == pytest.approx(EXPECTED[name](*repeated), rel=1e-5)
    again = [[values[0], values[0], values[2], values[3]] for values in (truth, prediction)]
    weights = np.array([2, 0, 1, 1], "float32")
    assert value(name, truth, prediction, weights) == pytest.approx(EXPECTED[name](*again), rel=1e-5)


@pytest.mark.backend
@pytest.mark.parametrize("name", ["ccc", "ccc_sum"])
@pytest.mark.parametrize(("offset", "deviation"), [(0.0, 0.2), (1e3, 1e-3), (-1e3, 1e-3), (1e3, 1.0)])
def test_float32_holds_for_long_batches_and_large_offsets(rng, name, offset, deviation):
    truth, prediction = ratings(rng, (50, 7500, 2), offset, deviation)
    assert value(name, truth, prediction) == pytest.approx(EXPECTED[name](truth, prediction), rel=1e-4)


@pytest.mark.backend
@pytest.mark.parametrize("name", ["ccc", "ccc_sum"])
@pytest.mark.parametrize("constant", [0.0, 0.3, 1e3, 1e-20])
def test_constants_are_finite(rng, name, constant):
    varying = ratings(rng, (2, 50, 2))[0]
    same, other = np.full_like(varying, constant), np.full_like(varying, np.nextafter(np.float32(constant + 0.1), 2))
    for truth, prediction in ((same, same), (same, other), (same, varying)):
        loss, gradient = value_and_gradient(name, truth, prediction)
        assert loss == 1 and np.all(gradient == 0)
    loss, gradient = value_and_gradient(name, varying, same)
    assert loss == 1
    if name == "ccc":
        expected = np.stack([closed_form(varying[..., k], same[..., k]) for k in range(2)], axis=2) / 2
        np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())
    assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


@pytest.mark.backend
@pytest.mark.parametrize("name", LOSSES)
def test_without_any_weight_loss_and_gradient_are_zero(rng, name):
    truth, prediction = ratings(rng)
    loss, gradient = value_and_gradient(name, truth * np.nan, prediction, np.zeros((4, 60)))
    assert loss == 0 and np.all(gradient == 0)


@pytest.mark.backend
def test_figure_5_1():
    """Traces that correlate fully with y, of CCC .07 (y - 1), .78 (2y) and .15 (2y - 1).

    With mean m and population variance v of y, CCC is 2v / (2v + 1), 4v / (5v + m^2) and 4v / (5v + (m - 1)^2). The
    last two as printed fix m at .0714 and v at .1995^2. The first is then .07 for a shift by 1: "2y" is a misprint.
    """
    m, deviation = 0.0714, 0.1995
    trace = np.random.default_rng(0).normal(size=7500)
    y = (m + deviation * (trace - trace.mean()) / trace.std()).reshape(1, 7500, 1)
    for altered, published in ((y - 1, 0.07), (2 * y, 0.78), (2 * y - 1, 0.15)):
        assert np.corrcoef(y.ravel(), altered.ravel())[0, 1] == pytest.approx(1)
        assert round(1 - value("ccc", y, altered), 2) == published
        assert round(audmetric.concordance_cc(y.ravel(), altered.ravel()), 2) == published


@pytest.mark.backend
def test_figure_5_2():
    """Predicting each sequence's mean: ccc_sum 0, ccc .37.

    CCC is 2 B / (2 B + W), B the variance of the means and W that within sequences: .37 fixes their ratio.
    """
    rng = np.random.default_rng(0)
    within = rng.normal(size=(2, 7500, 1))
    within = (within - within.mean(axis=1, keepdims=True)) * np.sqrt(2 / 0.37 - 2) / within.std()
    means = np.array([[[-1.0]], [[1.0]]])
    truth = 0.1 + 0.2 * (means + within)
    prediction = np.broadcast_to(truth.mean(axis=1, keepdims=True), truth.shape)
    assert abs(1 - value("ccc_sum", truth, prediction)) < 1e-6
    assert round(1 - value("ccc", truth, prediction), 2) == 0.37
    assert round(audmetric.concordance_cc(truth.ravel(), prediction.ravel()), 2) == 0.37


@pytest.mark.backend
def test_sse_is_divided_by_the_sum_of_weights_and_examples_run():
    truth, prediction = np.zeros((1, 2, 2)), np.array([[[1.0, 2.0], [3.0, 0.0]]])
    loss, gradient = value_and_gradient("sse", truth, prediction, np.array([[3.0, 1.0]]))
    assert loss == pytest.approx((3 * 5 + 9) / 8) and gradient.tolist() == [[[0.75, 1.5], [0.75, 0.0]]]  # 2 w x / 8
    found = doctest.testmod(losses)
    assert found.attempted and not found.failed


@pytest.mark.backend
@pytest.mark.parametrize(("name", "policy"), [*((name, "float32") for name in LOSSES), ("ccc", "mixed_float16")])
def test_fit_and_evaluate_with_a_mask(rng, name, policy, tmp_path):
    features = rng.normal(size=(8, 30, 3)).astype("float32")
    offset, tolerance = (1e3, 1e-4) if policy == "float32" else (0, 0.02)
    truth = (offset + 0.5 * features @ rng.normal(size=(3, 2))).astype("float32")
    mask = (np.arange(30) < rng.integers(2, 30, 8)[:, None]).astype("float32")
    truth[mask == 0] = np.nan
    inputs = keras.Input((None, 3))
    model = keras.Model(inputs, keras.layers.Dense(2, dtype=policy)(inputs))
    model.layers[-1].bias.assign([offset, offset])
    model.compile(keras.optimizers.Adam(0.01), get_loss(name), jit_compile=keras.backend.backend() == "jax")
    history = model.fit(features, truth, sample_weight=mask, epochs=2, batch_size=4, verbose=0).history["loss"]
    assert np.isfinite(history).all() and np.isfinite(model.get_weights()[0]).all()

    found = model.evaluate(features, truth, sample_weight=mask, batch_size=8, verbose=0)
    prediction, real = model.predict(features, verbose=0).astype("float32"), mask.astype(int).sum(axis=1)
    parts = [[row[:n] for row, n in zip(rows, real, strict=True)] for rows in (truth, prediction)]
    assert found == pytest.approx(EXPECTED[name](*parts), rel=tolerance)

    model.compile("sgd", get_loss(name, "sum"))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.loss) is LOSSES[name] and loaded.loss.name == name
    assert loaded.loss.get_config() == {"name": name, "reduction": "sum"}
    assert LOSSES[name].from_config({"name": name}).get_config()["reduction"] == "mean"  # of earlier versions' models


@pytest.mark.backend
@pytest.mark.parametrize("name", LOSSES)
def test_half_precision_predictions_are_taken_in_float32(rng, name):
    """Sums of thousands of squares overflow float16, and bfloat16 stops counting at 256."""
    truth, prediction = ratings(rng, (4, 7500, 2))
    for dtype in ("bfloat16", "float16"):
        halved = keras.ops.cast(keras.ops.convert_to_tensor(20 * prediction), dtype)
        seen = keras.ops.convert_to_numpy(keras.ops.cast(halved, "float32"))
        loss = get_loss(name)(20 * truth, halved)
        assert keras.backend.standardize_dtype(loss.dtype) == "float32"
        assert float(loss) == pytest.approx(EXPECTED[name](20 * truth, seen), rel=1e-4)


def test_an_unknown_loss_is_refused():
    with pytest.raises(UserError, match=r"--loss 'cccc'. Did you mean 'ccc'"):
        get_loss("cccc")
    with pytest.raises(UserError, match=r"--loss-reduction 'summ'. Did you mean 'sum'"):
        get_loss("ccc", "summ")


@pytest.mark.backend
@pytest.mark.parametrize("shape", [(2, 9, 2), (2, 10, 1), (2, 10)])
def test_shapes_that_would_broadcast_are_refused(shape):
    with pytest.raises(ValueError, match=r"\(batch, frames, targets\), found"):
        get_loss("ccc")(np.zeros((2, 10, 2)), np.zeros(shape))
