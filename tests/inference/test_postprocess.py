"""Each step of the post-processing by hand and by its definition; test labels do not change it."""

import json
from itertools import pairwise

import numpy as np
import pytest

from zoo.errors import UserError
from zoo.inference import postprocess
from zoo.inference.postprocess import PostProcess, Step

STEP = 0.04
NAMES = ("arousal", "valence")
ALL_STEPS = {
    "median": {"frames": 3},
    "centring": {"prediction_mean": 1.0, "truth_mean": 0.0},
    "scaling": {"ratio": 2.0, "about": 1.0},
    "shift": {"frames": 1},
}


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
    """The median of the frames around each; beyond an edge, its value is repeated."""
    last, offsets = len(trace) - 1, np.arange(frames) - frames // 2
    return np.median(np.asarray(trace)[np.clip(np.arange(len(trace))[:, None] + offsets, 0, last)], axis=1)


def fit(truth, prediction, masks=None):
    masks = masks or [np.ones(len(labels), bool) for labels in truth]
    return postprocess.fit(truth, prediction, NAMES, STEP, masks)


def kept(chain):
    return {step.name: dict(step.values) for step in chain if step.kept}


def chain_of(**values):
    """A post-processing of one dimension that keeps the steps given."""
    steps = (Step(name, values.get(name, {}), name in values, 0.0, 0.0) for name in ALL_STEPS)
    return PostProcess(STEP, {"arousal": tuple(steps)})


@pytest.fixture
def only(monkeypatch):
    """Leaves one step of the chain, where an earlier one would do part of its work."""
    return lambda name: monkeypatch.setattr(postprocess, "_STEPS", {name: postprocess._STEPS[name]})


@pytest.fixture
def truths(rng):
    return [smooth(rng) for _ in range(3)]


@pytest.mark.parametrize(
    ("values", "trace", "expected"),
    [
        ({}, [1, 2, 9], [1, 2, 9]),
        ({"median": {"frames": 3}}, [1, 1, 9, 1, 2, 3], [1, 1, 1, 2, 2, 3]),
        ({"centring": {"prediction_mean": 3.0, "truth_mean": 1.0}}, [0, 5], [-2, 3]),
        ({"scaling": {"ratio": 2.0, "about": 1.0}}, [1, 2, 0], [1, 3, -1]),
        ({"shift": {"frames": 2}}, [1, 2, 3, 4], [1, 1, 1, 2]),
        ({"shift": {"frames": 9}}, [1, 2, 3, 4], [1, 1, 1, 1]),
        # 1 9 2 3 -> median 1 2 3 3 -> -1: 0 1 2 2 -> twice about 1: -1 1 3 3 -> one later
        (ALL_STEPS, [1, 9, 2, 3], [-1, -1, 1, 3]),
    ],
)
def test_chains_by_hand(values, trace, expected):
    result = postprocess.apply(chain_of(**values), np.array(trace, np.float32)[:, None])
    assert result.dtype == np.float32
    np.testing.assert_allclose(result[:, 0], expected)


@pytest.mark.parametrize("frames", [3, 11, 41])
@pytest.mark.parametrize("length", [1, 4, 20, 60])
def test_median_is_its_definition(rng, frames, length):
    trace = rng.standard_normal((length, 1))
    result = postprocess.apply(chain_of(median={"frames": frames}), trace)
    np.testing.assert_array_equal(result[:, 0], definition_median(trace[:, 0], frames))


def test_centring_and_scaling_find_means_and_ratios(truths, only):
    means = np.concatenate(truths).mean(axis=0)
    fitted = fit(truths, [truth + np.array([0.5, -0.2]) for truth in truths])
    for chain, mean, offset in zip(fitted.chains.values(), means, (0.5, -0.2), strict=True):
        expected = {"prediction_mean": mean + offset, "truth_mean": mean}
        assert kept(chain) == {"centring": pytest.approx(expected)} and chain[1].ccc_after == pytest.approx(1)
    only("scaling")
    fitted = fit(truths, [means + (truth - means) / [4, 0.5] for truth in truths])
    for chain, mean, ratio in zip(fitted.chains.values(), means, (4, 0.5), strict=True):
        assert kept(chain) == {"scaling": pytest.approx({"ratio": ratio, "about": mean})}


@pytest.mark.parametrize("frames", [1, 37, 250])
def test_shift_finds_by_how_much_predictions_lead(rng, only, frames):
    """Predictions lead the ratings by `frames`."""
    only("shift")
    whole = [smooth(rng, 900) for _ in range(3)]
    truths = [np.concatenate([np.repeat(trace[:1], frames, axis=0), trace[:-frames]]) for trace in whole]
    fitted = fit(truths, whole)
    assert [kept(chain) for chain in fitted.chains.values()] == [{"shift": {"frames": frames}}] * 2
    np.testing.assert_array_equal(postprocess.apply(fitted, whole[0]), truths[0])


def test_predictions_are_never_moved_back(rng):
    whole = [smooth(rng, 900) for _ in range(3)]
    late = [np.concatenate([np.repeat(trace[:1], 50, axis=0), trace[:-50]]) for trace in whole]
    assert "shift" not in kept(fit(whole, late).chains["arousal"])


def test_median_removes_impulses(rng, truths):
    noisy = [truth + 3 * rng.choice([-1, 0, 1], truth.shape, p=[0.05, 0.9, 0.05]) for truth in truths]
    fitted = fit(truths, noisy)
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


def test_steps_that_do_not_raise_the_ccc_are_not_kept(truths):
    fitted = fit(truths, truths)
    for chain in fitted.chains.values():
        assert kept(chain) == {}
        assert [step.ccc_before for step in chain] == [pytest.approx(1)] * 4
    np.testing.assert_array_equal(postprocess.apply(fitted, truths[0]), truths[0])


def test_scaling_that_cannot_help_is_not_kept(truths, only):
    """Widening a prediction that falls where the truth rises lowers its CCC; a constant one has no ratio."""
    (*_, scaling, _) = fit(truths, [np.full_like(truth, 0.25) for truth in truths]).chains["arousal"]
    assert scaling == Step("scaling", {}, False, scaling.ccc_before, scaling.ccc_before)
    only("scaling")
    (scaling,) = fit(truths, [truth * -0.1 for truth in truths]).chains["arousal"]
    assert not scaling.kept and scaling.values["ratio"] == pytest.approx(10) and scaling.ccc_after < -0.5


def test_recorded_ccc_is_that_of_the_pooled_recordings(rng, truths):
    predictions = [np.roll(0.4 * truth, -20, axis=0) + 0.3 + 0.1 * rng.standard_normal(truth.shape) for truth in truths]
    fitted = fit(truths, predictions)
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
    fitted = fit(gaps, predictions, masks)
    shown = np.concatenate([truth[mask] for truth, mask in zip(truths, masks, strict=True)])
    arousal = kept(fitted.chains["arousal"])
    assert arousal["centring"]["truth_mean"] == pytest.approx(shown[:, 0].mean())
    assert arousal["scaling"]["ratio"] == pytest.approx(3)


def test_only_validation_data_sets_the_constants(rng, truths):
    """A fitted chain treats every recording alike, off by any amount, and leaves its inputs as they are."""
    mean = np.concatenate(truths).mean(axis=0)
    fitted = fit(truths, [truth / 2 + 1 for truth in truths])
    prediction = smooth(rng)
    copy = prediction.copy()
    for truth in truths:
        truth[:] = 99  # validation labels are not read again
    first = postprocess.apply(fitted, prediction)
    np.testing.assert_allclose(first, 2 * (prediction - 1) + (mean - 2 * (mean / 2)), atol=1e-9)
    np.testing.assert_allclose(postprocess.apply(fitted, prediction + 5) - first, 10)
    np.testing.assert_array_equal(prediction, copy)


def test_json_gives_the_same(tmp_path):
    postprocess.save(chain_of(**ALL_STEPS), tmp_path / "postprocess.json")
    assert postprocess.load(tmp_path / "postprocess.json") == chain_of(**ALL_STEPS)


DAMAGES = {
    "step missing": lambda content, step: content["chains"]["arousal"].pop(2),
    "order": lambda content, step: content["chains"]["arousal"].reverse(),
    "no chains": lambda content, step: content.update(chains={}),
    "list": lambda content, step: content.update(chains=[]),
    "no seconds": lambda content, step: content.pop("step_seconds"),
    "seconds": lambda content, step: content.update(step_seconds=-1),
    "name": lambda content, step: step.update(name="mean"),
    "kept": lambda content, step: step.update(kept=1),
    "empty": lambda content, step: step.update(kept=True, values={}),
    "ccc": lambda content, step: step.update(ccc_after=3.0),
    **{
        f"frames {frames}": lambda content, step, frames=frames: step.update(values={"frames": frames})
        for frames in (0, True, 2.5, float("nan"), "x")
    },
}


@pytest.mark.parametrize("damage", [None, b"", b"{", b"[]", b"\xff\xfe", *DAMAGES])
def test_damaged_file_is_refused(tmp_path, damage):
    path = tmp_path / "postprocess.json"
    postprocess.save(chain_of(median={"frames": 3}), path)
    if damage in DAMAGES:
        content = json.loads(path.read_text())
        DAMAGES[damage](content, content["chains"]["arousal"][0])
        damage = json.dumps(content).encode()
    path.unlink() if damage is None else path.write_bytes(damage)
    with pytest.raises(UserError, match=r"postprocess\.json: expected the post-processing"):
        postprocess.load(path)


def test_constant_and_unknown_values_are_refused(truths):
    broken = truths[0].copy()
    broken[3, 1] = np.nan
    with pytest.raises(UserError, match="predictions: expected numbers"):
        postprocess.apply(fit(truths, truths), broken)
    with pytest.raises(UserError, match="predictions: expected numbers"):
        fit(truths, [broken, *truths[1:]])
    with pytest.raises(UserError, match="labels of valence: expected numbers"):
        fit([broken, *truths[1:]], truths)
    with pytest.raises(UserError, match=r"labels of arousal: all are 0\.5"):
        fit([truth * [0, 1] + 0.5 for truth in truths], truths)
