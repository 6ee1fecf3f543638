"""Build stacked LSTMs on acoustic features for continuous arousal and valence, in speech and in music.

MixedEmotions deliverable D4.2: the LSTM-DRNN of section 4, and the bidirectional baseline of section 5.
"""

import keras
from keras import layers

from zoo.layers.lstm import LSTM
from zoo.layers.masking import masked_input
from zoo.models.option_ranges import checked

# Hyper-parameters to search. Learning rates, of losses that are sums as its recipe has them, objectives and widths are
# those of the paper; the rest lies around its values for speech and for music.
SPACE = {
    "functional_seconds": [1.0, 3.0, 5.0],
    "learning_rate": [1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7],
    "optimizer": ["sgd", "adam", "rmsprop"],
    "batch_size": [5, 10, 25],
    "segment_seconds": [5.0, 10.0, 15.0, 20.0],
    "loss": ["sse", "ccc_sum", "ccc"],
    "option.recurrent_layers": [1, 2, 3],
    "option.recurrent_units": [64, 128, 192, 256],
    "option.bidirectional": [False, True],
    "option.input_noise": [0.0, 0.1, 0.3, 0.6],
}


@checked
def lstm_drnn(
    n_targets: int,
    n_inputs: int,
    /,
    *,
    recurrent_layers: int = 3,
    recurrent_units: int = 128,
    bidirectional: bool = False,
    input_noise: float = 0.1,
    seed: int = 0,
    name: str = "lstm_drnn",
) -> keras.Model:
    """Build the network, with its defaults as D4.2 has it for speech.

    The model maps {"features": (batch, frames, n_inputs), "n_frames": (batch,)} to ratings (batch, frames, n_targets).
    Frames beyond `n_frames` are padding and change nothing, whatever they hold.

    Args:
        recurrent_layers, recurrent_units: 3 of 128 for speech, 2 of 192 or 256 for music, 3 bidirectional of 64 for
            the baseline of section 5.
        bidirectional: LSTMs in both directions, `recurrent_units` each.
        input_noise: deviation of the Gaussian noise added in training: 0.1 for speech, 0.6 for music, else silent.
        seed: of the noise.
    """
    if recurrent_layers < 1:
        raise ValueError(f"recurrent_layers is {recurrent_layers}, expected 1 or more")
    inputs, sequence, mask = masked_input(n_inputs)
    sequence = layers.GaussianNoise(input_noise, seed=seed, name="input_noise")(sequence)
    for index in range(1, recurrent_layers + 1):
        lstm = LSTM(recurrent_units, return_sequences=True, name=f"lstm{index}")
        layer = layers.Bidirectional(lstm, name=f"blstm{index}") if bidirectional else lstm
        sequence = layer(sequence, mask=mask)
    output = layers.Dense(n_targets, dtype="float32", name="arousal_valence")(sequence)
    return keras.Model(inputs, output, name=name)
