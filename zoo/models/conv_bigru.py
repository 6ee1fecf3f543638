"""Build long convolutions on the waveform and its spectrum, and a bidirectional GRU, for arousal and valence.

Bakhshi, Wong, Chalup: "End-to-End Speech Emotion Recognition Based on Time and Frequency Information Using Deep Neural
Networks", ECAI 2020.
"""

from collections.abc import Sequence
from math import lcm

import keras
from keras import layers

from zoo.layers.long_convolution import LongConv1D
from zoo.layers.masking import FrameMask, MaskedBatchNormalization
from zoo.layers.waveform import ChannelMaxPooling, MagnitudeSpectrum, frame_length, waveform_input
from zoo.models.option_ranges import checked

POOL = 2  # of the time stream, after its first and its second convolution: 16 kHz, 8 kHz, 4 kHz
# Hyper-parameters to search. Segments and batches are those the paper tried; the rest lies around its values.
SPACE = {
    "learning_rate": {"low": 1e-5, "high": 1e-2, "sampling": "log"},
    "optimizer": ["rmsprop", "adam", "sgd", "adagrad"],
    "batch_size": [10, 25, 50],
    "segment_seconds": [2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0],
    "option.filters": [[40, 20, 10], [20, 20, 10], [40, 40, 16]],
    "option.dropouts": [[0.1, 0.1, 0.1], [0.25, 0.5, 0.5], [0.5, 0.75, 0.75]],
    "option.fft_dropout": {"low": 0.0, "high": 0.5, "step": 0.25},
    "option.recurrent_layers": [1, 2, 3],
    "option.recurrent_units": [64, 128, 256],
}


@checked
def conv_bigru(
    n_targets: int,
    n_inputs: int = 1,
    /,
    *,
    filters: Sequence[int] = (40, 20, 10),
    kernel_sizes: Sequence[int] = (16, 512, 1024),
    dropouts: Sequence[float] = (0.5, 0.75, 0.75),
    fft: str = "segment",
    fft_filters: int = 40,
    fft_kernel_size: int = 16,
    fft_pool: int = 10,
    fft_dropout: float = 0.5,
    channel_pool: int = 8,
    norm_momentum: float = 0.9,
    recurrent_layers: int = 2,
    recurrent_units: int = 128,
    rate_hz: int = 16_000,
    seed: int = 0,
    name: str = "conv_bigru",
) -> keras.Model:
    """Build the network.

    The model maps a waveform (see `waveform_input`) to ratings (batch, frames of 40 ms, n_targets). Padding changes
    nothing, but for `fft="segment"`. Layers "time_frames" and "fft_frames" end the two streams (160 values each);
    "frames" joins them.

    Args:
        filters, kernel_sizes, dropouts: of the three convolutions of the time stream, at 16, 8 and 4 kHz. Only the
            first is rectified, as the paper has it.
        fft: "segment" (the paper's) takes the spectrum of the whole segment, and frame i gets its i-th stretch of bins:
            clips are as long as their batch, and as long in testing as in training. "frame": of each 40 ms.
        fft_pool: bins of a maximum in the spectrum stream; the paper is silent, 10 makes 160 values per frame.
        channel_pool: neighbouring channels of a maximum. Of ten filters the pool of 8 leaves out two, as in the paper.
        norm_momentum: the paper's 0.1 counts the new batch, as PyTorch does; Keras counts the old average.
        recurrent_units: the paper is silent. The GRU is Keras's default (reset after the matrix product, two biases).
        rate_hz: of the waveform. Taps are not scaled with it.
        seed: of dropout.

    Raises ValueError where 40 ms at `rate_hz` are no whole number of poolings, or `n_inputs` is not 1.
    """
    if fft not in ("segment", "frame"):
        raise ValueError(f"fft is {fft!r}, expected 'segment' or 'frame'")
    if not len(filters) == len(kernel_sizes) == len(dropouts) == 3:
        raise ValueError("filters, kernel_sizes and dropouts need three numbers, one for each convolution")
    if not 1 <= channel_pool <= min(filters[-1], fft_filters):
        raise ValueError(f"channel_pool is {channel_pool}, expected 1 to the {min(filters[-1], fft_filters)} filters")
    frame_samples = frame_length(rate_hz, lcm(POOL**2, 2 * fft_pool))
    inputs, waveform, n_frames = waveform_input(n_inputs, frame_samples)

    time, positions = waveform, frame_samples  # positions of a frame
    for index, (width, taps, rate) in enumerate(zip(filters, kernel_sizes, dropouts, strict=True), start=1):
        mask = FrameMask(name=f"mask{index}")(time, n_frames * positions)
        activation = "relu" if index == 1 else None
        time = LongConv1D(width, taps, padding="same", activation=activation, name=f"conv{index}")(time)
        # Zero behind the clip's end, also after pooling whole frames: silence for the next convolution.
        time = MaskedBatchNormalization(momentum=norm_momentum, name=f"norm{index}")(time, mask)
        time = layers.Dropout(rate, seed=seed + index, name=f"dropout{index}")(time)
        if index < 3:
            time = layers.MaxPooling1D(POOL, name=f"pool{index}")(time)
            positions //= POOL
    time = ChannelMaxPooling(channel_pool, name="pool3")(time)
    time = layers.Reshape((-1, positions * (filters[-1] // channel_pool)), name="time_frames")(time)

    # One row for all of the segment, or one for each frame. FrameMask never masks the first.
    grid = MagnitudeSpectrum(frame_samples if fft == "frame" else None, name="spectrum")(waveform)
    mask = FrameMask(name="fft_mask")(grid, n_frames)
    grid = layers.Conv2D(fft_filters, (1, fft_kernel_size), padding="same", activation="relu", name="fft_conv")(grid)
    grid = MaskedBatchNormalization(momentum=norm_momentum, name="fft_norm")(grid, mask)
    grid = layers.Dropout(fft_dropout, seed=seed + 4, name="fft_dropout")(grid)
    grid = ChannelMaxPooling(channel_pool, name="fft_channel_pool")(grid)
    grid = layers.MaxPooling2D((1, fft_pool), name="fft_pool")(grid)
    bins = frame_samples // 2 // fft_pool
    spectrum = layers.Reshape((-1, bins * (fft_filters // channel_pool)), name="fft_frames")(grid)

    sequence = layers.Concatenate(name="frames")([time, spectrum])
    mask = FrameMask(name="mask")(sequence, n_frames)
    for index in range(1, recurrent_layers + 1):
        gru = layers.GRU(recurrent_units, return_sequences=True, name=f"gru{index}")
        sequence = layers.Bidirectional(gru, name=f"bigru{index}")(sequence, mask=mask)
    output = layers.Dense(n_targets, dtype="float32", name="arousal_valence")(sequence)
    return keras.Model(inputs, output, name=name)
