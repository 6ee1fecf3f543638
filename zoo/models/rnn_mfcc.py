"""Build a small recurrent network along 80 cepstral coefficients, for emotions of acted speech.

Khan, Butt, Ali 2020, Table 3 (Table 4 is zoo/models/cnn1d_mfcc.py). Erratum: the table prints an output of (80, 20)
where its 16 units give (80, 16), and its 560 and 136 parameters are those of 16.
"""

import keras
from keras import layers

from zoo import recipes
from zoo.layers.lstm import LSTM
from zoo.models.option_ranges import checked

CELLS = {"simple": layers.SimpleRNN, "lstm": LSTM, "gru": layers.GRU}

# The paper's: one layer of 16 units, RMSprop 0.005, 80 coefficients under six statistics, amplitudes in -1..1. It
# searched at random and does not say what it tried: the rest is ours.
SPACE = {
    "option.cell": ["simple", "lstm", "gru"],
    "option.recurrent_units": [16, 32, 64, 128],
    "option.recurrent_layers": [1, 2, 3],
    "option.dropout": {"low": 0.0, "high": 0.5, "step": 0.05},
    "option.output_activation": ["softmax", "sigmoid"],
    **recipes.KHAN_SPACE,
}


@checked
def rnn_mfcc(
    n_classes: int,
    n_channels: int = 18,
    *,
    n_coefficients: int = 80,
    recurrent_units: int = 16,
    recurrent_layers: int = 1,
    cell: str = "simple",
    dropout: float = 0.0,
    output_activation: str = "softmax",
    seed: int = 0,
    name: str = "rnn_mfcc",
) -> keras.Model:
    """Build the network.

    The model maps {"features": (batch, n_coefficients, n_channels), "n_frames": (batch,)} to (batch, n_classes). The
    recurrence runs along the coefficients. Every clip fills its row, so "n_frames" is not used. Layers "r1", "r2" ...
    are recurrent, "average" is the mean of the last one's outputs.

    Args:
        n_channels: 18 are the MFCCs, their deltas and delta-deltas under six statistics.
        cell: "simple", the paper's, "lstm" or "gru".
        dropout: behind each recurrent layer, in 0..1; the paper has none.
        output_activation: "softmax", or the "sigmoid" the paper prints, see zoo/models/cnn1d_mfcc.py.
        seed: of dropout.

    Raises ValueError for an unknown cell, or less than one layer.
    """
    if cell not in CELLS:
        raise ValueError(f"cell is {cell!r}, expected one of {', '.join(CELLS)}")
    if recurrent_layers < 1:
        raise ValueError(f"recurrent_layers is {recurrent_layers}, expected at least 1")
    features = keras.Input((n_coefficients, n_channels), name="features")
    n_frames = keras.Input((), dtype="int32", name="n_frames")
    sequence = features
    for index in range(1, recurrent_layers + 1):
        sequence = CELLS[cell](recurrent_units, return_sequences=True, name=f"r{index}")(sequence)
        if dropout:
            sequence = layers.Dropout(dropout, seed=seed + index, name=f"d{index}")(sequence)
    average = layers.GlobalAveragePooling1D(name="average")(sequence)
    output = layers.Dense(n_classes, activation=output_activation, dtype="float32", name="probabilities")(average)
    return keras.Model({"features": features, "n_frames": n_frames}, output, name=name)
