"""Every network by the name a user types, and the backends they run on. Adding one is adding a row."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

from zoo.errors import UserError, unknown

if TYPE_CHECKING:
    import keras

BACKENDS = ("tensorflow", "jax", "torch")
ZHAO_2019 = "Zhao et al. 2019, IEEE Access 7, doi 10.1109/ACCESS.2019.2928625"

# What section IV of the paper states; the rest is the defaults of RunConfig.
ZHAO_PAPER = {
    "epochs": 100,
    "batch_size": 100,
    "learning_rate": 1e-3,
    "decay": 1e-6,
    "crop_seconds": 5.0,
    "class_weights": "inverse",
}
# What learnt best on validation speakers of RAVDESS (docs/reproduction.md has the runs).
ZHAO_TUNED = {
    **ZHAO_PAPER,
    "window_ms": 40.0,
    "hop_ms": 20.0,
    "floor": 1e-6,
    "option": {"block_dropout": 0.0},
    "epochs": 50,
    "patience": 50,
    "batch_size": 16,
    "schedule": "cosine",
    "class_weights": "balanced",
    "augment": "specaugment",
}
# Minutes instead of hours, to see a recipe work; what --synthetic takes unless told otherwise.
ZHAO_QUICK = {**ZHAO_TUNED, "epochs": 6}


@dataclass(frozen=True)
class Entry:
    """One network: where its builder is (module:function, imported when used), and what its paper fixes.

    `parameters` is its size for four classes and 40 bands; `recipes` are RunConfig fields by preset name: "paper" is
    the default, "quick" that of --synthetic.
    """

    builder: str
    title: str
    paper: str
    parameters: int
    options: Mapping[str, Any] = field(default_factory=dict)
    recipes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def _zhao(title: str, parameters: int, **options) -> Entry:
    recipes = {"paper": ZHAO_PAPER, "tuned": ZHAO_TUNED, "quick": ZHAO_QUICK}
    return Entry(
        "zoo.models.attention_blstm_fcn:attention_blstm_fcn", title, ZHAO_2019, parameters, options, recipes=recipes
    )


MODELS: dict[str, Entry] = {
    "fcn": _zhao("convolutions, average pooling", 240_388, recurrent=None, fcn_attention=False),
    "attention_fcn": _zhao("convolutions, scaled-softmax attention", 257_028, recurrent=None),
    "attention_lstm": _zhao("two LSTM layers, attention", 235_268, fcn=False, recurrent="lstm"),
    "attention_blstm": _zhao("two bidirectional LSTM layers, attention", 600_964, fcn=False),
    "attention_blstm_fcn": _zhao("both streams, two BLSTM layers", 857_348),
    "attention_blstm_fcn_1layer": _zhao("both streams, one BLSTM layer", 463_108, recurrent_layers=1),
    "attention_blstm_fcn_3layer": _zhao("both streams, three BLSTM layers", 1_251_588, recurrent_layers=3),
}


def get(name: str) -> Entry:
    """Returns the row of a network. Raises UserError that lists the known ones."""
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    return MODELS[name]


def build(name: str, n_classes: int, n_bands: int = 40, /, **options) -> "keras.Model":
    """Builds a network, uncompiled, with `options` (keywords of its builder) over its row's.

    Raises UserError for an unknown name or option.
    """
    entry = get(name)
    module, function = entry.builder.split(":")
    builder = getattr(import_module(module), function)
    known = [key for key, value in signature(builder).parameters.items() if value.kind is value.KEYWORD_ONLY]
    known.remove("name")
    for option in options:
        if option not in known:
            raise unknown(f"option of {name}", option, known)
    try:
        return builder(n_classes, n_bands, **{**entry.options, "name": name, **options})
    except (ValueError, TypeError) as error:
        raise UserError(f"{name} cannot be built with {options or 'its defaults'}: {error}") from error
