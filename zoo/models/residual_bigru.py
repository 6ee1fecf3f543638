"""Build residual convolutions, a bidirectional GRU and attentive statistics pooling: a small network of known parts.

- residual blocks with projections: He, Zhang, Ren, Sun: "Deep Residual Learning for Image Recognition", CVPR 2016
- gated recurrent units: Cho et al.: "Learning Phrase Representations using RNN Encoder-Decoder", EMNLP 2014; behind
  convolutions on spectrograms: Cakir et al.: "Convolutional Recurrent Neural Networks for Polyphonic Sound Event
  Detection", IEEE/ACM TASLP 25(6), 2017
- pooling: Okabe, Koshinaka, Shinoda: "Attentive Statistics Pooling for Deep Speaker Embedding", Interspeech 2018

No paper has this combination; its sizes are ours.
"""

from collections.abc import Sequence

import keras
from keras import layers

from zoo.errors import OptionError
from zoo.layers.attention import AttentionMap, WeightedStatistics
from zoo.layers.convolution import Conv2D
from zoo.layers.masking import FrameMask, MaskedBatchNormalization, masked_input
from zoo.models.option_ranges import checked

# Hyper-parameters to search, around the recipe's values.
SPACE = {
    "learning_rate": {"low": 5e-4, "high": 5e-3, "sampling": "log"},
    "optimizer": ["adam", "rmsprop", "sgd"],
    "weight_decay": [0.0, 0.005, 0.02, 0.05],
    "batch_size": [16, 32, 64],
    "bands": [40, 64, 80],
    "trim_db": [0.0, 30.0, 40.0, 60.0],
    "tempo": [0.0, 0.1, 0.17, 0.25],
    "band_shift": [0, 2, 3, 5],
    "mixup": [0.0, 0.2, 0.3, 0.5],
    "label_smoothing": [0.0, 0.05, 0.1, 0.2],
    "option.fine_blocks": [0, 1, 2],
    "option.filters": [[32, 48, 64], [48, 72, 96], [64, 96, 128]],
    "option.recurrent_units": [64, 96, 128],
    "option.dropout": {"low": 0.2, "high": 0.6, "step": 0.1},
}


@checked
def residual_bigru(
    n_classes: int,
    n_bands: int = 64,
    /,
    *,
    stem_filters: int = 24,
    filters: Sequence[int] = (48, 72, 96),
    recurrent_units: int = 96,
    attention_units: int = 64,
    dropout: float = 0.4,
    norm_momentum: float = 0.9,
    fine_blocks: int = 0,
    causal: bool = False,
    seed: int = 0,
    name: str = "residual_bigru",
) -> keras.Model:
    """Build the network.

    The model maps {"features": (batch, frames, n_bands), "n_frames": (batch,)} to class probabilities (batch,
    n_classes). Frames beyond `n_frames` are padding and change nothing, whatever they hold. Every stage halves bands
    and frames, the last `fine_blocks` bands alone, rounding up: with three blocks a step of the GRU is 16 frames, with
    two of them fine it is 4. Layers by name: "sequence" is what the GRU reads, "attention" the attention map, "joint"
    the vector in front of the head.

    Args:
        stem_filters: of the first, 5 x 5 convolution.
        filters: of each residual block.
        recurrent_units: of the GRU, in each direction.
        attention_units: width of the attention's hidden layer.
        dropout: of the joint vector, in 0..1.
        norm_momentum: of batch normalisation's running statistics.
        fine_blocks: of the last residual blocks, so many keep the number of frames.
        causal: whether convolutions and the GRU look back only, so that later frames change nothing in "sequence" and
            behind the GRU; the pooling is over all frames so far. Features have to look back only, too: --clip-mean
            running or kept, and --trim-db 0.
        seed: of dropout.

    Raises OptionError for an option of another kind or out of its range.
    """
    if fine_blocks > len(filters):
        raise OptionError(f"fine_blocks is {fine_blocks}, expected at most {len(filters)}, the blocks that filters has")
    inputs, frames, _ = masked_input(n_bands)
    grid = layers.Reshape((-1, n_bands, 1), name="grid")(frames)
    count = -(-inputs["n_frames"] // 2)
    grid = _strided(grid, stem_filters, 5, "stem", (2, 2), causal)
    mask = FrameMask(name="stem_mask")(grid, count)
    grid = MaskedBatchNormalization(momentum=norm_momentum, name="stem_norm")(grid, mask)
    grid = layers.ReLU(name="stem_relu")(grid)
    for index, width in enumerate(filters, start=1):
        stride = 2 if index <= len(filters) - fine_blocks else 1
        count = -(-count // stride)
        grid, mask = _residual_block(grid, count, width, norm_momentum, f"block{index}", (stride, 2), causal)
    sequence = layers.Reshape((-1, grid.shape[2] * grid.shape[3]), name="sequence")(grid)
    gru = layers.GRU(recurrent_units, return_sequences=True, name="gru")
    sequence = (gru if causal else layers.Bidirectional(gru, name="bigru"))(sequence, mask=mask)
    weights = AttentionMap(attention_units, name="attention")(sequence, mask)
    joint = WeightedStatistics(name="joint")(sequence, weights)
    joint = layers.Dropout(dropout, seed=seed, name="joint_dropout")(joint)
    output = layers.Dense(n_classes, activation="softmax", dtype="float32", name="probabilities")(joint)
    return keras.Model(inputs, output, name=name)


def _strided(grid, filters: int, size: int, name: str, strides: tuple[int, int], causal: bool):
    """Convolve (batch, frames, bands, channels) with strides: ceil(frames / strides[0]), ceil(bands / strides[1]).

    Keras's "same" padding of a strided convolution depends on whether the length is even, so that one frame of padding
    more would move the whole grid.
    """
    grid = layers.ZeroPadding2D(_edges(size, causal), name=f"{name}_edges")(grid)
    return Conv2D(filters, size, strides=strides, use_bias=False, name=f"{name}_conv")(grid)


def _edges(size: int, causal: bool) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the zeros before and behind the frames and the bands of a convolution of size x size taps."""
    around = (size // 2, size // 2)
    return (size - 1, 0) if causal else around, around


def _residual_block(grid, count, filters: int, norm_momentum: float, name: str, strides: tuple[int, int], causal: bool):
    """Return the grid behind a block with strides (He et al. 2016, section 3.3, projections of option B), and its mask.

    `count` are its real frames. Padding is zero in the grid and stays so.
    """
    shortcut = Conv2D(filters, 1, strides=strides, use_bias=False, name=f"{name}_projection")(grid)
    mask = FrameMask(name=f"{name}_mask")(shortcut, count)
    shortcut = MaskedBatchNormalization(momentum=norm_momentum, name=f"{name}_projection_norm")(shortcut, mask)
    grid = _strided(grid, filters, 3, name, strides, causal)
    grid = MaskedBatchNormalization(momentum=norm_momentum, name=f"{name}_norm1")(grid, mask)
    grid = layers.ReLU(name=f"{name}_relu1")(grid)
    if causal:
        grid = layers.ZeroPadding2D(_edges(3, causal), name=f"{name}_edges2")(grid)
    padding = "valid" if causal else "same"
    grid = Conv2D(filters, 3, padding=padding, use_bias=False, name=f"{name}_conv2")(grid)
    grid = MaskedBatchNormalization(momentum=norm_momentum, name=f"{name}_norm2")(grid, mask)
    grid = layers.Add(name=f"{name}_sum")([grid, shortcut])
    return layers.ReLU(name=f"{name}_relu2")(grid), mask
