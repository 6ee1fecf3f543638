"""Speech encoders on the waveform: wav2vec 2.0, HuBERT and WavLM, one backbone with its variants as settings.

- Baevski, Zhou, Mohamed, Auli: "wav2vec 2.0: A Framework for Self-Supervised Learning of Speech Representations",
  NeurIPS 2020
- Hsu et al.: "HuBERT: Self-Supervised Speech Representation Learning by Masked Prediction of Hidden Units",
  IEEE/ACM TASLP 29, 2021
- Chen et al.: "WavLM: Large-Scale Self-Supervised Pre-Training for Full Stack Speech Processing", IEEE JSTSP 16(6),
  2022
"""

from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from zoo.layers.encoder_training import LayerDrop, SpanMask
from zoo.layers.masking import FrameMask, ZeroPadding
from zoo.layers.speech_encoder import (
    AttentionProduct,
    ClipStandardization,
    GatedPositionBias,
    Gelu,
    InstanceNormalization,
    LayerAverage,
    PositionalConvolution,
    RelativePositionBias,
)
from zoo.models.encoder_config import EncoderConfig, EncoderHead


@dataclass(frozen=True)
class InTraining:
    """What is done to an encoder in training alone; all of it is off by default, and at inference.

    dropout: of hidden states and in feed-forward parts, 0..1.
    attention_dropout: of attention weights.
    layer_drop: probability that a batch leaves a transformer layer out (`layerdrop`).
    masked_frames, masked_span: share of frames that a learned vector replaces, in spans of so many frames
        (`mask_time_prob`, `mask_time_length`).
    masked_channels, masked_channels_span: of channels, set to zero (`mask_feature_prob`, `mask_feature_length`).
    recompute: compute attention weights and GELU again in the backward pass, in place of keeping them: less memory,
        more time (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost").
    """

    dropout: float = 0.0
    attention_dropout: float = 0.0
    layer_drop: float = 0.0
    masked_frames: float = 0.0
    masked_span: int = 10
    masked_channels: float = 0.0
    masked_channels_span: int = 10
    recompute: bool = False


def speech_encoder(
    config: EncoderConfig,
    *,
    reference_padding: bool = False,
    training: InTraining = InTraining(),
    seed: int = 0,
    name: str = "speech_encoder",
) -> keras.Model:
    """Build an encoder.

    The model maps {"features": (batch, samples, 1), waveforms in -1..1 at config.rate_hz, "n_frames": (batch,), their
    real samples} to a list: the hidden states in front of the first layer and behind each, n_layers + 1 arrays (batch,
    frames, hidden), and the number of real frames (batch,). Frames beyond are padding. With one clip of
    `config.least_samples` samples at least, there is one frame per `conv_strides` product, 20 ms.

    Padding never changes an answer: the normalisation of the first convolution (conv_norm "group") counts real frames
    only, as if each clip were alone. The published code counts padding there, and attends to it: reference_padding=True
    does the same, for comparisons.

    Args:
        training: what is done in training alone.
        seed: of its draws.
    """
    waveform = keras.Input((None, 1), name="features")
    n_samples = keras.Input((), dtype="int32", name="n_frames")
    n_frames = config.n_frames(n_samples)
    frames = ClipStandardization(config.standardize, name="standardized")(waveform, n_samples)
    frames = convolutions(frames, n_samples, config, reference_padding)
    mask = None if reference_padding else FrameMask(name="mask")(frames, n_frames)
    if config.project_norm:
        frames = layers.LayerNormalization(epsilon=config.epsilon, name="project_norm")(frames)
    frames = layers.Dense(config.hidden, name="project")(frames)
    frames = held_back(frames, n_frames, training, seed)
    if mask is not None:
        frames = ZeroPadding(name="projected")(frames, mask)
    positions = PositionalConvolution(config.position_kernel, config.position_groups, name="positions")(frames)
    frames = layers.Add(name="positioned")([frames, Gelu(name="positions_gelu")(positions)])
    if not config.norm_first:
        frames = _norm(frames, config, "encoder_norm")
    frames = dropped(frames, training.dropout, seed, "encoder_dropout")
    states = [frames]
    bias = (
        RelativePositionBias(config.heads, config.buckets, config.max_distance, name="position_bias")(frames)
        if (config.family == "wavlm")
        else None
    )
    for index in range(config.n_layers):
        frames = transformer_layer(frames, mask, bias, config, f"layer{index}", training, seed + 10 * (index + 1))
        states.append(frames)
    if config.norm_first:
        states[-1] = _norm(frames, config, "encoder_norm")
    return keras.Model({"features": waveform, "n_frames": n_samples}, [*states, n_frames], name=name)


def with_head(encoder: keras.Model, head: EncoderHead, name: str = "speech_encoder_head") -> keras.Model:
    """Put a published head on an encoder.

    The model takes the encoder's inputs, and gives ratings (batch, labels), or probabilities of the labels.
    """
    *states, n_frames = encoder.outputs
    frames = LayerAverage(name="head_layers")(states) if head.weighted_layers else states[-1]
    mask = FrameMask(name="head_mask")(frames, n_frames)
    if head.kind == "projector":
        frames = layers.Dense(head.width, name="head_dense")(frames)
    pooled = layers.GlobalAveragePooling1D(name="head_mean")(frames, mask=mask)
    if head.kind == "dense":
        pooled = layers.Dense(head.width, activation="tanh", name="head_dense")(pooled)
    activation = None if head.regression else "softmax"
    outputs = layers.Dense(len(head.labels), activation=activation, dtype="float32", name="head_out")(pooled)
    return keras.Model(encoder.inputs, outputs, name=name)


def held_back(frames: Any, n_frames: Any, training: InTraining, seed: int) -> Any:
    """Return projected frames with dropout and span masks, where `training` has them."""
    frames = dropped(frames, training.dropout, seed + 1, "project_dropout")
    if training.masked_frames or training.masked_channels:
        spans = (training.masked_frames, training.masked_span, training.masked_channels, training.masked_channels_span)
        frames = SpanMask(*spans, seed=seed + 2, name="masked")(frames, n_frames)
    return frames


def convolutions(frames: Any, n_samples: Any, config: EncoderConfig, reference_padding: bool) -> Any:
    """Return the convolved waveform (batch, frames, channels): Baevski et al. 2020, section 2, feature encoder."""
    count = n_samples
    for index, (width, taps, stride) in enumerate(
        zip(config.conv_filters, config.conv_kernels, config.conv_strides, strict=True)
    ):
        count = (count - taps) // stride + 1
        name = f"conv{index}"
        frames = layers.Conv1D(width, taps, strides=stride, use_bias=config.conv_bias, name=name)(frames)
        if config.conv_norm == "layer":
            frames = _norm(frames, config, f"{name}_norm")
        elif index == 0:
            mask = None if reference_padding else FrameMask(name=f"{name}_mask")(frames, count)
            frames = InstanceNormalization(config.epsilon, name=f"{name}_norm")(frames, mask=mask)
        frames = Gelu(name=f"{name}_gelu")(frames)
    return frames


def transformer_layer(
    frames: Any, mask: Any, bias: Any, config: EncoderConfig, name: str, training: InTraining, seed: int
) -> Any:
    """Return the frames behind a transformer layer, normalised before its parts or behind them."""
    dropout, attention_dropout, before = training.dropout, training.attention_dropout, frames
    attended = _norm(frames, config, f"{name}_attention_norm") if config.norm_first else frames
    if config.family == "wavlm":
        bias = GatedPositionBias(config.heads, name=f"{name}_gate")(attended, bias)
    projected = [layers.Dense(config.hidden, name=f"{name}_{part}")(attended) for part in ("q", "k", "v")]
    recompute = training.recompute
    product = AttentionProduct(config.heads, attention_dropout, seed, recompute, name=f"{name}_attention")
    attended = layers.Dense(config.hidden, name=f"{name}_out")(product(*projected, mask=mask, bias=bias))
    attended = dropped(attended, dropout, seed + 1, f"{name}_attention_dropout")
    frames = layers.Add(name=f"{name}_attended")([frames, attended])
    if not config.norm_first:
        frames = _norm(frames, config, f"{name}_attention_norm")
    passed = _norm(frames, config, f"{name}_final_norm") if config.norm_first else frames
    passed = layers.Dense(config.feed_forward, name=f"{name}_wide")(passed)
    passed = Gelu(recompute, name=f"{name}_gelu")(passed)
    passed = dropped(passed, dropout, seed + 2, f"{name}_wide_dropout")
    passed = layers.Dense(config.hidden, name=f"{name}_narrow")(passed)
    passed = dropped(passed, dropout, seed + 3, f"{name}_dropout")
    frames = layers.Add(name=f"{name}_sum")([frames, passed])
    if not config.norm_first:
        frames = _norm(frames, config, f"{name}_final_norm")
    if training.layer_drop:
        frames = LayerDrop(training.layer_drop, seed + 4, name=f"{name}_drop")(before, frames)
    return frames


def dropped(frames: Any, dropout: float, seed: int, name: str) -> Any:
    """Return frames behind dropout, as they are without it."""
    return layers.Dropout(dropout, seed=seed, name=name)(frames) if dropout else frames


def _norm(frames, config: EncoderConfig, name: str):
    return layers.LayerNormalization(epsilon=config.epsilon, name=name)(frames)
