"""Ratings that arrive piece by piece are post-processed as the whole recording is."""

import numpy as np
import pytest
import tiny_runs

from zoo.inference.postprocess import PostProcess, Step, apply
from zoo.inference.stream_postprocess import RunningPostProcess, reach


def chain(**frames):
    """The same steps for both dimensions; a step that is not named is not kept."""
    given = {"median": {"frames": frames.get("median", 3)}, "shift": {"frames": frames.get("shift", 1)}}
    steps = tuple(
        Step(step.name, given.get(step.name, step.values), step.name in {*frames, "centring", "scaling"}, 0.1, 0.2)
        for step in tiny_runs.steps(0)
    )
    return PostProcess(0.04, {"arousal": steps, "valence": steps})


CHAINS = {  # how many frames before and behind a frame its rating depends on, and the chain
    "median looks ahead": ((3, 3), chain(median=7)),
    "shift looks back": ((4, 0), chain(shift=4)),
    "both": ((6, 2), chain(median=9, shift=2)),
    "shift beyond half the median": ((8, 0), chain(median=5, shift=6)),
    "neither": ((0, 0), chain()),
}


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("sizes", [[1], [3, 1, 8], [40]])
def test_the_cut_does_not_change_the_ratings(name, sizes, rng):
    raw, (depends_on, steps) = rng.normal(size=(40, 1, 2)), CHAINS[name]
    assert reach([steps]) == depends_on
    running, rows, start = RunningPostProcess([steps]), [], 0
    while start < len(raw):
        size = sizes[len(rows) % len(sizes)]
        rows.append(running.push(raw[start : start + size]))
        start += size
        assert sum(map(len, rows)) == max(0, min(start, 40) - running.after)
    rows.append(running.finish())
    np.testing.assert_array_equal(np.concatenate(rows), apply(steps, raw[:, 0]))


def test_folds_have_their_own_chains(rng):
    raw, chains = rng.normal(size=(20, 2, 2)), [CHAINS["both"][1], CHAINS["shift looks back"][1]]
    running = RunningPostProcess(chains)
    found = np.concatenate([running.push(raw[:13]), running.push(raw[13:]), running.finish()])
    expected = (apply(chains[0], raw[:, 0]) + apply(chains[1], raw[:, 1])) / 2
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_without_chains_the_folds_are_averaged(rng):
    raw = rng.normal(size=(5, 3, 2))
    running = RunningPostProcess()
    np.testing.assert_allclose(running.push(raw), raw.mean(axis=1))
    assert len(running.finish()) == 0
    assert len(RunningPostProcess().finish()) == 0
