"""Reckon the memory of a speech encoder before it is built."""

import math

from zoo.models.encoder_config import EncoderConfig, EncoderHead
from zoo.models.weights import families
from zoo.utils import memory

_BYTES = 4  # encoders are computed in float32
_SHORTER = "Close other programs, take a smaller encoder, or a machine with more memory"


def n_weights(config: EncoderConfig, head: EncoderHead | None = None) -> int:
    """Return the number of an encoder's weights, with those of its head."""
    return sum(_sizes(config, head))


def needed_bytes(config: EncoderConfig, seconds: float, head: EncoderHead | None = None) -> float:
    """Return about how many bytes an encoder takes while it computes `seconds` of audio that lie in one batch.

    Beside the weights that is the widest convolution's output, thrice, and the scores of attention, twice.
    """
    samples = seconds * config.rate_hz
    widest = max(width for width in config.conv_filters) * samples / config.conv_strides[0]
    frames = samples / math.prod(config.conv_strides)
    return _BYTES * (n_weights(config, head) + 3 * widest + 2 * config.heads * frames**2)


def check(what: str, config: EncoderConfig, seconds: float, head: EncoderHead | None = None) -> None:
    """Raise UserError where an encoder has not the memory to compute `seconds` of audio."""
    memory.check(what, needed_bytes(config, seconds, head), _SHORTER)


def check_conversion(what: str, config: EncoderConfig) -> None:
    """Raise UserError where not even an encoder's largest tensor can be converted: it is held four times at most."""
    *others, kernel = _sizes(config)
    memory.check(what, 4 * _BYTES * max(*others, 2 * kernel), _SHORTER)


def _sizes(config: EncoderConfig, head: EncoderHead | None = None) -> list[int]:
    """Return the number of weights of each published tensor, the positional kernel as its last, or 0."""
    shapes = {name: place.shape for name, place in families.named_places(config, head)}
    kernel = max(map(math.prod, families.normed_positions(config).values()), default=0)  # its gain is not stored
    return [*map(math.prod, shapes.values()), kernel]
