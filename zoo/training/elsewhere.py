"""Check a network of a file or another package before anything is read for its training."""

from typing import Any

from zoo import own_network, registry
from zoo.config.run_config import RunConfig, heeds
from zoo.data.protocols.splits import Protocol
from zoo.errors import UserError
from zoo.runs import keras_archive


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
