"""Put heads on a network that exist in training alone: adversaries, and a projection for contrastive learning."""

import keras
from keras import layers

from zoo.heads import Heads
from zoo.layers.gradient_reversal import GradientReversal

PROJECTION = 128  # values of the projected vector (Khosla et al. 2020, section 3.1)
_HIDDEN = 64  # units of an adversary's hidden layer


def with_auxiliary_heads(model: keras.Model, adversaries: Heads, projected: bool) -> keras.Model:
    """Return a model that shares all layers of `model` and has further columns behind its output.

    `model` is a network, or one behind a standardisation (zoo.frontends.compose). Columns of each of `adversaries` are
    probabilities of its classes, by a hidden layer behind a gradient reversal whose scale is the head's weight (Ganin
    and Lempitsky 2015). With `projected`, `PROJECTION` columns follow: a hidden layer as wide as the vector, then a
    linear one (Khosla et al. 2020, section 3.1). Without either it has the same output. All take the network's joint
    vector; of networks without one, what their last layer takes.
    """
    if not adversaries and not projected:  # another model, which is compiled without the one that is saved
        return keras.Model(model.input, model.output, name=f"{model.name}_in_training")
    network = next((layer for layer in model.layers if isinstance(layer, keras.Model)), model)
    vector = _vector(network)
    outputs = [network.output]
    for head in adversaries:
        reversed_ = GradientReversal(head.weight, name=f"reversal_{head.name}")(vector)
        hidden = layers.Dense(_HIDDEN, activation="relu", name=f"adversary_{head.name}_hidden")(reversed_)
        softmax = layers.Dense(head.columns, activation="softmax", dtype="float32", name=f"adversary_{head.name}")
        outputs.append(softmax(hidden))
    if projected:
        hidden = layers.Dense(vector.shape[-1], activation="relu", name="projection_hidden")(vector)
        outputs.append(layers.Dense(PROJECTION, dtype="float32", name="projection")(hidden))
    packed = layers.Concatenate(dtype="float32", name="with_auxiliary")(outputs)
    extended = keras.Model(network.input, packed, name=f"{network.name}_in_training")
    return extended if network is model else _behind_its_standardisation(model, extended)


def _vector(network: keras.Model):
    """Return the joint vector, or what the main target's last layer takes."""
    if any(layer.name == "joint" for layer in network.layers):
        return network.get_layer("joint").output
    return network.get_layer("probabilities").input


def _behind_its_standardisation(model: keras.Model, network: keras.Model) -> keras.Model:
    inputs = model.input
    features = model.get_layer("normalization")(inputs["features"])
    output = network({"features": features, "n_frames": inputs["n_frames"]})
    return keras.Model(inputs, output, name=f"{model.name}_in_training")
