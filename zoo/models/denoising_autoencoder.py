"""Build a recurrent denoising autoencoder: cepstral coefficients of clean speech from those of noisy speech.

MixedEmotions deliverable D4.2, section 3.
"""

from functools import partial

import keras
from keras import layers

from zoo.layers.lstm import LSTM
from zoo.layers.masking import masked_input
from zoo.models.option_ranges import checked

# Hyper-parameters to search. Sizes, noise and learning rates lie around the paper's values. Its rate, the lowest, is
# for gradient descent on a sum of errors, as its recipe has it; the others are for optimizers that heed no scale.
SPACE = {
    "learning_rate": [1e-2, 3e-3, 1e-3, 1e-4, 1e-6],
    "optimizer": ["sgd", "adam", "rmsprop"],
    "batch_size": [8, 16, 32, 64],
    "option.recurrent_layers": [1, 2, 3],
    "option.recurrent_units": [15, 30, 64, 128],
    "option.input_noise": [0.0, 0.1, 0.3, 0.6, 1.0],
    "option.initial_range": [0.05, 0.1, 0.2],
}


@checked
def denoising_autoencoder(
    n_outputs: int,
    n_inputs: int,
    /,
    *,
    recurrent_layers: int = 2,
    recurrent_units: int = 30,
    input_noise: float = 0.1,
    initial_range: float = 0.1,
    seed: int = 0,
    name: str = "denoising_autoencoder",
) -> keras.Model:
    """Build the network, with its defaults as D4.2 has it.

    The model maps {"features": (batch, frames, n_inputs), "n_frames": (batch,)} to (batch, frames, n_outputs): both
    are standardised coefficients, the paper's 0 to 12. Frames beyond `n_frames` are padding and change nothing,
    whatever they hold.

    Args:
        recurrent_layers, recurrent_units: bidirectional LSTM layers, and units of each in either direction.
        input_noise: standard deviation of the Gaussian noise that training adds to the standardised features.
        initial_range: all weights and biases begin uniformly between plus and minus this.
        seed: of the noise.
    """
    if recurrent_layers < 1:
        raise ValueError(f"recurrent_layers is {recurrent_layers}, expected 1 or more")

    def initial(*kinds: str) -> dict[str, keras.initializers.Initializer]:
        # One for each: an initializer that is used twice gives the same numbers.
        uniform = partial(keras.initializers.RandomUniform, -initial_range, initial_range)
        return {f"{kind}_initializer": uniform() for kind in kinds}

    inputs, sequence, mask = masked_input(n_inputs)
    sequence = layers.GaussianNoise(input_noise, seed=seed, name="input_noise")(sequence)
    for index in range(1, recurrent_layers + 1):
        # The forget gate's bias begins as all weights do, not at Keras's 1.
        weights = initial("kernel", "recurrent", "bias")
        lstm = LSTM(recurrent_units, return_sequences=True, unit_forget_bias=False, **weights)
        sequence = layers.Bidirectional(lstm, name=f"blstm{index}")(sequence, mask=mask)
    clean = layers.Dense(n_outputs, dtype="float32", name="clean", **initial("kernel", "bias"))(sequence)
    return keras.Model(inputs, clean, name=name)
