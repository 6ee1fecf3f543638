"""The record that decides a run's result, field by field, and which networks heed each."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo import registry
from zoo.utils import backends

CACHE_VARIABLE = "SPEECH_ZOO_CACHE"
AUGMENTATIONS = ("noise", "room", "speed")  # of waveforms, as zoo.data.augmentation.conditions makes them
# Groups of flags that only some networks heed: the registry says which.
_SPECTRAL, _LOG_MEL = "front-end of log-mel and MFCC networks", "front-end of log-mel networks"
_FRAMES, _MFCC = "front-end of MFCC networks", "statistics of MFCCs"
_SMILE = "front-end of openSMILE networks"
_WINDOWS, _STEPS = "front-end of networks on functionals in windows", "front-end of networks on openSMILE's windows"
_CLIP = "front-end of networks on functionals of the clip"
_JOINT, _IMAGE = "front-end of deep_spectrum_svm", "front-end of image networks"
_GRADIENT, _LINEAR, _REFIT = "training", "fitting of linear models", "fitting of linear models of emotion"
_EMOTION, _CROPS = "training of emotion networks", "training of log-mel networks"
_CONTINUOUS, _SEGMENTS = "training for ratings", "training of networks for ratings"
_COPIES, _NOISY = "augmentation of emotion networks", "augmentation by noise"
_NOISE, _RATIOS = "noise", "testing in noise, and enhancement"
_IN_FRONT, _ENHANCED = "enhancement in front of MFCC networks", "mfcc_svr in noise"
_ENHANCING = "training of denoising_autoencoder"
_COPIED = {"log_mel", "mfcc", "acoustic"}
# A network heeds a group when its front-end, its task or its way of being fitted is in every set of it.
_HEEDED_BY: dict[str, tuple[set[str], ...]] = {
    _SPECTRAL: ({"log_mel", "mfcc", "mfcc_frames"},),
    _LOG_MEL: ({"log_mel"},),
    _FRAMES: ({"mfcc", "enhancement"},),
    _MFCC: ({"mfcc"},),
    _SMILE: ({"functionals", "acoustic"},),
    _WINDOWS: ({"functionals", "mfcc_frames"}, {"continuous"}),
    _STEPS: ({"functionals"},),
    _CLIP: ({"acoustic"},),
    _JOINT: ({"joint"},),
    _IMAGE: ({"image"},),
    _GRADIENT: ({"gradient"},),
    _LINEAR: ({"linear"},),
    _REFIT: ({"linear"}, {"emotion"}),
    _EMOTION: ({"emotion"},),
    _CROPS: ({"log_mel"},),
    _CONTINUOUS: ({"continuous"},),
    _SEGMENTS: ({"continuous"}, {"gradient"}),
    _COPIES: (_COPIED, {"emotion"}),
    _NOISY: ({*_COPIED, "waveform"}, {"gradient", "acoustic"}),
    _NOISE: ({*_COPIED, "waveform", "mfcc_frames"}, {"gradient", "acoustic", "mfcc_frames"}),
    _RATIOS: ({"mfcc_frames"},),
    _IN_FRONT: ({"mfcc", "mfcc_frames"}, {"emotion", "continuous"}),
    _ENHANCED: ({"mfcc_frames"}, {"linear"}),
    _ENHANCING: ({"enhancement"},),
}


def _flag(default: Any, group: str, text: str, **extra: Any) -> Any:
    """A field with its flag. `later` marks one that runs were made without at first, as if it had its default."""
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
    rate_hz: int = _flag(22_050, _FRAMES, "clips are resampled to this rate", least=4_000, most=192_000)
    coefficients: int = _flag(80, _FRAMES, "mel-frequency cepstral coefficients", least=1)
    mel_bands: int = _flag(128, _FRAMES, "mel bands below the coefficients", least=1)
    statistics: str = _flag("mean", _MFCC, "of coefficients, deltas and delta-deltas", choices=("mean", "six"))
    amplitude: str = _flag("peak", _FRAMES, "clips scaled to a peak of 1, or as they are", choices=("peak", "recorded"))
    standardize: str = _flag(
        "coefficient",
        _MFCC,
        "by mean and variance of the training clips: each statistic of each coefficient, each statistic, or not",
        choices=("coefficient", "channel", "none"),
    )
    feature_set: str = _flag("egemaps", _SMILE, "openSMILE's features", choices=("egemaps", "compare"))
    functional_seconds: float = _flag(3.0, _WINDOWS, "window of the functionals", least=0.1, most=60.0)
    frame_seconds: float = _flag(
        0.0, _STEPS, "from one window to the next (default: 0, the ratings' own step)", least=0.0, most=60.0
    )

    functionals: str = _flag(
        "five",
        _CLIP,
        "of the descriptors: maximum, minimum, range, mean and deviation, or openSMILE's own",
        choices=("five", "opensmile"),
    )
    standardize_speakers: bool = _flag(
        False,
        _CLIP,
        "by mean and deviation of each speaker's own clips, test speakers' too: it cannot predict single clips",
        later=True,
    )
    from_run: str = _flag("", _JOINT, "finished run of a network with a joint vector, on the same folds")
    weights: str = _flag("", _IMAGE, "file of its weights (docs/baselines.md), or random, which says nothing of it")
    colormap: str = _flag("viridis", _IMAGE, "colour map of the spectrogram, a name of matplotlib's")

    option: Mapping[str, Any] = field(
        default_factory=dict,
        metadata={
            "group": "network",
            "help": "keyword of the network's builder as NAME=VALUE, one list as NAME=64,32; may be repeated",
        },
    )
    precision: str = _flag("float32", "network", "arithmetic", choices=("float32", "mixed_bfloat16"))

    epochs: int = _flag(100, _GRADIENT, "at most this many passes over the training clips", least=1)
    batch_size: int = _flag(100, _GRADIENT, "clips per step at most", least=1)
    optimizer: str = _flag("adam", _GRADIENT, "optimizer", choices=("adam", "rmsprop", "sgd"))
    momentum: float = _flag(0.0, _GRADIENT, "of rmsprop and sgd", least=0.0, most=0.999)
    learning_rate: float = _flag(1e-3, _GRADIENT, "of the optimizer, at its highest", least=0.0)
    schedule: str = _flag(
        "decay", _GRADIENT, "learning rate: lr / (1 + decay * step), or a cosine to 0", choices=("decay", "cosine")
    )
    decay: float = _flag(1e-6, _GRADIENT, "learning-rate decay per step", least=0.0)
    weight_decay: float = _flag(0.0, _GRADIENT, "decoupled weight decay", least=0.0)
    patience: int = _flag(20, _GRADIENT, "stop after so many epochs without a better validation score", least=1)

    crop_seconds: float = _flag(5.0, _CROPS, "train on a random crop of at most this length", least=0.1)
    class_weights: str = _flag(
        "inverse", _EMOTION, "none, inverse (N / 10 N_k), balanced (N / K N_k), or CLASS=W,CLASS=W,..."
    )
    augment: str = _flag("none", _CROPS, "augmentation of training features", choices=("none", "specaugment"))

    loss: str = _flag("ccc", _SEGMENTS, "what training minimises", choices=("sse", "ccc_sum", "ccc"))
    segment_seconds: float = _flag(20.0, _SEGMENTS, "train on segments of this length", least=0.04)
    label_delay_seconds: float = _flag(
        0.0,
        _CONTINUOUS,
        "raters' delay: training labels are moved back by it, and predictions forward again; below 0, how much audio "
        "behind a moment is heard before it is rated",
        least=-5.0,
        most=20.0,
    )
    perturb: str = _flag(
        "none",
        _SEGMENTS,
        "training waveforms as they are, as another microphone has them, or in noise of --noise",
        choices=("none", "voice", "noise"),
    )

    augment_waveforms: str = _flag(
        "none",
        _COPIES,
        "train on altered copies of the clips too: noise, room, speed, or several, as in noise,speed",
        later=True,
    )
    copies: int = _flag(
        3,
        _COPIES,
        "altered copies of each clip; a network's epoch takes one of them or the clip itself",
        least=1,
        later=True,
    )
    responses: str = _flag(
        "",
        _COPIES,
        "folder of impulse responses of rooms (default: drawn, noise that decays exponentially)",
        later=True,
    )
    augment_snr: tuple[float, ...] = _flag(
        (0.0, 15.0),
        _NOISY,
        "lowest and highest signal-to-noise ratio in dB",
        least=-30.0,
        most=60.0,
        pair=True,
        later=True,
    )

    solver: str = _flag(
        "liblinear", _LINEAR, "coordinate descent, or stochastic gradient descent (SVM)", choices=("liblinear", "sgd")
    )
    complexities: tuple[float, ...] = _flag(
        (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0),
        _LINEAR,
        "values of C, of which the best on validation clips is taken",
        least=1e-9,
        most=1e6,
    )
    refit: bool = _flag(False, _REFIT, "once C is chosen, fit on training and validation clips together", later=True)

    noise: str = _flag(
        "", _NOISE, "folder of noise recordings; each third of them is for one side of a fold", later=True
    )
    noise_split: str = _flag(
        "files", _NOISE, "thirds of the files, or of the time of each", choices=("files", "time"), later=True
    )
    snr: tuple[float, ...] = _flag(
        (0.0, 3.0, 6.0, 9.0, 12.0), _RATIOS, "signal-to-noise ratios in dB", least=-30.0, most=60.0
    )
    snr_level: str = _flag(
        "active", _NOISE, "level of speech over its active frames, or over all", choices=("active", "all"), later=True
    )
    condition: str = _flag(
        "mixed", _ENHANCING, "one model for all ratios, or for the one given", choices=("mixed", "matched")
    )
    heard: str = _flag(
        "clean",
        _ENHANCED,
        "fit on recordings as they are, or in noise at the ratios of --snr",
        choices=("clean", "noisy"),
    )
    enhancer: str = _flag(
        "", _IN_FRONT, "finished run of denoising_autoencoder on the same MFCCs and folds, put in front", later=True
    )
    enhance: str = _flag(
        "none",
        _ENHANCED,
        "test on noisy recordings too, as they are and enhanced by a model for each ratio, or by one for all",
        choices=("none", "matched", "mixed"),
    )

    seed: int = _flag(0, "running", "of weights, order, crops and dropout", least=0, most=2**32 - 1)
    backend: str = _flag("tensorflow", "running", "Keras backend, else $KERAS_BACKEND", choices=backends.BACKENDS)
    out: str = _flag("", "running", "the run's folder (default: a new one below runs/)")

    def saved(self) -> dict[str, Any]:
        """Returns the record as config.json holds it."""
        return {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}


def heeds(model: str, name: str) -> bool:
    """Says whether the field `name` has an effect on a network."""
    entry, group = registry.get(model), RunConfig.__dataclass_fields__[name].metadata["group"]
    own = {entry.frontend, entry.task, entry.fitted}
    return all(wanted & own for wanted in _HEEDED_BY.get(group, ()))
