"""Define the settings of a run, field by field, and which networks heed each."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo import own_network, registry
from zoo.config.augmentation_fields import AugmentationFields
from zoo.config.auxiliary import Auxiliary
from zoo.config.fields import flag as _flag
from zoo.config.fields import start as _start
from zoo.config.groups import COMMON
from zoo.utils import backends

CACHE_VARIABLE = "SPEECH_ZOO_CACHE"
_PRESETS = ", ".join(dict.fromkeys(name for entry in registry.MODELS.values() for name in entry.recipes))


@dataclass(frozen=True)
class RunConfig(Auxiliary, AugmentationFields):
    """Everything that decides a run's result, and where its files lie; made by zoo.config.flags.from_flags."""

    model: str = _flag("attention_blstm_fcn", "run", "network; ser train --help-all lists them")
    recipe: str = _flag(
        "", "run", f"training preset: {_PRESETS} (default: the network's first; quick with --synthetic)"
    )
    corpus: str = _flag("iemocap", "run", "corpus; table or table:PATH for recordings of your own; several as a+b")
    protocol: str = _flag("", "run", "named division into folds (default: the corpus's usual one)")
    fold: str = _flag(
        "", "run", "all, few (at most four), numbers as in 0,2, or final: all clips (default: all; few if synthetic)"
    )
    name: str = _flag("", "run", "what tables and figures call the run (default: network and recipe)", later=True)
    figures_from: str = _flag("", "run", "run of all folds, whose figures --fold final quotes", later=True)

    data_root: str = _flag(
        "", "data", "folder or table of the corpus, or folder around several corpora (default: $SPEECH_CORPORA)"
    )
    target: str = _flag("emotion", "data", "column of a table to predict; A,B for ratings along recordings", later=True)
    classes: tuple[str, ...] = _flag(
        (), "data", "classes to keep (default: those in a table, or common to several corpora)", words=True, later=True
    )
    neutral_radius: float = _flag(
        0.2, "data", "with --target quadrant, ratings nearer to the centre are neutral", least=0.0, later=True
    )
    rating_scale: tuple[float, ...] = _flag(
        (-1.0, 1.0),
        "data",
        "lowest and highest arousal and valence in tables",
        least=-1e6,
        most=1e6,
        pair=True,
        later=True,
    )
    column: Mapping[str, str] = _flag(
        {}, "data", "a table's own name of a column, as in emotion=Emotion; may be repeated", later=True
    )
    label_map: str = _flag(
        "", "data", "CSV with the columns label,class; labels without a class are left out", later=True
    )
    from_names: str = _flag("", "data", "regular expression; its named groups are a table's columns", later=True)
    audio_root: str = _flag("", "data", "where the files of a table are (default: its folder)", later=True)
    synthetic: bool = _flag(False, "data", "use synthetic sound in the corpus's layout, to try a recipe")
    clips: int = _flag(0, "data", "clips of the synthetic twin; 0: the corpus's usual number", least=0)
    allow_incomplete: bool = _flag(False, "data", "go on although clips of the protocol are absent")
    allow_leakage: bool = _flag(False, "data", "go on although a speaker or recording is on two sides of a fold")
    on_bad_clip: str = _flag("fail", "data", "at a clip that cannot be used", choices=("fail", "skip"))
    max_clip_seconds: float = _flag(0.0, "data", "longer clips are refused; 0: the corpus's limit", least=0.0)
    cache_dir: str = _flag("", "data", f"features are kept here (default: ${CACHE_VARIABLE} or ~/.cache/speech-zoo)")

    window_ms: float = _flag(25.0, "spectrum", "analysis window in milliseconds", least=1.0, most=1000.0)
    hop_ms: float = _flag(10.0, "spectrum", "hop in milliseconds", least=1.0, most=1000.0)
    bands: int = _flag(40, "log_mel", "mel bands", least=1)
    mel_scale: str = _flag("htk", "log_mel", "mel scale", choices=("htk", "slaney"))
    floor: float = _flag(1e-10, "log_mel", "smallest band energy, before the logarithm", least=1e-30)
    trim_db: float = _flag(
        0.0,
        "log_mel",
        "leave out frames at both ends so many dB below the loudest; 0: none",
        least=0.0,
        most=120.0,
        later=True,
    )
    clip_mean: str = _flag(
        "kept",
        "log_mel",
        "each band's mean over the clip (Atal 1974), or up to each frame",
        choices=("kept", "removed", "running"),
        later=True,
    )
    rate_hz: int = _flag(22_050, "mfcc", "clips are resampled to this rate", least=4_000, most=192_000)
    coefficients: int = _flag(80, "mfcc", "mel-frequency cepstral coefficients", least=1)
    mel_bands: int = _flag(128, "mfcc", "mel bands below the coefficients", least=1)
    statistics: str = _flag("mean", "statistics", "of coefficients, deltas and delta-deltas", choices=("mean", "six"))
    amplitude: str = _flag("peak", "mfcc", "clips scaled to a peak of 1, or as they are", choices=("peak", "recorded"))
    standardize: str = _flag(
        "coefficient",
        "statistics",
        "standardise by training clips: each value, each statistic",
        choices=("coefficient", "channel", "none"),
    )
    feature_set: str = _flag("egemaps", "functionals", "openSMILE's features", choices=("egemaps", "compare"))
    functional_seconds: float = _flag(3.0, "windows", "window of the functionals", least=0.1, most=60.0)
    frame_seconds: float = _flag(0.0, "steps", "hop of the windows; 0: the ratings' own", least=0.0, most=60.0)

    functionals: str = _flag(
        "five", "clip", "maximum, minimum, range, mean, deviation; or openSMILE's own", choices=("five", "opensmile")
    )
    standardize_speakers: bool = _flag(
        False, "clip", "z-score by each speaker's own clips, in tests too: predicts no single clips", later=True
    )
    normalize_corpora: bool = _flag(
        False, "pools", "z-score by each corpus's training clips, an unseen one by its own unlabelled", later=True
    )
    from_run: str = _flag("", "joint", "finished run of a network with a joint vector, on the same folds")
    weights: str = _flag("", "weights", "file of an image network, or folder of an encoder (docs/encoders.md)")
    encoder_layer: str = _flag("all", "encoder", "its hidden states: all, last, middle, or a number", later=True)
    encoder_frames: bool = _flag(False, "clip_frames", "keep the frames of one layer, not their mean", later=True)
    colormap: str = _flag("viridis", "image", "colour map of the spectrogram, a name of matplotlib's")

    option: Mapping[str, Any] = _flag(
        {}, "network", "keyword of the network's builder as NAME=VALUE, one list as NAME=64,32; may be repeated"
    )
    precision: str = _flag("float32", "network", "arithmetic", choices=("float32", "mixed_bfloat16"))

    epochs: int = _flag(100, "training", "at most this many passes over the training clips", least=1)
    batch_size: int = _flag(100, "training", "clips per step at most", least=1)
    optimizer: str = _flag("adam", "training", "optimizer", choices=("adam", "rmsprop", "sgd"))
    momentum: float = _flag(0.0, "training", "of rmsprop and sgd", least=0.0, most=0.999)
    learning_rate: float = _flag(1e-3, "training", "of the optimizer, at its highest", least=0.0)
    schedule: str = _flag(
        "decay",
        "training",
        "lr / (1 + decay * step), cosine to 0, or a rise over 3 of 10 steps, then cosine to 0 (Smith 2018)",
        choices=("decay", "cosine", "one_cycle"),
    )
    decay: float = _flag(1e-6, "training", "learning-rate decay per step", least=0.0)
    weight_decay: float = _flag(
        0.0, "training", "decoupled weight decay; with adam that is AdamW (Loshchilov and Hutter 2019)", least=0.0
    )
    weight_average: float = _flag(
        0.0,
        "training",
        "decay per step of weights' moving average, which is scored and kept (Polyak and Juditsky 1992); 0: none",
        least=0.0,
        most=0.99999,
        later=True,
    )
    patience: int = _flag(20, "training", "stop after so many epochs without a better validation score", least=1)

    keep: str = _flag(
        "best", "training", "weights of the best epoch or of the last", choices=("best", "last"), later=True
    )

    init_from: str = _start("", "run, export or file of weights (.keras, .weights.h5) to begin with")
    init_fold: str = _start("", "fold of --init-from (default: that of the same number, or its only one)")
    fine_tune: str = _start("all", "layers to train: all, top (upper half of those with weights), their last N, head")
    freeze_epochs: int = _start(0, "train the head alone for so many epochs first", least=0)
    fine_tune_rate: float = _start(
        0.0, "learning rate then; 0: --learning-rate, a tenth of it behind --freeze-epochs", least=0.0
    )
    init_normalization: str = _start("new", "moments of features: new, or of --init-from", choices=("new", "kept"))
    adapt_batch_norm: bool = _start(
        False, "begin with the new clips' statistics in batch normalisation (Li et al. 2018)"
    )

    crop_seconds: float = _flag(5.0, "crops", "train on a random crop of at most this length", least=0.1)
    class_weights: str = _flag("inverse", "emotion", "none, inverse (N / 10 N_k), balanced (N / K N_k), or CLASS=W,...")
    corpus_weights: str = _flag(
        "none",
        "emotion",
        "several corpora count alike, or by their clips",
        choices=("none", "balanced"),
        later=True,
    )
    augment: str = _flag("none", "crops", "masks in time and bands (Park et al. 2019)", choices=("none", "specaugment"))
    band_shift: int = _flag(
        0, "crops", "bands moved by up to so many, as vocal tracts differ (Jaitly and Hinton 2013)", least=0, later=True
    )
    tempo: float = _flag(
        0.0, "crops", "clips longer or shorter by up to this share (Ko et al. 2015)", least=0.0, most=0.9, later=True
    )
    mixup: float = _flag(
        0.0,
        "soft_labels",
        "alpha of mixing two clips and their labels (Zhang et al. 2018); 0: none",
        least=0.0,
        later=True,
    )
    label_smoothing: float = _flag(
        0.0, "soft_labels", "share of a label spread over all (Szegedy et al. 2016)", least=0.0, most=0.9, later=True
    )
    soft_labels: str = _flag(
        "none",
        "soft_labels",
        "train on the share of raters that chose each class, in place of the label",
        choices=("none", "votes"),
        later=True,
    )

    also: str = _flag("", "several", "further targets to learn, a head each, as in sex,intensity,age", later=True)
    target_weights: str = _flag("", "several", "in the loss, as in emotion=1,sex=0.3 (default: 1 each)", later=True)
    number_loss: str = _flag(
        "ccc", "several", "loss of numbers: 1 - CCC, or squared errors by variance", choices=("ccc", "mse"), later=True
    )
    heads: Mapping[str, Any] = _flag({}, "network", "classes of further targets, as found", flag=False, later=True)

    loss: str = _flag("ccc", "segments", "what training minimises", choices=("sse", "ccc_sum", "ccc"))
    loss_reduction: str = _flag(
        "mean",
        "reduction",
        "of the loss over a batch; learning rates of MixedEmotions D4.2 are for sums",
        choices=("mean", "sum"),
        later=True,
    )
    segment_seconds: float = _flag(20.0, "segments", "train on segments of this length", least=0.04)
    label_delay_seconds: float = _flag(
        0.0, "ratings", "delay of the raters, taken off labels; below 0, seconds of look-ahead", least=-5.0, most=20.0
    )
    perturb: str = _flag(
        "none", "segments", "training waveforms: other microphones, or --noise", choices=("none", "voice", "noise")
    )

    solver: str = _flag(
        "liblinear", "linear", "coordinate descent, or stochastic gradient descent (SVM)", choices=("liblinear", "sgd")
    )
    complexities: tuple[float, ...] = _flag(
        (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0), "linear", "values of C to choose from", least=1e-9, most=1e6
    )
    svr_loss: str = _flag(
        "squared",
        "regression",
        "errors squared, or those beyond 0.1 as they are",
        choices=("squared", "epsilon"),
        later=True,
    )
    refit: bool = _flag(False, "refit", "once C is chosen, fit on training and validation clips together", later=True)

    noise: str = _flag(
        "", "noise", "folder of noise, a third of its files for each side; time:DIR: of each file", later=True
    )
    snr: tuple[float, ...] = _flag(
        (0.0, 3.0, 6.0, 9.0, 12.0), "ratios", "signal-to-noise ratios in dB", least=-30.0, most=60.0, flag=False
    )
    speech: str = _flag(
        "noisy", "pairs", "speech to train on; clean speech is its own target", choices=("noisy", "both"), later=True
    )
    enhancer: str = _flag(
        "", "enhancer", "finished run of denoising_autoencoder on the same MFCCs and folds", later=True
    )
    enhanced: str = _flag(
        "all",
        "enhanced",
        "recordings that go through --enhancer: all, or those of the test alone, as D4.2 has it",
        choices=("all", "test"),
        later=True,
    )

    seed: int = _flag(0, "running", "of weights, order, crops and dropout", least=0, most=2**32 - 1)
    backend: str = _flag("tensorflow", "running", "Keras backend, else $KERAS_BACKEND", choices=backends.BACKENDS)
    devices: int = _flag(1, "running", "GPUs that share every batch of a training", least=1, most=1024, later=True)
    out: str = _flag("", "running", "the run's folder (default: a new one below runs/)")

    network_file: str = _flag("", "network", "file of --model FILE.py:builder", flag=False, later=True)

    def __post_init__(self) -> None:
        if self.network_file and own_network.is_named(
            self.model
        ):  # a network of a user's own: every process that reads the record has to know it
            registry.know(own_network.find(self.model, Path(self.network_file)))

    def saved(self) -> dict[str, Any]:
        """Return the record as config.json holds it."""
        return {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}

    @property
    def noise_split(self) -> str:
        """How the recordings of noise are divided: by "files", or by the "time" of each."""
        return divided_noise(self.noise)[1]

    @property
    def is_fitted_in_noise(self) -> bool:
        """Whether a linear model is fitted on recordings in noise, at every ratio of `snr`."""
        return bool(self.noise) and registry.get(self.model).fitted == "linear" and heeds(self.model, "snr")


def divided_noise(noise: str) -> tuple[str, str]:
    """Split a value of --noise, DIR or time:DIR, into the folder and how it is divided: by "files" or "time"."""
    folder = noise.removeprefix("time:")
    return folder, "files" if folder == noise else "time"


def heeds(model: str, name: str) -> bool:
    """Return whether the field `name` has an effect on a network."""
    group = RunConfig.__dataclass_fields__[name].metadata["group"]
    return group in COMMON or group in registry.get(model).settings
