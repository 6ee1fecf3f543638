"""Build convolutions on the raw waveform and an LSTM for continuous arousal and valence.

Tzirakis, Zhang, Schuller: "End-to-End Speech Emotion Recognition Using Deep Neural Networks", ICASSP 2018.
"""

import warnings
from collections.abc import Sequence
from math import prod

import keras
from keras import layers

from zoo.layers.convolution import Conv1D, MaxPooling1D
from zoo.layers.lstm import LSTM
from zoo.layers.masking import FrameMask, ZeroPadding
from zoo.layers.waveform import frame_length, waveform_input
from zoo.models.option_ranges import checked

# Hyper-parameters to search, around the paper's values. All kernels keep its rule on overlap (eq 2).
SPACE = {
    "learning_rate": {"low": 1e-5, "high": 1e-2, "sampling": "log"},
    "optimizer": ["rmsprop", "adam", "sgd"],
    "batch_size": [5, 10, 20],
    "segment_seconds": [5.0, 10.0, 20.0],
    "option.filters": [[32, 64, 128], [64, 128, 256]],
    "option.kernel_sizes": [[8, 6, 6], [10, 8, 8], [4, 4, 4]],
    "option.activation": ["relu", "elu", "tanh"],
    "option.dropout": {"low": 0.0, "high": 0.5, "step": 0.1},
    "option.recurrent_layers": [1, 2, 3],
    "option.recurrent_units": [64, 128, 256],
}


@checked
def conv_lstm(
    n_targets: int,
    n_inputs: int = 1,
    /,
    *,
    filters: Sequence[int] = (64, 128, 256),
    kernel_sizes: Sequence[int] = (8, 6, 6),
    pool_sizes: Sequence[int] = (10, 8, 8),
    downsampling: str = "pooling",
    activation: str = "relu",
    dropout: float = 0.5,
    recurrent_layers: int = 2,
    recurrent_units: int = 256,
    rate_hz: int = 16_000,
    seed: int = 0,
    name: str = "conv_lstm",
) -> keras.Model:
    """Build the network.

    The model maps a waveform (see `waveform_input`) to ratings (batch, frames of 40 ms, n_targets). Layer "frames" ends
    the convolutional part: (batch, frames, filters).

    Args:
        filters, kernel_sizes, pool_sizes: of the convolutions; the pools multiply to the samples of 40 ms. A warning
            names each that breaks the paper's rule on overlap (eq 2).
        downsampling: "pooling", the paper's, or "stride", with which it was worse: each convolution takes steps of
            `pool_sizes` and nothing is pooled. The paper then keeps the overlap near 0.5; kernels of (20, 16, 16) do,
            and a warning names those that do not.
        activation: the paper is silent. It comes behind the pooling, where for any that never falls the values are
            the same and far fewer. The convolutions' "same" padding is not in the paper either.
        dropout: after each pooling, in 0..1.
        recurrent_units: the paper is silent; 256 is the width in its authors' public toolkit.
        rate_hz: of the waveform.
        seed: of dropout.

    Raises ValueError where the pools do not make 40 ms at `rate_hz`, or `n_inputs` is not 1.
    """
    if not len(filters) == len(kernel_sizes) == len(pool_sizes):
        raise ValueError("filters, kernel_sizes and pool_sizes need one number for each convolution")
    if downsampling not in ("pooling", "stride"):
        raise ValueError(f"downsampling is {downsampling!r}, expected 'pooling' or 'stride'")
    strided = downsampling == "stride"
    frame_samples = frame_length(rate_hz)
    if prod(pool_sizes) != frame_samples:
        found = f"pool_sizes {tuple(pool_sizes)} make frames of {prod(pool_sizes)} samples"
        raise ValueError(f"{found}, expected {frame_samples}: 40 ms at rate_hz {rate_hz}")
    inputs, sequence, n_frames = waveform_input(n_inputs, frame_samples)
    position_samples = 1
    for index, (width, taps, pool) in enumerate(zip(filters, kernel_sizes, pool_sizes, strict=True), start=1):
        if broken := _broken_rule(taps, pool, strided):
            warnings.warn(f"conv{index}: {broken}", stacklevel=2)
        if index > 1:  # biases and kernels have reached over the clip's end
            mask = FrameMask(name=f"mask{index}")(sequence, n_frames * (frame_samples // position_samples))
            sequence = ZeroPadding(name=f"masked{index}")(sequence, mask)
        steps = pool if strided else 1
        sequence = Conv1D(width, taps, strides=steps, padding="same", name=f"conv{index}")(sequence)
        if not strided:
            sequence = MaxPooling1D(pool, name=f"pool{index}")(sequence)
        sequence = layers.Activation(activation, name=f"activation{index}")(sequence)
        sequence = layers.Dropout(dropout, seed=seed + index, name=f"dropout{index}")(sequence)
        position_samples *= pool

    sequence = layers.Identity(name="frames")(sequence)
    mask = FrameMask(name="mask")(sequence, n_frames)
    for index in range(1, recurrent_layers + 1):
        sequence = LSTM(recurrent_units, return_sequences=True, name=f"lstm{index}")(sequence, mask=mask)
    output = layers.Dense(n_targets, dtype="float32", name="arousal_valence")(sequence)
    return keras.Model(inputs, output, name=name)


def _broken_rule(taps: int, pool: int, strided: bool) -> str:
    """Say how a convolution breaks the paper's rule on the share of samples that neighbouring outputs see; else ""."""
    if strided:
        overlap = (taps - pool) / taps
        broken, rule = not 0.4 <= overlap <= 0.6, "with strides the paper keeps it near 0.5"
        return f"kernel {taps} and stride {pool} overlap by {overlap:.2f}, {rule}: kernel {2 * pool}" if broken else ""
    overlap = (taps - 1) / (taps + pool - 1)
    found = f"kernel {taps} and pooling {pool} overlap by {overlap:.2f}, the paper's rule is below 0.5 (eq 2)"
    return found if overlap >= 0.5 else ""
