"""Check a network of a file or another package before anything is read for its training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import own_network, registry
from zoo.config.run_config import RunConfig, heeds
from zoo.data.protocols.splits import Protocol
from zoo.errors import UserError
from zoo.runs import keras_archive
from zoo.utils.lazy import lazy

if TYPE_CHECKING:
    import keras
else:
    keras = lazy("keras")

_ROUNDING = 1e-4
_DRAWS = 5  # of weights: what stands behind a maximum shows in some only


def check(settings: RunConfig, protocol: Protocol) -> None:
    """Raise UserError for a network of elsewhere that cannot be built, or not be read again once it is saved."""
    if settings.model in registry.MODELS:
        return
    entry, options = registry.get(settings.model), dict[str, Any](settings.option)
    if entry.frontend == "mfcc":
        options["n_coefficients"] = settings.coefficients
    n_inputs = settings.bands if heeds(settings.model, "bands") else entry.shape[1]
    network = registry.build(settings.model, len(protocol.classes or protocol.targets), n_inputs, **options)
    try:
        keras_archive.check_network(network)
    except ValueError as error:
        raise UserError(
            f"{entry.builder}: its saved network could not be read without its code: {error}. Build it of layers of "
            f"Keras and zoo.layers; {own_network.ADVICE}"
        ) from error
    if entry.frontend == "log_mel":
        _check_padding(entry.builder, network, n_inputs)


def _check_padding(place: str, network: keras.Model, n_inputs: int) -> None:
    """Raise UserError for a network whose answer to a clip depends on how long the other clips of a batch are."""
    rng, moved = np.random.default_rng(0), 0.0
    clips, n_frames = rng.normal(size=(2, 60, n_inputs)).astype(np.float32), np.array([60, 40], np.int32)
    clips[1, 40:] = 0
    for _ in range(_DRAWS):
        for variable in network.trainable_variables:  # biases are zero at first, and so may be what padding becomes
            variable.assign(rng.normal(0, 0.5, variable.shape).astype(np.float32))
        together = network.predict_on_batch({"features": clips, "n_frames": n_frames})[1]
        alone = network.predict_on_batch({"features": clips[1:, :40], "n_frames": n_frames[1:]})[0]
        moved = max(moved, float(np.abs(together - alone).max()))
    if moved > _ROUNDING:
        raise UserError(
            f"{place}: its answer to a clip changes by {moved:.2g} with padding behind it, expected none. Leave padded "
            f"frames out, as zoo.layers.masking helps to; {own_network.ADVICE}"
        )
