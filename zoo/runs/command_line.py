"""Write configurations as a user would type them."""

import json
from collections.abc import Mapping
from typing import Any

from zoo.config import flags as config_flags
from zoo.config.run_config import RunConfig, heeds
from zoo.config.saved import PLACES
from zoo.config.validation import as_flag
from zoo.data.corpora.names import is_table
from zoo.runs.dataset import resolve
from zoo.runs.protocol import is_pool


def of(settings: RunConfig) -> list[str]:
    """Return the flags of train.py that make a configuration, beyond its recipe and without places.

    The folder of noise is written as NOISE, weights of an encoder or image network as WEIGHTS, the model of --init-from
    as INITIAL, those of --teacher as TEACHER1, TEACHER2, ..., the run of --figures-from as FOLDS. Ratios that a study
    chose, and classes found in the data, have no flag.
    """
    first = ["model", "recipe", "corpus", "synthetic", "protocol", "fold"]
    if is_table(settings.corpus) or is_pool(settings):
        first += [name for name in ("target", "classes", "column", "from_names") if getattr(settings, name)]
    given = {name: getattr(settings, name) for name in first}
    usual, settings = resolve(config_flags.from_flags(given)), resolve(settings)
    options = dict(item for item in settings.option.items() if item not in usual.option.items())
    for name, value in settings.saved().items():
        differs = name not in (*PLACES, "option", "snr", "heads") and value != getattr(usual, name)
        if differs and heeds(settings.model, name):
            given[name] = value
    if settings.noise:
        given["noise"] = "NOISE" if settings.noise_split == "files" else f"{settings.noise_split}:NOISE"
    if settings.weights and heeds(settings.model, "weights"):
        given["weights"] = settings.weights if settings.weights == "random" else "WEIGHTS"
    if settings.init_from:
        given["init_from"] = "INITIAL"
    if settings.figures_from:
        given["figures_from"] = "FOLDS"
    if settings.teacher:
        given["teacher"] = ",".join(f"TEACHER{number}" for number, _ in enumerate(settings.teacher.split(","), 1))
    return words({**given, **({"option": options} if options else {})})


def words(given: Mapping[str, Any]) -> list[str]:
    """Return flags, as `config.from_flags` takes them ("option" a mapping), as words of a command line, unquoted."""
    found: list[str] = []
    for name, value in given.items():
        flag = as_flag(name)
        if name == "column":
            found += [word for key, one in value.items() for word in (flag, f"{key}={one}")]
        elif name == "classes":
            found += [flag, ",".join(value)]
        elif name == "option":
            found += [word for key, one in value.items() for word in (flag, f"{key}={_as_option(one)}")]
        elif isinstance(value, bool):
            found += [flag] if value else []
        elif isinstance(value, tuple):
            found += [flag, *map(str, value)]
        elif str(value).startswith("-"):  # argparse would take it for a flag
            found.append(f"{flag}={value}")
        else:
            found += [flag, str(value)]
    return found


def _as_option(value: Any) -> str:
    """Write a builder's keyword so that --option reads the same value: a plain word as it is, all else as JSON."""
    plain = isinstance(value, str) and config_flags.parse_options([f"x={value}"]) == {"x": value}
    return value if plain else json.dumps(value)  # "1" the word, not the number
