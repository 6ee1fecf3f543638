"""Add heads for further targets to any network that ends in a dense layer."""

from collections.abc import Mapping

import keras
from keras import layers

from zoo.heads import Heads

Moments = Mapping[str, tuple[float, float]]


def with_heads(network: keras.Model, heads: Heads, moments: Moments) -> keras.Model:
    """Return the network with a head for each of `heads` beyond the first, which is its own.

    Each is a dense layer on what the network's last one takes: softmax over classes, or a number. `moments` holds the
    mean and deviation (above 0) of each number's training labels, so that the untrained head predicts numbers of their
    size. The output is (batch, columns), laid out as in zoo.heads. Layers are "target_NAME".

    Raises ValueError for a network that does not end in a dense layer.
    """
    last = network.layers[-1]
    if not isinstance(last, layers.Dense) or network.output is not last.output:
        raise ValueError(f"{network.name}: expected a network that ends in a dense layer, found {type(last).__name__}")
    outputs = [network.output]
    for head in heads[1:]:
        name = f"target_{head.name}"
        activation = "softmax" if head.classes else None
        output = layers.Dense(head.columns, activation=activation, dtype="float32", name=name)(last.input)
        if not head.classes:
            mean, deviation = moments[head.name]
            units = {"mean": [mean], "variance": [deviation**2], "invert": True}
            output = layers.Normalization(**units, dtype="float32", name=f"{name}_units")(output)
        outputs.append(output)
    packed = layers.Concatenate(dtype="float32", name="targets")(outputs)
    return keras.Model(network.input, packed, name=network.name)
