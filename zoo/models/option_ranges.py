"""Check the options of networks before anything is built: kinds and ranges, the same for all networks."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from inspect import Parameter, signature
from numbers import Integral, Real
from typing import Any, get_args

from zoo.errors import OptionError

# What networks can be built with. Where an option's range depends on others, the builder says so itself.
_UNITS, _TAPS, _SHARE = (1, 4_096), (1, 65_536), (0.0, 1.0)
RANGES: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys(
        ("filters", "fft_filters", "stem_filters", "recurrent_units", "hidden_units", "attention_units"), _UNITS
    ),
    **dict.fromkeys(("kernel_size", "kernel_sizes", "second_kernel_size", "fft_kernel_size"), _TAPS),
    **dict.fromkeys(("pool_size", "pool_sizes", "fft_pool", "channel_pool"), _TAPS),
    **dict.fromkeys(("dropout", "dropouts", "block_dropout", "fft_dropout", "norm_momentum"), _SHARE),
    **dict.fromkeys(("encoder_dropout", "attention_dropout", "layer_drop", "masked_frames", "masked_channels"), _SHARE),
    **dict.fromkeys(("masked_span", "masked_channels_span"), _UNITS),
    "fine_blocks": (0, 16),
    **dict.fromkeys(("recurrent_layers", "pooling_layers", "dense_layers"), (1, 16)),
    "stride": (1, 8),
    "states": (1, 1000),
    "n_coefficients": (1, 4_096),
    "components": (1, 10_000),
    "input_noise": (0.0, 100.0),
    "initial_range": (0.0, 100.0),
    "attention_scale": (0.0, 100.0),
    "rate_hz": (4_000, 192_000),
    "seed": (0, 2**32 - 1),
}
_KINDS = {bool: "true or false", Integral: "a whole number", Real: "a number", str: "a word"}

Builder = Callable[..., Any]


def checked(builder: Builder) -> Builder:
    """Decorate a network's builder so that its keywords are checked before anything is built.

    It then raises OptionError, a ValueError that names the option, its range and what was found, for a value of another
    kind than its default, one outside `RANGES`, no finite number, or an empty list.
    """
    parameters = signature(builder).parameters.items()
    options = {name: item for name, item in parameters if item.kind is Parameter.KEYWORD_ONLY}

    @wraps(builder)
    def build(*sizes: int, **given: Any) -> Any:
        for name in given:
            if name in options:
                check(name, given[name], options[name])
        return builder(*sizes, **given)

    return build


def check(name: str, value: Any, option: Parameter) -> None:
    """Raise OptionError for a value that an option, a keyword of a builder, cannot have."""
    default, allowed = option.default, get_args(option.annotation)
    if value is None and type(None) in allowed:
        return
    if isinstance(default, tuple):
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise OptionError(f"{name} is {value!r:.100}, expected a list, one number for each layer")
        if not value:
            raise OptionError(f"{name} is empty, expected one number for each convolution")
        values, default = value, default[0]
    else:
        values = (value,)
    kind = next((one for one in _KINDS if isinstance(default, one) or one in allowed), Integral)
    for one in values:
        if not isinstance(one, kind) or (isinstance(one, bool) and kind is not bool):
            raise OptionError(f"{name} is {one!r:.100}, expected {_KINDS[kind]}")
        if kind in (Integral, Real):
            _check_range(name, one)
        elif name.endswith("activation"):
            _check_activation(name, str(one))


def _check_range(name: str, value: Any) -> None:
    low, high = RANGES[name]
    if not math.isfinite(value):
        raise OptionError(f"{name} is {value}, expected {low} to {high}")
    if value < low:
        raise OptionError(f"{name} is {value}, expected {low} or more")
    if value > high:
        raise OptionError(f"{name} is {value}, expected {low} to {high}")


def _check_activation(name: str, value: str) -> None:
    import keras

    try:
        keras.activations.get(value)
    except ValueError as error:
        raise OptionError(f"{name} is {value!r:.100}, expected a function of Keras's, such as relu") from error
