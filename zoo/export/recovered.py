"""Make the Keras networks of an export again from what it holds: its recipe, weights, and the graph's constants.

Exports of earlier versions hold no Keras model. Their variables are named by layer; mean and variance of a
standardisation are constants of the graph. Whether the networks are right is for the caller to see in their answers.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from zoo import registry
from zoo.errors import UserError
from zoo.frontends.compose import with_normalization
from zoo.runs.model_file import load_model, network_of
from zoo.serving.saved_model import Exported
from zoo.training import initial_model


class NotRecoverableError(UserError):
    """An export whose networks cannot be made again; the message says why."""


def networks_of(exported: Exported) -> dict[str, keras.Model]:
    """Return the networks of an export behind its front-end, by fold. Raises NotRecoverableError."""
    description = exported.description
    if files := description.get("keras"):
        return {fold: network_of(load_model(exported.folder / name)) for fold, name in files.items()}
    if "targets" in description:
        raise NotRecoverableError("the units of its further targets are not stored")
    weights = initial_model.by_layer(exported.module.weights)
    folds = description.get("folds", [])
    if len(folds) != len(weights):
        raise NotRecoverableError(f"it has {len(weights)} networks and names {len(folds)} folds")
    moments = _moments(exported)
    if moments and len(moments) != 2 * len(folds):
        raise NotRecoverableError(f"its graph has {len(moments)} constants, expected mean and variance of each fold")
    networks = {fold: _filled(description, layers) for fold, layers in zip(folds, weights, strict=True)}
    if not moments:
        return networks
    pairs = zip(moments[::2], moments[1::2], strict=True)
    return {
        fold: with_normalization(mean, variance, network, least_variance=0.0)
        for (fold, network), (mean, variance) in zip(networks.items(), pairs, strict=True)
    }


def _filled(description: Mapping[str, Any], layers: Mapping[str, list[np.ndarray]]) -> keras.Model:
    """Build the network by the preset of the export's recipe, and give it its weights."""
    entry = registry.get(description["model"])
    options = entry.recipes.get(description.get("recipe", ""), {}).get("option", {})
    n_inputs = description["frontend"].get("bands", 1)
    outputs = description.get("classes") or description["dimensions"]
    network = registry.build(description["model"], len(outputs), n_inputs, **options)
    own = initial_model.weights_of(network)
    shapes = [{name: [one.shape for one in arrays] for name, arrays in side.items()} for side in (own, layers)]
    if shapes[0] != shapes[1]:
        differ = sorted(name for name in {*own, *layers} if shapes[0].get(name) != shapes[1].get(name))
        raise NotRecoverableError(
            f"its recipe {description.get('recipe')!r} gives other layers than it has: {', '.join(differ)[:200]}"
        )
    for name, arrays in layers.items():
        network.get_layer(name).set_weights(arrays)
    return network


def _moments(exported: Exported) -> list[np.ndarray]:
    """Return the constants that the graph's signature on features takes from outside, as vectors."""
    import tensorflow as tf

    captured = exported.module.signatures["features"].captured_inputs
    return [np.ravel(one.numpy()).astype(np.float64) for one in captured if one.dtype == tf.float32]
