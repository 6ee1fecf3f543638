"""Search spaces as plain data: hyper-parameters by name, each a list of choices or a range.

A name is a field of RunConfig, or "option." and a keyword of the network's builder. A list holds the choices: numbers,
words, True, False, None, or lists of them. A range is {"low", "high"}, with "step" and "sampling" ("linear", "log")
where wanted; of whole numbers where both ends are.
"""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from zoo import registry
from zoo.config.flags import from_flags
from zoo.config.run_config import RunConfig, heeds
from zoo.errors import UserError, unknown

if TYPE_CHECKING:
    import keras_tuner

Space = dict[str, Any]

TUNERS = ("random", "grid", "bayesian", "hyperband")
OPTION = "option."
_SAMPLING = ("linear", "log")
# Fields that say what is searched for, where, and how it runs, and so are the same in all trials.
_FIXED_GROUPS = ("what to run", "data", "running")
# Fields that from_flags refuses without another, which a space may hold beside them.
_BESIDE = {
    "momentum": {"optimizer": "sgd"},
    "decay": {"schedule": "decay"},
    "copies": {"augment_waveforms": "speed"},
}


def of(model: str) -> Space:
    """Returns the space of a network, less what its row of the registry fixes or makes meaningless.

    It is `SPACE` in its builder's module; `SPACE_NEEDS` there names hyper-parameters that have an effect only with
    some values of an option. Raises UserError for an unknown network, or one whose module has no space.
    """
    entry = registry.get(model)
    if entry.fitted == "linear":
        raise UserError(
            f"{model} is no network to search: train.py tries every C of --complexities on the validation clips itself"
        )
    module = import_module(entry.builder.split(":")[0])
    if not hasattr(module, "SPACE"):
        raise UserError(f"{model}: expected a search space, found none beside its builder; give one with --space")
    needs = getattr(module, "SPACE_NEEDS", {})
    return {
        name: value
        for name, value in module.SPACE.items()
        if name.removeprefix(OPTION) not in entry.options
        and all(entry.options.get(option, wanted[0]) in wanted for option, wanted in needs.get(name, {}).items())
    }


def merge(space: Mapping[str, Any], vary: Sequence[str] = (), file: Path | str | None = None) -> Space:
    """Returns the space with the user's changes: `file` is one in its stead, `vary` sets single hyper-parameters.

    A text of `vary` is NAME=V1,V2,... (lists as [8,16],[16,32]), NAME=LOW..HIGH or NAME=LOW..HIGH:log. Raises UserError
    for another text or a file that cannot be read; `check` says whether names and values are known.
    """
    merged = dict(space) if file is None else _load(Path(file))
    for text in vary:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise UserError(f"--vary {text}: expected NAME=V1,V2,... or NAME=LOW..HIGH, e.g. --vary batch_size=16,32")
        merged[name] = _range(text, value) if ".." in value else _choices(value)
    return merged


def without(space: Mapping[str, Any], base: Mapping[str, Any]) -> Space:
    """Returns the space less what the user's own flags fix."""
    fixed = {*base, *(OPTION + name for name in base.get("option", {}))}
    return {name: value for name, value in space.items() if name not in fixed}


def check(model: str, space: Mapping[str, Any]) -> None:
    """Raises UserError for a hyper-parameter that the network does not have, and for values it cannot take."""
    if not space:
        raise UserError(f"{model}: expected a hyper-parameter to search, found an empty space; add one with --vary")
    known = _known(model)
    for name, value in space.items():
        if name not in known:
            raise unknown(f"hyper-parameter of {model}", name, known)
        if isinstance(value, list):
            _check_choices(name, value)
            values = value
        elif isinstance(value, Mapping):
            _check_range(name, value)
            values = [value["low"], value["high"]]
        else:
            raise UserError(f'{name} is {value!r}, expected a list of choices or a range {{"low": ..., "high": ...}}')
        if not name.startswith(OPTION):
            for item in values:
                _check_field(model, name, item)


def hyperparameters(space: Mapping[str, Any]) -> "keras_tuner.HyperParameters":
    """Returns the space as keras-tuner has it. Choices are JSON there, as it knows neither None nor lists."""
    import keras_tuner

    result = keras_tuner.HyperParameters()
    for name, value in space.items():
        if isinstance(value, list):
            result.Choice(name, [json.dumps(item) for item in value], ordered=False)
        else:
            whole = isinstance(value["low"], int) and isinstance(value["high"], int)
            add = result.Int if whole else result.Float
            more = {key: value[key] for key in ("step", "sampling") if key in value}
            add(name, value["low"], value["high"], **more)
    return result


def encode(space: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a trial's values as keras-tuner has them."""
    return {name: json.dumps(values[name]) if isinstance(space[name], list) else values[name] for name in space}


def decode(space: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns keras-tuner's values as the space has them; what is not of the space is left out."""
    # The model of the Bayesian tuner gives NumPy's numbers.
    plain = {name: getattr(values[name], "item", lambda name=name: values[name])() for name in space}
    return {name: json.loads(value) if isinstance(space[name], list) else value for name, value in plain.items()}


def flags(base: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what zoo.config.flags.from_flags takes: the user's flags ("option" a mapping there) under a trial's
    values.
    """
    fields = {name: value for name, value in values.items() if not name.startswith(OPTION)}
    option = {name.removeprefix(OPTION): value for name, value in values.items() if name.startswith(OPTION)}
    option = {**base.get("option", {}), **option}
    return {**base, **fields, **({"option": option} if option else {})}


def _known(model):
    """Names a space of the network may have: fields it heeds and keywords of its builder."""
    module, function = registry.get(model).builder.split(":")
    keywords = signature(getattr(import_module(module), function)).parameters.values()
    fields = [
        item.name
        for item in dataclasses.fields(RunConfig)
        if item.metadata["group"] not in _FIXED_GROUPS and item.name != "option" and heeds(model, item.name)
    ]
    return fields + [OPTION + k.name for k in keywords if k.kind is k.KEYWORD_ONLY and k.name != "name"]


def _check_choices(name, values):
    if not values:
        raise UserError(f"{name} is an empty list, expected a choice or more")
    texts = [json.dumps(value) for value in values]
    for text in texts:
        if texts.count(text) > 1:
            raise UserError(f"{name} has the choice {text} twice; leave one out")


def _check_range(name, value):
    other = [key for key in value if key not in ("low", "high", "step", "sampling")]
    if other or not {"low", "high"} <= set(value):
        raise UserError(f"{name} is {dict(value)}, expected low and high, and no more than step and sampling beside")
    low, high, step = value["low"], value["high"], value.get("step")
    for key in ("low", "high", "step"):
        number = value.get(key, 1)
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            raise UserError(f"{name}: {key} is {number!r}, expected a number")
    if low >= high:
        raise UserError(f"{name} goes from low {low} to high {high}, expected low below high")
    sampling = value.get("sampling", "linear")
    if sampling not in _SAMPLING:
        raise unknown(f"sampling of {name}", str(sampling), _SAMPLING)
    if sampling == "log" and low <= 0:
        raise UserError(f"{name} goes from low {low} with log sampling, expected low above 0")
    if step is not None and step <= (1 if sampling == "log" else 0):
        raise UserError(f"{name}: step is {step}, expected more than {1 if sampling == 'log' else 0}")
    if step is not None and isinstance(low, int) and isinstance(high, int) and not isinstance(step, int):
        raise UserError(f"{name}: step is {step}, expected a whole number, as low {low} and high {high} are")


def _check_field(model, name, value):
    """Raises UserError for a value that RunConfig refuses, by its type or its bounds."""
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


def _load(file: Path) -> Space:
    try:
        space = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"--space {file}: expected a search space in JSON, cannot read it ({error})") from error
    if not isinstance(space, dict):
        raise UserError(f"--space {file}: expected an object of hyper-parameters by name, found {type(space).__name__}")
    return space


def _range(text, value):
    ends, colon, sampling = value.partition(":")
    try:
        low, high = (json.loads(end) for end in ends.split(".."))
    except ValueError as error:
        raise UserError(
            f"--vary {text}: expected NAME=LOW..HIGH or NAME=LOW..HIGH:log with two numbers, e.g. "
            "--vary learning_rate=1e-4..1e-2:log"
        ) from error
    return {"low": low, "high": high, **({"sampling": sampling} if colon else {})}


def _choices(value):
    try:
        return json.loads(f"[{value}]")
    except ValueError:
        return [_word(item) for item in value.split(",")]


def _word(text):
    """A value as --option reads it: JSON, True, False, None, or the word itself."""
    try:
        return json.loads(text.lower() if text in ("True", "False") else text)
    except ValueError:
        return None if text == "None" else text
