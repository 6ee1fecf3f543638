"""List every network by the name that users type. To add one, add a row."""

from dataclasses import replace
from functools import partial

from zoo import recipes
from zoo.network_entry import SETTINGS, Entry, network_row
from zoo.recipes import Presets

KHAN_2020 = "Khan, Butt, Ali 2020"
COMPARE_2013 = "Schuller et al. 2013, Interspeech (ComParE), feature set of 2016"
ZHAO_2019 = "Zhao et al. 2019, IEEE Access 7, doi 10.1109/ACCESS.2019.2928625"
TZIRAKIS_2018 = "Tzirakis, Zhang, Schuller 2018, ICASSP"
BAKHSHI_2020 = "Bakhshi, Wong, Chalup 2020"
TRIGEORGIS_2016 = "Trigeorgis et al. 2016, in MixedEmotions D4.2, section 5"
MIXED_EMOTIONS = "MixedEmotions D4.2, sections 4 and 5"
ENHANCEMENT = "MixedEmotions D4.2, section 3"
RESIDUAL_BIGRU = "He et al. 2016, CVPR; Cho et al. 2014, EMNLP; Okabe et al. 2018, Interspeech; the combination is ours"

_zhao = partial(network_row, "attention_blstm_fcn", ZHAO_2019, "log_mel", recipes.ZHAO)
_bakhshi = partial(network_row, "conv_bigru", BAKHSHI_2020, "waveform", recipes.BAKHSHI, shape=(2, 1))
_trigeorgis = partial(network_row, "conv_blstm", TRIGEORGIS_2016, "waveform", recipes.TRIGEORGIS, shape=(2, 1))
_tzirakis = partial(network_row, "conv_lstm", TZIRAKIS_2018, "waveform", recipes.TZIRAKIS, shape=(2, 1))
_drnn = partial(network_row, "lstm_drnn", MIXED_EMOTIONS, "functionals")
_MUSIC = {"recurrent_layers": 2, "recurrent_units": 256, "input_noise": 0.6}
_cnn = partial(network_row, "cnn1d_mfcc", KHAN_2020, "mfcc", recipes.KHAN_CNN)
_rnn = partial(network_row, "rnn_mfcc", KHAN_2020, "mfcc", recipes.KHAN_RNN)


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
        settings=SETTINGS[frontend]
        | ({"linear", "ratings", "regression"} if rated else {"linear", "emotion", "refit"}),
        options=options,
        recipes=presets,
    )


def _frozen(title: str, paper: str) -> Entry:
    title = f"learned average of a frozen {title}'s layers, a dense layer"
    row = network_row("encoder_head", paper, "encoder", recipes.FROZEN_ENCODER, title, 197_956, shape=(4, 768))
    return replace(row, settings=row.settings | {"clip_frames"})


def _encoder(title: str, paper: str) -> Entry:
    row = _frozen(title, paper)
    settings = row.settings | {"crop", "tuned_encoder"}
    builder = "zoo.models.encoder_head:fine_tuned_encoder"
    return replace(row, settings=settings, recipes=recipes.ENCODER, fine_tuned=builder)


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
    "residual_bigru": network_row(
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
    "wav2vec2": _encoder("wav2vec 2.0", "Baevski et al. 2020, NeurIPS; Pepino et al. 2021, Interspeech"),
    "hubert": _encoder("HuBERT", "Hsu et al. 2021, IEEE/ACM TASLP; Yang et al. 2021, Interspeech (SUPERB)"),
    "wavlm": _encoder("WavLM", "Chen et al. 2022, IEEE JSTSP; Yang et al. 2021, Interspeech (SUPERB)"),
    "emotion2vec": _frozen("emotion2vec", "Ma et al. 2024, Findings of ACL; Yang et al. 2021, Interspeech (SUPERB)"),
    "encoder_lstm": replace(
        network_row(
            "encoder_lstm",
            f"{TZIRAKIS_2018}; Yang et al. 2021, Interspeech (SUPERB)",
            "encoder",
            recipes.ENCODER_LSTM,
            "two LSTM layers on frames of a frozen speech encoder",
            1_575_426,
            shape=(2, 768),
        ),
        task="continuous",
        settings=SETTINGS["encoder"] | {"training", "ratings", "segments", "reduction"},
    ),
    "encoder_svm": _linear(
        "linear SVM on the mean of one layer of a frozen speech encoder",
        "Yang et al. 2021, Interspeech (SUPERB)",
        3_076,
        768,
        "encoder",
        recipes.ENCODER_SVM,
    ),
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
        settings=frozenset({"spectrum", "mfcc", "training", "reduction", "noise", "responses", "ratios", "pairs"}),
        recipes=recipes.ENHANCEMENT,
    ),
}
