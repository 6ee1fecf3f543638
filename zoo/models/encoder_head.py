"""A small network on the hidden states of a frozen speech encoder.

- learned average of layers: Yang et al.: "SUPERB: Speech Processing Universal PERformance Benchmark", Interspeech 2021,
  section 3; of a clip's mean vectors: Pepino, Riera, Ferrer: "Emotion Recognition from Speech Using wav2vec 2.0
  Embeddings", Interspeech 2021, section 2.3
- attention pooling of frames: see `zoo.layers.attention`
"""

import keras
from keras import layers

from zoo.errors import OptionError
from zoo.layers.attention import AttentionMap, WeightedSum
from zoo.layers.masking import masked_input
from zoo.layers.speech_encoder import LayerWeights
from zoo.models.option_ranges import checked

SPACE = {
    "learning_rate": {"low": 1e-4, "high": 1e-2, "sampling": "log"},
    "optimizer": ["adam", "rmsprop", "sgd"],
    "batch_size": [16, 32, 64],
    "option.hidden_units": [64, 128, 256, 512],
    "option.dropout": {"low": 0.0, "high": 0.6, "step": 0.1},
}
_POOLINGS = ("layers", "attention", "mean")


@checked
def encoder_head(
    n_classes: int,
    n_hidden: int = 768,
    /,
    *,
    pooling: str = "layers",
    hidden_units: int = 256,
    attention_units: int = 128,
    dropout: float = 0.2,
    seed: int = 0,
    name: str = "encoder_head",
) -> keras.Model:
    """Build the network.

    The model maps {"features": (batch, rows, n_hidden), "n_frames": (batch,)} to class probabilities (batch,
    n_classes). Rows are a clip's mean hidden states, one per layer (pooling "layers"), or frames of one layer
    ("attention", "mean"). Each row is first normalised to mean 0 and variance 1: layers differ in scale. Layer "joint"
    is the vector in front of the head.

    Args:
        pooling: "layers" (learned weights, a softmax over layers), "attention" or "mean".
        hidden_units: of the dense layer.
        attention_units: width of the attention's hidden layer.
        dropout: in front of both dense layers, in 0..1.
        seed: of dropout.

    Raises OptionError for an option of another kind or out of its range.
    """
    if pooling not in _POOLINGS:
        raise OptionError(f"pooling is {pooling!r}, expected one of {', '.join(_POOLINGS)}")
    inputs, rows, mask = masked_input(n_hidden)
    rows = layers.LayerNormalization(epsilon=1e-5, center=False, scale=False, name="normalized")(rows)
    if pooling == "mean":
        joint = layers.GlobalAveragePooling1D(name="joint")(rows, mask=mask)
    else:
        by_layer = pooling == "layers"
        weigh = LayerWeights(name="layer_weights") if by_layer else AttentionMap(attention_units, name="attention")
        joint = WeightedSum(name="joint")(rows, weigh(rows, mask))
    hidden = layers.Dropout(dropout, seed=seed, name="joint_dropout")(joint)
    hidden = layers.Dense(hidden_units, activation="relu", name="hidden")(hidden)
    hidden = layers.Dropout(dropout, seed=seed + 1, name="hidden_dropout")(hidden)
    output = layers.Dense(n_classes, activation="softmax", dtype="float32", name="probabilities")(hidden)
    return keras.Model(inputs, output, name=name)
