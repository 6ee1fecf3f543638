"""A small network on the hidden states of a speech encoder: frozen, or inside the network and trained with it.

- learned average of layers: Yang et al.: "SUPERB: Speech Processing Universal PERformance Benchmark", Interspeech 2021,
  section 3; of a clip's mean vectors: Pepino, Riera, Ferrer: "Emotion Recognition from Speech Using wav2vec 2.0
  Embeddings", Interspeech 2021, section 2.3
- fine-tuning of all transformer layers, the convolutions frozen: Wagner et al.: "Dawn of the Transformer Era in Speech
  Emotion Recognition: Closing the Valence Gap", IEEE TPAMI 45(9), 2023
- attention pooling of frames: see `zoo.layers.attention`
"""

import re
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from zoo.errors import OptionError
from zoo.layers.attention import AttentionMap, WeightedSum
from zoo.layers.encoder_training import StateMeans
from zoo.layers.masking import FrameMask, masked_input
from zoo.layers.speech_encoder import LayerWeights
from zoo.models import encoders
from zoo.models.encoder_config import EncoderConfig
from zoo.models.option_ranges import checked
from zoo.models.wav2vec2 import InTraining

SPACE = {
    "learning_rate": {"low": 1e-4, "high": 1e-2, "sampling": "log"},
    "optimizer": ["adam", "rmsprop", "sgd"],
    "batch_size": [16, 32, 64],
    "option.hidden_units": [64, 128, 256, 512],
    "option.dropout": {"low": 0.0, "high": 0.6, "step": 0.1},
}
_POOLINGS = ("layers", "attention", "mean")
_OF_ENCODER = re.compile(
    r"(?P<conv>conv\d+)(_norm)?$|layer(?P<layer>\d+)_"
    r"|(project|project_norm|positions\d*|extra_tokens|encoder_norm|position_bias\d*|masked)$"
)


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
    inputs, rows, mask = masked_input(n_hidden)
    options: dict[str, Any] = {"pooling": pooling, "hidden_units": hidden_units, "attention_units": attention_units}
    output = _head(rows, mask, n_classes, dropout=dropout, seed=seed, **options)
    return keras.Model(inputs, output, name=name)


@checked
def fine_tuned_encoder(
    n_classes: int,
    encoder: EncoderConfig,
    chosen: Sequence[int],
    frames: bool = False,
    /,
    *,
    pooling: str = "layers",
    hidden_units: int = 256,
    attention_units: int = 128,
    dropout: float = 0.2,
    encoder_dropout: float = 0.1,
    attention_dropout: float = 0.1,
    layer_drop: float = 0.0,
    masked_frames: float = 0.05,
    masked_span: int = 10,
    masked_channels: float = 0.0,
    masked_channels_span: int = 10,
    recompute: bool = False,
    seed: int = 0,
    name: str = "fine_tuned_encoder",
) -> keras.Model:
    """Build the network of `encoder_head` behind an encoder that is trained with it.

    The model maps {"features": (batch, samples, 1), waveforms in -1..1 at encoder.rate_hz, "n_frames": (batch,), their
    real samples} to class probabilities (batch, n_classes). The encoder's layers are its own, by the names that
    `zoo.models.wav2vec2.speech_encoder` gives them; they are made anew, and get published weights by
    `zoo.models.weights.encoder_folder.load_into`. Layers above the last chosen state are left out.

    Args:
        chosen: hidden states, 0 for that in front of the first layer; `frames` needs a single one.
        frames: whether rows are that state's frames; else they are means over the clip, one for each state.
        pooling, hidden_units, attention_units, dropout: of the head, as in `encoder_head`.
        encoder_dropout: of hidden states and feed-forward parts, and `attention_dropout` of attention, in 0..1.
        layer_drop: probability that a batch leaves a transformer layer out.
        masked_frames, masked_span, masked_channels, masked_channels_span: SpecAugment, `mask_time_prob`,
            `mask_time_length`, `mask_feature_prob` and `mask_feature_length` of published configurations.
        recompute: less memory for more time, see `zoo.models.wav2vec2.InTraining`.
        seed: of all that draws.

    Raises OptionError for an option of another kind or out of its range.
    """
    training = InTraining(
        encoder_dropout,
        attention_dropout,
        layer_drop,
        masked_frames,
        masked_span,
        masked_channels,
        masked_channels_span,
        recompute,
    )
    whole = encoders.build(encoder, training=training, seed=seed + 100)
    states, n_frames = [whole.outputs[index] for index in chosen], whole.outputs[-1]
    rows = states[0] if frames else StateMeans(name="means")(states, n_frames)
    counts = n_frames if frames else n_frames * 0 + len(states)
    mask = FrameMask(name="rows_mask")(rows, counts)
    options: dict[str, Any] = {"pooling": pooling, "hidden_units": hidden_units, "attention_units": attention_units}
    output = _head(rows, mask, n_classes, dropout=dropout, seed=seed, **options)
    return keras.Model(whole.input, output, name=name)


def depth_of(layer: str) -> int | None:
    """Return how deep a layer of an encoder is by its name, None for those of a head.

    -1 is a convolution of the feature extractor, 0 what is between it and the first transformer layer, or serves all,
    1 the first transformer layer.

    >>> [depth_of(name) for name in ("conv0_norm", "project", "layer11_q", "hidden", "layer_weights")]
    [-1, 0, 12, None, None]
    """
    found = _OF_ENCODER.match(layer)
    if not found:
        return None
    return -1 if found["conv"] else 0 if found["layer"] is None else int(found["layer"]) + 1


def _head(
    rows: Any,
    mask: Any,
    n_classes: int,
    *,
    pooling: str,
    hidden_units: int,
    attention_units: int,
    dropout: float,
    seed: int,
) -> Any:
    """Return class probabilities (batch, n_classes) of rows (batch, rows, hidden), by real ones."""
    if pooling not in _POOLINGS:
        raise OptionError(f"pooling is {pooling!r}, expected one of {', '.join(_POOLINGS)}")
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
    return layers.Dense(n_classes, activation="softmax", dtype="float32", name="probabilities")(hidden)
