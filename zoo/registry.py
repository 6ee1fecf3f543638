"""Find networks by the name that users type, those of other packages and files too, and build them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from zoo import own_network
from zoo.errors import OptionError, UserError, spelt, unknown
from zoo.network_entry import Entry, network_row
from zoo.network_rows import MODELS

if TYPE_CHECKING:
    import keras

MOST_WEIGHTS = 200_000_000  # of a network with a user's options; the largest here, without encoders, has 7.6 million


NETWORKS_GROUP = "speech_emotion_zoo.networks"  # entry points of other packages, each an Entry made by `network`
# What a network of elsewhere may be, and one of these papers' rows.
_TASKS = {"log_mel": "emotion", "mfcc": "emotion", "waveform": "continuous", "functionals": "continuous"}
_SHAPES = {"log_mel": (4, 40), "mfcc": (8, 3), "waveform": (2, 1), "functionals": (2, 102)}
_elsewhere: dict[str, Entry] = {}  # of files and other packages; a file's name has its hash


def get(name: str) -> Entry:
    """Return the row of a network, also of another package or a file that is known. UserError lists the known ones."""
    name = spelt(name, MODELS)
    if name in MODELS or name in _elsewhere:
        return MODELS.get(name) or _elsewhere[name]
    points = _of_packages()
    if name not in points:
        raise unknown("model", name, [*MODELS, *points])
    entry = points[name].load()
    if not isinstance(entry, Entry):
        raise UserError(f"the package's entry point {name} = {points[name].value}: expected zoo.registry.network(...)")
    return _elsewhere.setdefault(name, entry)


def is_known(name: str) -> bool:
    """Return whether a network is in the registry, of another package, or of a file that is known."""
    return name in MODELS or name in _elsewhere or name in _of_packages()


def _of_packages() -> dict[str, Any]:
    """Return the entry points of other packages by the names of their networks. Imports none of the packages."""
    from importlib.metadata import entry_points  # not at every start

    return {point.name: point for point in entry_points(group=NETWORKS_GROUP)}


def network(
    builder: str,
    *,
    frontend: str,
    task: str,
    title: str = "",
    paper: str = "",
    settings: Mapping[str, Any] | None = None,
) -> Entry:
    """Return the row of a network of elsewhere, trained by gradient. `builder` is module:function.

    `frontend` is log_mel or mfcc (`task` "emotion"), waveform or functionals ("continuous"). `settings` are fields of
    RunConfig in place of their defaults. Raises UserError for another front-end or task.
    """
    if _TASKS.get(frontend) != task:
        known = ", ".join(f"{name} with {one}" for name, one in _TASKS.items())
        raise UserError(f"{builder}: front-end {frontend!r} with task {task!r}, expected {known}; {own_network.ADVICE}")
    presets = {"own": {**(settings or {})}, "quick": {**(settings or {}), "epochs": 3}}
    row = network_row("", paper, frontend, presets, title or builder, 0, _SHAPES[frontend])
    return replace(row, builder=builder)


def know(named: own_network.Named) -> str:
    """Let `get` know a network of a file; return its name. The file is read and not run. Raises UserError."""
    place = f"{named.path}:{named.function}"
    if named.name not in _elsewhere or _elsewhere[named.name].builder != place:  # the same content, elsewhere
        _elsewhere[named.name] = network(place, **own_network.stated(named.path))
    return named.name


def module_and_function(name: str) -> tuple[ModuleType, str]:
    """Return the module of a network's builder, which is imported, and the builder's name."""
    place, _, function = get(name).builder.rpartition(":")
    if not own_network.is_named(name):
        return import_module(place), function
    return own_network.module(Path(place), own_network.find(name, Path(place)).sha256), function


def check_answers(name: str, run: Any) -> None:
    """Raise UserError for a `run` of a network that gives neither emotions nor ratings, but features."""
    if get(name).task == "enhancement":
        found = f"{run}: expected a run that answers with emotions or ratings, found one of {name}, which gives MFCCs"
        raise UserError(f"{found}. Put it in front of others: train.py --model mfcc_svr --enhancer RUN")


def build(name: str, n_outputs: int, n_inputs: int = 40, /, **options: Any) -> "keras.Model":
    """Build a network, uncompiled, with `options` (keywords of its builder) over its row's.

    `n_outputs` are classes or rated dimensions; `n_inputs` bands, channels or functionals, as its front-end gives.

    Raises UserError for an unknown name or option, and for values that the network cannot be built with. Where it
    cannot be built as registered either, the builder is at fault, and its own error is raised.
    """
    entry = get(name)
    module, function = module_and_function(name)
    builder = getattr(module, function, None)
    if name not in MODELS:
        builder = own_network.checked(entry.builder, builder, entry.frontend, entry.task)
    assert builder
    _check_options(name, builder, options)
    given = {**entry.options, "name": name if name in MODELS else function, **options}
    try:
        if options:
            _check_size(partial(builder, n_outputs, n_inputs, **given))
        return builder(n_outputs, n_inputs, **given)
    except OptionError as error:
        raise UserError(f"{name} cannot be built with {options}: {error}") from error
    except (ValueError, TypeError) as error:
        try:
            builder(*entry.shape, **entry.options, name=name)
        except Exception:  # whatever it is: the builder is at fault, and its first error says how
            raise error from None
        raise UserError(f"{name} cannot be built with {options or 'its defaults'}: {error}") from error


def builder_of(name: str, options: Mapping[str, Any]) -> Callable[..., "keras.Model"]:
    """Return the builder of a network of the zoo. Raises UserError for an option that it does not take."""
    module, function = module_and_function(name)
    builder = getattr(module, function)
    _check_options(name, builder, options)
    return builder


def build_fine_tuned(name: str, n_outputs: int, /, *sizes: Any, **options: Any) -> "keras.Model":
    """Build a network with the encoder inside it, for --fine-tune; `sizes` are what its builder takes beside outputs.

    Raises UserError for an unknown option, and for a value that it cannot be built with.
    """
    place, _, function = get(name).fine_tuned.rpartition(":")
    _check_options(name, builder := getattr(import_module(place), function), options)
    try:
        return builder(n_outputs, *sizes, **{"name": name, **options})
    except OptionError as error:
        raise UserError(f"{name} cannot be built with {options}: {error}") from error


def _check_options(name: str, builder: Callable, options: Mapping[str, Any]) -> None:
    known = [key for key, value in signature(builder).parameters.items() if value.kind is value.KEYWORD_ONLY]
    known.remove("name")
    for option in options:
        if option not in known:
            raise unknown(f"option of {name}", option, known)


def _check_size(builder: Callable[[], "keras.Model"]) -> None:
    """Raise ValueError for a network of more weights than `MOST_WEIGHTS`. They are counted before any is made."""
    import keras

    with keras.StatelessScope(initialize_variables=False):
        n_weights = sum(math.prod(variable.shape) for variable in builder().variables)
    if n_weights > MOST_WEIGHTS:
        raise OptionError(f"they make {n_weights:,} weights, expected {MOST_WEIGHTS:,} at most")
