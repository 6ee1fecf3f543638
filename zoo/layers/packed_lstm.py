"""Run an LSTM by PyTorch's own code, in inference: where there is a mask, Keras loops over frames in Python."""

from types import SimpleNamespace
from typing import Any

import keras
import torch
from keras import ops
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from zoo.layers.masking import ExplicitMask

_OURS, _WAYS = ("kernel", "recurrent_kernel", "bias"), ("forward", "backward")


class PackedLSTM(ExplicitMask):
    """keras.layers.LSTM in inference, or with two `directions` Bidirectional around it; with their weights.

    Call: as zoo.layers.one_loop_lstm.OneLoopLSTM.
    """

    def __init__(self, units: int, directions: int = 1, **kwargs: Any):
        super().__init__(**kwargs)
        self.units, self.directions = units, directions

    def build(self, sequences_shape, mask_shape=None):
        channels, gates = sequences_shape[-1], 4 * self.units
        shapes = ((channels, gates), (self.units, gates), (gates,))
        self.ways = [
            [self.add_weight(shape=shape, name=f"{way}_{name}") for name, shape in zip(_OURS, shapes, strict=True)]
            for way in _WAYS[: self.directions]
        ]
        bidirectional = self.directions == 2
        lstm = torch.nn.LSTM(channels, self.units, batch_first=True, bidirectional=bidirectional, device="meta")
        self._hidden = SimpleNamespace(lstm=lstm)  # where Keras does not find its parameters

    def call(self, sequences, mask=None):
        if mask is None:
            return torch.func.functional_call(self._hidden.lstm, self._weights(), (sequences,))[0]
        packed = pack_padded_sequence(sequences, mask.sum(dim=1).cpu(), batch_first=True, enforce_sorted=False)
        packed, _ = torch.func.functional_call(self._hidden.lstm, self._weights(), (packed,))
        return pad_packed_sequence(packed, batch_first=True, total_length=sequences.shape[1])[0]

    def _weights(self) -> dict[str, torch.Tensor]:
        """Return the weights by PyTorch's names. Gates are in the same order; a second bias is zero."""
        found = {}
        for way, end in zip(self.ways, ("", "_reverse"), strict=False):
            kernel, recurrent, bias = (ops.convert_to_tensor(weight) for weight in way)
            found[f"weight_ih_l0{end}"], found[f"weight_hh_l0{end}"] = kernel.T, recurrent.T
            found[f"bias_ih_l0{end}"], found[f"bias_hh_l0{end}"] = bias, torch.zeros_like(bias)
        return found

    def compute_output_spec(self, sequences, mask=None):
        return keras.KerasTensor((*sequences.shape[:2], self.directions * self.units), self.compute_dtype)
