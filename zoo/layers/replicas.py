"""Combine values over the replicas of a network that trains on several devices.

On TensorFlow each replica sees its own part of a batch (`tf.distribute`). On JAX arrays are of the whole batch anyway,
on PyTorch and on one device there are no replicas: there values are returned as they are. Gradients go through.
"""

from typing import Any

import keras


def summed(value: Any) -> Any:
    """Return the sum of a tensor over all replicas, which each of them gets."""
    context = _context()
    return value if context is None else context.all_reduce("SUM", value)


def gathered(value: Any) -> Any:
    """Return the rows (rows, ...) of all replicas, in their order; they may have different numbers of rows.

    Each puts its rows at their place among zeros, and these are summed: on GPUs TensorFlow sums by NCCL, and gathers
    by way of one device.
    """
    context = _context()
    if context is None:
        return value
    import tensorflow as tf

    value = tf.convert_to_tensor(value)
    number, rows = context.replica_id_in_sync_group, tf.shape(value)[0]
    every = tf.cast(summed(tf.cast(rows, "float32") * tf.one_hot(number, context.num_replicas_in_sync)), "int32")
    before = tf.reduce_sum(every[:number])
    around = [before, tf.reduce_sum(every) - before - rows]
    padded = tf.pad(value, [around, *[[0, 0]] * (len(value.shape) - 1)])
    return tf.cast(summed(padded if value.dtype.is_floating else tf.cast(padded, "float32")), value.dtype)


def number_of_replicas() -> int:
    """Return how many replicas compute this, 1 where there is no other."""
    context = _context()
    return 1 if context is None else context.num_replicas_in_sync


def _context() -> Any:
    """Return the context of one of several replicas, or None."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return None if context is None or context.num_replicas_in_sync == 1 else context
