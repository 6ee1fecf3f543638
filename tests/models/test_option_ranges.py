"""Every option of every network at values it cannot have: an error that names it, before anything is built."""

from importlib import import_module
from inspect import Parameter, signature

import pytest
from networks import once

from tuning import space as spaces
from zoo import registry
from zoo.errors import UserError
from zoo.models.encoder_config import EncoderConfig
from zoo.models.option_ranges import RANGES, check
from zoo.models.weights.families import SIZES

INF, NAN = float("inf"), float("nan")
WRONG = {
    int: (-1, 2**40, 1.5, NAN, INF, True, "high", [], [3], {}),
    float: (-0.5, 10.0**9, NAN, INF, -INF, True, "high", [], {}),
    bool: (0, 1, 1.0, "yes", [], {}),
    str: (0, 1.5, True, "no such word", [], {}),
    tuple: (3, [], "[3]", [-1], [10**9], [NAN], [True], ["high"], {}),
}
NO_ZERO = ("filter", "units", "kernel", "pool", "layers", "components", "rate_hz")


def builder_of(place):
    module, function = place.split(":")
    return getattr(import_module(module), function)


def options(of="builder"):
    """(network, option, its default), each builder once."""
    seen = {""}
    for name, entry in registry.MODELS.items():
        if (place := getattr(entry, of)) not in seen:
            seen.add(place)
            for option in signature(builder_of(place)).parameters.values():
                if option.kind is Parameter.KEYWORD_ONLY and option.name != "name":
                    yield name, option.name, option.default


OPTIONS, FINE_TUNED = list(options()), list(options("fine_tuned"))


@once
@pytest.mark.parametrize(("name", "option", "default"), OPTIONS, ids=str)
def test_values_that_an_option_cannot_have_are_refused_by_name(name, option, default):
    entry = registry.get(name)
    builder = builder_of(entry.builder)
    kind = int if default is None else type(default)
    values = [*WRONG[kind], *([] if default is None or option == "recurrent" else [None])]
    values += [0] * (kind is int and any(part in option for part in NO_ZERO))
    for value in values:
        with pytest.raises(UserError, match=f"{name} cannot be built with .*{option}.* (is|are) .*expected"):
            registry.build(name, *entry.shape, **{option: value})
        with pytest.raises(ValueError, match=f"{option} is .*expected"):
            builder(*entry.shape, **{**entry.options, option: value})


@once
@pytest.mark.parametrize(("name", "option", "default"), FINE_TUNED, ids=str)
def test_values_that_an_option_of_fine_tuning_cannot_have_are_refused_by_name(name, option, default):
    encoder = EncoderConfig(name, **SIZES["tiny"])
    for value in WRONG[type(default)]:
        with pytest.raises(ValueError, match=f"{option} is .*expected"):
            builder_of(registry.get(name).fine_tuned)(4, encoder, [1], **{option: value})


@once
@pytest.mark.parametrize(
    ("name", "given"),
    [("conv_bigru", {"fft_pool": 0}), ("conv_blstm", {"pool_size": 0}), ("conv_lstm", {"pool_sizes": [0, 8, 8]})],
)
def test_poolings_of_nothing_are_refused(name, given):
    (option,) = given
    with pytest.raises(UserError, match=f"{option} is 0, expected 1 or more"):
        registry.build(name, 2, 1, **given)


@once
def test_allowed_values_that_together_make_gigabytes_are_refused_before_they_do():
    with pytest.raises(UserError, match=r"they make [\d,]+ weights, expected 200,000,000 at most"):
        registry.build("attention_blstm_fcn", 4, 40, recurrent_units=4096, recurrent_layers=16)
    with pytest.raises(UserError, match="weights, expected"):
        registry.build("conv_blstm", 2, 1, filters=4000, second_kernel_size=65_536, second_conv="dense")


def test_every_option_has_a_range_and_every_value_of_the_registry_is_in_it():
    numbers = {
        option for _, option, default in (*OPTIONS, *FINE_TUNED) if type(default) in (int, float, tuple, type(None))
    }
    assert numbers == set(RANGES)
    for entry in registry.MODELS.values():
        parameters = signature(builder_of(entry.builder)).parameters
        for name, value in entry.options.items():
            check(name, value, parameters[name])


def test_a_search_space_with_impossible_choices_is_refused_at_its_start():
    for values, found in (([1, 0], "is 0, expected 1 or more"), ({"low": 0, "high": 3}, "is 0, expected 1 or more")):
        with pytest.raises(UserError, match=f"option.recurrent_layers {found}"):
            spaces.check("conv_bigru", {"option.recurrent_layers": values})
