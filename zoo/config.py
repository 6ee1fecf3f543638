"""One frozen record per run: its fields are the command line's flags and the saved config.json."""

import argparse
import dataclasses
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_type_hints

from zoo import registry
from zoo.errors import UserError, unknown
from zoo.run_config import AUGMENTATIONS, CACHE_VARIABLE, RunConfig, heeds

# Fields that say where things lie, not what comes out; --resume lets them differ.
PLACES = ("data_root", "cache_dir", "noise", "responses", "weights", "out")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds a flag for every field of RunConfig, in its group. Flags that are not given leave no trace."""
    groups: dict[str, argparse._ArgumentGroup] = {}
    types = get_type_hints(RunConfig)
    for item in dataclasses.fields(RunConfig):
        name = item.metadata["group"]
        group = groups[name] if name in groups else groups.setdefault(name, parser.add_argument_group(name))
        flag, text = _as_flag(item.name), item.metadata["help"]
        options: dict[str, Any] = {"default": argparse.SUPPRESS, "help": text}
        if types[item.name] is bool:
            options["action"] = "store_true"
        elif item.name == "option":
            options.update(action="append", metavar="NAME=VALUE")
        else:
            options.update(type=types[item.name], metavar=item.name.upper())
            if isinstance(item.default, tuple):
                options.update(type=float, nargs=len(item.default) if item.metadata.get("pair") else "+")
            if item.default != "":
                differ = any(preset.get(item.name, item.default) != item.default for preset in _recipes())
                options["help"] += f" (default: {_in_words(item.default)}{'; recipes differ' if differ else ''})"
            if "choices" in item.metadata:
                options["help"] = f"{' | '.join(item.metadata['choices'])}: {options['help']}"
        group.add_argument(flag, **options)


def from_flags(given: Mapping[str, Any]) -> RunConfig:
    """Returns the configuration from the flags a user gave: defaults, then the recipe's values, then theirs.

    Raises UserError for a value that is unknown or out of range, and for flags that exclude each other.
    """
    given = dict(given)
    if "option" in given and not isinstance(given["option"], Mapping):
        given["option"] = parse_options(given["option"])
    if "backend" not in given and os.environ.get("KERAS_BACKEND"):
        given["backend"] = os.environ["KERAS_BACKEND"]
    model = given.get("model", RunConfig.model)
    recipes = registry.get(model).recipes
    recipe = given.get("recipe") or ("quick" if given.get("synthetic") else "paper")
    if recipe not in recipes:
        raise unknown(f"recipe of {model}", recipe, recipes)
    preset = dict(recipes[recipe])
    # What belongs to the recipe's optimizer and schedule goes with them.
    for choice, own in (("optimizer", "momentum"), ("schedule", "decay")):
        if given.get(choice, preset.get(choice)) != preset.get(choice):
            preset.pop(own, None)
    options = {**preset.pop("option", {}), **given.get("option", {})}
    given |= {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    config = RunConfig(**{**preset, **given, "recipe": recipe, "option": options})
    for item in dataclasses.fields(config):
        _check(item, getattr(config, item.name))
        if not heeds(model, item.name) and getattr(config, item.name) != item.default:
            raise UserError(
                f"{_as_flag(item.name)} has no effect on {model}; it belongs to the {item.metadata['group']}"
            )
    _check_together(config)
    _check_augmentation(config)
    return config


def resume(given: Mapping[str, Any]) -> RunConfig:
    """Returns the configuration of the run in the folder `given["out"]`, changed by the flags a user gave beside it.

    A folder without a run yields what `from_flags` does. Raises UserError when no folder is given.
    """
    if not given.get("out"):
        raise UserError("--resume needs --out DIR, the folder of the run to go on with")
    saved = Path(given["out"]) / "config.json"
    if not saved.is_file():
        return from_flags(given)
    old = load(saved)
    option = {**old.option, **(parse_options(given["option"]) if "option" in given else {})}
    return from_flags({**old.saved(), **given, "option": option})


def load(path: Path) -> RunConfig:
    """Reads a saved config.json. Raises UserError when it is absent, damaged, or of another version."""
    try:
        saved: Any = json.loads(path.read_text())
        if type(saved) is not dict:
            raise ValueError(f"a {type(saved).__name__} in place of a mapping")
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in saved.items()
        }
        config = RunConfig(**values)
        registry.get(config.model)
        fields = [item for item in dataclasses.fields(config) if not item.metadata.get("later")]
        names = [item.name for item in fields if item.name not in saved]
        absent = [name for name in names if heeds(config.model, name)]
        if absent:  # a default in its place might not be what the run was trained with
            raise ValueError(f"without {', '.join(absent)}")
        for item in dataclasses.fields(config):
            _check(item, getattr(config, item.name))
    except OSError as error:
        raise UserError(
            f"{path.parent}: no run is here (config.json: {error.strerror}); give a folder that train.py made"
        ) from error
    except (ValueError, TypeError, UserError) as error:
        raise UserError(
            f"{path}: expected the configuration of a run as this version writes it, found another ({error}). "
            "Restore the file, or train again into another folder"
        ) from error
    return config


def differences(old: RunConfig, new: RunConfig) -> list[str]:
    """Says in what two configurations differ, places aside, e.g. "batch_size was 100, now 32"."""
    return [
        f"{name} was {getattr(old, name)!r}, now {getattr(new, name)!r}"
        for name in (item.name for item in dataclasses.fields(RunConfig))
        if name not in PLACES and getattr(old, name) != getattr(new, name)
    ]


def cache_folder(config: RunConfig) -> Path:
    """Where features and synthetic corpora are kept between runs."""
    return Path(config.cache_dir or os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "speech-zoo")


def _recipes() -> Iterator[Mapping[str, Any]]:
    return (preset for entry in registry.MODELS.values() for preset in entry.recipes.values())


def _in_words(value: Any) -> str:
    return " ".join(f"{item:g}" for item in value) if isinstance(value, tuple) else str(value)


def _as_flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def parse_options(texts: Sequence[str]) -> dict[str, Any]:
    """Returns builder keywords from texts NAME=VALUE: the value in JSON, several of these as in 64,32, or a bare word.

    Raises UserError for another form.
    """
    options = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise UserError(f"--option {text}: expected NAME=VALUE, e.g. --option dropout=0.5")
        options[name] = _parse_option(value)
    return options


def _parse_option(text: str) -> Any:
    try:
        return json.loads({"True": "true", "False": "false", "None": "null"}.get(text, text))
    except json.JSONDecodeError:
        pass
    try:
        return json.loads(f"[{text}]") if "," in text else text  # a word, such as recurrent=lstm
    except json.JSONDecodeError:
        return text


def _check_together(config: RunConfig) -> None:
    """Raises UserError for values that exclude each other."""
    if config.synthetic and config.data_root:
        raise UserError(f"--synthetic and --data-root {config.data_root} exclude each other; give one of them")
    if config.schedule == "cosine" and config.decay not in (RunConfig.decay, 0.0):
        raise UserError(f"--decay {config.decay} has no effect with --schedule cosine; leave one of them out")
    if config.momentum and config.optimizer == "adam":
        raise UserError(f"--momentum {config.momentum} has no effect with --optimizer adam; leave one of them out")
    if config.clips and not config.synthetic:
        raise UserError("--clips is the size of a synthetic twin; expected --synthetic with it, found none. Add it")


def augmentations(config: RunConfig) -> tuple[str, ...]:
    """Returns what is done to the waveforms of a run's altered copies: none or some of AUGMENTATIONS."""
    words = tuple(word.strip() for word in config.augment_waveforms.split(","))
    return () if words == ("none",) else words


def _check_augmentation(config: RunConfig) -> None:
    """Raises UserError for unknown kinds of augmentation, for noise without recordings, and for what has no effect."""
    kinds = augmentations(config)
    for kind in kinds:
        if kind not in AUGMENTATIONS:
            raise unknown("--augment-waveforms", kind, ("none", *AUGMENTATIONS))
        if kinds.count(kind) > 1:
            raise UserError(f"--augment-waveforms {config.augment_waveforms} names {kind} twice; leave one out")
    if not heeds(config.model, "augment_snr"):  # who heeds noise for another purpose says so where it is used
        return
    noise = "--perturb noise" if heeds(config.model, "perturb") else "--augment-waveforms noise"
    noisy = "noise" in (*kinds, config.perturb)
    needed = {"copies": ("--augment-waveforms", kinds), "responses": ("--augment-waveforms room", "room" in kinds)}
    needed |= dict.fromkeys(("augment_snr", "noise", "noise_split", "snr_level"), (noise, noisy))
    for name, (flag, is_given) in needed.items():
        if not is_given and getattr(config, name) != getattr(RunConfig, name):
            raise UserError(f"{_as_flag(name)} has no effect without {flag}; add that, or leave it out")
    if noisy and not config.noise:
        raise UserError(f"{noise} needs --noise DIR, a folder of recordings of noise; found none. Add it")


def _check(item: dataclasses.Field, value: Any) -> None:
    flag = _as_flag(item.name)
    choices, least, most = (item.metadata.get(key) for key in ("choices", "least", "most"))
    if isinstance(item.default, tuple):
        _check_numbers(flag, value, item.metadata.get("pair", False))
        for one in value:
            _check_range(flag, one, least, most)
        return
    if choices and value not in choices:
        raise unknown(flag, value, choices)
    _check_range(flag, value, least, most)


def _check_numbers(flag: str, values: Any, is_pair: bool) -> None:
    if not isinstance(values, tuple):
        raise UserError(f"{flag} is {values}, expected numbers")
    if is_pair and not (len(values) == 2 and values[0] <= values[1]):
        raise UserError(f"{flag} is {_in_words(values)}, expected two numbers, the lower one first")
    if not is_pair and (len(set(values)) != len(values) or not values):
        raise UserError(f"{flag} is {_in_words(values)}, expected different numbers")


def _check_range(flag: str, value: Any, least: Any, most: Any) -> None:
    if most is not None and not least <= value <= most:
        raise UserError(f"{flag} is {value}, expected {least} to {most}")
    if least is not None and not least <= value < float("inf"):
        raise UserError(f"{flag} is {value}, expected a finite number, at least {least}")
