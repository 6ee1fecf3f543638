"""Write configurations as a user would type them."""

import argparse
import json
from collections.abc import Mapping
from typing import Any

from zoo.config import flags as config_flags
from zoo.config import run_config
from zoo.config.run_config import RunConfig
from zoo.config.saved import PLACES
from zoo.runs.dataset import resolve


def of(settings: RunConfig) -> list[str]:
    """Return the flags of train.py that make a configuration, beyond its recipe and without places.

    The folder of noise is written as NOISE. Ratios that a study chose have no flag.
    """
    given = {name: getattr(settings, name) for name in ("model", "recipe", "corpus", "synthetic", "protocol", "fold")}
    usual, settings = resolve(config_flags.from_flags(given)), resolve(settings)
    options = dict(item for item in settings.option.items() if item not in usual.option.items())
    for name, value in settings.saved().items():
        if (
            name not in (*PLACES, "option", "snr")
            and value != getattr(usual, name)
            and run_config.heeds(settings.model, name)
        ):
            given[name] = value
    if settings.noise:
        given["noise"] = "time:NOISE" if settings.noise_split == "time" else "NOISE"
    return words({**given, **({"option": options} if options else {})})


def words(given: Mapping[str, Any]) -> list[str]:
    """Return flags, as `config.from_flags` takes them ("option" a mapping), as words of a command line, unquoted."""
    parser = argparse.ArgumentParser()
    config_flags.add_flags(parser)
    flags = {action.dest: (action.option_strings[0], action.nargs == 0) for action in parser._actions}
    found = []
    for name, value in given.items():
        if name == "option":
            continue
        flag, is_switch = flags[name]
        if is_switch:
            found += [flag] if value else []
        elif isinstance(value, tuple):
            found += [flag, *map(str, value)]
        elif str(value).startswith("-"):  # argparse would take it for a flag
            found.append(f"{flag}={value}")
        else:
            found += [flag, str(value)]
    for name, value in given.get("option", {}).items():
        found += ["--option", f"{name}={_as_option(value)}"]
    return found


def _as_option(value: Any) -> str:
    """Write a builder's keyword so that --option reads the same value: a plain word as it is, all else as JSON."""
    plain = isinstance(value, str) and config_flags.parse_options([f"x={value}"]) == {"x": value}
    return value if plain else json.dumps(value)  # "1" the word, not the number
