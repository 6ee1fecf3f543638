"""Reckon the memory of a speech encoder before it is built."""

import math

from zoo.models.wav2vec2 import EncoderConfig, EncoderHead
from zoo.models.weights import wav2vec2
from zoo.utils import memory

_BYTES = 4  # encoders are computed in float32
_SHORTER = "Close other programs, take a smaller encoder, or a machine with more memory"


def n_weights(config: EncoderConfig, head: EncoderHead | None = None) -> int:
    """Return the number of an encoder's weights, with those of its head."""
    places = [*wav2vec2.places(config).values(), *(wav2vec2.head_places(head, config).values() if head else ())]
    kernel = config.position_kernel * config.hidden**2 // config.position_groups
    return kernel + sum(math.prod(place.shape) for place in places)


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
    largest = max(math.prod(place.shape) for place in wav2vec2.places(config).values())
    kernel = config.position_kernel * config.hidden**2 // config.position_groups
    memory.check(what, 4 * _BYTES * max(largest, 2 * kernel), _SHORTER)
