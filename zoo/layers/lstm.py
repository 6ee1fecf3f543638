"""Compute Keras's LSTM with a gradient written out, which trains faster on every backend."""

import keras
from keras import ops

from zoo.layers.masking import register
from zoo.layers.scan import scan


@register
class LSTM(keras.layers.LSTM):
    """`keras.layers.LSTM` with the same weights, options and outputs, and faster training.

    Products with the input weights, and the gradients of all weights, are taken of all frames at once, so the loops
    hold only what one frame needs from the one before it. In inference, without a mask (for which PyTorch has fast code
    of its own, and the others on a GPU), and with unusual options it is the stock layer.

    Only first derivatives are right. Padding in front of a clip outputs the initial state on every backend; Keras's is
    zero on TensorFlow and PyTorch.
    """

    def inner_loop(self, sequences, initial_state, mask, training=False):
        if not training or mask is None or not self._written_out():
            return super().inner_loop(sequences, initial_state, mask, training)
        mask = mask[0] if keras.tree.is_nested(mask) else mask
        time_major = ops.transpose(sequences, (1, 0, 2))
        real = ops.transpose(ops.cast(mask, "bool"))[:, :, None]
        if self.go_backwards:
            time_major, real = ops.flip(time_major, 0), ops.flip(real, 0)
        cell = self.cell
        # A cast makes tensors of TensorFlow's variables, which its custom gradients take for something else.
        weights = (ops.cast(weight, "float32") for weight in (cell.kernel, cell.recurrent_kernel, cell.bias))
        hidden = _hidden_states(time_major, real, *weights, *initial_state)
        if self.zero_output_for_mask:
            hidden = ops.where(real, hidden, 0.0)
        return hidden[-1], ops.transpose(hidden, (1, 0, 2)), initial_state  # no state is returned

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
        real: bool (frames, batch, 1); where it is false, a frame's state stays the one before it.
        hidden, cell: state before the first frame, (batch, units) each.

    Returns:
        (frames, batch, units)
    """
    units = recurrent_kernel.shape[0]

    def forward(inputs, kernel, recurrent_kernel, bias, hidden, cell):
        def step(state, driven, real):
            driven = driven + ops.matmul(state[0], recurrent_kernel)
            entry, forget, candidate, output = _gates(driven)
            cell = forget * state[1] + entry * candidate
            new = (output * ops.tanh(cell), cell)
            state = tuple(ops.where(real, *both) for both in zip(new, state, strict=True))
            return state, (*state, driven)

        frames = (ops.matmul(inputs, kernel) + bias, real)
        _, (hiddens, cells, driven) = scan(step, (hidden, cell), frames, (units, units, 4 * units))
        # Not in `gradients`: PyTorch keeps that with the outputs, and would keep outputs that it holds for good.
        hiddens_before = ops.concatenate([hidden[None], hiddens[:-1]])
        cells_before = ops.concatenate([cell[None], cells[:-1]])

        def gradients(*arguments, upstream=None):
            upstream = arguments[0] if upstream is None else upstream  # PyTorch gives it a name
            transposed = ops.transpose(recurrent_kernel)
            of_driven, *of_state = _through_time(upstream, real, _gates(driven), cells, cells_before, transposed)
            rows = ops.reshape(of_driven, (-1, 4 * units))
            return (
                ops.matmul(of_driven, ops.transpose(kernel)),
                _summed_products(inputs, rows),
                _summed_products(hiddens_before, rows),
                ops.matmul(ops.ones((1, ops.shape(rows)[0]), rows.dtype), rows)[0],  # TensorFlow's sum is slow
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
    to_cell, to_gates, forget = (ops.where(real, *both) for both in ((to_cell, 0.0), (to_gates, 0.0), (forget, 1.0)))
    padding = 1 - ops.cast(real, "float32")

    def step(state, of_hidden, to_cell, to_gates, forget, padding):
        of_hidden = state[0] + of_hidden
        of_cell = state[1] + of_hidden * to_cell
        of_gates = ops.concatenate([of_cell, of_cell, of_cell, of_hidden], axis=-1) * to_gates
        return (ops.matmul(of_gates, transposed_kernel) + of_hidden * padding, of_cell * forget), (of_gates,)

    nothing = ops.zeros_like(of_hiddens[0])
    frames = (of_hiddens, to_cell, to_gates, forget, padding)
    of_state, (of_driven,) = scan(step, (nothing, nothing), frames, (to_gates.shape[-1],), reverse=True)
    return of_driven, *of_state


def _summed_products(frames, rows):
    """(frames, batch, a), (frames * batch, b) -> (a, b)."""
    return ops.matmul(ops.transpose(ops.reshape(frames, (-1, frames.shape[-1]))), rows)
