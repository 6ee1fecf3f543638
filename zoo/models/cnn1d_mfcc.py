"""Build a network of two small convolutions along 80 cepstral coefficients, for emotions of acted speech.

Khan, Butt, Ali 2020, Table 4 (Table 3 is zoo/models/rnn_mfcc.py). Errata: the text says pooling by 8, Table 4 by 3, and
only 3 gives the table's shapes; the confusion matrix of Table 5 has 293 of 413 clips right, 70.9 %, where the text's
74.57 % and Table 6 agree: seven of its eight figures are whole numbers of hits in Table 5's rows, 308 of 413 in all.
"""

from collections.abc import Sequence

import keras
from keras import layers

from zoo import recipes
from zoo.layers.convolution import Conv1D, MaxPooling1D
from zoo.models.option_ranges import checked

# The paper's: filters 20, 10, kernel 3, pool 3 (8 in the text), dropout 0.25, ReLU, RMSprop 0.005, 80 coefficients,
# their means over time, amplitudes in -1..1. It searched at random and does not say what it tried: the rest is ours.
SPACE = {
    "option.filters": [
        [20, 10],
        [20, 10, 10],
        [32, 32],
        [64, 32],
        [64, 64, 64],
        [128, 64],
        [128, 128],
        [128, 128, 128],
    ],
    "option.kernel_size": [3, 5, 7, 9],
    "option.pool_size": [2, 3, 8],
    "option.dropout": {"low": 0.0, "high": 0.5, "step": 0.05},
    "option.activation": ["relu", "elu", "tanh"],
    "option.output_activation": ["softmax", "sigmoid"],
    "option.norm": [False, True],
    **recipes.KHAN_SPACE,
}


@checked
def cnn1d_mfcc(
    n_classes: int,
    n_channels: int = 3,
    *,
    n_coefficients: int = 80,
    filters: Sequence[int] = (20, 10),
    kernel_size: int = 3,
    pool_size: int = 3,
    dropout: float = 0.25,
    activation: str = "relu",
    output_activation: str = "softmax",
    norm: bool = False,
    norm_momentum: float = 0.9,
    seed: int = 0,
    name: str = "cnn1d_mfcc",
) -> keras.Model:
    """Build the network.

    The model maps {"features": (batch, n_coefficients, n_channels), "n_frames": (batch,)} to (batch, n_classes).
    Convolutions run along the coefficients. Every clip fills its row, so "n_frames" is not used. Layers are named as
    in Table 4: "c1", "s1", "d1", "c2", "s2", and "s3", the average.

    Args:
        n_channels: 3 are the MFCCs, their deltas and delta-deltas, each averaged over time.
        filters: of each convolution, as many as there are; dropout follows all but the last.
        kernel_size, pool_size: taps, unpadded, and positions of a maximum.
        output_activation: "softmax", or the "sigmoid" the paper prints. Sigmoids are no probabilities: Keras's sparse
            categorical cross-entropy divides them by their sum, so training raises the share of the right class.
        norm, norm_momentum: batch normalisation behind each convolution; not the paper's.
        seed: of dropout.

    Raises ValueError where a convolution or a pooling is left with less than it needs.
    """
    if not filters:
        raise ValueError("filters is empty, expected one number for each convolution")
    features = keras.Input((n_coefficients, n_channels), name="features")
    n_frames = keras.Input((), dtype="int32", name="n_frames")
    sequence = features
    for index, width in enumerate(filters, start=1):
        _check_length(f"c{index}", "kernel_size", kernel_size, sequence)
        linear = None if norm else activation
        sequence = Conv1D(width, kernel_size, activation=linear, name=f"c{index}")(sequence)
        if norm:
            sequence = layers.BatchNormalization(momentum=norm_momentum, name=f"n{index}")(sequence)
            sequence = layers.Activation(activation, name=f"a{index}")(sequence)
        _check_length(f"s{index}", "pool_size", pool_size, sequence)
        sequence = MaxPooling1D(pool_size, name=f"s{index}")(sequence)
        if index < len(filters):
            sequence = layers.Dropout(dropout, seed=seed + index, name=f"d{index}")(sequence)
    average = layers.GlobalAveragePooling1D(name=f"s{len(filters) + 1}")(sequence)
    output = layers.Dense(n_classes, activation=output_activation, dtype="float32", name="probabilities")(average)
    return keras.Model({"features": features, "n_frames": n_frames}, output, name=name)


def _check_length(layer, option, needed, sequence):
    length = sequence.shape[1]
    if not 1 <= needed <= length:
        raise ValueError(f"{layer}: {option} is {needed}, expected 1 to the {length} positions that reach it")
