"""Loop over frames and hand a state on, on every backend."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

Tensors = Sequence[Any]
Step = Callable[..., tuple[Tensors, Tensors]]


def scan(
    step: Step, state: Tensors, frames: Tensors, kept_widths: Sequence[int], *, reverse: bool = False
) -> tuple[Tensors, Tensors]:
    """Call step(state, one frame of each of `frames`) -> (next state, what is kept of this frame), frame by frame.

    Args:
        state: what the first call gets, tensors of any shape.
        frames: (frames, batch, any) each.
        kept_widths: the last size of each (batch, width) that is kept, in the type of the state.
        reverse: begins at the last frame.

    Returns:
        the last state, and what was kept, (frames, batch, width) each, in the order of `frames`.
    """
    if keras.backend.backend() == "tensorflow":
        return _tensorflow_scan(step, state, frames, kept_widths, reverse)
    return ops.scan(lambda state, frame: step(state, *frame), tuple(state), tuple(frames), reverse=reverse)


def _tensorflow_scan(step, state, frames, kept_widths, reverse):
    """Keras's scan copies all frames into lists of tensors first, carries the state in such lists, keeps all of it, and
    takes no more than one input of unknown length. Here a frame is a slice.
    """
    import tensorflow as tf

    n_frames = tf.shape(frames[0])[0]
    kept = [tf.TensorArray(state[0].dtype, n_frames, element_shape=(None, width)) for width in kept_widths]

    def body(done, state, kept):
        place = n_frames - 1 - done if reverse else done
        state, values = step(state, *(one[place] for one in frames))
        return done + 1, state, [array.write(place, value) for array, value in zip(kept, values, strict=True)]

    start = (0, tuple(state), kept)
    # Each frame waits for the state of the one before it: there is nothing to run side by side.
    _, state, kept = tf.while_loop(lambda done, *_: done < n_frames, body, start, parallel_iterations=1)
    return state, [array.stack() for array in kept]
