"""Build attention-based BLSTM and fully convolutional networks for speech emotion recognition.

Zhao, Bao, Zhang, Cummins, Wang, Schuller: "Exploring Deep Spectrum Representations via Attention-Based Recurrent
and Convolutional Neural Networks for Speech Emotion Recognition", IEEE Access 7, 2019, section III.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from zoo.layers.attention import AttentionMap, WeightedSum
from zoo.layers.convolution import Conv2D, MaxPooling2D
from zoo.layers.lstm import LSTM
from zoo.layers.masking import FrameMask, MaskedBatchNormalization, masked_input
from zoo.models.option_ranges import checked

MOST_BLOCKS = 16  # of the convolutional stream
ACTIVATIONS = ("relu", "leaky_relu", "elu", "tanh")  # rising, and 0 at 0: padding stays 0
# Hyper-parameters to search: the paper's fifteen (tests/tuning/test_space.py lists them), and a few of ours. Of
# windows (15 to 200 ms), bands, layers, recurrent units and filters (8 to 256) the paper states what it tried; the
# other ranges lie around its own value, or around ours where it is silent.
SPACE = {
    "window_ms": [15.0, 25.0, 40.0, 60.0, 80.0, 100.0, 150.0, 200.0],
    "hop_ms": [10.0, 20.0],
    "bands": [30, 40, 60, 80, 100],
    "learning_rate": {"low": 1e-4, "high": 1e-2, "sampling": "log"},
    "optimizer": ["adam", "rmsprop", "sgd"],
    "batch_size": [16, 32, 64, 100],
    "crop_seconds": [3.0, 5.0, 7.5],
    "class_weights": ["none", "inverse", "balanced"],
    "option.attention_scale": [0.0, 0.1, 0.3, 0.5, 0.7, 1.0],
    "option.recurrent_layers": [1, 2, 3],
    "option.recurrent_units": [64, 128, 256],
    # Two to five layers, the later ones twice as wide as the first, which is the paper's own shape.
    "option.filters": [
        [first, *[2 * first] * (n_layers - 1)] for n_layers in (2, 3, 4, 5) for first in (8, 32, 64, 128)
    ],
    "option.kernel_size": [3, 5],
    "option.stride": [1, 2],
    "option.pool_size": [2, 3],
    "option.pooling_layers": [None, 2, 3],
    "option.activation": ["relu", "elu", "tanh"],
    "option.hidden_units": [64, 128, 256],
    "option.dense_layers": [1, 2, 3],
    "option.block_dropout": {"low": 0.0, "high": 0.5, "step": 0.1},
    "option.dropout": {"low": 0.0, "high": 0.5, "step": 0.1},
}
# Values of options without which a hyper-parameter has no effect.
SPACE_NEEDS = {
    "option.attention_scale": {"fcn": [True], "fcn_attention": [True]},
    **{
        f"option.{name}": {"fcn": [True]}
        for name in ("filters", "kernel_size", "stride", "pool_size", "pooling_layers", "block_dropout")
    },
    "option.recurrent_layers": {"recurrent": ["blstm", "lstm"]},
    "option.recurrent_units": {"recurrent": ["blstm", "lstm"]},
}


@checked
def attention_blstm_fcn(
    n_classes: int,
    n_bands: int = 40,
    *,
    fcn: bool = True,
    fcn_attention: bool = True,
    recurrent: str | None = "blstm",
    recurrent_layers: int = 2,
    recurrent_units: int = 128,
    attention_scale: float = 0.3,
    filters: Sequence[int] = (64, 128, 128),
    kernel_size: int = 3,
    stride: int = 1,
    pool_size: int = 2,
    pooling_layers: int | None = None,
    activation: str = "relu",
    hidden_units: int = 128,
    dense_layers: int = 1,
    block_dropout: float = 0.3,
    dropout: float = 0.3,
    norm_momentum: float = 0.9,
    seed: int = 0,
    name: str = "attention_blstm_fcn",
) -> keras.Model:
    """Build the network, or with a stream left out one of the ablations of Table 5.

    The model maps {"features": (batch, frames, n_bands), "n_frames": (batch,)} to class probabilities (batch,
    n_classes). Frames beyond `n_frames` are padding and change nothing, whatever they hold. Layers by name:
    "fcn_attention" and "recurrent_attention" are the attention maps, "joint" the vector in front of the head
    (384-d with both streams).

    Args:
        fcn: the convolutional stream, a block for each of `filters`.
        fcn_attention: pool that stream by scaled-softmax attention (eq 8-10) instead of the average.
        recurrent: "blstm", "lstm" or None for no recurrent stream.
        attention_scale: lambda of eq 9; the paper's best is 0.3.
        filters: of each block; the paper tries two to five blocks of 8 to 256.
        kernel_size, pool_size: square, "same"; the paper is silent.
        stride: of the convolutions, square; the paper's is 1.
        pooling_layers: blocks that end in a pooling, counted from the first; by default all.
        activation: one of `ACTIVATIONS`, in the blocks, behind the pooling, and in the head.
        hidden_units: width of the attention's hidden layer and of the head; the paper is silent.
        dense_layers: hidden layers of the head; the paper is silent.
        block_dropout: after each convolution block, in 0..1; the paper is silent on its rate. Variances behind it
            differ between training and inference (Li et al. 2019, CVPR), so the "tuned" recipe sets it to zero.
        dropout: in the head, in 0..1; the paper is silent.
        norm_momentum: of batch normalisation's running statistics; the paper is silent. Keras's 0.99 needs more steps
            than small corpora have.
        seed: of dropout. Without one Keras on PyTorch draws from a state that no checkpoint holds.
    """
    if not fcn and recurrent is None:
        raise ValueError("a network needs the fcn stream, a recurrent one ('blstm' or 'lstm'), or both")
    if recurrent not in ("blstm", "lstm", None):
        raise ValueError(f"recurrent is {recurrent!r}, expected 'blstm', 'lstm' or None")
    _check_ranges(filters, kernel_size, stride, pool_size, activation)
    inputs, frames, mask = masked_input(n_bands)
    pooled = []
    if fcn:
        grid = layers.Reshape((-1, n_bands, 1), name="grid")(frames)
        count, grid_mask = inputs["n_frames"], mask
        for index, n_filters in enumerate(filters, start=1):
            grid, count, grid_mask = _convolved(grid, count, grid_mask, index, n_filters, kernel_size, stride)
            grid = MaskedBatchNormalization(momentum=norm_momentum, name=f"norm{index}")(grid, grid_mask)
            has_pooling = pooling_layers is None or index <= pooling_layers
            if has_pooling:
                grid = _max_pooled(grid, index, pool_size, activation)
            # Behind the pooling: the same values as in front of it, where there are more; padding is zero there.
            grid = _activation(activation, f"{activation}{index}")(grid)
            grid = layers.Dropout(block_dropout, seed=seed + index, name=f"dropout{index}")(grid)
            if has_pooling:
                count = -(-count // pool_size)  # pooling rounds up, so the shortest clip keeps a frame
                grid_mask = FrameMask(name=f"mask{index}")(grid, count)
        if fcn_attention:
            weights = AttentionMap(hidden_units, attention_scale, name="fcn_attention")(grid, grid_mask)
            pooled.append(WeightedSum(name="fcn_context")(grid, weights))
        else:
            band_mean = ops.mean(grid, axis=2)
            pooled.append(layers.GlobalAveragePooling1D(name="fcn_average")(band_mean, mask=grid_mask))
    if recurrent is not None:
        sequence = frames
        for index in range(1, recurrent_layers + 1):
            layer = LSTM(recurrent_units, return_sequences=True, name=f"lstm{index}")
            layer = layers.Bidirectional(layer, name=f"blstm{index}") if recurrent == "blstm" else layer
            sequence = layer(sequence, mask=mask)
        weights = AttentionMap(name="recurrent_attention")(sequence, mask)
        pooled.append(WeightedSum(name="recurrent_context")(sequence, weights))

    joint = layers.Concatenate(name="joint")(pooled) if len(pooled) > 1 else layers.Identity(name="joint")(pooled[0])
    hidden = joint
    for index in range(1, dense_layers + 1):
        number = "" if index == 1 else str(index)
        hidden = layers.Dense(hidden_units, activation=activation, name=f"head{number}")(hidden)
        own_seed = seed if index == 1 else seed + MOST_BLOCKS + index  # those between are the blocks'
        hidden = layers.Dropout(dropout, seed=own_seed, name=f"head{number}_dropout")(hidden)
    output = layers.Dense(n_classes, activation="softmax", dtype="float32", name="probabilities")(hidden)
    return keras.Model(inputs, output, name=name)


def _check_ranges(filters: Sequence[int], kernel_size: int, stride: int, pool_size: int, activation: str) -> None:
    """Raise ValueError for values of the convolutional stream that each may have elsewhere, and not here."""
    if len(filters) > MOST_BLOCKS:
        raise ValueError(f"filters is of {len(filters)} blocks, expected 1 to {MOST_BLOCKS}")
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation is {activation!r}, expected one of {', '.join(ACTIVATIONS)}")
    for option, value, most in (
        ("stride", stride, 8),
        ("pool_size", pool_size, 8),
        # Zeros at the edges, which a saved model may have 64 of.
        ("kernel_size", kernel_size, 65 if stride > 1 else 65_536),
    ):
        if not 1 <= value <= most:
            raise ValueError(f"{option} is {value!r}, expected 1 to {most}")


def _convolved(
    grid: Any, count: Any, mask: Any, index: int, filters: int, kernel_size: int, stride: int
) -> tuple[Any, Any, Any]:
    """Return the convolution of a block with frame counts and mask behind it: a stride leaves ceil(n / stride)."""
    if stride == 1:
        return Conv2D(filters, kernel_size, padding="same", name=f"conv{index}")(grid), count, mask
    # "same" would begin at another frame with the batch's length, and so depend on padding.
    before = (kernel_size - 1) // 2
    grid = layers.ZeroPadding2D([(before, kernel_size - 1 - before)] * 2, name=f"edge{index}")(grid)
    grid = Conv2D(filters, kernel_size, stride, name=f"conv{index}")(grid)
    count = -(-count // stride)
    return grid, count, FrameMask(name=f"stride_mask{index}")(grid, count)


def _max_pooled(grid: Any, index: int, size: int, activation: str) -> Any:
    """Return maxima of squares, the first of which begins at the first frame, whatever the batch's length.

    Keras's "same" has that up to two frames. It takes what lies beyond the end as minus infinity, where padding is
    zero: the same once ReLU follows. Otherwise all ends are zeros.
    """
    if size <= 2 and activation == "relu":
        return MaxPooling2D(size, padding="same", name=f"pool{index}")(grid)
    grid = layers.ZeroPadding2D([(0, size - 1)] * 2, name=f"end{index}")(grid)
    return MaxPooling2D(size, name=f"pool{index}")(grid)


def _activation(activation: str, name: str) -> keras.layers.Layer:
    return layers.ReLU(name=name) if activation == "relu" else layers.Activation(activation, name=name)
