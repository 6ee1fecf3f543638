"""Networks of the registry with a few units, so that `ser reproduce` trains a whole table in seconds."""

import dataclasses

from zoo import registry

# By builder: options that make the network small, where a recipe or a job does not set them.
SMALL = {
    "attention_blstm_fcn": {"hidden_units": 4, "recurrent_units": 3},
    "residual_bigru": {"stem_filters": 3, "filters": (4, 5), "recurrent_units": 4, "attention_units": 4},
    "cnn1d_mfcc": {"filters": (4, 3)},
    "rnn_mfcc": {"recurrent_units": 4},
    "conv_lstm": {"filters": (4, 4, 4), "recurrent_units": 4},
    "conv_bigru": {"filters": (4, 4, 8), "kernel_sizes": (4, 16, 16), "recurrent_units": 4},
    "conv_blstm": {"filters": 4, "recurrent_units": 4, "channel_pool": 2, "second_kernel_size": 40},
    "lstm_drnn": {"recurrent_units": 4},
    "denoising_autoencoder": {"recurrent_units": 4},
}


def shrink(monkeypatch):
    """Makes the networks of the registry small until the end of a test."""
    for name, row in registry.MODELS.items():
        small = SMALL.get(row.builder.split(":")[1], {})
        monkeypatch.setitem(registry.MODELS, name, dataclasses.replace(row, options={**small, **row.options}))
