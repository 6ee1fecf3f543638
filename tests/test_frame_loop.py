"""The loop over frames against one in NumPy."""

import keras
import numpy as np
import pytest
from gradients import numpy
from keras import ops

from zoo.frame_loop import scan

pytestmark = pytest.mark.backend


def step(state, left, right):
    """A state of two parts, of which the sum is kept, and beside it what no state holds."""
    first, second = state
    return (first * 0.5 + left, second - right), (first + second, left * right[:, :1])


def by_hand(state, left, right, reverse):
    kept = [None] * len(left)
    for place in reversed(range(len(left))) if reverse else range(len(left)):
        state, kept[place] = step(state, left[place], right[place])
    return state, [np.stack(values) for values in zip(*kept, strict=True)]


def given(rng, n_frames):
    left, right = rng.normal(size=(2, n_frames, 3, 2)).astype("float32")
    return tuple(rng.normal(size=(2, 3, 2)).astype("float32")), left, right


def check(found, expected):
    for one, other in zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True):
        np.testing.assert_allclose(numpy(one), other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("n_frames", [1, 5])
def test_frame_by_frame(reverse, n_frames, rng):
    state, left, right = given(rng, n_frames)
    frames = ops.convert_to_tensor(left), ops.convert_to_tensor(right)
    check(scan(step, state, frames, (2, 2), reverse=reverse), by_hand(state, left, right, reverse))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="others compile for each length")
def test_compiled_for_any_length_it_knows_its_widths(rng):
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, None, 2))] * 2 + [tf.TensorSpec((None, 2))] * 2)
    def compiled(left, right, *state):
        last, kept = scan(step, state, (left, right), (2, 2), reverse=True)
        assert [one.shape[-1] for one in kept] == [2, 2]
        return last, kept

    for n_frames in (4, 1, 7):
        state, left, right = given(rng, n_frames)
        check(compiled(left, right, *state), by_hand(state, left, right, reverse=True))
