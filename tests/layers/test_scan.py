"""The loop over frames against one in NumPy."""

import keras
import numpy as np
import pytest
from gradients import numpy
from keras import ops

from zoo.layers.scan import scan

pytestmark = pytest.mark.backend


def step(state, real, left, right, where=ops.where):
    """A state of two parts, of which the sum is kept, and beside it what no state holds."""
    first, second = state
    return (where(real, first * 0.5 + left, first), second - right), (first + second, left * right[:, :1])


def by_hand(state, frames, reverse):
    kept = [None] * len(frames[0])
    for place in reversed(range(len(kept))) if reverse else range(len(kept)):
        state, kept[place] = step(state, *(one[place] for one in frames), where=np.where)
    return state, [np.stack(values) for values in zip(*kept, strict=True)]


def given(rng, n_frames):
    """A state, and frames of two types."""
    left, right = rng.normal(size=(2, n_frames, 3, 2)).astype("float32")
    return tuple(rng.normal(size=(2, 3, 2)).astype("float32")), (left[:, :, :1] > 0, left, right)


def check(found, expected):
    for one, other in zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True):
        np.testing.assert_allclose(numpy(one), other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("n_frames", [1, 5])
def test_frame_by_frame(reverse, n_frames, rng):
    state, frames = given(rng, n_frames)
    found = scan(step, state, [ops.convert_to_tensor(one) for one in frames], (2, 2), reverse=reverse)
    check(found, by_hand(state, frames, reverse))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="others compile for each length")
def test_compiled_for_any_length_it_knows_its_widths(rng):
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def compiled(state, frames):
        last, kept = scan(step, state, frames, (2, 2), reverse=True)
        assert [one.shape[-1] for one in kept] == [2, 2]
        return last, kept

    for n_frames in (4, 1, 7):
        state, frames = given(rng, n_frames)
        check(compiled(state, tuple(map(tf.constant, frames))), by_hand(state, frames, reverse=True))
    assert compiled.experimental_get_tracing_count() == 2
