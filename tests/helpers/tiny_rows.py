"""A tiny run of every row of the registry, as tiny_runs makes them of some."""

import numpy as np
import tiny_runs

from zoo import registry
from zoo.features import from_config
from zoo.frontends.compose import with_frontend, with_normalization

_OF_BUILDER = {
    "residual_bigru": {
        "bands": 12,
        "option": ["stem_filters=3", "filters=[4,5]", "recurrent_units=4", "attention_units=4"],
    },
    "cnn1d_mfcc": {"option": ["filters=[4,3]"]},
    "rnn_mfcc": {"option": ["recurrent_units=4"]},
    "conv_lstm": {"option": ["filters=[4,6,8]", "recurrent_units=6"]},
    "conv_bigru": {"option": ["filters=[4,4,8]", "kernel_sizes=[4,16,16]", "recurrent_units=4"]},
    "conv_blstm": {"option": ["filters=4", "recurrent_units=4", "channel_pool=2", "second_kernel_size=40"]},
    "lstm_drnn": {"option": ["recurrent_units=6"]},
}


def make(folder, name, **given):
    """Writes a run of the network `name`, by default of one fold; returns its folder."""
    entry = registry.get(name)
    builder = entry.builder.split(":")[1]
    flags = _OF_BUILDER.get(builder, {"bands": 12})
    if builder == "attention_blstm_fcn" and entry.options.get("recurrent", "blstm"):
        flags = {**flags, "option": ["recurrent_units=4"]}
    if builder == "conv_bigru":
        flags = {**flags, "segment_seconds": 0.8}
    tiny_runs.SMALL[name] = flags
    corpus = "iemocap" if entry.task == "emotion" else "recola"
    if entry.frontend != "mfcc":
        return tiny_runs.make(folder, name, corpus, **given)
    before, tiny_runs.network = tiny_runs.network, cepstral
    try:
        return tiny_runs.make(folder, name, corpus, **given)
    finally:
        tiny_runs.network = before


def cepstral(settings, protocol, seed):
    """tiny_runs.network for networks on images of cepstral coefficients."""
    frontend, rng = from_config.frontend(settings), np.random.default_rng(seed)
    shape = (frontend.coefficients, frontend.channels)
    built = registry.build(settings.model, len(protocol.classes), shape[1], n_coefficients=shape[0], **settings.option)
    built = with_normalization(rng.normal(size=shape), rng.uniform(1, 3, shape), built)
    for weights in built.trainable_variables:
        weights.assign(weights + rng.normal(0, 0.05, weights.shape))
    return with_frontend(frontend, built)
