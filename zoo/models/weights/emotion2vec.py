"""Names and arrangements of the tensors of published emotion2vec models, and where each belongs in `emotion2vec`."""

from collections.abc import Iterator
from functools import partial

import numpy as np

from zoo.models.encoder_config import Emotion2VecConfig, EncoderHead
from zoo.models.weights.wav2vec2 import Place, Tensor, dense, norm, same, turned

_AUDIO = "modality_encoders.AUDIO."
# The first convolution, which is found in every checkpoint; what stands in front of it is a prefix.
LANDMARK = f"{_AUDIO}local_encoder.conv_layers.0.0.weight"
PREFIX = "d2v_model."  # of models with a head; without one there is none
# Of pre-training: what predicts masked frames, and the moving average that it learns from.
UNUSED = (f"{_AUDIO}decoder.", "_ema", "ema.")


def places(config: Emotion2VecConfig) -> Iterator[tuple[str, Place]]:
    """Yield each published name with its place. Tensors that we hold in parts come once for each part, in order.

    A published tensor is its parts, one behind the other on the first axis.
    """
    inputs = 1
    for index, (width, taps) in enumerate(zip(config.conv_filters, config.conv_kernels, strict=True)):
        theirs = f"{_AUDIO}local_encoder.conv_layers.{index}"
        yield f"{theirs}.0.weight", Place(f"conv{index}", "kernel", (width, inputs, taps), turned, turned)
        yield from norm(f"{theirs}.2.1", f"conv{index}_norm", width)
        inputs = width
    hidden = config.hidden
    yield from norm(f"{_AUDIO}project_features.1", "project_norm", inputs)
    yield from dense(f"{_AUDIO}project_features.2", "project", inputs, hidden)
    shape = (hidden, hidden // config.position_groups, config.position_kernel)
    for index in range(config.position_layers):
        theirs, ours = f"{_AUDIO}relative_positional_encoder.{index + 1}.0", f"positions{index}"
        yield f"{theirs}.weight", Place(ours, "kernel", shape, turned, turned)
        yield f"{theirs}.bias", Place(ours, "bias", (hidden,), same, same)
    shape = (1, config.extra_tokens, hidden)
    yield f"{_AUDIO}extra_tokens", Place("extra_tokens", "tokens", shape, _first, _alone)
    yield from _scales(config)
    yield from norm(f"{_AUDIO}context_encoder.norm", "encoder_norm", hidden)
    for index in range(config.n_layers):
        behind = index - config.prenet_layers
        theirs = f"{_AUDIO}context_encoder.blocks.{index}" if behind < 0 else f"blocks.{behind}"
        yield from _layer(theirs, f"layer{index}", config)


def head_places(head: EncoderHead, config: Emotion2VecConfig) -> Iterator[tuple[str, Place]]:
    """Yield each published name of a head with its place."""
    return dense("proj", "head_out", config.hidden, len(head.labels))


def _scales(config: Emotion2VecConfig) -> Iterator[tuple[str, Place]]:
    heads = config.heads if config.scale_per_head else 1
    parts = config.n_layers if config.scale_per_layer else 1

    def theirs(scale: Tensor) -> Tensor:
        return scale.reshape(1, 1, heads, 1, 1)

    for index in range(parts):
        ours = partial(lambda index, tensor: tensor[index].ravel(), index)
        place = Place(f"position_bias{index}", "scale", (parts, 1, heads, 1, 1), ours, theirs)
        yield f"{_AUDIO}alibi_scale", place


def _layer(theirs: str, ours: str, config: Emotion2VecConfig) -> Iterator[tuple[str, Place]]:
    hidden, wide = config.hidden, config.feed_forward
    for name, weight, shape in (("weight", "kernel", (3 * hidden, hidden)), ("bias", "bias", (3 * hidden,))):
        for index, part in enumerate(("q", "k", "v")):
            third = partial(lambda index, tensor: np.split(tensor, 3)[index].transpose(), index)
            yield f"{theirs}.attn.qkv.{name}", Place(f"{ours}_{part}", weight, shape, third, turned)
    yield from dense(f"{theirs}.attn.proj", f"{ours}_out", hidden, hidden)
    yield from norm(f"{theirs}.norm1", f"{ours}_attention_norm", hidden)
    yield from norm(f"{theirs}.norm2", f"{ours}_final_norm", hidden)
    yield from dense(f"{theirs}.mlp.fc1", f"{ours}_wide", hidden, wide)
    yield from dense(f"{theirs}.mlp.fc2", f"{ours}_narrow", wide, hidden)


def _first(tensor: Tensor) -> Tensor:
    return tensor[0]


def _alone(tensor: Tensor) -> Tensor:
    return tensor[None]
