"""Names and arrangements of the tensors of published speech encoders, and where each belongs in `speech_encoder`.

Names are those of wav2vec 2.0, HuBERT and WavLM checkpoints in safetensors files; both spellings of weight
normalisation are known.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import numpy as np

from zoo.models.encoder_config import EncoderConfig, EncoderHead

Tensor = np.ndarray
# The first convolution and the layer that are found in every checkpoint; what stands in front of them is a prefix.
LANDMARK = "feature_extractor.conv_layers.0.conv.weight"
# Of pre-training and speech recognition, which emotion models do not use.
UNUSED = (
    "quantizer.",
    "project_q.",
    "project_hid.",
    "lm_head.",
    "final_proj.",
    "label_embs_concat",
)
_POSITIONS = "encoder.pos_conv_embed.conv"
_GAINS = (f"{_POSITIONS}.parametrizations.weight.original0", f"{_POSITIONS}.weight_g")
_DIRECTIONS = (f"{_POSITIONS}.parametrizations.weight.original1", f"{_POSITIONS}.weight_v")


@dataclass(frozen=True)
class Place:
    """Where a published tensor belongs: layer and weight of the network, the published shape, and how to turn it."""

    layer: str
    weight: str
    shape: tuple[int, ...]
    ours: Callable[[Tensor], Tensor]
    theirs: Callable[[Tensor], Tensor]

    @property
    def name(self) -> str:
        """Its name in a converted file."""
        return f"{self.layer}/{self.weight}"


def same(tensor: Tensor) -> Tensor:
    return tensor


def turned(tensor: Tensor) -> Tensor:
    """Reverse the axes: (out, in, taps) <-> (taps, in, out), (out, in) <-> (in, out)."""
    return tensor.transpose()


def places(config: EncoderConfig) -> dict[str, Place]:
    """Return the place of every tensor of an encoder but the positional kernel, by its published name."""
    return dict(_places(config))


def optional_places(config: EncoderConfig) -> dict[str, Place]:
    """Return the place of the vector of masked frames, which fine-tuning alone needs, and not all checkpoints have."""
    return {"masked_spec_embed": Place("masked", "embedding", (config.hidden,), same, same)}


def _places(config: EncoderConfig) -> Iterator[tuple[str, Place]]:
    inputs = 1
    for index, (width, taps) in enumerate(zip(config.conv_filters, config.conv_kernels, strict=True)):
        place = f"feature_extractor.conv_layers.{index}"
        yield f"{place}.conv.weight", Place(f"conv{index}", "kernel", (width, inputs, taps), turned, turned)
        if config.conv_bias:
            yield f"{place}.conv.bias", Place(f"conv{index}", "bias", (width,), same, same)
        if config.conv_norm == "layer" or index == 0:
            yield from norm(f"{place}.layer_norm", f"conv{index}_norm", width)
        inputs = width
    if config.project_norm:
        yield from norm("feature_projection.layer_norm", "project_norm", inputs)
    yield from dense("feature_projection.projection", "project", inputs, config.hidden)
    yield f"{_POSITIONS}.bias", Place("positions", "bias", (config.hidden,), same, same)
    yield from norm("encoder.layer_norm", "encoder_norm", config.hidden)
    for index in range(config.n_layers):
        yield from _layer(f"encoder.layers.{index}", f"layer{index}", config)
    if config.family == "wavlm":
        shape = (config.buckets, config.heads)
        name = "encoder.layers.0.attention.rel_attn_embed.weight"
        yield name, Place("position_bias", "embedding", shape, same, same)


def _layer(theirs: str, ours: str, config: EncoderConfig) -> Iterator[tuple[str, Place]]:
    for part in ("q", "k", "v", "out"):
        yield from dense(f"{theirs}.attention.{part}_proj", f"{ours}_{part}", config.hidden, config.hidden)
    yield from norm(f"{theirs}.layer_norm", f"{ours}_attention_norm", config.hidden)
    yield from norm(f"{theirs}.final_layer_norm", f"{ours}_final_norm", config.hidden)
    wide = config.feed_forward
    yield from dense(f"{theirs}.feed_forward.intermediate_dense", f"{ours}_wide", config.hidden, wide)
    yield from dense(f"{theirs}.feed_forward.output_dense", f"{ours}_narrow", wide, config.hidden)
    if config.family == "wavlm":
        gate, size, heads = f"{ours}_gate", config.hidden // config.heads, config.heads
        linear = f"{theirs}.attention.gru_rel_pos_linear"
        yield f"{linear}.weight", Place(gate, "kernel", (8, size), turned, turned)
        yield f"{linear}.bias", Place(gate, "bias", (8,), same, same)
        constant = Place(gate, "constant", (1, heads, 1, 1), np.ravel, lambda tensor: tensor.reshape(1, -1, 1, 1))
        yield f"{theirs}.attention.gru_rel_pos_const", constant


def dense(theirs: str, ours: str, inputs: int, outputs: int) -> Iterator[tuple[str, Place]]:
    yield f"{theirs}.weight", Place(ours, "kernel", (outputs, inputs), turned, turned)
    yield f"{theirs}.bias", Place(ours, "bias", (outputs,), same, same)


def norm(theirs: str, ours: str, size: int) -> Iterator[tuple[str, Place]]:
    for name, weight in (("weight", "gamma"), ("bias", "beta")):
        yield f"{theirs}.{name}", Place(ours, weight, (size,), same, same)


def position_kernel(gain: Tensor, direction: Tensor) -> Tensor:
    """Return the positional kernel (taps, in, out) of its weight normalisation: gain * direction / |direction|.

    `gain` is (1, 1, taps), `direction` (out, in, taps); the norm is over output and input channels (Salimans, Kingma
    2016, with a norm per tap).
    """
    norm = np.sqrt(np.square(direction.astype(np.float64)).sum(axis=(0, 1), keepdims=True))
    return (gain * direction / norm).astype(np.float32).transpose()


def split_kernel(kernel: Tensor) -> tuple[Tensor, Tensor]:
    """Return gain and direction of a positional kernel (taps, in, out), for `position_kernel` to join again."""
    direction = np.ascontiguousarray(kernel.transpose())
    gain = np.sqrt(np.square(direction.astype(np.float64)).sum(axis=(0, 1), keepdims=True))
    return gain.astype(np.float32), direction


def spelled(names: Collection[str]) -> tuple[str, str] | None:
    """Return the names of gain and direction of the positional kernel among `names`, or None if they are not there."""
    for gain, direction in zip(_GAINS, _DIRECTIONS, strict=True):
        if gain in names and direction in names:
            return gain, direction
    return None


def position_names() -> tuple[str, str]:
    """Return the names of the positional kernel's gain and direction, as they are spelled today."""
    return _GAINS[0], _DIRECTIONS[0]


def position_shapes(config: EncoderConfig) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the published shapes of the positional kernel's gain and direction."""
    taps, hidden = config.position_kernel, config.hidden
    return (1, 1, taps), (hidden, hidden // config.position_groups, taps)


def head_places(head: EncoderHead, config: EncoderConfig) -> dict[str, Place]:
    """Return the place of every tensor of a head, by its published name."""
    if head.kind == "dense":
        found = [*dense("classifier.dense", "head_dense", config.hidden, head.width)]
        found += dense("classifier.out_proj", "head_out", head.width, len(head.labels))
    else:
        found = [*dense("projector", "head_dense", config.hidden, head.width)]
        found += dense("classifier", "head_out", head.width, len(head.labels))
    if head.weighted_layers:
        shape = (config.n_layers + 1,)
        found.append(("layer_weights", Place("head_layers", "weights_of_layers", shape, same, same)))
    return dict(found)
