"""Build attention-based BLSTM and fully convolutional networks for speech emotion recognition.

Zhao, Bao, Zhang, Cummins, Wang, Schuller: "Exploring Deep Spectrum Representations via Attention-Based Recurrent
and Convolutional Neural Networks for Speech Emotion Recognition", IEEE Access 7, 2019, section III.
"""

import keras
from keras import layers, ops

from zoo.layers.attention import AttentionMap, WeightedSum
from zoo.layers.lstm import LSTM
from zoo.layers.masking import FrameMask, MaskedBatchNormalization, masked_input
from zoo.models.option_ranges import checked

FCN_FILTERS = (64, 128, 128)
# Hyper-parameters to search. Of windows (15 to 200 ms), bands and layers the paper states what it tried; the other
# ranges lie around its own value, or around ours where it is silent.
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
    "option.kernel_size": [3, 5],
    "option.hidden_units": [64, 128, 256],
    "option.block_dropout": {"low": 0.0, "high": 0.5, "step": 0.1},
    "option.dropout": {"low": 0.0, "high": 0.5, "step": 0.1},
}
# Values of options without which a hyper-parameter has no effect.
SPACE_NEEDS = {
    "option.attention_scale": {"fcn": [True], "fcn_attention": [True]},
    "option.kernel_size": {"fcn": [True]},
    "option.block_dropout": {"fcn": [True]},
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
    kernel_size: int = 3,
    pool_size: int = 2,
    hidden_units: int = 128,
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
        fcn: the convolutional stream: three blocks of 64, 128, 128 filters.
        fcn_attention: pool that stream by scaled-softmax attention (eq 8-10) instead of the average.
        recurrent: "blstm", "lstm" or None for no recurrent stream.
        attention_scale: lambda of eq 9; the paper's best is 0.3.
        kernel_size, pool_size: square, "same"; the paper is silent.
        hidden_units: width of the attention's hidden layer and of the head; the paper is silent.
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
    for option, value, low, high in (
        ("recurrent_layers", recurrent_layers, 1, 16),
        ("attention_scale", attention_scale, 0.0, 100.0),
        ("norm_momentum", norm_momentum, 0.0, 1.0),
        ("pool_size", pool_size, 1, 2),  # wider pools would begin at another frame when padding is added
    ):
        if not low <= value <= high:
            raise ValueError(f"{option} is {value!r}, expected {low} to {high}")
    inputs, frames, mask = masked_input(n_bands)
    pooled = []
    if fcn:
        grid = layers.Reshape((-1, n_bands, 1), name="grid")(frames)
        count, grid_mask = inputs["n_frames"], mask
        for index, filters in enumerate(FCN_FILTERS, start=1):
            grid = layers.Conv2D(filters, kernel_size, padding="same", name=f"conv{index}")(grid)
            grid = MaskedBatchNormalization(momentum=norm_momentum, name=f"norm{index}")(grid, grid_mask)
            grid = layers.MaxPooling2D(pool_size, padding="same", name=f"pool{index}")(grid)
            # Behind the pooling: the same values as in front of it, where there are more; padding is zero there.
            grid = layers.ReLU(name=f"relu{index}")(grid)
            grid = layers.Dropout(block_dropout, seed=seed + index, name=f"dropout{index}")(grid)
            count = -(-count // pool_size)  # "same" pooling rounds up, so the shortest clip keeps a frame
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
    hidden = layers.Dense(hidden_units, activation="relu", name="head")(joint)
    hidden = layers.Dropout(dropout, seed=seed, name="head_dropout")(hidden)
    output = layers.Dense(n_classes, activation="softmax", dtype="float32", name="probabilities")(hidden)
    return keras.Model(inputs, output, name=name)
