"""Keras's LSTM with a gradient written out, which trains faster on every Keras backend."""

import keras
import numpy as np
from keras import ops

from zoo.layers import register


@register
class LSTM(keras.layers.LSTM):
    """`keras.layers.LSTM`, whose weights, options and answers it has; what it computes in training is faster.

    In the stock layer's loop every frame is multiplied with the input weights by itself, and back through time every
    frame adds its own product to the gradient of all weights. Here such products are taken of all frames at once, and
    the loops hold only what one frame needs from the one before it. In inference, without a mask (for which PyTorch
    has fast code of its own, and the others on a GPU), and where options are not the usual ones, it is the stock layer.

    Only first derivatives are right. Padding in front of a clip that begins at a given state has that state as its
    output on every backend; Keras's has zeros on TensorFlow and PyTorch.
    """

    def inner_loop(self, sequences, initial_state, mask, training=False):
        if not training or mask is None or not self._written_out():
            return super().inner_loop(sequences, initial_state, mask, training)
        mask = mask[0] if keras.tree.is_nested(mask) else mask
        time_major = ops.transpose(sequences, (1, 0, 2))
        real = ops.transpose(ops.cast(mask, "float32"))[:, :, None]
        if self.go_backwards:
            time_major, real = ops.flip(time_major, 0), ops.flip(real, 0)
        cell = self.cell
        # A cast makes tensors of TensorFlow's variables, which its custom gradients take for something else.
        weights = (ops.cast(weight, "float32") for weight in (cell.kernel, cell.recurrent_kernel, cell.bias))
        hidden = _hidden_states(time_major, real, *weights, *initial_state)
        if self.zero_output_for_mask:
            hidden = ops.where(real > 0, hidden, 0.0)
        return hidden[-1], ops.transpose(hidden, (1, 0, 2)), initial_state  # no state is asked for

    def _written_out(self) -> bool:
        cell = self.cell
        plain = not (self.stateful or self.return_state or self.unroll or cell.dropout or cell.recurrent_dropout)
        gates = (cell.activation, cell.recurrent_activation) == (keras.activations.tanh, keras.activations.sigmoid)
        float32 = self.compute_dtype == self.variable_dtype == "float32"
        # Where there is a mask, Keras calls cuDNN on TensorFlow alone.
        cudnn = keras.backend.backend() == "tensorflow" and keras.distribution.list_devices("gpu")
        return plain and gates and float32 and cell.use_bias and self.use_cudnn == "auto" and not cudnn


def _hidden_states(inputs, real, kernel, recurrent_kernel, bias, hidden, cell):
    """Outputs of every frame (Hochreiter and Schmidhuber 1997, with Gers's forget gate; gates in Keras's order).

    Args:
        inputs: (frames, batch, channels)
        real: (frames, batch, 1); where it is zero, and not one, a frame's state stays the one before it.
        hidden, cell: state before the first frame, (batch, units) each.

    Returns:
        (frames, batch, units)
    """

    def forward(inputs, kernel, recurrent_kernel, bias, hidden, cell):
        driven = ops.matmul(inputs, kernel) + bias

        def step(state, driven, real):
            entry, forget, candidate, output = _gates(driven + ops.matmul(state[0], recurrent_kernel))
            cell = forget * state[1] + entry * candidate
            new = (output * ops.tanh(cell), cell)
            return tuple(ops.where(real > 0, *both) for both in zip(new, state, strict=True))

        _, (hiddens, cells) = _scan(step, (hidden, cell), (driven, real))
        # Not in `gradients`: PyTorch keeps that with the outputs, and would keep outputs that it holds for good.
        hiddens_before = ops.concatenate([hidden[None], hiddens[:-1]])
        cells_before = ops.concatenate([cell[None], cells[:-1]])

        def gradients(*arguments, upstream=None):
            upstream = arguments[0] if upstream is None else upstream  # PyTorch gives it a name
            gates = _gates(driven + ops.matmul(hiddens_before, recurrent_kernel))
            of_driven, *of_state = _through_time(
                upstream, real, gates, cells, cells_before, ops.transpose(recurrent_kernel)
            )
            return (
                ops.matmul(of_driven, ops.transpose(kernel)),
                _summed_products(inputs, of_driven),
                _summed_products(hiddens_before, of_driven),
                ops.sum(of_driven, axis=(0, 1)),
                *of_state,
            )

        return hiddens, gradients

    return ops.custom_gradient(forward)(inputs, kernel, recurrent_kernel, bias, hidden, cell)


def _gates(driven):
    entry, forget, candidate, output = ops.split(driven, 4, axis=-1)
    return ops.sigmoid(entry), ops.sigmoid(forget), ops.tanh(candidate), ops.sigmoid(output)


def _through_time(of_hiddens, real, gates, cells, cells_before, transposed_kernel):
    """Gradient of hidden states (frames, batch, units) -> those of what drives the gates, (frames, batch, 4 * units),
    and of the state before the first frame, (batch, units) twice.
    """
    entry, forget, candidate, output = gates
    squashed = ops.tanh(cells)
    to_cell = output * (1 - ops.square(squashed))
    to_gates = ops.concatenate(
        [
            candidate * entry * (1 - entry),
            cells_before * forget * (1 - forget),
            entry * (1 - ops.square(candidate)),
            squashed * output * (1 - output),
        ],
        axis=-1,
    )
    # What reaches padding passes on to the frame before it.
    to_cell, to_gates, forget = (
        ops.where(real > 0, *both) for both in ((to_cell, 0.0), (to_gates, 0.0), (forget, 1.0))
    )

    def step(state, of_hidden, to_cell, to_gates, forget, padding):
        of_hidden = state[0] + of_hidden
        of_cell = state[1] + of_hidden * to_cell
        of_gates = ops.concatenate([of_cell, of_cell, of_cell, of_hidden], axis=-1) * to_gates
        return ops.matmul(of_gates, transposed_kernel) + of_hidden * padding, of_cell * forget, of_gates

    start = (ops.zeros_like(of_hiddens[0]), ops.zeros_like(of_hiddens[0]), ops.zeros_like(to_gates[0]))
    (of_hidden, of_cell, _), (_, _, of_driven) = _scan(
        step, start, (of_hiddens, to_cell, to_gates, forget, 1 - real), reverse=True
    )
    return of_driven, of_hidden, of_cell


def _scan(step, state, frames, reverse=False):
    """Goes through `frames`, each (frames, batch, any): (state, one frame of each) -> state. Returns the last and all.

    They go through the loop as one array: Keras's scan takes no other of unknown length on TensorFlow, where it forgets
    the shapes of what it returns too.
    """
    n_frames, batch = ops.shape(frames[0])[:2]
    ends = np.cumsum([one.shape[-1] for one in frames])[:-1].tolist()

    def body(state, frame):
        state = step(state, *ops.split(frame, ends, axis=-1))
        return state, state

    last, states = ops.scan(body, state, ops.concatenate(frames, axis=-1), reverse=reverse)
    return last, [
        ops.reshape(all_of, (n_frames, batch, one.shape[-1])) for all_of, one in zip(states, state, strict=True)
    ]


def _summed_products(left, right):
    """(frames, batch, a), (frames, batch, b) -> (a, b)."""
    left, right = (ops.reshape(one, (-1, one.shape[-1])) for one in (left, right))
    return ops.matmul(ops.transpose(left), right)
