"""List every network by the name that users type. To add one, add a row."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

from zoo import recipes
from zoo.errors import OptionError, UserError, spelt, unknown
from zoo.recipes import Presets

if TYPE_CHECKING:
    import keras

MOST_WEIGHTS = 200_000_000  # of a network with options of a user; the largest one of the zoo has 7.6 million
OUTSIDE_THE_GRAPH = ("functionals", "acoustic")  # openSMILE's: their models take features, not waveforms
KHAN_2020 = "Khan, Butt, Ali 2020"
COMPARE_2013 = "Schuller et al. 2013, Interspeech (ComParE), feature set of 2016"
ZHAO_2019 = "Zhao et al. 2019, IEEE Access 7, doi 10.1109/ACCESS.2019.2928625"
TZIRAKIS_2018 = "Tzirakis, Zhang, Schuller 2018, ICASSP"
BAKHSHI_2020 = "Bakhshi, Wong, Chalup 2020"
TRIGEORGIS_2016 = "Trigeorgis et al. 2016, in MixedEmotions D4.2, section 5"
MIXED_EMOTIONS = "MixedEmotions D4.2, sections 4 and 5"
ENHANCEMENT = "MixedEmotions D4.2, section 3"
RESIDUAL_BIGRU = "He et al. 2016, CVPR; Cho et al. 2014, EMNLP; Okabe et al. 2018, Interspeech; the combination is ours"

_ALTERED_COPIES = frozenset({"copies", "augment_noise", "noise"})
# Groups of settings (zoo.config.run_config.GROUPS) that come with a front-end.
_SETTINGS = {
    "log_mel": _ALTERED_COPIES | {"spectrum", "log_mel", "crops", "pools"},
    "mfcc": _ALTERED_COPIES | {"spectrum", "mfcc", "statistics", "enhancer"},
    "mfcc_frames": frozenset({"spectrum", "windows", "noise", "ratios", "enhancer", "enhanced"}),
    "waveform": frozenset({"augment_noise", "noise"}),
    "functionals": frozenset({"functionals", "windows", "steps"}),
    "acoustic": _ALTERED_COPIES | {"functionals", "clip", "pools"},
    "joint": frozenset({"joint"}),
    "image": frozenset({"image"}),
}


@dataclass(frozen=True)
class Entry:
    """One network: where its builder is (module:function, imported when used), and what its paper fixes.

    parameters: number of weights for `shape`, (outputs, inputs): inputs are bands, channels or functionals.
    task: emotion (one of several per utterance), continuous (arousal and valence along a recording) or enhancement
        (MFCCs of clean speech from those of noisy speech).
    frontend: log_mel, mfcc (statistics of MFCCs and their deltas), mfcc_frames (MFCCs of every frame), waveform,
        functionals (openSMILE, in windows), acoustic (openSMILE, of the utterance), joint (vector of a run's network),
        or image (an image network on the spectrogram).
    fitted: gradient (epoch by epoch) or linear (by scikit-learn).
    settings: groups of RunConfig's fields that have an effect, beyond those of every network.
    options: keywords of the builder.
    recipes: RunConfig's fields by preset; the first is the default, "quick" that of --synthetic.
    """

    builder: str
    title: str
    paper: str
    parameters: int
    shape: tuple[int, int] = (4, 40)
    task: str = "emotion"
    frontend: str = "log_mel"
    fitted: str = "gradient"
    settings: frozenset[str] = frozenset()
    options: Mapping[str, Any] = field(default_factory=dict)
    recipes: Presets = field(default_factory=dict)

    @property
    def takes_waveforms(self) -> bool:
        """Whether a saved model of this row takes waveforms; else it takes features."""
        return self.frontend not in OUTSIDE_THE_GRAPH


def _network(
    builder: str, paper: str, frontend: str, presets: Presets, title: str, parameters: int, shape=(4, 40), **options
) -> Entry:
    """Return the row of a network trained by gradient; `frontend` says whether for emotions or for ratings."""
    rated = frontend in ("waveform", "functionals")
    return Entry(
        f"zoo.models.{builder}:{builder}",
        title,
        paper,
        parameters,
        shape,
        task="continuous" if rated else "emotion",
        frontend=frontend,
        settings=_SETTINGS[frontend]
        | {"training"}
        | ({"ratings", "segments", "reduction"} if rated else {"emotion", "soft_labels", "several"}),
        options=options,
        recipes=presets,
    )


_zhao = partial(_network, "attention_blstm_fcn", ZHAO_2019, "log_mel", recipes.ZHAO)
_bakhshi = partial(_network, "conv_bigru", BAKHSHI_2020, "waveform", recipes.BAKHSHI, shape=(2, 1))
_trigeorgis = partial(_network, "conv_blstm", TRIGEORGIS_2016, "waveform", recipes.TRIGEORGIS, shape=(2, 1))
_tzirakis = partial(_network, "conv_lstm", TZIRAKIS_2018, "waveform", recipes.TZIRAKIS, shape=(2, 1))
_drnn = partial(_network, "lstm_drnn", MIXED_EMOTIONS, "functionals")
_MUSIC = {"recurrent_layers": 2, "recurrent_units": 256, "input_noise": 0.6}
_cnn = partial(_network, "cnn1d_mfcc", KHAN_2020, "mfcc", recipes.KHAN_CNN)
_rnn = partial(_network, "rnn_mfcc", KHAN_2020, "mfcc", recipes.KHAN_RNN)


def _linear(title: str, paper: str, parameters: int, inputs: int, frontend: str, presets: Presets, **options) -> Entry:
    """Return the row of a linear model; `frontend` says whether of emotions or of arousal and valence."""
    rated = frontend in ("mfcc_frames", "functionals")
    return Entry(
        f"zoo.models.linear:{'linear_regressor' if rated else 'linear_classifier'}",
        title,
        paper,
        parameters,
        shape=(2 if rated else 4, inputs),
        task="continuous" if rated else "emotion",
        frontend=frontend,
        fitted="linear",
        settings=_SETTINGS[frontend]
        | ({"linear", "ratings", "regression"} if rated else {"linear", "emotion", "refit"}),
        options=options,
        recipes=presets,
    )


def _image(title: str) -> Entry:
    return _linear(f"linear SVM on fc7 of {title} on spectrograms", ZHAO_2019, 16_388, 4_096, "image", recipes.SVM)


MODELS: dict[str, Entry] = {
    "fcn": _zhao("convolutions, average pooling", 240_388, recurrent=None, fcn_attention=False),
    "attention_fcn": _zhao("convolutions, scaled-softmax attention", 257_028, recurrent=None),
    "attention_lstm": _zhao("two LSTM layers, attention", 235_268, fcn=False, recurrent="lstm"),
    "attention_blstm": _zhao("two bidirectional LSTM layers, attention", 600_964, fcn=False),
    "attention_blstm_fcn": _zhao("both streams, two BLSTM layers", 857_348),
    "attention_blstm_fcn_1layer": _zhao("both streams, one BLSTM layer", 463_108, recurrent_layers=1),
    "attention_blstm_fcn_3layer": _zhao("both streams, three BLSTM layers", 1_251_588, recurrent_layers=3),
    "residual_bigru": _network(
        "residual_bigru",
        RESIDUAL_BIGRU,
        "log_mel",
        recipes.RESIDUAL_BIGRU,
        "three residual blocks, one BiGRU layer, attentive statistics pooling",
        560_412,
        shape=(4, 64),
    ),
    "cnn1d_mfcc": _cnn("two convolutions along the mean MFCCs", 898, (8, 3)),
    "rnn_mfcc": _rnn("one recurrent layer along six statistics of the MFCCs", 696, (8, 18)),
    "conv_lstm": _tzirakis("three convolutions on the waveform, two LSTM layers", 1_297_858),
    "conv_bigru": _bakhshi("long convolutions on the waveform, one on its spectrum, two BiGRU layers", 1_258_792),
    "conv_bigru_frame": _bakhshi("the same on the spectrum of each frame", 1_258_792, fft="frame"),
    "conv_blstm": _trigeorgis(
        "two convolutions on the waveform, the second of 500 ms per channel, two BLSTM layers", 1_345_490
    ),
    "conv_blstm_dense": _trigeorgis(
        "the same, its second convolution across all channels", 7_585_490, second_conv="dense"
    ),
    "lstm_drnn": _drnn(recipes.LSTM_DRNN, "three LSTM layers on eGeMAPS functionals of speech", 381_698, (2, 102)),
    "lstm_drnn_music": _drnn(
        recipes.LSTM_DRNN_MUSIC, "two LSTM layers on ComParE functionals of music", 7_314_946, (2, 6_373), **_MUSIC
    ),
    "blstm_drnn": _drnn(
        recipes.BLSTM_DRNN,
        "three bidirectional LSTM layers on eGeMAPS functionals",
        283_394,
        (2, 102),
        bidirectional=True,
        recurrent_units=64,
    ),
    "egemaps_svm": _linear(
        "linear SVM on functionals of eGeMAPS descriptors", ZHAO_2019, 504, 125, "acoustic", recipes.SVM
    ),
    "compare_pca_svm": _linear(
        "linear SVM on 150 principal components of functionals of ComParE descriptors",
        ZHAO_2019,
        49_504,
        325,
        "acoustic",
        recipes.COMPARE_PCA_SVM,
        components=150,
    ),
    "compare_svm": _linear(
        "linear SVM on openSMILE's own ComParE functionals", COMPARE_2013, 25_496, 6_373, "acoustic", recipes.COMPARE
    ),
    "deep_spectrum_svm": _linear(
        "linear SVM on the joint vector of an attention_blstm_fcn run", ZHAO_2019, 1_540, 384, "joint", recipes.SVM
    ),
    "alexnet_svm": _image("AlexNet"),
    "vgg16_svm": _image("VGG16"),
    "vgg19_svm": _image("VGG19"),
    "mfcc_svr": _linear(
        "linear SVR on mean and variance of MFCCs over 8 s", ENHANCEMENT, 54, 26, "mfcc_frames", recipes.MFCC_SVR
    ),
    "egemaps_svr": _linear(
        "linear SVR on eGeMAPS functionals over 3 s", MIXED_EMOTIONS, 178, 88, "functionals", recipes.SVR
    ),
    "denoising_autoencoder": Entry(
        "zoo.models.denoising_autoencoder:denoising_autoencoder",
        "two bidirectional LSTM layers from noisy to clean MFCCs",
        ENHANCEMENT,
        33_193,
        shape=(13, 13),
        task="enhancement",
        frontend="mfcc_frames",
        settings=frozenset({"spectrum", "mfcc", "training", "reduction", "noise", "ratios", "pairs"}),
        recipes=recipes.ENHANCEMENT,
    ),
}


def get(name: str) -> Entry:
    """Return the row of a network. Raises UserError that lists the known ones."""
    name = spelt(name, MODELS)
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    return MODELS[name]


def check_answers(name: str, run: Any) -> None:
    """Raise UserError for a `run` of a network that gives neither emotions nor ratings, but features."""
    if get(name).task == "enhancement":
        found = f"{run}: expected a run that answers with emotions or ratings, found one of {name}, which gives MFCCs"
        raise UserError(f"{found}. Put it in front of others: train.py --model mfcc_svr --enhancer RUN")


def build(name: str, n_outputs: int, n_inputs: int = 40, /, **options) -> "keras.Model":
    """Build a network, uncompiled, with `options` (keywords of its builder) over its row's.

    `n_outputs` are classes or rated dimensions; `n_inputs` bands, channels or functionals, as its front-end gives.

    Raises UserError for an unknown name or option, and for values that the network cannot be built with. Where it
    cannot be built as registered either, the builder is at fault, and its own error is raised.
    """
    entry = get(name)
    module, function = entry.builder.split(":")
    builder = getattr(import_module(module), function)
    known = [key for key, value in signature(builder).parameters.items() if value.kind is value.KEYWORD_ONLY]
    known.remove("name")
    for option in options:
        if option not in known:
            raise unknown(f"option of {name}", option, known)
    given = {**entry.options, "name": name, **options}
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


def _check_size(builder: Callable[[], "keras.Model"]) -> None:
    """Raise ValueError for a network of more weights than `MOST_WEIGHTS`. They are counted before any is made."""
    import keras

    with keras.StatelessScope(initialize_variables=False):
        n_weights = sum(math.prod(variable.shape) for variable in builder().variables)
    if n_weights > MOST_WEIGHTS:
        raise OptionError(f"they make {n_weights:,} weights, expected {MOST_WEIGHTS:,} at most")
