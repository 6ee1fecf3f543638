"""List training presets of each network by name: what its paper states, and what was found to learn better.

Fields of RunConfig. "quick" takes minutes instead of hours, to see a recipe work; --synthetic takes it by default.
"""

from collections.abc import Mapping
from typing import Any

Presets = Mapping[str, Mapping[str, Any]]

# What section IV of the paper states; the rest is the defaults of RunConfig.
_ZHAO_PAPER = {
    "epochs": 100,
    "batch_size": 100,
    "learning_rate": 1e-3,
    "decay": 1e-6,
    "crop_seconds": 5.0,
    "class_weights": "inverse",
}
# What learnt best on validation speakers of RAVDESS (docs/reproduction.md has the runs).
_ZHAO_TUNED = {
    **_ZHAO_PAPER,
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
ZHAO = {"paper": _ZHAO_PAPER, "tuned": _ZHAO_TUNED, "quick": {**_ZHAO_TUNED, "epochs": 6}}

# What makes small data go far, each from its paper (train.py --help names them). Values are those of a first trial of
# this network; none was searched. Features have no gain and no microphone in them, and no silence at their ends.
# Expected: UA 59 % (seeds: 57 to 63) on four unseen actors of RAVDESS, one core, 4 s an epoch, by
# train.py --model residual_bigru --recipe small_data --corpus ravdess --data-root DIR --allow-incomplete --fold 4
_SMALL_DATA = {
    "bands": 64,
    "floor": 1e-6,
    "trim_db": 40.0,
    "clip_mean": "removed",
    "epochs": 60,
    "patience": 60,
    "batch_size": 32,
    "learning_rate": 2e-3,
    "weight_decay": 0.02,
    "schedule": "one_cycle",
    "weight_average": 0.98,
    "class_weights": "balanced",
    "augment": "specaugment",
    "band_shift": 3,
    "tempo": 0.17,
    "mixup": 0.3,
    "label_smoothing": 0.1,
}
# Steps of 80 ms in front of the GRU in place of 160: chosen on actors 1-16 of RAVDESS alone (ravdess-inner).
# Expected: UA 63 % (seeds: 61 to 65) on four unseen actors after training on 16, one core, 6 s an epoch, by
# train.py --model residual_bigru --corpus ravdess --data-root DIR --protocol ravdess-strangers --keep last
_UNSEEN_SPEAKERS = {**_SMALL_DATA, "option": {"fine_blocks": 1}}
RESIDUAL_BIGRU = {
    "unseen_speakers": _UNSEEN_SPEAKERS,
    "small_data": _SMALL_DATA,
    "quick": {**_UNSEEN_SPEAKERS, "epochs": 8},
}

# A small head on means that are computed once; nothing was searched.
_ENCODER = {
    "epochs": 100,
    "patience": 20,
    "batch_size": 32,
    "learning_rate": 1e-3,
    "class_weights": "balanced",
}
# All transformer layers, the convolutions frozen, behind the mean of the last layer's frames, the best epoch on
# validation clips kept, in the manner of Wagner et al. 2023 (IEEE TPAMI 45(9)). Rate, batch, epochs and crops are ours
# and not searched. Masks and dropouts are those of published configurations.
_FINE_TUNE = {
    "fine_tune": "all",
    "encoder_layer": "last",
    "epochs": 5,
    "patience": 5,
    "batch_size": 32,
    "learning_rate": 1e-4,
    "decay": 0.0,
    "crop_seconds": 8.0,
    "class_weights": "balanced",
    "option": {"pooling": "mean"},
}
_QUICK_FINE_TUNE = {**_FINE_TUNE, "epochs": 2, "batch_size": 8, "crop_seconds": 3.0}
FROZEN_ENCODER: Presets = {"frozen": _ENCODER, "quick": {**_ENCODER, "epochs": 8}}
ENCODER: Presets = {**FROZEN_ENCODER, "fine_tune": _FINE_TUNE, "quick_fine_tune": _QUICK_FINE_TUNE}

# The paper validates nothing: as many epochs as it says. It states no window; librosa's, 2,048 and 512 samples.
_KHAN_PAPER = {
    "epochs": 500,
    "patience": 500,
    "batch_size": 32,
    "optimizer": "rmsprop",
    "learning_rate": 5e-3,
    "decay": 0.0,
    "class_weights": "none",
    "window_ms": 92.88,
    "hop_ms": 23.22,
    "statistics": "mean",
}
KHAN_CNN = {"paper": _KHAN_PAPER, "quick": {**_KHAN_PAPER, "epochs": 60}}
KHAN_RNN = {name: {**preset, "statistics": "six"} for name, preset in KHAN_CNN.items()}

# What a search of both varies beside their own options: front-end and training.
KHAN_SPACE = {
    "learning_rate": {"low": 1e-4, "high": 2e-2, "sampling": "log"},
    "optimizer": ["rmsprop", "adam", "sgd"],
    "batch_size": [16, 32, 64, 128],
    "coefficients": [20, 40, 80],
    "statistics": ["mean", "six"],
    "mel_bands": [80, 128],
    "window_ms": [92.88, 46.44],
    "hop_ms": [23.22, 11.61],
    "amplitude": ["peak", "recorded"],
    "standardize": ["none", "channel", "coefficient"],
    "class_weights": ["none", "balanced"],
}

# No paper says when training ends but by validation; 50 epochs are our bound.
_RATINGS = {"epochs": 50, "patience": 15, "decay": 0.0, "loss": "ccc"}
_RATINGS_QUICK = {"optimizer": "adam", "momentum": 0.0, "learning_rate": 2e-3, "epochs": 8}
_TZIRAKIS_PAPER = dict(
    _RATINGS, optimizer="rmsprop", momentum=0.1, learning_rate=1e-4, batch_size=5, segment_seconds=20.0
)
# What learnt best on a stand-in for RECOLA (docs/reproduction.md has the runs): with the paper's dropout of 0.5 and its
# learning rate the network fits even its training speakers poorly.
_TZIRAKIS_TUNED = {
    **_RATINGS,
    "epochs": 16,
    "schedule": "cosine",
    "learning_rate": 1e-3,
    "batch_size": 10,
    "segment_seconds": 10.0,
    "option": {"recurrent_units": 128, "dropout": 0.2},
}
# The same network rates a moment after 2 s more of it: right where ratings have no delay, as those of the stand-in. On
# RECOLA raters answer some seconds late, which is as much.
_TZIRAKIS_LOOK_AHEAD = {**_TZIRAKIS_TUNED, "label_delay_seconds": -2.0}
_TZIRAKIS_SMALL = {"recurrent_units": 32, "filters": [16, 32, 64], "dropout": 0.1}
TZIRAKIS = {
    "paper": _TZIRAKIS_PAPER,
    "tuned": _TZIRAKIS_TUNED,
    "look_ahead": _TZIRAKIS_LOOK_AHEAD,
    "quick": dict(_TZIRAKIS_PAPER | _RATINGS_QUICK, segment_seconds=8.0, option=_TZIRAKIS_SMALL),
}
# Recurrent layers as of conv_lstm, tuned; a middle layer of an encoder is the best single one (Yang et al. 2021).
_ENCODER_LSTM = {**_TZIRAKIS_TUNED, "encoder_layer": "middle", "option": {}}
ENCODER_LSTM = {
    "frozen": _ENCODER_LSTM,
    "quick": dict(_ENCODER_LSTM | _RATINGS_QUICK, segment_seconds=8.0, option={"recurrent_units": 32}),
}
_BAKHSHI_PAPER = dict(_RATINGS, optimizer="rmsprop", learning_rate=1e-4, decay=1e-5, batch_size=50, segment_seconds=8.0)
_BAKHSHI_SMALL = {"recurrent_units": 32, "dropouts": [0.1, 0.1, 0.1]}
BAKHSHI = {
    "paper": _BAKHSHI_PAPER,
    "quick": dict(_BAKHSHI_PAPER | _RATINGS_QUICK, segment_seconds=4.0, batch_size=8, option=_BAKHSHI_SMALL),
}
_TRIGEORGIS_PAPER = {**_RATINGS, "learning_rate": 2e-3, "batch_size": 50, "segment_seconds": 6.0}
_TRIGEORGIS_SMALL = {"recurrent_units": 32, "dropout": 0.1}
TRIGEORGIS = {
    "paper": _TRIGEORGIS_PAPER,
    "quick": dict(_TRIGEORGIS_PAPER | _RATINGS_QUICK, batch_size=8, option=_TRIGEORGIS_SMALL),
}
# Learning rates 1e-2 ... 1e-7 of summed losses were tried there, and the best one taken for each loss and dimension;
# which one that was is not said in the text, nor how long sequences were. The rate here is for "ccc"; another loss
# needs its own, one of the six chosen on validation (docs/reproduction.md has the command).
_MIXED_PAPER = dict(
    _RATINGS,
    loss_reduction="sum",
    optimizer="sgd",
    momentum=0.9,
    learning_rate=1e-2,
    batch_size=5,
    segment_seconds=20.0,
)
# Music is rated at 1 Hz, on windows of 1 s that do not overlap.
_MUSIC_PAPER = dict(
    _MIXED_PAPER,
    batch_size=25,
    segment_seconds=15.0,
    feature_set="compare",
    functional_seconds=1.0,
    frame_seconds=1.0,
)

_DRNN_QUICK = {
    **_RATINGS_QUICK,
    "loss_reduction": "mean",
    "batch_size": 8,
    "segment_seconds": 8.0,
    "option": {"recurrent_units": 16},
}
LSTM_DRNN = {"paper": _MIXED_PAPER, "quick": {**_MIXED_PAPER, **_DRNN_QUICK, "option": {"recurrent_units": 32}}}
LSTM_DRNN_MUSIC = {"paper": _MUSIC_PAPER, "quick": {**_MUSIC_PAPER, **_DRNN_QUICK}}
BLSTM_DRNN = {"paper": _MIXED_PAPER, "quick": {**_MIXED_PAPER, **_DRNN_QUICK}}

# Linear models. The paper's SVM is fitted by stochastic gradient descent; how strongly it is held back is not said, and
# is chosen on validation clips.
_SVM_PAPER = {"solver": "sgd", "class_weights": "none"}
SVM = {"paper": _SVM_PAPER, "quick": _SVM_PAPER}
ENCODER_SVM = {name: {**preset, "encoder_layer": "middle"} for name, preset in SVM.items()}
COMPARE_PCA_SVM = {name: {**preset, "feature_set": "compare"} for name, preset in SVM.items()}
# The baseline of the Interspeech challenges, whose linear SVM WEKA fits by SMO.
_COMPARE_PAPER = {"feature_set": "compare", "functionals": "opensmile", "solver": "liblinear", "class_weights": "none"}
# What adds most on RAVDESS: features against each speaker's own, other speeds in training, and a last fit on validation
# clips too. Steps of C are fine.
_COMPARE_TUNED = {
    **_COMPARE_PAPER,
    "complexities": (1e-5, 3e-5, 1e-4, 3e-4),
    "standardize_speakers": True,
    "augment_waveforms": "speed",
    "refit": True,
}
COMPARE: Presets = {"paper": _COMPARE_PAPER, "tuned": _COMPARE_TUNED, "quick": _COMPARE_PAPER}
# D4.2, section 5: libsvm's epsilon-SVR with a linear kernel, ratings as they are, C of 1e-6 to 1. Its epsilon is not
# said.
_SVR_PAPER = {"solver": "liblinear", "svr_loss": "epsilon"}
SVR = {"paper": _SVR_PAPER, "quick": {"solver": "liblinear"}}
# D4.2, section 3: L2 loss, mean and variance over 8 s, labels moved back by 4 s. Its C were 5e-5 (arousal) and 5e-3
# (valence); here they are chosen.
_MFCC_SVR_PAPER = {"solver": "liblinear", "label_delay_seconds": 4.0, "functional_seconds": 8.0}
MFCC_SVR = {"paper": _MFCC_SVR_PAPER, "quick": _MFCC_SVR_PAPER}
# The MFCCs are those of mfcc_svr (zoo.frontends.mfcc.mfcc_frames). The paper's learning rate is for the sum of errors:
# on the mean of 8 segments of 400 frames and 13 coefficients it is .0208.
_ENHANCEMENT_PAPER = {
    "rate_hz": 16_000,
    "coefficients": 13,
    "mel_bands": 26,
    "amplitude": "recorded",
    "epochs": 200,
    "patience": 20,
    "batch_size": 8,
    "optimizer": "sgd",
    "momentum": 0.9,
    "loss_reduction": "sum",
    "learning_rate": 1e-6,
    "decay": 0.0,
    "speech": "both",
}
# What helped most on validation speakers of RAVDESS, in minutes. Few recordings of noise are soon memorised, so epochs
# are few and the input is noisier.
_ENHANCEMENT_TUNED = {
    **_ENHANCEMENT_PAPER,
    "optimizer": "adam",
    "momentum": 0.0,
    "speech": "noisy",
    "loss_reduction": "mean",
    "learning_rate": 3e-3,
    "schedule": "cosine",
    "batch_size": 64,
    "epochs": 4,
    "option": {"input_noise": 1.0},
}
# A synthetic twin is small: more epochs for as many steps.
ENHANCEMENT = {"paper": _ENHANCEMENT_PAPER, "tuned": _ENHANCEMENT_TUNED, "quick": {**_ENHANCEMENT_TUNED, "epochs": 8}}
