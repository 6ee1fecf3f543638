"""Make a run configuration of command-line flags and the recipe of its network."""

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, get_type_hints

from zoo import own_network, registry
from zoo.config.groups import GROUPS
from zoo.config.run_config import RunConfig, heeds
from zoo.config.saved import load
from zoo.config.validation import (
    as_flag,
    check_augmentation,
    check_auxiliary,
    check_encoder,
    check_initial,
    check_snapshots,
    check_together,
    check_value,
    in_words,
)
from zoo.errors import UserError, spelt, unknown
from zoo.utils.parser import Parser

_STUDY = "was moved to scripts/enhanced_ratings.py (MixedEmotions D4.2, Table 4.1)"
# What became of flags of earlier versions.
_MOVED = {
    "--enhance": _STUDY,
    "--heard": f"{_STUDY}; --model mfcc_svr --noise DIR fits a regression in noise",
    "--condition": f"{_STUDY}, which trains a denoising_autoencoder for each ratio with --enhance matched",
    "--snr": f"{_STUDY}; --model denoising_autoencoder takes all five ratios",
    "--snr-level": "is for scripts/robustness.py only; training measures speech over its active frames",
    "--noise-split": "is now part of --noise: for thirds of each file's time give --noise time:DIR",
}

# Fields that are mappings, each entry a flag of its own, and how the help writes an entry.
MAPPINGS = {"option": "NAME=VALUE", "column": "NAME=THEIRS"}

# What the help calls the values of texts; others are a WORD.
_VALUES = {
    **dict.fromkeys(("model", "recipe", "corpus", "protocol", "target", "colormap", "backend"), "NAME"),
    **dict.fromkeys(("data_root", "audio_root", "cache_dir", "noise", "responses", "out"), "DIR"),
    **dict.fromkeys(("figures_from", "from_run", "enhancer", "init_from"), "RUN"),
    **dict.fromkeys(("label_map", "weights"), "FILE"),
    **dict.fromkeys(("teacher", "also"), "A,B,..."),
    **dict.fromkeys(("target_weights", "adversarial"), "NAME=X,..."),
    "from_names": "REGEX",
}

# What --help of commands that train shows of these flags; --help-all shows all.
OFTEN = ("model", "corpus", "data_root", "synthetic", "recipe", "fold", "epochs", "seed", "out")


def add_flags(parser: Parser) -> None:
    """Add a flag for every field of RunConfig that has one, in its group. Flags that are not given leave no trace."""
    groups = {name: parser.add_argument_group(title) for name, title in GROUPS.items()}
    names = [item.name for item in dataclasses.fields(RunConfig) if item.metadata.get("flag", True)]
    for name in names:
        add_flag(groups[RunConfig.__dataclass_fields__[name].metadata["group"]], name)
    parser.hide(set(names) - set(OFTEN))
    parser.gone |= _MOVED
    parser.heeds = _has_effect


def add_flag(group: argparse._ArgumentGroup, name: str) -> None:
    """Add the flag of one field of RunConfig to a group of a parser."""
    item, kind = RunConfig.__dataclass_fields__[name], get_type_hints(RunConfig)[name]
    options: dict[str, Any] = {"default": argparse.SUPPRESS, "help": item.metadata["help"]}
    if kind is bool:
        options["action"] = "store_true"
    elif name in MAPPINGS:
        options.update(action="append", metavar=MAPPINGS[name])
    elif item.metadata.get("words"):
        options.update(type=_names, metavar="A,B,...")
    else:
        options.update(type=kind, metavar=_VALUES.get(name) or ("WORD" if kind is str else None))
        if isinstance(item.default, tuple):
            options.update(type=float, nargs=len(item.default) if item.metadata.get("pair") else "+")
        if item.default != "":
            presets = [preset for entry in registry.MODELS.values() for preset in entry.recipes.values()]
            differ = any(preset.get(name, item.default) != item.default for preset in presets)
            options["help"] += f" (default: {in_words(item.default)}{'; recipes differ' if differ else ''})"
        if "choices" in item.metadata:
            options["help"] = f"{' | '.join(item.metadata['choices'])}: {options['help']}"
    group.add_argument(as_flag(name), **options)


def _has_effect(model: str, name: str) -> bool:
    """Return whether an option has an effect on a network; those of the command itself have. For Parser.heeds."""
    model = _own_network({"model": model}).get("model", model)
    registry.get(model)
    return name not in RunConfig.__dataclass_fields__ or heeds(model, name)


def from_flags(given: Mapping[str, Any]) -> RunConfig:
    """Return the configuration of the flags a user gave: defaults, then the recipe's values, then theirs.

    Raises UserError for a value that is unknown or out of range, and for flags that exclude each other.
    """
    given = dict(given)
    if "option" in given and not isinstance(given["option"], Mapping):
        given["option"] = parse_options(given["option"])
    if "column" in given and not isinstance(given["column"], Mapping):
        given["column"] = parse_columns(given["column"])
    if "backend" not in given and os.environ.get("KERAS_BACKEND"):
        given["backend"] = os.environ["KERAS_BACKEND"]
    given = _as_spelt(given)
    given |= _own_network(given)
    model = given["model"] = spelt(given.get("model", RunConfig.model), registry.MODELS)
    recipes = registry.get(model).recipes
    recipe = given.get("recipe") or _usual_recipe(given, recipes)
    recipe = spelt(recipe, recipes)
    if recipe not in recipes:
        raise unknown(f"recipe of {model}", recipe, recipes)
    preset = dict(recipes[recipe])
    for name in preset:
        if name not in RunConfig.__dataclass_fields__:
            raise unknown(f"setting of {model}", name, RunConfig.__dataclass_fields__)
    # What belongs to the recipe's optimizer and schedule goes with them.
    for choice, own in (("optimizer", "momentum"), ("schedule", "decay")):
        if given.get(choice, preset.get(choice)) != preset.get(choice):
            preset.pop(own, None)
    options = {**preset.pop("option", {}), **given.get("option", {})}
    given |= {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    config = RunConfig(**{**preset, **given, "recipe": recipe, "option": options})
    for item in dataclasses.fields(config):
        check_value(item, getattr(config, item.name))
        if not heeds(model, item.name) and getattr(config, item.name) != item.default:
            reason = item.metadata.get("instead", f"it belongs to the {GROUPS[item.metadata['group']]}")
            raise UserError(f"{as_flag(item.name)} has no effect on {model}; {reason}")
    check_together(config)
    check_augmentation(config)
    check_initial(config)
    check_encoder(config)
    check_auxiliary(config)
    check_snapshots(config)
    return config


def _usual_recipe(given: Mapping[str, Any], recipes: Mapping[str, Any]) -> str:
    """Return the preset of flags that name none: the first, "quick" for synthetic sound; others to fine-tune with."""
    tuned = given.get("fine_tune", "") not in ("", "head") and not given.get("init_from")
    names = ("quick_fine_tune", "fine_tune") if tuned and "fine_tune" in recipes else ("quick", next(iter(recipes)))
    return names[0 if given.get("synthetic") else 1]


def _as_spelt(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the flags with choices in the letters that fields have: --on-bad-clip SKIP is skip."""
    fields = RunConfig.__dataclass_fields__
    choices = {name: fields[name].metadata.get("choices", ()) for name in given if name in fields}
    words = {name: spelt(given[name], known) for name, known in choices.items() if isinstance(given[name], str)}
    return {**given, **words}


def need_corpus(given: Mapping[str, Any]) -> None:
    """Raise UserError, with an example, where the flags a user gave say nothing of where the recordings are."""
    if not {"corpus", "data_root", "synthetic", "out"} & set(given) and not os.environ.get("SPEECH_CORPORA"):
        name = Path(sys.argv[0]).name
        raise UserError(
            f"expected a network and a corpus, as in: {name} --model residual_bigru --corpus ravdess --data-root DIR",
            f"--synthetic in place of --data-root DIR tries it without one; {name} --help-all lists both",
        )


def _own_network(given: Mapping[str, Any]) -> dict[str, str]:
    """Return model and network_file where --model names a network of a file, and let the registry know it."""
    text, place = given.get("model", ""), given.get("network_file")
    if not own_network.is_named(text):
        return {"network_file": ""}
    named = own_network.find(text, Path(place) if place and "@" in text else None)
    return {"model": registry.know(named), "network_file": str(named.path)}


def resume(given: Mapping[str, Any]) -> RunConfig:
    """Return the configuration of the run in the folder `given["out"]`, changed by the flags a user gave beside it.

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


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def parse_columns(texts: Sequence[str]) -> dict[str, str]:
    """Return a table's own names of columns by ours, from texts NAME=THEIRS. Raises UserError for another form."""
    pairs = [text.partition("=") for text in texts]
    for text, (name, equals, theirs) in zip(texts, pairs, strict=True):
        if not (name and equals and theirs):
            raise UserError(f"--column {text}: expected NAME=THEIRS, e.g. --column emotion=Emotion")
    return {name.strip(): theirs.strip() for name, _, theirs in pairs}


def parse_options(texts: Sequence[str]) -> dict[str, Any]:
    """Return builder keywords from texts NAME=VALUE: the value in JSON, several of these as in 64,32, or a bare word.

    Raises UserError for another form.
    """
    options: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise UserError(f"--option {text}: expected NAME=VALUE, e.g. --option dropout=0.5")
        options[name] = value  # a word, such as recurrent=lstm, unless it is JSON
        for candidate in ({"True": "true", "False": "false", "None": "null"}.get(value, value), f"[{value}]"):
            with suppress(json.JSONDecodeError):
                options[name] = json.loads(candidate)
                break
            if "," not in value:
                break
    return options
