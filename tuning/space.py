"""Search spaces as plain data: hyper-parameters by name, each a list of choices or a range.

A name is a field of RunConfig, or "option." and a keyword of the network's builder. A range is {"low", "high"} and
optionally "step" and "sampling" ("linear", "log"); it is of integers where both ends are.
"""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from zoo import registry
from zoo.config.flags import from_flags, parse_options
from zoo.config.run_config import RunConfig, heeds
from zoo.errors import UserError, unknown

if TYPE_CHECKING:
    import keras_tuner

Space = dict[str, Any]

_TOO_LARGE = 1e300  # for the tuners' arithmetic
TUNERS = ("random", "grid", "bayesian", "hyperband")
OPTION = "option."
# Groups of RunConfig's fields that are the same in all trials.
_FIXED_GROUPS = ("run", "data", "running")
# Fields that from_flags refuses without another one.
_BESIDE = {"momentum": {"optimizer": "sgd"}, "decay": {"schedule": "decay"}, "copies": {"augment_waveforms": "speed"}}


def of(model: str) -> Space:
    """Return the space of a network, without what its registry entry fixes or makes meaningless.

    It is `SPACE` in its builder's module; `SPACE_NEEDS` there names what has an effect only with some values of an
    option. Raises UserError for a linear model.
    """
    entry = registry.get(model)
    if entry.fitted == "linear":
        raise UserError(f"{model} is no network to search: train.py itself tries every C of --complexities")
    module, _ = registry.module_and_function(model)
    needs = getattr(module, "SPACE_NEEDS", {})
    return {
        name: value
        for name, value in getattr(module, "SPACE", {}).items()
        if name.removeprefix(OPTION) not in entry.options
        and all(entry.options.get(option, wanted[0]) in wanted for option, wanted in needs.get(name, {}).items())
    }


def merge(space: Mapping[str, Any], vary: Sequence[str] = (), file: Path | str | None = None) -> Space:
    """Return the space with the user's changes: `file` replaces it, `vary` sets single hyper-parameters.

    A text of `vary` is NAME=V1,V2,... (lists as [8,16],[16,32]), NAME=LOW..HIGH or NAME=LOW..HIGH:log.
    Raises UserError for another text or a file that cannot be read.
    """
    merged = dict(space)
    try:
        if file is not None:
            merged = {**json.loads(Path(file).read_text())}
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"--space {file}: expected an object in JSON, cannot read it ({error})") from error
    for text in vary:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise UserError(f"--vary {text}: expected NAME=V1,V2,... or NAME=LOW..HIGH, e.g. batch_size=16,32")
        merged[name] = _range(text, value) if ".." in value else _choices(value)
    return merged


def without(space: Mapping[str, Any], base: Mapping[str, Any]) -> Space:
    """Return the space without what the user's own flags fix."""
    fixed = {*base, *(OPTION + name for name in base.get("option", {}))}
    return {name: value for name, value in space.items() if name not in fixed}


def check(model: str, space: Mapping[str, Any]) -> None:
    """Raise UserError for what is no hyper-parameter of the network, and for values it cannot take."""
    if not space:
        raise UserError(f"{model}: expected a hyper-parameter, found an empty space; add one with --vary")
    keywords = signature(getattr(*registry.module_and_function(model))).parameters
    known = [OPTION + k.name for k in keywords.values() if k.kind is k.KEYWORD_ONLY and k.name != "name"]
    for item in dataclasses.fields(RunConfig):
        free = item.metadata["group"] not in _FIXED_GROUPS and item.metadata.get("flag", True)
        if free and item.name != "option" and heeds(model, item.name):
            known.append(item.name)
    for name, value in space.items():
        if name not in known:
            raise unknown(f"hyper-parameter of {model}", name, known)
        check_values(name, value)
        for item in (value["low"], value["high"]) if isinstance(value, Mapping) else value:
            if name.startswith(OPTION):
                _check_option(name, item, keywords[name.removeprefix(OPTION)])
            else:
                _check_field(model, name, item)


def _check_option(name: str, value: Any, keyword: Parameter) -> None:
    from zoo.models import option_ranges

    try:
        option_ranges.check(keyword.name, value, keyword)
    except ValueError as error:
        raise UserError(f"{OPTION}{error}") from error


def check_values(name: str, wanted: Any) -> None:
    """Raise UserError for what is neither a list of different choices nor a range."""
    if isinstance(wanted, Mapping):
        _check_range(name, wanted)
    elif not (isinstance(wanted, list) and wanted):
        raise UserError(f'{name} is {wanted!r}, expected a list of choices or a range {{"low": ..., "high": ...}}')
    elif len(set(map(json.dumps, wanted))) < len(wanted):
        raise UserError(f"{name} is {wanted}, expected each choice once")


def has(space: Mapping[str, Any], values: Any) -> bool:
    """Return whether a trial's values are all of the space's hyper-parameters, each within its range or choices."""
    if not (isinstance(values, Mapping) and values.keys() == space.keys()):
        return False
    return all(_within(wanted, values[name]) for name, wanted in space.items())


def hyperparameters(space: Mapping[str, Any]) -> "keras_tuner.HyperParameters":
    """Return the space as keras-tuner's. Choices become JSON: it knows neither None nor lists."""
    import keras_tuner

    result = keras_tuner.HyperParameters()
    for name, value in space.items():
        if isinstance(value, list):
            result.Choice(name, [json.dumps(item) for item in value], ordered=False)
        else:
            add = result.Int if isinstance(value["low"], int) and isinstance(value["high"], int) else result.Float
            more = {key: value[key] for key in ("step", "sampling") if key in value}
            add(name, value["low"], value["high"], **more)
    return result


def encode(space: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trial's values as keras-tuner has them."""
    return {name: json.dumps(values[name]) if isinstance(space[name], list) else values[name] for name in space}


def decode(space: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return keras-tuner's values as the space has them; others are left out."""
    decoded = {name: json.loads(values[name]) if isinstance(space[name], list) else values[name] for name in space}
    # The Bayesian tuner's model has NumPy numbers.
    return {name: value.item() if hasattr(value, "item") else value for name, value in decoded.items()}


def flags(base: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the user's flags ("option" a mapping) overridden by a trial's values."""
    fields, option = dict(base), dict(base.get("option", {}))
    for name, value in values.items():
        (option if name.startswith(OPTION) else fields)[name.removeprefix(OPTION)] = value
    return {**fields, **({"option": option} if option else {})}


def _check_range(name, value):
    low, high, step, log = value.get("low"), value.get("high"), value.get("step"), value.get("sampling") == "log"
    numbers = [low, high] if step is None else [low, high, step]
    fits = (
        set(value) <= {"low", "high", "step", "sampling"}
        and all(type(number) in (int, float) and abs(number) < _TOO_LARGE for number in numbers)
        and (0 if log else -math.inf) < low < high
        and (step is None or step > (1 if log else 0))
        and not (isinstance(low, int) and isinstance(high, int) and isinstance(step, float))
        and value.get("sampling", "linear") in ("linear", "log")
    )
    if not fits:
        raise UserError(
            f"{name} is {dict(value)}, expected numbers low < high; optionally step, above 0 (log: 1) and "
            "whole between whole numbers, and sampling, linear or log"
        )


def _within(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, list):
        return json.dumps(value) in map(json.dumps, wanted)
    low, high = wanted["low"], wanted["high"]
    kinds = int if isinstance(low, int) and isinstance(high, int) else (int, float)
    if not isinstance(value, kinds) or isinstance(value, bool):
        return False
    margin = 1e-9 * max(abs(low), abs(high))  # for a logarithm and back
    return low - margin <= value <= high + margin


def _check_field(model, name, value):
    """Raise UserError for a value that RunConfig refuses, by its type or its bounds."""
    kind = get_type_hints(RunConfig)[name]
    if isinstance(RunConfig.__dataclass_fields__[name].default, tuple):  # a list in JSON
        kind, value = tuple, tuple(value) if isinstance(value, list) else value
    fits = isinstance(value, kind) or (kind is float and isinstance(value, int))
    if not fits or (isinstance(value, bool) and kind is not bool):
        raise UserError(f"{name} is {value!r}, expected {kind.__name__}")
    try:
        from_flags({"model": model, **_BESIDE.get(name, {}), name: value})
    except UserError as error:
        raise UserError(f"{name} cannot be {value!r}: {error}") from error


def _range(text, value):
    ends, colon, sampling = value.partition(":")
    try:
        low, high = (json.loads(end) for end in ends.split(".."))
    except (ValueError, RecursionError) as error:
        raise UserError(f"--vary {text}: expected two numbers, e.g. learning_rate=1e-4..1e-2:log") from error
    return {"low": low, "high": high, **({"sampling": sampling} if colon else {})}


def _choices(value):
    try:
        return json.loads(f"[{value}]")
    except (ValueError, RecursionError):  # words, True, False, None: each as --option reads it
        return list(parse_options([f"{n}={item}" for n, item in enumerate(value.split(","))]).values())
