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
TASKS = {"emotion": "one of several emotions per clip", "continuous": "arousal and valence all along a recording"}
FRONTENDS = {
    "log_mel": "log-mel bands",
    "mfcc": "statistics of MFCCs and their deltas",
    "waveform": "the waveform itself",
    "functionals": "openSMILE functionals",
}
KHAN_2020 = "Khan, Butt, Ali 2020"
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


# The paper validates nothing: as many epochs as it says. It states no window; librosa's, 2,048 and 512 samples.
KHAN_PAPER = {
    "epochs": 500,
    "patience": 500,
    "batch_size": 32,
    "optimizer": "rmsprop",
    "learning_rate": 5e-3,
    "decay": 0.0,
    "class_weights": "none",
    "window_ms": 92.88,
    "hop_ms": 23.22,
}

TZIRAKIS_2018 = "Tzirakis, Zhang, Schuller 2018, ICASSP"
BAKHSHI_2020 = "Bakhshi, Wong, Chalup 2020"
TRIGEORGIS_2016 = "Trigeorgis et al. 2016, in MixedEmotions D4.2, section 5"
MIXED_EMOTIONS = "MixedEmotions D4.2, sections 4 and 5"

# No paper says when training ends but by validation; 50 epochs are our bound.
_RATINGS = {"epochs": 50, "patience": 15, "decay": 0.0, "loss": "ccc"}
TZIRAKIS_PAPER = {
    **_RATINGS,
    "optimizer": "rmsprop",
    "momentum": 0.1,
    "learning_rate": 1e-4,
    "batch_size": 5,
    "segment_seconds": 20.0,
}
# What learnt best on a stand-in for RECOLA (docs/reproduction.md has the runs): with the paper's dropout of 0.5 and its
# learning rate the network fits even its training speakers poorly.
TZIRAKIS_TUNED = {
    **_RATINGS,
    "epochs": 16,
    "schedule": "cosine",
    "learning_rate": 1e-3,
    "batch_size": 10,
    "segment_seconds": 10.0,
    "option": {"recurrent_units": 128, "dropout": 0.2},
}
BAKHSHI_PAPER = {
    **_RATINGS,
    "optimizer": "rmsprop",
    "learning_rate": 1e-4,
    "decay": 1e-5,
    "batch_size": 50,
    "segment_seconds": 8.0,
}
TRIGEORGIS_PAPER = {**_RATINGS, "learning_rate": 2e-3, "batch_size": 50, "segment_seconds": 6.0}
# Learning rates 1e-2 ... 1e-7 were tried there; which one was best is not said, nor how long sequences were.
MIXED_PAPER = {
    **_RATINGS,
    "optimizer": "sgd",
    "momentum": 0.9,
    "learning_rate": 1e-2,
    "batch_size": 5,
    "segment_seconds": 20.0,
}
MUSIC_PAPER = {
    **MIXED_PAPER,
    "batch_size": 25,
    "segment_seconds": 15.0,
    "feature_set": "compare",
    "functional_seconds": 1.0,
}


@dataclass(frozen=True)
class Entry:
    """One network: where its builder is (module:function, imported when used), and what its paper fixes.

    `parameters` is its size for `shape`, the numbers of outputs and inputs (bands, channels or functionals). `task` is
    a name in `TASKS`, `frontend` one in `FRONTENDS`. `recipes` are RunConfig fields by preset name: "paper" is the
    default, "quick" that of --synthetic.
    """

    builder: str
    title: str
    paper: str
    parameters: int
    shape: tuple[int, int] = (4, 40)
    task: str = "emotion"
    frontend: str = "log_mel"
    options: Mapping[str, Any] = field(default_factory=dict)
    recipes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def _zhao(title: str, parameters: int, **options) -> Entry:
    recipes = {"paper": ZHAO_PAPER, "tuned": ZHAO_TUNED, "quick": ZHAO_QUICK}
    return Entry(
        "zoo.models.attention_blstm_fcn:attention_blstm_fcn",
        title,
        ZHAO_2019,
        parameters,
        options=options,
        recipes=recipes,
    )


def _rated(builder, title, paper, parameters, recipe, quick, inputs=1, tuned=None, **options) -> Entry:
    """A row of a network for arousal and valence: on waveforms, or on so many functionals.

    `quick` makes it small and fast, to see a recipe work in minutes; what --synthetic takes unless told otherwise.
    """
    fast = {"optimizer": "adam", "momentum": 0.0, "learning_rate": 2e-3, "epochs": 8}
    return Entry(
        f"zoo.models.{builder}",
        title,
        paper,
        parameters,
        shape=(2, inputs),
        task="continuous",
        frontend="waveform" if inputs == 1 else "functionals",
        options=options,
        recipes={"paper": recipe, **({"tuned": tuned} if tuned else {}), "quick": {**recipe, **fast, **quick}},
    )


def _khan(name: str, title: str, parameters: int, channels: int, statistics: str) -> Entry:
    paper = {**KHAN_PAPER, "statistics": statistics}
    return Entry(
        f"zoo.models.{name}:{name}",
        title,
        KHAN_2020,
        parameters,
        shape=(8, channels),
        frontend="mfcc",
        recipes={"paper": paper, "quick": {**paper, "epochs": 60}},
    )


MODELS: dict[str, Entry] = {
    "fcn": _zhao("convolutions, average pooling", 240_388, recurrent=None, fcn_attention=False),
    "attention_fcn": _zhao("convolutions, scaled-softmax attention", 257_028, recurrent=None),
    "attention_lstm": _zhao("two LSTM layers, attention", 235_268, fcn=False, recurrent="lstm"),
    "attention_blstm": _zhao("two bidirectional LSTM layers, attention", 600_964, fcn=False),
    "attention_blstm_fcn": _zhao("both streams, two BLSTM layers", 857_348),
    "attention_blstm_fcn_1layer": _zhao("both streams, one BLSTM layer", 463_108, recurrent_layers=1),
    "attention_blstm_fcn_3layer": _zhao("both streams, three BLSTM layers", 1_251_588, recurrent_layers=3),
    "cnn1d_mfcc": _khan("cnn1d_mfcc", "two convolutions along the mean MFCCs", 898, 3, "mean"),
    "rnn_mfcc": _khan("rnn_mfcc", "one recurrent layer along six statistics of the MFCCs", 696, 18, "six"),
    "conv_lstm": _rated(
        "conv_lstm:conv_lstm",
        "three convolutions on the waveform, two LSTM layers",
        TZIRAKIS_2018,
        1_297_858,
        TZIRAKIS_PAPER,
        {"segment_seconds": 8.0, "option": {"recurrent_units": 32, "filters": [16, 32, 64], "dropout": 0.1}},
        tuned=TZIRAKIS_TUNED,
    ),
    "conv_bigru": _rated(
        "conv_bigru:conv_bigru",
        "long convolutions on the waveform, one on its spectrum, two BiGRU layers",
        BAKHSHI_2020,
        1_258_792,
        BAKHSHI_PAPER,
        {"segment_seconds": 4.0, "batch_size": 8, "option": {"recurrent_units": 32, "dropouts": [0.1, 0.1, 0.1]}},
    ),
    "conv_bigru_frame": _rated(
        "conv_bigru:conv_bigru",
        "the same on the spectrum of each frame",
        BAKHSHI_2020,
        1_258_792,
        BAKHSHI_PAPER,
        {"segment_seconds": 4.0, "batch_size": 8, "option": {"recurrent_units": 32, "dropouts": [0.1, 0.1, 0.1]}},
        fft="frame",
    ),
    "conv_blstm": _rated(
        "conv_blstm:conv_blstm",
        "two convolutions on the waveform, the second of 500 ms per channel, two BLSTM layers",
        TRIGEORGIS_2016,
        1_345_490,
        TRIGEORGIS_PAPER,
        {"batch_size": 8, "option": {"recurrent_units": 32, "dropout": 0.1}},
    ),
    "conv_blstm_dense": _rated(
        "conv_blstm:conv_blstm",
        "the same, its second convolution across all channels",
        TRIGEORGIS_2016,
        7_585_490,
        TRIGEORGIS_PAPER,
        {"batch_size": 8, "option": {"recurrent_units": 32, "dropout": 0.1}},
        second_conv="dense",
    ),
    "lstm_drnn": _rated(
        "lstm_drnn:lstm_drnn",
        "three LSTM layers on eGeMAPS functionals of speech",
        MIXED_EMOTIONS,
        381_698,
        MIXED_PAPER,
        {"batch_size": 8, "segment_seconds": 8.0, "option": {"recurrent_units": 32}},
        inputs=102,
    ),
    "lstm_drnn_music": _rated(
        "lstm_drnn:lstm_drnn",
        "two LSTM layers on ComParE functionals of music",
        MIXED_EMOTIONS,
        7_314_946,
        MUSIC_PAPER,
        {"batch_size": 8, "segment_seconds": 8.0, "option": {"recurrent_units": 16}},
        inputs=6_373,
        recurrent_layers=2,
        recurrent_units=256,
        input_noise=0.6,
    ),
    "blstm_drnn": _rated(
        "lstm_drnn:lstm_drnn",
        "three bidirectional LSTM layers on eGeMAPS functionals",
        MIXED_EMOTIONS,
        283_394,
        MIXED_PAPER,
        {"batch_size": 8, "segment_seconds": 8.0, "option": {"recurrent_units": 16}},
        inputs=102,
        bidirectional=True,
        recurrent_units=64,
    ),
}


def get(name: str) -> Entry:
    """Returns the row of a network. Raises UserError that lists the known ones."""
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    return MODELS[name]


def build(name: str, n_outputs: int, n_inputs: int = 40, /, **options) -> "keras.Model":
    """Builds a network, uncompiled, with `options` (keywords of its builder) over its row's.

    `n_outputs` are classes or rated dimensions; `n_inputs` bands, channels or functionals, as its front-end gives.

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
        return builder(n_outputs, n_inputs, **{**entry.options, "name": name, **options})
    except (ValueError, TypeError) as error:
        raise UserError(f"{name} cannot be built with {options or 'its defaults'}: {error}") from error
