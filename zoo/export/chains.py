"""Compute post-processing of ratings in the graph, as zoo.inference.postprocess does."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from zoo.inference.postprocess import PostProcess


def postprocessed(ratings: Any, n_frames: Any, chain: PostProcess) -> tf.Tensor:
    """Apply a chain to ratings (batch, frames, dimensions), each recording up to its own end; in float64, as there."""
    columns = []
    for column, steps in enumerate(chain.chains.values()):
        trace = tf.cast(ratings[..., column], tf.float64)
        for step in (step for step in steps if step.kept):
            trace = _STEPS[step.name](trace, n_frames, **step.values)
        columns.append(tf.cast(trace, tf.float32))
    return tf.stack(columns, axis=-1)


def _median(trace, n_frames, frames: int):
    """Filter over an odd number of frames, as those that are fitted are."""
    window = tf.range(tf.shape(trace)[1])[:, None] + tf.range(-(frames // 2), frames // 2 + 1)[None, :]
    last = tf.maximum(n_frames, 1)[:, None, None] - 1
    within = tf.minimum(tf.maximum(window[None], 0), last)  # edges are repeated
    return tf.math.top_k(tf.gather(trace, within, batch_dims=1), frames // 2 + 1).values[..., -1]


_STEPS: dict[str, Callable] = {
    "median": _median,
    "centring": lambda trace, n_frames, prediction_mean, truth_mean: trace - prediction_mean + truth_mean,
    "scaling": lambda trace, n_frames, ratio, about: about + ratio * (trace - about),
    # The first value fills the start.
    "shift": lambda trace, n_frames, frames: tf.gather(
        trace, tf.maximum(tf.range(tf.shape(trace)[1]) - frames, 0), axis=1
    ),
}
