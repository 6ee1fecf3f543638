"""A stream through an export answers as the run does on the whole recording."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
import tiny_runs
from predictions import predict_run
from streams import CUTS, level_of, pushed, speech, values, written

from zoo.errors import UserError
from zoo.inference.stream import Stream
from zoo.serving import saved_model


@pytest.fixture(scope="module")
def causal_export(ratings):
    return saved_model.load(ratings[1])


@pytest.mark.parametrize(("cut", "seconds"), [("odd", 3.017), ("small", 1.017), ("at once", 0.04)])
def test_an_export_carries_its_state_and_its_post_processing(ratings, causal_export, tmp_path, cut, seconds):
    """Two folds, each with a median and a shift of its own, and the raters' delay."""
    samples = speech(seconds)
    expected = list(predict_run(ratings[0], [written(samples, tmp_path)], postprocessed=True))
    rows = pushed(causal_export, samples, CUTS[cut], level=level_of(samples))
    assert Stream(causal_export).live.way == "state"
    assert Stream(causal_export).latency_seconds == pytest.approx(0.44)  # the shift spans what the median looks ahead
    assert [row["time"] for row in rows] == [row["time"] for row in expected]
    np.testing.assert_allclose(values(rows), values(expected), atol=1e-5)
    assert seconds < 1 or np.ptp(values(rows), axis=0).min() > 0.01


@pytest.mark.parametrize("model", ["conv_lstm", "conv_bigru"])
def test_ratings_that_wait_for_more_audio(exported, model, tmp_path):
    """By windows as well, of which the graph rates the last moments with what it has."""
    flags = {"option": [*tiny_runs.SMALL[model]["option"], 'fft="frame"']} if model == "conv_bigru" else {}
    run, version = exported(model, flags={"label_delay_seconds": -0.2, **flags})
    export = saved_model.load(version)
    samples = speech(3.017)
    expected = values(list(predict_run(run, [written(samples, tmp_path)])))
    found = pushed(export, samples, CUTS["odd"], level=level_of(samples))
    opened = Stream(export)
    ways = {"conv_lstm": ("state", 0.4 + 0.04 + 0.2), "conv_bigru": ("windows", 1.0 + 2.0 + 0.2)}
    assert (opened.live.way, opened.latency_seconds) == (ways[model][0], pytest.approx(ways[model][1]))
    np.testing.assert_allclose(values(found), expected, atol=1e-5)
    with pytest.raises(UserError, match=r"look-ahead is .*at least 0\.2 s|look-ahead is for ratings by windows"):
        Stream(export, look_ahead_seconds=0.16)


def test_a_damaged_description_is_no_traceback(causal_export):
    damage = ({"stream": {"before_frames": 1}}, {"stream": 3}, {"postprocess": [{"step_seconds": 0.04}]})
    for change in (*damage, {"signatures": {}}):
        damaged = replace(causal_export, description={**causal_export.description, **change})
        with pytest.raises(UserError, match=r"description is damaged .*export the run again"):
            Stream(damaged)


def test_exports_made_before_streams_go_by_windows(causal_export):
    without = {name: value for name, value in causal_export.description.items() if name != "stream"}
    old = Stream(replace(causal_export, description=without))
    samples = speech(3.017)
    rows = pushed(old.live, samples, level=level_of(samples))
    whole = causal_export.on_features([((samples - samples.mean()) / samples.std())[:, None]])[0]
    assert old.live.way == "windows"
    np.testing.assert_allclose(values(rows), whole, atol=1e-5)


def test_pieces_of_several_streams_in_one_request(causal_export, rng):
    """A server's clients send their state along; each gets what it gets alone."""
    pieces, states = rng.normal(size=(2, 640 * 5, 1)).astype("float32"), rng.normal(0, 0.3, (2, 48)).astype("float32")
    together = causal_export.module.signatures["stream"](features=pieces, first=1, count=3, state=states)
    for number, (piece, state) in enumerate(zip(pieces, states, strict=True)):
        ratings, after = causal_export.on_piece(piece, 1, 3, state[None])
        assert ratings.shape == (3, 2, 2)
        np.testing.assert_allclose(together["ratings"][number], ratings, atol=1e-6)
        np.testing.assert_allclose(together["state"][number], after[0], atol=1e-6)
    assert np.abs(np.subtract(*together["state"])).max() > 0.1


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"features": np.zeros((1, 639, 1), "float32")}, "whole frames of 640"),
        ({"features": np.zeros((0, 640, 1), "float32")}, "whole frames of 640"),
        ({"features": np.full((1, 1280, 1), np.nan, "float32")}, "finite"),
        ({"first": 1, "count": 2}, "inside the piece"),
        ({"first": -1}, "inside the piece"),
        ({"count": 0}, "at least one frame"),
        ({"state": np.zeros((2, 48), "float32")}, "one row for each piece"),
        ({"state": np.full((1, 48), np.inf, "float32")}, "finite"),
    ],
)
def test_pieces_that_cannot_be_rated_are_refused_by_the_graph(causal_export, change, found):
    zeros = {"features": np.zeros((1, 1280, 1), "float32"), "state": np.zeros((1, 48), "float32")}
    with pytest.raises(tf.errors.InvalidArgumentError, match=found):
        causal_export.module.signatures["stream"](**{**zeros, "first": 0, "count": 2, **change})
