"""Import the modules whose layers, losses and metrics saved models name by class, which registers them."""

from zoo import keras_metrics, losses, losses_several
from zoo.frontends import clean_speech, deep_spectrum, encoder_ratings, log_mel, mfcc, speech_encoder, waveform
from zoo.layers import (
    attention,
    emotion2vec,
    encoder_training,
    gradient_reversal,
    long_convolution,
    lstm,
    masking,
    sparsity,
    window_statistics,
)
from zoo.layers import speech_encoder as speech_encoder_layers
from zoo.layers import waveform as waveform_layers

LAYERS = (
    attention,
    clean_speech,
    deep_spectrum,
    emotion2vec,
    encoder_ratings,
    encoder_training,
    gradient_reversal,
    keras_metrics,
    log_mel,
    long_convolution,
    losses,
    losses_several,
    lstm,
    masking,
    mfcc,
    sparsity,
    speech_encoder,
    speech_encoder_layers,
    waveform,
    waveform_layers,
    window_statistics,
)
