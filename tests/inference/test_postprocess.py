"""Post-processing: each step on traces made to need it, worked by hand, and out of the test labels' reach."""

import dataclasses
import inspect
import json
from itertools import pairwise

import numpy as np
import pytest

from zoo.errors import UserError
from zoo.inference import postprocess
from zoo.inference.postprocess import MEDIAN_SECONDS, PostProcess, Step

STEP = 0.04
NAMES = ("arousal", "valence")


def smooth(rng, frames=600, columns=2):
    """Traces in about -1..1 that change over seconds, with plateaus, as raters' do."""
    slow = rng.standard_normal((frames // 50 + 2, columns))
    times = np.arange(frames) / 50
    return 0.3 * np.stack([np.interp(times, np.arange(len(slow)), column) for column in slow.T], axis=1)


def definition_ccc(truth, prediction):
    """Lin's formula by np.cov with population moments."""
    (var_x, covariance), (_, var_y) = np.cov(truth, prediction, bias=True)
    return 2 * covariance / (var_x + var_y + (np.mean(truth) - np.mean(prediction)) ** 2)


def definition_median(trace, frames):
    """The middle value of the frames around each, those beyond the edges being the edge's."""
    last, offsets = len(trace) - 1, np.arange(frames) - frames // 2
    return np.median(np.asarray(trace)[np.clip(np.arange(len(trace))[:, None] + offsets, 0, last)], axis=1)


def kept(chain):
    return {step.name: dict(step.values) for step in chain if step.kept}


def chain_of(**values):
    """A post-processing of one dimension that keeps the steps given."""
    names = ("median", "centring", "scaling", "shift")
    steps = (Step(name, values.get(name, {}), name in values, 0.0, 0.0) for name in names)
    return PostProcess(STEP, {"arousal": tuple(steps)})


@pytest.fixture
def only(monkeypatch):
    """Leaves one step of the chain, where a step before it would mend part of what the later one is for."""
    return lambda name: monkeypatch.setattr(postprocess, "_STEPS", {name: postprocess._STEPS[name]})


@pytest.fixture
def truths(rng):
    return [smooth(rng) for _ in range(3)]


@pytest.mark.parametrize(
    ("values", "trace", "expected"),
    [
        ({}, [1, 2, 9], [1, 2, 9]),
        ({"median": {"frames": 3}}, [1, 1, 9, 1, 2, 3], [1, 1, 1, 2, 2, 3]),
        ({"median": {"frames": 9}}, [1, 5, 2], [2, 2, 2]),  # 1 1 1 1 (1) 5 2 2 2 ... longer than the trace
        ({"median": {"frames": 5}}, [7], [7]),
        ({"centring": {"prediction_mean": 3.0, "truth_mean": 1.0}}, [0, 5], [-2, 3]),
        ({"scaling": {"ratio": 2.0, "about": 1.0}}, [1, 2, 0], [1, 3, -1]),
        ({"shift": {"frames": 2}}, [1, 2, 3, 4], [1, 1, 1, 2]),
        ({"shift": {"frames": 9}}, [1, 2, 3, 4], [1, 1, 1, 1]),
        # 1 9 2 3 -> median 1 2 3 3 -> -1: 0 1 2 2 -> twice about 1: -1 1 3 3 -> one later
        (
            {
                "median": {"frames": 3},
                "centring": {"prediction_mean": 1.0, "truth_mean": 0.0},
                "scaling": {"ratio": 2.0, "about": 1.0},
                "shift": {"frames": 1},
            },
            [1, 9, 2, 3],
            [-1, -1, 1, 3],
        ),
    ],
)
def test_chains_by_hand(values, trace, expected):
    if values == {"median": {"frames": 9}}:
        expected = definition_median(trace, 9)
    result = postprocess.apply(chain_of(**values), np.array(trace, np.float32)[:, None])
    assert result.dtype == np.float32
    np.testing.assert_allclose(result[:, 0], expected)


@pytest.mark.parametrize("frames", [3, 11, 41])
@pytest.mark.parametrize("length", [1, 4, 20, 60])
def test_median_is_its_definition(rng, frames, length):
    trace = rng.standard_normal((length, 1))
    result = postprocess.apply(chain_of(median={"frames": frames}), trace)
    np.testing.assert_array_equal(result[:, 0], definition_median(trace[:, 0], frames))


def test_centring_finds_the_means(truths):
    fitted = postprocess.fit(truths, [truth + np.array([0.5, -0.2]) for truth in truths], NAMES, STEP)
    means = np.concatenate(truths).mean(axis=0)
    for column, (name, offset) in enumerate(zip(NAMES, (0.5, -0.2), strict=True)):
        assert kept(fitted.chains[name]) == {
            "centring": pytest.approx({"prediction_mean": means[column] + offset, "truth_mean": means[column]})
        }
        assert fitted.chains[name][1].ccc_after == pytest.approx(1)


def test_scaling_finds_the_ratio(truths, only):
    only("scaling")
    mean = np.concatenate(truths).mean(axis=0)
    fitted = postprocess.fit(truths, [mean + (truth - mean) / [4, 0.5] for truth in truths], NAMES, STEP)
    assert kept(fitted.chains["arousal"]) == {"scaling": pytest.approx({"ratio": 4, "about": mean[0]})}
    assert kept(fitted.chains["valence"]) == {"scaling": pytest.approx({"ratio": 0.5, "about": mean[1]})}


@pytest.mark.parametrize("frames", [1, 37, 250])
def test_shift_finds_how_early_the_predictions_are(rng, only, frames):
    """A network that hears emotion `frames` before the raters report it."""
    only("shift")
    whole = [smooth(rng, 900) for _ in range(3)]
    truths = [np.concatenate([np.repeat(trace[:1], frames, axis=0), trace[:-frames]]) for trace in whole]
    fitted = postprocess.fit(truths, whole, NAMES, STEP)
    assert [kept(chain) for chain in fitted.chains.values()] == [{"shift": {"frames": frames}}] * 2
    np.testing.assert_array_equal(postprocess.apply(fitted, whole[0]), truths[0])


def test_predictions_are_never_moved_back(rng):
    whole = [smooth(rng, 900) for _ in range(3)]
    late = [np.concatenate([np.repeat(trace[:1], 50, axis=0), trace[:-50]]) for trace in whole]
    assert "shift" not in kept(postprocess.fit(whole, late, NAMES, STEP).chains["arousal"])


def test_median_removes_impulses(rng, truths):
    noisy = [truth + 3 * rng.choice([-1, 0, 1], truth.shape, p=[0.05, 0.9, 0.05]) for truth in truths]
    fitted = postprocess.fit(truths, noisy, NAMES, STEP)
    for column, chain in enumerate(fitted.chains.values()):
        median = chain[0]
        assert median.kept and median.ccc_before < 0.3 and median.ccc_after > 0.9
        labels = np.concatenate([truth[:, column] for truth in truths])
        best = max(  # the grid, tried by the definition
            (odd for odd in (3, 5, 7, 9, 11, 15, 19, 25, 29, 39, 49)),
            key=lambda odd: definition_ccc(
                labels, np.concatenate([definition_median(trace[:, column], odd) for trace in noisy])
            ),
        )
        assert median.values == {"frames": best}


def test_windows_are_odd_and_within_the_seconds():
    windows = [values["frames"] for values in postprocess._windows(np.zeros(1), np.zeros(1), STEP)]
    assert windows[:4] == [3, 5, 7, 9] and windows[-1] == 499
    assert all(frames % 2 for frames in windows) and max(windows) * STEP <= MEDIAN_SECONDS[-1]


def test_what_does_not_help_is_not_kept(truths):
    fitted = postprocess.fit(truths, truths, NAMES, STEP)
    for chain in fitted.chains.values():
        assert kept(chain) == {}
        assert [step.ccc_before for step in chain] == [pytest.approx(1)] * 4
    np.testing.assert_array_equal(postprocess.apply(fitted, truths[0]), truths[0])


def test_scaling_up_opposed_predictions_is_not_kept(truths, only):
    """Widening a prediction that falls where the truth rises makes its CCC more negative."""
    only("scaling")
    opposed = [truth * -0.1 for truth in truths]
    (scaling,) = postprocess.fit(truths, opposed, NAMES, STEP).chains["arousal"]
    assert not scaling.kept and scaling.values["ratio"] == pytest.approx(10) and scaling.ccc_after < -0.5


def test_constant_predictions_have_no_ratio(truths):
    fitted = postprocess.fit(truths, [np.full_like(truth, 0.25) for truth in truths], NAMES, STEP)
    scaling = fitted.chains["arousal"][2]
    assert scaling == Step("scaling", {}, False, scaling.ccc_before, scaling.ccc_before)
    assert kept(fitted.chains["arousal"]) == {}


def test_record_is_the_pooled_ccc_of_what_apply_gives(rng, truths):
    predictions = [np.roll(0.4 * truth, -20, axis=0) + 0.3 + 0.1 * rng.standard_normal(truth.shape) for truth in truths]
    fitted = postprocess.fit(truths, predictions, NAMES, STEP)
    labels, raw = np.concatenate(truths), np.concatenate(predictions)
    done = np.concatenate([postprocess.apply(fitted, prediction) for prediction in predictions])
    for column, chain in enumerate(fitted.chains.values()):
        assert len(kept(chain)) == 4
        assert chain[0].ccc_before == pytest.approx(definition_ccc(labels[:, column], raw[:, column]))
        assert chain[-1].ccc_after == pytest.approx(definition_ccc(labels[:, column], done[:, column]))
        for step, following in pairwise(chain):
            assert following.ccc_before == (step.ccc_after if step.kept else step.ccc_before)


def test_frames_without_labels_count_for_nothing(truths):
    predictions = [truth / 3 + 0.2 for truth in truths]
    masks = [np.arange(len(truth)) < len(truth) - 100 for truth in truths]
    gaps = [np.where(mask[:, None], truth, np.nan) for truth, mask in zip(truths, masks, strict=True)]
    fitted = postprocess.fit(gaps, predictions, NAMES, STEP, masks)
    shown = np.concatenate([truth[mask] for truth, mask in zip(truths, masks, strict=True)])
    arousal = kept(fitted.chains["arousal"])
    assert arousal["centring"]["truth_mean"] == pytest.approx(shown[:, 0].mean())
    assert arousal["scaling"]["ratio"] == pytest.approx(3)


def test_other_recordings_change_nothing(rng, truths):
    """Constants are those of validation: a recording alone, beside others, or far off gets the same treatment."""
    fitted = postprocess.fit(truths, [truth / 2 + 1 for truth in truths], NAMES, STEP)
    one, other = smooth(rng), smooth(rng) + 7
    alone = postprocess.apply(fitted, one)
    postprocess.apply(fitted, other)
    np.testing.assert_array_equal(postprocess.apply(fitted, one), alone)
    mean = np.concatenate(truths).mean(axis=0)
    np.testing.assert_allclose(alone, 2 * (one - 1) + (mean - 2 * (mean / 2)), atol=1e-9)
    np.testing.assert_allclose(postprocess.apply(fitted, one + 5) - alone, 10)  # its own mean is not taken away


def test_test_labels_cannot_reach_it(rng, truths):
    """apply takes a fitted chain and predictions, holds nothing else, and leaves its inputs as they are."""
    assert list(inspect.signature(postprocess.apply).parameters) == ["postprocess", "prediction"]
    fitted = postprocess.fit(truths, [truth / 2 + 1 for truth in truths], NAMES, STEP)
    before = dataclasses.asdict(fitted)
    prediction, labels = smooth(rng), smooth(rng)
    copy = prediction.copy()
    first = postprocess.apply(fitted, prediction)
    labels[:] = 99
    for truth in truths:
        truth[:] = 99  # nor does it look again at validation labels
    np.testing.assert_array_equal(postprocess.apply(fitted, prediction), first)
    np.testing.assert_array_equal(prediction, copy)
    assert dataclasses.asdict(fitted) == before
    with pytest.raises(dataclasses.FrozenInstanceError):
        fitted.chains = {}


def test_json_gives_the_same(rng, truths, tmp_path):
    predictions = [np.roll(0.4 * truth, -20, axis=0) + 0.1 * rng.standard_normal(truth.shape) for truth in truths]
    fitted = postprocess.fit(truths, predictions, NAMES, STEP)
    postprocess.save(fitted, tmp_path / "postprocess.json")
    read = postprocess.load(tmp_path / "postprocess.json")
    assert read == fitted
    np.testing.assert_array_equal(postprocess.apply(read, predictions[0]), postprocess.apply(fitted, predictions[0]))
    assert [path.name for path in tmp_path.iterdir()] == ["postprocess.json"]


def damage(content, change):
    step = content["chains"]["arousal"][0]
    match change:
        case "step missing":
            del content["chains"]["arousal"][2]
        case "order":
            content["chains"]["arousal"].reverse()
        case "no chains":
            content["chains"] = {}
        case "no seconds":
            del content["step_seconds"]
        case "seconds":
            content["step_seconds"] = -1
        case "list":
            content["chains"] = []
        case "frames 0" | "frames true" | "frames 2.5" | "frames NaN" | "frames x":
            step["values"] = {
                "frames": {"0": 0, "true": True, "2.5": 2.5, "NaN": float("nan"), "x": "x"}[change.split()[1]]
            }
        case "name":
            step["name"] = "mean"
        case "kept":
            step["kept"] = 1
        case "empty":
            step.update(kept=True, values={})
        case "ccc":
            step["ccc_after"] = 3.0
        case _:
            raise AssertionError(change)
    return json.dumps(content)


@pytest.mark.parametrize(
    "change",
    (
        *("step missing", "order", "no chains", "no seconds", "seconds", "list", "name", "kept", "empty", "ccc"),
        *("frames 0", "frames true", "frames 2.5", "frames NaN", "frames x"),
    ),
)
def test_damaged_file_is_told_of(truths, tmp_path, change):
    path = tmp_path / "postprocess.json"
    postprocess.save(postprocess.fit(truths, truths, NAMES, STEP), path)
    postprocess.load(path)
    path.write_text(damage(json.loads(path.read_text()), change))
    with pytest.raises(UserError, match=r"postprocess\.json: expected the post-processing"):
        postprocess.load(path)


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"\xff\xfe"])
def test_unreadable_file_is_told_of(tmp_path, content):
    path = tmp_path / "postprocess.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"postprocess\.json: expected the post-processing"):
        postprocess.load(path)


def test_nan_is_refused(truths):
    fitted = postprocess.fit(truths, truths, NAMES, STEP)
    broken = truths[0].copy()
    broken[3, 1] = np.nan
    with pytest.raises(UserError, match="predictions: expected numbers"):
        postprocess.apply(fitted, broken)
    with pytest.raises(UserError, match="predictions: expected numbers"):
        postprocess.fit(truths, [broken, *truths[1:]], NAMES, STEP)
    with pytest.raises(UserError, match="labels of valence: expected numbers"):
        postprocess.fit([broken, *truths[1:]], truths, NAMES, STEP)


def test_constant_labels_are_refused(truths):
    constant = [truth * [0, 1] + 0.5 for truth in truths]
    with pytest.raises(UserError, match=r"labels of arousal: all are 0\.5"):
        postprocess.fit(constant, truths, NAMES, STEP)


def test_shapes_must_fit(truths):
    fitted = postprocess.fit(truths, truths, NAMES, STEP)
    for wrong in (truths[0][:, :1], truths[0][:, 0], truths[0][None]):
        with pytest.raises(ValueError, match="arousal, valence"):
            postprocess.apply(fitted, wrong)
    with pytest.raises(ValueError, match="recording 0"):
        postprocess.fit(truths, [truth[:-1] for truth in truths], NAMES, STEP)
    with pytest.raises(ValueError, match="recording 0"):
        postprocess.fit(truths, truths, NAMES, STEP, [np.ones(len(truth)) for truth in truths])
    with pytest.raises(ValueError, match="found none"):
        postprocess.fit(truths, truths, NAMES, STEP, [np.zeros(len(truth), bool) for truth in truths])
    with pytest.raises(ValueError, match="step_seconds"):
        postprocess.fit(truths, truths, NAMES, 0.0)
    with pytest.raises(ValueError, match="must differ"):
        postprocess.fit(truths, truths, ("arousal", "arousal"), STEP)
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        postprocess.fit(truths, truths[:-1], NAMES, STEP)
