"""The signature "stream" of exports whose networks only look back: one piece of a recording after another.

A server keeps nothing between requests, so the state goes to the client and comes back with its next piece.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

from zoo.export.inference_lstm import OneLoopLSTM
from zoo.inference.stateful import behind, local, looks_back_only


def possible(networks: Sequence[keras.Model]) -> bool:
    """Says whether networks, as zoo.export.inference_lstm exchanged them, look back only, by LSTM layers."""
    return all(
        looks_back_only(network, carries=_carries) and any(map(_carries, behind(network))) for network in networks
    )


def build(networks: Sequence[keras.Model], steps_per_frame: int):
    """Returns the function of the signature.

    Inputs: features (batch, samples, channels) of one piece each, whole frames; the numbers `first` and `count` of the
    frames to be rated, of those in the piece; state (batch, state_size), zeros before the first piece. A piece has
    the frames of zoo.inference.stateful.frames_around beside them, where the recording has them.

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
    return [
        tf.debugging.Assert(
            whole, [f"features: expected pieces of whole frames of {steps_per_frame}, found", tf.shape(features)]
        ),
        tf.debugging.Assert(
            inside, ["first, count: expected at least one frame, inside the piece, found", first, count]
        ),
        tf.debugging.Assert(
            tf.equal(tf.shape(state)[0], n_pieces),
            ["state: expected one row for each piece", n_pieces, "found", tf.shape(state)],
        ),
        tf.debugging.Assert(finite, ["features, state: expected finite numbers, found NaN or infinity"]),
    ]
