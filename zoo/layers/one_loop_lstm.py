"""Run both directions of an LSTM in one loop, in inference on TensorFlow.

Keras runs each direction of an LSTM in a loop of its own, and multiplies each frame with the input weights inside it.
On one utterance a step's cost is that of its operations, not of its arithmetic: here all frames are multiplied at once
before the loop, one loop runs both directions, and its body has no mask.
"""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from zoo.layers.masking import ExplicitMask


class OneLoopLSTM(ExplicitMask):
    """keras.layers.LSTM in inference, or with two `directions` Bidirectional around it; with their weights.

    Sigmoid gates, tanh, a bias; outputs of both directions side by side.

    Call: sequences (batch, frames, channels), mask (batch, frames) or none -> (batch, frames, directions * units). A
    mask is zoo.layers.masking.FrameMask's: padding follows the real frames. There the output is zero, as that of
    Bidirectional; LSTM alone repeats the last real frame's.
    """

    def __init__(self, units: int, directions: int = 1, **kwargs: Any):
        super().__init__(**kwargs)
        self.units, self.directions = units, directions

    def build(self, sequences_shape, mask_shape=None):
        self.ways = []
        for way in ("forward", "backward")[: self.directions]:
            kernel = self.add_weight(shape=(sequences_shape[-1], 4 * self.units), name=f"{way}_kernel")
            recurrent = self.add_weight(shape=(self.units, 4 * self.units), name=f"{way}_recurrent_kernel")
            bias = self.add_weight(shape=(4 * self.units,), initializer="zeros", name=f"{way}_bias")
            self.ways.append((kernel, recurrent, bias))

    def call(self, sequences, mask=None):
        backwards = self._backwards(sequences, mask)
        inputs = [sequences, *([backwards(sequences)] if self.directions == 2 else [])]
        driven = [
            tf.matmul(tf.transpose(one, (1, 0, 2)), kernel) + bias
            for one, (kernel, _, bias) in zip(inputs, self.ways, strict=True)
        ]
        start = tf.zeros((tf.shape(sequences)[0] * self.directions, self.units), driven[0].dtype)
        outputs = self._loop(tf.concat(driven, axis=1), start, start)[0]
        outputs = [tf.transpose(one, (1, 0, 2)) for one in tf.split(outputs, self.directions, axis=1)]
        outputs = tf.concat([outputs[0], *map(backwards, outputs[1:])], axis=-1)
        return outputs if mask is None else tf.where(mask[..., None], outputs, 0.0)

    def onward(self, sequences: Any, hidden: Any, cell: Any) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Continue from a state, in one direction: (batch, frames, channels), two (batch, units) -> outputs, state."""
        (kernel, _, bias), *_ = self.ways
        driven = tf.matmul(tf.transpose(sequences, (1, 0, 2)), kernel) + bias
        outputs, hidden, cell = self._loop(driven, hidden, cell)
        return tf.transpose(outputs, (1, 0, 2)), hidden, cell

    def _backwards(self, sequences, mask):
        """Return a function that reverses the real frames of every clip; padding stays behind them."""
        if mask is None:
            return lambda frames: tf.reverse(frames, [1])
        frame = tf.range(tf.shape(sequences)[1])[None, :]
        last = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1, keepdims=True) - 1
        places = tf.where(mask, last - frame, frame)
        return lambda frames: tf.gather(frames, places, batch_dims=1)

    def _loop(self, driven, hidden, cell):
        """(frames, directions * batch, 4 * units), in each direction's order of time -> (..., units), and state.

        The state is `hidden` and `cell` (directions * batch, units), before the first frame and after the last.
        """
        n_frames = tf.shape(driven)[0]
        frames = tf.TensorArray(driven.dtype, n_frames, element_shape=(None, 4 * self.units)).unstack(driven)
        outputs = tf.TensorArray(driven.dtype, n_frames, element_shape=(None, self.units))
        recurrent = [ops.convert_to_tensor(weights) for _, weights, _ in self.ways]

        def step(frame, hidden, cell, outputs):
            # Two products of a row each take half the time of one batched product.
            ways = zip(tf.split(hidden, self.directions), recurrent, strict=True)
            gates = frames.read(frame) + tf.concat([tf.matmul(state, weights) for state, weights in ways], axis=0)
            entry, forget, candidate, output = tf.split(gates, 4, axis=1)
            cell = tf.sigmoid(forget) * cell + tf.sigmoid(entry) * tf.tanh(candidate)
            hidden = tf.sigmoid(output) * tf.tanh(cell)
            return frame + 1, hidden, cell, outputs.write(frame, hidden)

        start = (0, hidden, cell, outputs)
        _, hidden, cell, outputs = tf.while_loop(lambda frame, *_: frame < n_frames, step, start)
        return outputs.stack(), hidden, cell

    def compute_output_spec(self, sequences, mask=None):
        return keras.KerasTensor((*sequences.shape[:2], self.directions * self.units), self.compute_dtype)
