"""Repeat one batch, in the form that training gives to `Model.fit`."""

import numpy as np


def one_batch(steps: int, features: np.ndarray, targets: np.ndarray, frames: int | None = None):
    """Return `steps` times the same batch for `Model.fit`, all of it real.

    Not as arrays: on TensorFlow Keras feeds those through tf.data with its autotuner, by which a fit may end seconds
    late. `frames` is the length that all features have, where the network may know it: of segments, not of clips.
    """
    from zoo.data.batches.prefetch import batches

    n_frames, weights = np.full(len(features), features.shape[1], np.int32), np.ones(len(features), np.float32)
    arrays = (features, n_frames, targets, weights)
    shapes = ((None, frames, features.shape[2]), (None,), (None, *targets.shape[1:]), (None,))
    return batches(
        steps, lambda number: arrays, [(str(a.dtype), shape) for a, shape in zip(arrays, shapes, strict=True)]
    )
