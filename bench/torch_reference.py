"""Define the attention BLSTM-FCN (Zhao et al. 2019) as a PyTorch user would: stock modules, full-length clips."""

from itertools import pairwise

import torch
from torch import nn

# nn.LSTM adds two biases where the network's definition and Keras have one: 4 gates x units x directions x layers.
SECOND_LSTM_BIASES = 4 * 128 * 2 * 2


class AttentionBlstmFcn(nn.Module):
    """(batch, frames, bands) -> logits (batch, classes). The settings are the defaults of the zoo's builder."""

    def __init__(self, n_classes: int, n_bands: int = 40, dropout: float = 0.3):
        super().__init__()
        sizes = (1, 64, 128, 128)
        self.fcn = nn.Sequential(*(_block(*pair, dropout) for pair in pairwise(sizes)))
        self.fcn_hidden = nn.Linear(128, 128)
        self.fcn_query = nn.Linear(128, 1, bias=False)
        self.blstm = nn.LSTM(n_bands, 128, num_layers=2, batch_first=True, bidirectional=True)
        self.recurrent_query = nn.Linear(256, 1, bias=False)
        self.head = nn.Sequential(nn.Linear(384, 128), nn.ReLU(), nn.Dropout(dropout), nn.Linear(128, n_classes))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        grid = self.fcn(features.unsqueeze(1))  # (batch, channels, frames / 8, bands / 8)
        grid = grid.flatten(2).transpose(1, 2)  # (batch, positions, channels)
        scores = 0.3 * self.fcn_query(torch.tanh(self.fcn_hidden(grid)))
        fcn = (grid * scores.softmax(dim=1)).sum(dim=1)
        sequence, _ = self.blstm(features)
        recurrent = (sequence * self.recurrent_query(sequence).softmax(dim=1)).sum(dim=1)
        return self.head(torch.cat([fcn, recurrent], dim=1))


def _block(channels_in: int, channels_out: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding=1),
        nn.BatchNorm2d(channels_out, eps=1e-3),
        nn.ReLU(),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.Dropout(dropout),
    )
