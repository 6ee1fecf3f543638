"""Train in cycles and keep the weights at the end of each: a snapshot ensemble from one training.

Huang, Li, Pleiss, Liu, Hopcroft, Weinberger: "Snapshot Ensembles: Train 1, get M for free", ICLR 2017, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from zoo.config.run_config import RunConfig
from zoo.utils.lazy import lazy

if TYPE_CHECKING:
    import keras
else:
    keras = lazy("keras")


def cycle(config: RunConfig) -> RunConfig:
    """Return the configuration of one cycle: its learning rates go through the schedule once."""
    return replace(config, epochs=config.epochs // config.snapshots)


def begin_anew(optimizer: keras.optimizers.Optimizer) -> None:
    """Set an optimizer back to its first step, without compiling anew: its learning rate, moments and averages."""
    squares = getattr(optimizer, "initial_accumulator_value", 0.0)  # Adagrad's sums of squares begin above zero
    for variable in optimizer.variables:
        first = squares if variable.path.endswith("_accumulator") else 0
        variable.assign(keras.ops.full_like(variable, first))


def begins_cycle(epoch: int, config: RunConfig) -> bool:
    """Say whether an epoch (from 1) is the first of a cycle, where learning rates and the optimizer begin anew."""
    return (epoch - 1) % cycle(config).epochs == 0


def averaged(model: keras.Model, weights: Sequence[np.ndarray]) -> keras.Model:
    """Return a model of the mean answer of networks like `model`, each with its part of `weights`, one after another.

    It has the inputs and outputs of `model`, and as many weights as all networks together.
    """
    per_network = len(model.weights)
    inputs = {name: keras.Input(x.shape[1:], dtype=x.dtype, name=name) for name, x in model.input.items()}
    answers = []
    for number in range(len(weights) // per_network):
        network = keras.models.clone_model(model)
        network.name = f"snapshot{number + 1}"
        network.set_weights(weights[number * per_network : (number + 1) * per_network])
        answers.append(network(inputs))
    mean = keras.layers.Average(dtype="float32", name="mean_answer")(answers)
    return keras.Model(inputs, mean, name=f"{model.name}_snapshots")
