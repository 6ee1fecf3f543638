"""Build the signature "stream" of exports of networks that use no later input: a recording piece by piece.

A server keeps nothing between requests, so the client receives the state and sends it with its next piece.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

from zoo.inference.stateful import behind, local, looks_back_only
from zoo.layers.one_loop_lstm import OneLoopLSTM


def possible(networks: Sequence[keras.Model]) -> bool:
    """Say whether networks, as zoo.inference.exchanged exchanged them, look back only, by LSTM layers."""
    return all(
        looks_back_only(network, carries=_carries) and any(map(_carries, behind(network))) for network in networks
    )


def build(networks: Sequence[keras.Model], steps_per_frame: int):
    """Return the function of the signature.

    Inputs: features (batch, samples, channels) of one piece each, whole frames; `first` and `count` of its frames to
    be rated, around which it has those of zoo.inference.stateful.frames_around, where the recording has them; state
    (batch, state_size), zeros before the first piece.

    Outputs: ratings (batch, count, folds, dimensions), before delay and post-processing; the state after them.
    """
    channels = networks[0].inputs[0].shape[-1]
    parts = [(local(network), behind(network)) for network in networks]
    state_size = sum(2 * layer.units for _, layers in parts for layer in layers if _carries(layer))

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, None, channels), tf.float32, "features"),
            tf.TensorSpec((), tf.int32, "first"),
            tf.TensorSpec((), tf.int32, "count"),
            tf.TensorSpec((None, state_size), tf.float32, "state"),
        ],
        autograph=False,
    )
    def of_pieces(features, first, count, state):
        with tf.control_dependencies(_checks(features, first, count, state, steps_per_frame)):
            features = tf.identity(features)
        n_steps = tf.fill([tf.shape(features)[0]], tf.shape(features)[1])
        ratings: list[tf.Tensor] = []
        after: list[tf.Tensor] = []
        place = 0
        for convolutions, layers in parts:
            sequence = convolutions({"features": features, "n_frames": n_steps}, training=False)
            sequence = sequence[:, first : first + count]
            for layer in layers:
                if not _carries(layer):
                    sequence = layer(sequence, training=False)
                    continue
                middle, end = place + layer.units, place + 2 * layer.units
                sequence, *states = layer.onward(sequence, state[:, place:middle], state[:, middle:end])
                after, place = [*after, *states], end
            ratings.append(tf.cast(sequence, tf.float32))
        return {"ratings": tf.stack(ratings, axis=2), "state": tf.concat(after, axis=1)}

    return of_pieces


def _carries(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, OneLoopLSTM) and layer.directions == 1


def _checks(features, first, count, state, steps_per_frame: int) -> list:
    n_pieces, n_steps = tf.shape(features)[0], tf.shape(features)[1]
    whole = (n_steps % steps_per_frame == 0) & (n_steps > 0) & (n_pieces > 0)
    inside = (first >= 0) & (count >= 1) & (first + count <= n_steps // steps_per_frame)
    finite = tf.reduce_all(tf.math.is_finite(features)) & tf.reduce_all(tf.math.is_finite(state))
    cases = (
        (whole, f"features: expected pieces of whole frames of {steps_per_frame}, found", tf.shape(features)),
        (inside, "first, count: expected at least one frame, inside the piece, found", first, count),
        (tf.equal(tf.shape(state)[0], n_pieces), "state: expected one row for each piece, found", tf.shape(state)),
        (finite, "features, state: expected finite numbers, found NaN or infinity"),
    )
    return [tf.debugging.Assert(condition, list(words)) for condition, *words in cases]
