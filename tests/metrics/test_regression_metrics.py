"""Metrics of ratings against audmetric, SciPy, NumPy on the concatenation, literal loops and cases worked by hand."""

import json
from functools import reduce

import audmetric
import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from zoo.metrics import regression

DIMENSIONS = ("arousal", "valence")


def ratings(rng, n, offset=0.1, deviation=0.2):
    truth = offset + deviation * rng.normal(size=(n, 2))
    return truth, offset + 0.5 * (truth - offset) + deviation * (0.3 + 0.4 * rng.normal(size=(n, 2)))


def recordings(rng, lengths):
    """Recordings whose means differ, as those of people do."""
    parts = [ratings(rng, n, offset) for n, offset in zip(lengths, rng.normal(size=len(lengths)) * 0.3, strict=True)]
    return [list(side) for side in zip(*parts, strict=True)]


def numpy_ccc(truth, prediction):
    covariance = np.mean((truth - truth.mean()) * (prediction - prediction.mean()))
    return 2 * covariance / (truth.var() + prediction.var() + (truth.mean() - prediction.mean()) ** 2)


@pytest.mark.parametrize("n", [2, 3, 50, 7501])
@pytest.mark.parametrize("offset", [0.1, -1e3])
def test_figures_equal_those_of_other_libraries(rng, n, offset):
    truth, prediction = ratings(rng, n, offset)
    both = regression.moments(truth, prediction)
    peers = (
        (both.ccc, audmetric.concordance_cc),
        (both.pearson, audmetric.pearson_cc),
        (both.pearson, lambda t, p: stats.pearsonr(t, p)[0]),
        (both.mae, mean_absolute_error),
        (both.rmse, root_mean_squared_error),
        (regression.kendall(truth, prediction), lambda t, p: stats.kendalltau(t, p).statistic),
    )
    for own, peer in peers:
        np.testing.assert_allclose(own, [peer(truth[:, k], prediction[:, k]) for k in range(2)], rtol=1e-9)
    for function in (regression.ccc, regression.kendall):
        one = function(truth[:, 0], prediction[:, 0])
        assert one.shape == () and one == function(truth, prediction)[0]  # to the bit


@pytest.mark.parametrize("seed", range(4))
def test_any_batching_gives_the_concatenation(seed):
    rng = np.random.default_rng(seed)
    truth, prediction = (np.concatenate(side) for side in recordings(rng, [50_000, 1, 333, 7]))
    cuts = np.sort(rng.choice(np.arange(1, len(truth)), rng.integers(1, 200), replace=False))
    parts = [regression.moments(*pair) for pair in zip(np.split(truth, cuts), np.split(prediction, cuts), strict=True)]

    running = reduce(lambda *pair: regression.merged(pair), parts)
    shuffled = [parts[index] for index in rng.permutation(len(parts))]
    half = len(parts) // 2
    halves = regression.merged([regression.merged(parts[:half]), regression.merged(parts[half:])])
    for together in (running, regression.merged(shuffled), halves):
        assert together.n == len(truth)
        expected = {
            "ccc": [numpy_ccc(truth[:, k], prediction[:, k]) for k in range(2)],
            "pearson": [np.corrcoef(truth[:, k], prediction[:, k])[0, 1] for k in range(2)],
            "rmse": np.sqrt(np.mean((truth - prediction) ** 2, axis=0)),
            "mae": np.mean(np.abs(truth - prediction), axis=0),
            "mean_truth": truth.mean(axis=0),
        }
        for name, figures in expected.items():
            np.testing.assert_allclose(getattr(together, name), figures, rtol=1e-12)


def test_large_offsets_and_small_errors(rng):
    """float64 of the sums of squares would have no digit left."""
    truth, prediction = ratings(rng, 3000, 1e3, 1e-3)
    parts = [regression.moments(truth[i : i + 70], prediction[i : i + 70]) for i in range(0, 3000, 70)]
    expected = [numpy_ccc(truth[:, k] - 1e3, prediction[:, k] - 1e3) for k in range(2)]
    np.testing.assert_allclose(regression.merged(parts).ccc, expected, rtol=1e-9)
    close = truth + 1e-9 * rng.normal(size=truth.shape)
    rmse = regression.moments(truth, close).rmse
    np.testing.assert_allclose(rmse, np.sqrt(np.mean((truth - close) ** 2, axis=0)), rtol=1e-12)


def test_counts_are_copies(rng):
    truth, prediction = recordings(rng, [30, 40, 50])
    parts = [regression.moments(*pair) for pair in zip(truth, prediction, strict=True)]
    counts = np.array([[1, 0, 2], [0, 3, 0], [1, 1, 1]])
    together = regression.merged(parts, counts)
    for row, count in enumerate(counts):
        copies = [np.concatenate([side[i] for i in np.repeat(range(3), count)]) for side in (truth, prediction)]
        assert together.n[row] == len(copies[0])
        for name in ("ccc", "pearson", "rmse", "mae"):
            expected = getattr(regression.moments(*copies), name)
            np.testing.assert_allclose(getattr(together, name)[row], expected, rtol=1e-12)


@pytest.mark.parametrize("constant", [0.0, 0.1, 0.3, 1e3])
def test_what_has_no_value_is_nan(rng, constant):
    same, varying = np.full((7, 2), constant), ratings(rng, 7)[0]
    other = same + 0.1
    for truth, prediction in ((same, other), (same, varying), (varying, same)):
        for parts in (1, 3):
            split = zip(np.array_split(truth, parts), np.array_split(prediction, parts), strict=True)
            together = regression.merged([regression.moments(*pair) for pair in split])
            assert np.all(together.ccc == 0) and np.isnan(together.pearson).all()
        assert np.isnan(regression.kendall(truth, prediction)).all()
    # audmetric gives NaN for 0, 0.3 and 1e3 as well, but 1 for 0.1, whose mean is rounded.
    both = regression.merged([regression.moments(same[:3], same[:3]), regression.moments(same[3:], same[3:])])
    assert np.isnan(both.ccc).all() and np.all(both.rmse == 0) and np.all(both.mae == 0)


@pytest.mark.filterwarnings("error")
def test_one_frame_has_errors_but_no_ccc():
    assert np.isnan(regression.ccc([1.0], [3.0])) and np.isnan(audmetric.concordance_cc([1.0], [3.0]))
    one = regression.moments([1.0], [3.0])
    assert np.isnan(regression.kendall([1.0], [3.0])) and np.isnan(one.pearson)
    assert one.rmse == one.mae == 2


@pytest.mark.parametrize(
    ("truth", "prediction", "words"),
    [
        (np.zeros((3, 2)), np.zeros((4, 2)), "one shape"),
        (np.zeros((3, 2)), np.zeros(3), "one shape"),
        (np.zeros((0, 2)), np.zeros((0, 2)), "one shape"),
        (np.zeros((3, 2, 1)), np.zeros((3, 2, 1)), "one shape"),
        ([0, np.nan, 1], [0, 0, 0], "ratings: 1 of 3"),
        ([0, 1], [np.inf, np.nan], "predictions: 2 of 2"),
    ],
)
def test_bad_input_is_named(truth, prediction, words):
    for function in (regression.moments, regression.ccc, regression.kendall):
        with pytest.raises(ValueError, match=words):
            function(truth, prediction)


def test_evaluate(rng):
    truth, prediction = recordings(rng, [300, 200, 250, 100, 150])
    speakers = ["b", "a", "b", "c", "a"]
    record = regression.evaluate(truth, prediction, DIMENSIONS, speakers)
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert (record["n_recordings"], record["n_speakers"], record["n_frames"]) == (5, 3, 1000)
    assert list(record["dimensions"]) == list(DIMENSIONS)
    pooled = np.concatenate(truth), np.concatenate(prediction)
    for k, row in enumerate(record["dimensions"].values()):
        t, p = (side[:, k] for side in pooled)
        by_recording = [(one[:, k], other[:, k]) for one, other in zip(truth, prediction, strict=True)]
        assert row["ccc"]["value"] == pytest.approx(audmetric.concordance_cc(t, p), rel=1e-12)
        assert row["mean_ccc"] == pytest.approx(np.mean([audmetric.concordance_cc(*pair) for pair in by_recording]))
        assert row["pearson"] == pytest.approx(audmetric.pearson_cc(t, p))
        assert row["rmse"] == pytest.approx(np.sqrt(audmetric.mean_squared_error(t, p)))
        assert row["mae"] == pytest.approx(audmetric.mean_absolute_error(t, p))
        assert row["kendall"] == pytest.approx(np.mean([stats.kendalltau(*pair).statistic for pair in by_recording]))
        assert row["undefined"] == {"ccc": 0, "kendall": 0}
        assert row["ccc"]["low"] < row["ccc"]["value"] < row["ccc"]["high"]
    assert record["ccc"] == pytest.approx(np.mean([row["ccc"]["value"] for row in record["dimensions"].values()]))


def test_undefined_figures_are_none_and_counted(rng):
    truth, prediction = recordings(rng, [30, 20])
    prediction[0][:] = truth[0][:] = [0.3, -0.2]
    row = regression.evaluate(truth, prediction, DIMENSIONS, ["a", "b"])["dimensions"]["valence"]
    assert row["undefined"] == {"ccc": 1, "kendall": 1}
    assert row["mean_ccc"] == pytest.approx(regression.ccc(truth[1], prediction[1])[1])
    assert row["ccc"]["value"] == pytest.approx(regression.ccc(np.concatenate(truth), np.concatenate(prediction))[1])
    assert row["ccc"]["low"] is row["ccc"]["high"] is None  # a resample with speaker a alone has no CCC

    record = regression.evaluate(truth[:1], prediction[:1], DIMENSIONS, ["a"])
    row = record["dimensions"]["arousal"]
    assert record["ccc"] is row["mean_ccc"] is None and row["rmse"] == 0
    assert row["ccc"] == {"value": None, "low": None, "high": None}
    prediction[0][:, 1] += 1  # now only arousal has none: half a mean is no score
    record = regression.evaluate(truth[:1], prediction[:1], DIMENSIONS, ["a"])
    assert record["ccc"] is None and record["dimensions"]["valence"]["ccc"]["value"] == 0
    one_speaker = regression.evaluate(truth, prediction, DIMENSIONS, ["a", "a"])["dimensions"]["arousal"]["ccc"]
    assert one_speaker["value"] is not None and one_speaker["low"] is one_speaker["high"] is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"truth": []}, "as many"),
        ({"speakers": ["a"]}, "as many"),
        ({"speakers": ["a", ""]}, "position 1 is missing"),
        ({"dimensions": ("arousal",)}, r"\(frames, 1\)"),
        ({"truth": [np.zeros((3, 2)), np.zeros(3)]}, r"\(frames, 2\)"),
        ({"truth": [np.zeros((3, 2)), np.zeros((4, 2))]}, "one shape"),
    ],
)
def test_evaluate_names_bad_input(change, words):
    given = dict.fromkeys(("truth", "prediction"), [np.zeros((3, 2))] * 2)
    given |= {"dimensions": DIMENSIONS, "speakers": ["a", "b"]}
    with pytest.raises(ValueError, match=words):
        regression.evaluate(**given | change)


def test_one_number_per_clip_is_pooled_over_clips_not_averaged_over_speakers(rng):
    speakers = np.repeat(["a", "b", "c", "d"], [5, 1, 9, 7])
    truth = np.repeat([20.0, 31.0, 44.0, 60.0], [5, 1, 9, 7])  # an age: constant for each speaker
    prediction = truth + rng.normal(0, 8, 22)
    found = regression.evaluate_clips(truth, prediction, list(speakers))
    assert found["ccc"]["value"] == pytest.approx(audmetric.concordance_cc(truth, prediction))
    assert found["pearson"] == pytest.approx(np.corrcoef(truth, prediction)[0, 1])
    assert found["mae"] == pytest.approx(np.abs(truth - prediction).mean())
    assert (found["n_clips"], found["n_speakers"], found["range"]) == (22, 4, [20.0, 60.0])
    assert found["ccc"]["low"] < found["ccc"]["value"] < found["ccc"]["high"]
    alone = regression.evaluate_clips(truth[:5], prediction[:5], list(speakers[:5]))
    assert alone["ccc"] == {"value": 0.0, "low": None, "high": None}
    assert regression.evaluate_clips([1.0], [1.0], ["a"])["ccc"]["value"] is None
    for bad in (([1.0, 2.0], [1.0, np.nan], ["a", "b"]), ([1.0], [1.0], []), ([[1.0]], [[1.0]], ["a"])):
        with pytest.raises(ValueError, match=r"finite|expected a number"):
            regression.evaluate_clips(*bad)
