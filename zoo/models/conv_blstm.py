"""Build convolutions over milliseconds and half seconds of the raw waveform, and a BLSTM, for arousal and valence.

Trigeorgis, Ringeval, Brueckner, Marchi, Nicolaou, Schuller, Zafeiriou: "Adieu Features? End-to-End Speech Emotion
Recognition Using a Deep Convolutional Recurrent Network", ICASSP 2016, as MixedEmotions deliverable D4.2, section 5,
describes it.
"""

import keras
from keras import layers

from zoo.layers.long_convolution import LongConv1D, LongDepthwiseConv1D
from zoo.layers.lstm import LSTM
from zoo.layers.masking import FrameMask, ZeroPadding
from zoo.layers.waveform import ChannelMaxPooling, frame_length, waveform_input
from zoo.models.option_ranges import checked

# Hyper-parameters to search, around the paper's values: 2.5 to 10 ms, then 250 and 500 ms.
SPACE = {
    "learning_rate": {"low": 1e-4, "high": 1e-2, "sampling": "log"},
    "optimizer": ["adam", "rmsprop", "sgd"],
    "batch_size": [10, 25, 50],
    "segment_seconds": [4.0, 6.0, 10.0],
    "option.filters": [20, 40, 60],
    "option.kernel_size": [40, 80, 160],
    "option.second_kernel_size": [2000, 4000],
    "option.channel_pool": [10, 20],
    "option.dropout": {"low": 0.0, "high": 0.5, "step": 0.1},
    "option.recurrent_layers": [1, 2, 3],
    "option.recurrent_units": [64, 128, 256],
}


@checked
def conv_blstm(
    n_targets: int,
    n_inputs: int = 1,
    /,
    *,
    filters: int = 40,
    kernel_size: int = 80,
    pool_size: int = 2,
    second_conv: str = "depthwise",
    second_kernel_size: int = 4000,
    channel_pool: int = 20,
    dropout: float = 0.5,
    recurrent_layers: int = 2,
    recurrent_units: int = 128,
    rate_hz: int = 16_000,
    seed: int = 0,
    name: str = "conv_blstm",
) -> keras.Model:
    """Build the network.

    The model maps a waveform (see `waveform_input`) to ratings (batch, frames of 40 ms, n_targets). Layer "frames" ends
    the convolutional part: (batch, frames, 640).

    Args:
        filters: of both convolutions.
        kernel_size: taps of the first convolution, 5 ms at 16 kHz.
        second_conv: "depthwise", one filter for each channel, or "dense". The paper does not say which; its "about
            1.5M parameters" are nearer to the first.
        second_kernel_size: taps of the second convolution, 500 ms at the 8 kHz behind the first pooling.
        channel_pool: neighbouring channels the second pooling takes the largest of.
        dropout: after each pooling, in 0..1. The paper has it on all but the recurrent layers, and not just where.
        rate_hz: of the waveform. Taps are not scaled with it.
        seed: of dropout.

    Raises ValueError where 40 ms at `rate_hz` are no whole number of poolings, or `n_inputs` is not 1.
    """
    if second_conv not in ("depthwise", "dense"):
        raise ValueError(f"second_conv is {second_conv!r}, expected 'depthwise' or 'dense'")
    if not 1 <= channel_pool <= filters:
        raise ValueError(f"channel_pool is {channel_pool}, expected 1 to the {filters} filters")
    frame_samples = frame_length(rate_hz, pool_size)
    positions = frame_samples // pool_size  # of a frame behind the first pooling
    inputs, sequence, n_frames = waveform_input(n_inputs, frame_samples)

    sequence = LongConv1D(filters, kernel_size, padding="same", name="conv1")(sequence)
    sequence = layers.MaxPooling1D(pool_size, name="pool1")(sequence)
    sequence = layers.ReLU(name="rectifier")(sequence)  # behind the pooling the values are the same, and half as many
    sequence = layers.Dropout(dropout, seed=seed + 1, name="dropout1")(sequence)
    mask = FrameMask(name="mask2")(sequence, n_frames * positions)
    sequence = ZeroPadding(name="masked2")(sequence, mask)
    if second_conv == "depthwise":
        sequence = LongDepthwiseConv1D(second_kernel_size, name="conv2")(sequence)
    else:
        sequence = LongConv1D(filters, second_kernel_size, name="conv2")(sequence)
    sequence = ChannelMaxPooling(channel_pool, name="pool2")(sequence)
    sequence = layers.Dropout(dropout, seed=seed + 2, name="dropout2")(sequence)

    sequence = layers.Reshape((-1, positions * (filters // channel_pool)), name="frames")(sequence)
    mask = FrameMask(name="mask")(sequence, n_frames)
    for index in range(1, recurrent_layers + 1):
        lstm = LSTM(recurrent_units, return_sequences=True, name=f"lstm{index}")
        sequence = layers.Bidirectional(lstm, name=f"blstm{index}")(sequence, mask=mask)
    output = layers.Dense(n_targets, dtype="float32", name="arousal_valence")(sequence)
    return keras.Model(inputs, output, name=name)
