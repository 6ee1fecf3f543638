"""Recurrent layers on the frames of a frozen speech encoder, for continuous arousal and valence.

- recurrent layers and loss: Tzirakis, Zhang, Schuller: "End-to-End Speech Emotion Recognition Using Deep Neural
  Networks", ICASSP 2018, section 3
- learned average of layers: Yang et al.: "SUPERB: Speech Processing Universal PERformance Benchmark", Interspeech 2021,
  section 3
"""

import keras
from keras import layers

from zoo.layers.lstm import LSTM
from zoo.layers.masking import masked_input
from zoo.layers.speech_encoder import LayerMixture
from zoo.models.option_ranges import checked

SPACE = {
    "learning_rate": {"low": 1e-5, "high": 1e-2, "sampling": "log"},
    "optimizer": ["adam", "rmsprop", "sgd"],
    "batch_size": [5, 10, 20],
    "segment_seconds": [5.0, 10.0, 20.0],
    "option.dropout": {"low": 0.0, "high": 0.5, "step": 0.1},
    "option.recurrent_layers": [1, 2, 3],
    "option.recurrent_units": [64, 128, 256],
}


@checked
def encoder_lstm(
    n_targets: int,
    n_inputs: int = 768,
    /,
    *,
    states: int = 1,
    dropout: float = 0.2,
    recurrent_layers: int = 2,
    recurrent_units: int = 256,
    seed: int = 0,
    name: str = "encoder_lstm",
) -> keras.Model:
    """Build the network.

    The model maps {"features": (batch, frames of 40 ms, n_inputs), "n_frames": (batch,)} to ratings (batch, frames,
    n_targets). Features are hidden states of an encoder, one or several beside each other; each is first normalised to
    mean 0 and variance 1, as layers differ in scale.

    Args:
        states: hidden states in a frame, of which the network learns the average.
        dropout: in front of the first recurrent layer, in 0..1.
        recurrent_layers, recurrent_units: of the LSTM, as of conv_lstm.
        seed: of dropout.

    Raises ValueError where `states` do not divide `n_inputs`.
    """
    if n_inputs % states:
        raise ValueError(f"{n_inputs} inputs cannot be {states} hidden states of one width")
    inputs, frames, mask = masked_input(n_inputs)
    split = layers.Reshape((-1, states, n_inputs // states), name="states")(frames) if states > 1 else frames
    sequence = layers.LayerNormalization(epsilon=1e-5, center=False, scale=False, name="normalized")(split)
    if states > 1:
        sequence = LayerMixture(name="layer_weights")(sequence)
    sequence = layers.Dropout(dropout, seed=seed, name="dropout")(sequence)
    for index in range(1, recurrent_layers + 1):
        sequence = LSTM(recurrent_units, return_sequences=True, name=f"lstm{index}")(sequence, mask=mask)
    output = layers.Dense(n_targets, dtype="float32", name="arousal_valence")(sequence)
    return keras.Model(inputs, output, name=name)
