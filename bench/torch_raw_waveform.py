"""Define conv_bigru and conv_blstm as a PyTorch user would: stock modules, direct convolutions, whole clips."""

import torch
from torch import nn

UNITS = 128
# nn.LSTM adds two biases where the network's definition and Keras have one: 4 gates x units x directions x layers.
# The GRU has two in both.
SECOND_BIASES = {"conv_bigru": 0, "conv_blstm": 4 * UNITS * 2 * 2}


class ConvBigru(nn.Module):
    """(batch, samples, 1) -> arousal and valence (batch, samples / 640, 2): Bakhshi, Wong and Chalup 2020."""

    def __init__(self, n_targets: int = 2):
        super().__init__()
        self.time1 = _rectified_block(1, 40, 16, 0.5)
        self.time2 = _block(40, 20, 512, 0.75)
        self.time3 = _block(20, 10, 1024, 0.75)
        self.frequency = _rectified_block(1, 40, 16, 0.5)
        self.halve = nn.MaxPool1d(2)
        self.bins = nn.MaxPool1d(10)
        self.channels = nn.MaxPool1d(8)
        self.gru = nn.GRU(320, UNITS, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * UNITS, n_targets)

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        waveform = waveform.transpose(1, 2)
        frames = waveform.shape[-1] // 640
        time = self.time3(self.halve(self.time2(self.halve(self.time1(waveform)))))
        time = _pool_channels(time, self.channels)
        spectrum = torch.fft.rfft(waveform, norm="ortho").abs()[..., 1:]
        frequency = self.bins(_pool_channels(self.frequency(spectrum), self.channels).transpose(1, 2)).transpose(1, 2)
        features = [stream.reshape(len(waveform), frames, 160) for stream in (time, frequency)]
        sequence, _ = self.gru(torch.cat(features, dim=-1))
        return self.head(sequence)


class ConvBlstm(nn.Module):
    """(batch, samples, 1) -> arousal and valence (batch, samples / 640, 2): Trigeorgis et al. 2016, dense."""

    def __init__(self, n_targets: int = 2):
        super().__init__()
        self.conv1 = nn.Conv1d(1, 40, 80, padding="same")
        self.conv2 = nn.Conv1d(40, 40, 4000, padding="same")
        self.halve = nn.MaxPool1d(2)
        self.channels = nn.MaxPool1d(20)
        self.dropout = nn.Dropout(0.5)
        self.lstm = nn.LSTM(640, UNITS, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * UNITS, n_targets)

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        waveform = waveform.transpose(1, 2)
        hidden = self.dropout(self.halve(torch.relu(self.conv1(waveform))))
        hidden = self.dropout(_pool_channels(self.conv2(hidden), self.channels))
        sequence, _ = self.lstm(hidden.reshape(len(waveform), waveform.shape[-1] // 640, 640))
        return self.head(sequence)


NETWORKS = {"conv_bigru": ConvBigru, "conv_blstm": ConvBlstm}


def ccc_loss(targets: torch.Tensor, predicted: torch.Tensor) -> torch.Tensor:
    """1 - CCC over the whole mini-batch as one sequence, mean over targets; both (batch, frames, targets)."""
    target_mean, predicted_mean = targets.mean((0, 1)), predicted.mean((0, 1))
    covariance = ((targets - target_mean) * (predicted - predicted_mean)).mean((0, 1))
    variances = targets.var((0, 1), correction=0) + predicted.var((0, 1), correction=0)
    return 1 - (2 * covariance / (variances + (target_mean - predicted_mean) ** 2)).mean()


def _pool_channels(hidden: torch.Tensor, pool: nn.Module) -> torch.Tensor:
    """(batch, channels, samples) -> (batch, samples, channels / pool)."""
    return pool(hidden.transpose(1, 2))


def _block(channels_in: int, channels_out: int, taps: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(channels_in, channels_out, taps, padding="same"),
        nn.BatchNorm1d(channels_out, eps=1e-3),
        nn.Dropout(dropout),
    )


def _rectified_block(channels_in: int, channels_out: int, taps: int, dropout: float) -> nn.Sequential:
    conv, norm, drop = _block(channels_in, channels_out, taps, dropout)
    return nn.Sequential(conv, nn.ReLU(), norm, drop)
