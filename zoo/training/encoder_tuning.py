"""Fine-tune a speech encoder inside a network: which layers are trained, at which rates, and by which matrices.

- The convolutions on the waveform stay as they are: Baevski et al. 2020, section 4.3; Wagner et al. 2023.
- LoRA: Hu et al.: "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022, section 4.
- Rates that fall from the head to the first layer: Howard, Ruder: "Universal Language Model Fine-tuning for Text
  Classification", ACL 2018, section 3.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.config.run_config import RunConfig
from zoo.errors import UserError
from zoo.models.encoder_head import depth_of
from zoo.models.weights import encoder_folder
from zoo.utils import memory
from zoo.utils.lazy import lazy

if TYPE_CHECKING:
    import keras
else:
    keras = lazy("keras")

_PROJECTIONS = ("q", "k", "v", "out")
# Slots of an optimizer, each as large as what it trains; momentum takes one more.
_SLOTS = {"adam": 2, "rmsprop": 1, "adagrad": 1, "sgd": 0}
_COPIES = 3  # of all weights: the network's, and NumPy's of the best epoch and of the last one


def load_weights(network: keras.Model, config: RunConfig) -> None:
    """Give a new network the published weights of --weights. Raises UserError where they are absent or damaged."""
    encoder_folder.load_into(network, encoder_folder.read(Path(config.weights)))


def origin(config: RunConfig) -> dict[str, Any]:
    """Return what records and cards say of the encoder that a network began with: its name, licence and checksum."""
    found = encoder_folder.describe(Path(config.weights))
    about = {"kind": "speech encoder", "name": found.folder.name, "sha256": found.sha256, "licence": found.licence}
    return {**about, "corpus": "what its publisher names", "model": found.config.family}


def freeze(network: keras.Model, config: RunConfig, head_alone: bool = False) -> None:
    """Set which weights of a network an epoch trains: the head's, and by --fine-tune and --lora some of the encoder's.

    Raises UserError for more layers than the encoder has.
    """
    lowest = _lowest(network, config)
    for layer, depth in _layers(network):
        layer.trainable = not head_alone and depth >= lowest
        if config.lora:
            for variable in layer.variables:
                variable.trainable = layer.trainable and "lora" in variable.name


def add_lora(network: keras.Model, config: RunConfig) -> None:
    """Put matrices of rank --lora beside the attention projections of the layers that --fine-tune names."""
    lowest = _lowest(network, config)
    for number, (layer, depth) in enumerate(_layers(network)):
        if depth >= max(lowest, 1) and layer.name.rpartition("_")[2] in _PROJECTIONS:
            seeded = keras.initializers.HeUniform(seed=config.seed + number)
            layer.enable_lora(config.lora, a_initializer=seeded)


def rates(network: keras.Model, config: RunConfig) -> dict[str, float]:
    """Return the learning rate of each of the encoder's weights as a share of the head's, by the variable's path."""
    if config.encoder_rate == config.layer_decay == 1:
        return {}
    top = _n_layers(network)
    return {
        variable.path: config.encoder_rate * config.layer_decay ** (top - depth)
        for layer, depth in _layers(network)
        for variable in layer.trainable_variables
    }


def finished(network: keras.Model) -> keras.Model:
    """Return a trained network to be saved: its matrices of LoRA added to the weights, and without its optimizer."""
    if not any(getattr(layer, "lora_enabled", False) for layer in network.layers):
        return keras.Model(network.input, network.output, name=network.name)
    content = network.get_config()
    for item in content["layers"]:
        item["config"].pop("lora_rank", None)
        item["config"].pop("lora_alpha", None)
    plain = type(network).from_config(content)
    for layer in plain.layers:
        layer.set_weights(_merged(network.get_layer(layer.name)))
    return plain


def check_memory(network: keras.Model, config: RunConfig) -> None:
    """Raise UserError where a training takes more memory than this machine has free.

    `network` may be one whose weights are counted and not made. Only what is known beforehand is counted: weights,
    their copies of the best and of the last epoch, gradients and the optimizer's slots; hidden states come on top.
    """
    if config.lora:
        add_lora(network, config)
    freeze(network, config)
    every, trained = _count(network.weights), _count(network.trainable_weights)
    slots = _SLOTS[config.optimizer] + bool(config.momentum) + bool(config.weight_average)
    what = (
        f"--fine-tune {config.fine_tune} of {config.weights}, {every / 1e6:.1f} million weights, of which "
        f"{trained / 1e6:.1f} million are trained"
    )
    advice = "Train fewer layers, as in --fine-tune 2, add --lora 8, or take a smaller encoder"
    memory.check(what, 4 * (_COPIES * every + (1 + slots) * trained), advice)


def _merged(layer: keras.layers.Layer) -> list[np.ndarray]:
    if not getattr(layer, "lora_enabled", False):
        return layer.get_weights()
    return [keras.ops.convert_to_numpy(variable) for variable in (layer.kernel, layer.bias)]


def _count(variables: list[Any]) -> int:
    return sum(prod(variable.shape) for variable in variables)


def _layers(network: keras.Model) -> Iterator[tuple[keras.layers.Layer, int]]:
    """Yield the encoder's layers with weights, and how deep each is (zoo.models.encoder_head.depth_of)."""
    for layer in network.layers:
        depth = depth_of(layer.name)
        if depth is not None and layer.weights:
            yield layer, depth


def _n_layers(network: keras.Model) -> int:
    return max(depth for _, depth in _layers(network))


def _lowest(network: keras.Model, config: RunConfig) -> int:
    """Return the depth of the lowest layer that is trained: 0 where all are but the convolutions."""
    count = _n_layers(network)
    words: Mapping[str, int] = {"all": count, "top": -(-count // 2)}
    wanted = words[config.fine_tune] if config.fine_tune in words else int(config.fine_tune)
    if wanted > count:
        raise UserError(
            f"--fine-tune is {wanted}, expected at most {count}, the transformer layers of {config.weights} below "
            f"--encoder-layer {config.encoder_layer}"
        )
    return 0 if config.fine_tune == "all" else count - wanted + 1
