"""Options with which no network can be built are named, with what was expected."""

import pytest
from networks import once

from zoo import registry
from zoo.errors import UserError

CASES = [
    ("attention_fcn", 40, {"fcn": False}, "needs the fcn stream"),
    ("attention_lstm", 40, {"recurrent": "gru"}, "'gru', expected 'blstm', 'lstm' or None"),
    ("fcn", 40, {"pool_size": 9}, "fcn cannot be built with .* pool_size is 9, expected 1 to 8"),
    ("fcn", 40, {"stride": 9}, "stride is 9, expected 1 to 8"),
    ("fcn", 40, {"stride": 2, "kernel_size": 67}, "kernel_size is 67, expected 1 to 65"),
    ("fcn", 40, {"filters": [8] * 17}, "filters is of 17 blocks, expected 1 to 16"),
    ("fcn", 40, {"activation": "sigmoid"}, "activation is 'sigmoid', expected one of relu, leaky_relu, elu, tanh"),
    ("fcn", 40, {"dropuot": 0.1}, r"option of fcn 'dropuot'.*Did you mean 'dropout'"),
    ("cnn1d_mfcc", 3, {"kernel_size": 81}, "c1: kernel_size is 81, expected 1 to the 80 positions"),
    ("cnn1d_mfcc", 3, {"pool_size": 30}, "c2: kernel_size is 3, expected 1 to the 2 positions"),
    ("cnn1d_mfcc", 3, {"pool_size": 79}, "s1: pool_size is 79, expected 1 to the 78 positions"),
    ("cnn1d_mfcc", 3, {"filters": ()}, "filters is empty"),
    ("rnn_mfcc", 18, {"cell": "blstm"}, "'blstm', expected one of simple, lstm, gru"),
    ("rnn_mfcc", 18, {"recurrent_layers": 0}, "recurrent_layers is 0"),
    ("conv_lstm", 40, {}, "one channel, not 40"),
    ("conv_lstm", 1, {"filters": (64, 128)}, "one number for each convolution"),
    ("conv_lstm", 1, {"rate_hz": 8_000}, r"pool_sizes \(10, 8, 8\) make frames of 640 samples, expected 320"),
    ("conv_lstm", 1, {"rate_hz": 11_030}, "rate_hz is 11030, at which 40 ms are no whole number of samples"),
    ("conv_lstm", 1, {"rate_hz": 0}, "rate_hz is 0"),
    ("conv_bigru", 1, {"fft": "stft"}, "'stft', expected 'segment' or 'frame'"),
    ("conv_bigru", 1, {"channel_pool": 11}, "channel_pool is 11, expected 1 to the 10 filters"),
    ("conv_bigru", 1, {"filters": (40, 20)}, "need three numbers"),
    ("conv_bigru", 1, {"rate_hz": 44_100}, "poolings' 20 do not divide a frame of 1764 samples"),
    ("conv_blstm", 1, {"second_conv": "separable"}, "'separable', expected 'depthwise' or 'dense'"),
    ("conv_blstm", 1, {"channel_pool": 41}, "channel_pool is 41, expected 1 to the 40 filters"),
    ("conv_blstm", 1, {"rate_hz": 11_025}, "poolings' 2 do not divide a frame of 441 samples"),
    ("lstm_drnn", 3, {"recurrent_layers": 0}, "recurrent_layers is 0, expected 1 or more"),
    ("denoising_autoencoder", 13, {"recurrent_layers": 0}, "recurrent_layers is 0, expected 1 or more"),
    ("compare_pca_svm", 9, {"components": 0}, "components is 0, expected 1 or more"),
]


@once
@pytest.mark.parametrize(("name", "n_inputs", "options", "words"), CASES)
def test_impossible_options_are_named(name, n_inputs, options, words):
    with pytest.raises(UserError, match=words):
        registry.build(name, 2, n_inputs, **options)
