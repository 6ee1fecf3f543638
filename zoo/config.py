"""One frozen record per run: its fields are the command line's flags and the saved config.json."""

import argparse
import dataclasses
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from zoo import registry
from zoo.errors import UserError, unknown

CACHE_VARIABLE = "SPEECH_ZOO_CACHE"
# Groups of flags that only some networks heed: the registry says which.
_SPECTRAL, _LOG_MEL = "front-end of log-mel and MFCC networks", "front-end of log-mel networks"
_MFCC, _FUNCTIONALS = "front-end of MFCC networks", "front-end of functionals networks"
_EMOTION, _CROPS = "training of emotion networks", "training of log-mel networks"
_CONTINUOUS = "training of continuous networks"
# Which front-ends or tasks of the registry heed a group.
_HEEDED_BY = {
    _SPECTRAL: {"log_mel", "mfcc"},
    _LOG_MEL: {"log_mel"},
    _MFCC: {"mfcc"},
    _FUNCTIONALS: {"functionals"},
    _EMOTION: {"emotion"},
    _CROPS: {"log_mel"},
    _CONTINUOUS: {"continuous"},
}


def _flag(default: Any, group: str, text: str, **extra: Any) -> Any:
    return field(default=default, metadata={"group": group, "help": text, **extra})


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run's result, and where its files lie.

    Made by `from_flags`, which puts the model's recipe between these defaults and what the user gave.
    """

    model: str = _flag("attention_blstm_fcn", "what to run", "network; see README for the table")
    recipe: str = _flag(
        "",
        "what to run",
        "training preset of the network: paper, tuned or quick (default: paper; quick with --synthetic)",
    )
    corpus: str = _flag("iemocap", "what to run", "corpus")
    protocol: str = _flag("", "what to run", "named division into folds (default: the corpus's usual one)")
    fold: str = _flag(
        "",
        "what to run",
        "all, few (four at most, spread evenly), or numbers such as 4 or 0,2 (default: all; few with --synthetic)",
    )

    data_root: str = _flag("", "data", "the corpus's folder (default: its usual name below $SPEECH_CORPORA)")
    synthetic: bool = _flag(False, "data", "use the corpus's synthetic twin: no licence, no download, no claim")
    clips: int = _flag(0, "data", "clips of the synthetic twin (default: 0, the corpus's usual number)", least=0)
    allow_incomplete: bool = _flag(False, "data", "go on although clips of the protocol are absent")
    allow_leakage: bool = _flag(False, "data", "go on although speakers or audio stand on both sides of a split")
    on_bad_clip: str = _flag("fail", "data", "at a clip that cannot be used", choices=("fail", "skip"))
    max_clip_seconds: float = _flag(
        0.0, "data", "longer clips are bad clips (default: 0, the corpus's usual limit)", least=0.0
    )
    cache_dir: str = _flag("", "data", f"features are kept here (default: ${CACHE_VARIABLE} or ~/.cache/speech-zoo)")

    window_ms: float = _flag(25.0, _SPECTRAL, "analysis window in milliseconds", least=1.0, most=1000.0)
    hop_ms: float = _flag(10.0, _SPECTRAL, "hop in milliseconds", least=1.0, most=1000.0)
    bands: int = _flag(40, _LOG_MEL, "mel bands", least=1)
    mel_scale: str = _flag("htk", _LOG_MEL, "mel scale", choices=("htk", "slaney"))
    floor: float = _flag(1e-10, _LOG_MEL, "smallest band energy, before the logarithm", least=1e-30)
    rate_hz: int = _flag(22_050, _MFCC, "clips are resampled to this rate", least=4_000, most=192_000)
    coefficients: int = _flag(80, _MFCC, "mel-frequency cepstral coefficients", least=1)
    mel_bands: int = _flag(128, _MFCC, "mel bands below the coefficients", least=1)
    statistics: str = _flag("mean", _MFCC, "of coefficients, deltas and delta-deltas", choices=("mean", "six"))
    amplitude: str = _flag("peak", _MFCC, "clips scaled to a peak of 1, or as they are", choices=("peak", "recorded"))
    standardize: str = _flag(
        "coefficient",
        _MFCC,
        "by mean and variance of the training clips: each statistic of each coefficient, each statistic, or not",
        choices=("coefficient", "channel", "none"),
    )
    feature_set: str = _flag("egemaps", _FUNCTIONALS, "openSMILE's features", choices=("egemaps", "compare"))
    functional_seconds: float = _flag(3.0, _FUNCTIONALS, "window of the functionals", least=0.1, most=60.0)
    frame_seconds: float = _flag(
        0.0, _FUNCTIONALS, "from one window to the next (default: 0, the ratings' own step)", least=0.0, most=60.0
    )

    option: Mapping[str, Any] = field(
        default_factory=dict,
        metadata={"group": "network", "help": "keyword of the network's builder as NAME=VALUE; may be repeated"},
    )
    precision: str = _flag("float32", "network", "arithmetic", choices=("float32", "mixed_bfloat16"))

    epochs: int = _flag(100, "training", "at most this many passes over the training clips", least=1)
    batch_size: int = _flag(100, "training", "clips per step at most", least=1)
    optimizer: str = _flag("adam", "training", "optimizer", choices=("adam", "rmsprop", "sgd"))
    momentum: float = _flag(0.0, "training", "of rmsprop and sgd", least=0.0, most=0.999)
    learning_rate: float = _flag(1e-3, "training", "of the optimizer, at its highest", least=0.0)
    schedule: str = _flag(
        "decay", "training", "learning rate: lr / (1 + decay * step), or a cosine to 0", choices=("decay", "cosine")
    )
    decay: float = _flag(1e-6, "training", "learning-rate decay per step", least=0.0)
    weight_decay: float = _flag(0.0, "training", "decoupled weight decay", least=0.0)
    patience: int = _flag(20, "training", "stop after so many epochs without a better validation score", least=1)
    seed: int = _flag(0, "training", "of weights, order, crops and dropout", least=0, most=2**32 - 1)

    crop_seconds: float = _flag(5.0, _CROPS, "train on a random crop of at most this length", least=0.1)
    class_weights: str = _flag(
        "inverse", _EMOTION, "none, inverse (N / 10 N_k), balanced (N / K N_k), or CLASS=W,CLASS=W,..."
    )
    augment: str = _flag("none", _CROPS, "augmentation of training features", choices=("none", "specaugment"))

    loss: str = _flag("ccc", _CONTINUOUS, "what training minimises", choices=("sse", "ccc_sum", "ccc"))
    segment_seconds: float = _flag(20.0, _CONTINUOUS, "train on segments of this length", least=0.04)
    label_delay_seconds: float = _flag(
        0.0,
        _CONTINUOUS,
        "raters' delay: training labels are moved back by it, and predictions forward again",
        least=0.0,
        most=20.0,
    )
    perturb: str = _flag("none", _CONTINUOUS, "perturbation of training waveforms", choices=("none", "voice"))

    backend: str = _flag("tensorflow", "running", "Keras backend, else $KERAS_BACKEND", choices=registry.BACKENDS)
    out: str = _flag("", "running", "the run's folder (default: a new one below runs/)")

    def saved(self) -> dict[str, Any]:
        """Returns the record as config.json holds it."""
        return {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}


def heeds(model: str, name: str) -> bool:
    """Says whether the field `name` has an effect on a network."""
    entry, group = registry.get(model), RunConfig.__dataclass_fields__[name].metadata["group"]
    return group not in _HEEDED_BY or bool(_HEEDED_BY[group] & {entry.frontend, entry.task})


# Fields that say where things lie, not what comes out; --resume lets them differ.
PLACES = ("data_root", "cache_dir", "out")


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
            if item.default != "":
                differ = any(preset.get(item.name, item.default) != item.default for preset in _recipes())
                options["help"] += f" (default: {item.default}{'; recipes differ' if differ else ''})"
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
    config = RunConfig(**{**preset, **given, "recipe": recipe, "option": options})
    for item in dataclasses.fields(config):
        _check(item, getattr(config, item.name))
        if not heeds(model, item.name) and getattr(config, item.name) != item.default:
            raise UserError(
                f"{_as_flag(item.name)} has no effect on {model}; it belongs to the {item.metadata['group']}"
            )
    if config.synthetic and config.data_root:
        raise UserError(f"--synthetic and --data-root {config.data_root} exclude each other; give one of them")
    if config.schedule == "cosine" and config.decay not in (RunConfig.decay, 0.0):
        raise UserError(f"--decay {config.decay} has no effect with --schedule cosine; leave one of them out")
    if config.momentum and config.optimizer == "adam":
        raise UserError(f"--momentum {config.momentum} has no effect with --optimizer adam; leave one of them out")
    if config.clips and not config.synthetic:
        raise UserError("--clips is the size of a synthetic twin; expected --synthetic with it, found none. Add it")
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
        saved = json.loads(path.read_text())
        config = RunConfig(**saved)
        absent = [item.name for item in dataclasses.fields(config) if item.name not in saved]
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


def _as_flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def parse_options(texts: Sequence[str]) -> dict[str, Any]:
    """Returns builder keywords from texts NAME=VALUE, the value in JSON or a bare word. UserError for another form."""
    options = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise UserError(f"--option {text}: expected NAME=VALUE, e.g. --option dropout=0.5")
        try:
            options[name] = json.loads(value.lower() if value in ("True", "False") else value)
        except json.JSONDecodeError:
            options[name] = None if value == "None" else value  # a word, such as recurrent=lstm
    return options


def _check(item: dataclasses.Field, value: Any) -> None:
    flag = _as_flag(item.name)
    choices, least, most = (item.metadata.get(key) for key in ("choices", "least", "most"))
    if choices and value not in choices:
        raise unknown(flag, value, choices)
    if most is not None and not least <= value <= most:
        raise UserError(f"{flag} is {value}, expected {least} to {most}")
    if least is not None and not least <= value < float("inf"):
        raise UserError(f"{flag} is {value}, expected a finite number, at least {least}")
