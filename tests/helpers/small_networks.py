"""Networks of the registry with a few units, so that `ser reproduce` trains a whole table in seconds."""

import dataclasses
import shutil
from pathlib import Path

import keras

from zoo import registry
from zoo.models import image_networks
from zoo.reproduction import zhao
from zoo.runs.dataset import resolve
from zoo.utils.atomic_files import write_json

# By builder: options that make the network small, where a recipe or a job does not set them.
SMALL = {
    "attention_blstm_fcn": {"hidden_units": 4, "recurrent_units": 3, "filters": (4, 4)},
    "residual_bigru": {"stem_filters": 3, "filters": (4, 5), "recurrent_units": 4, "attention_units": 4},
    "cnn1d_mfcc": {"filters": (4, 3)},
    "rnn_mfcc": {"recurrent_units": 4},
    "conv_lstm": {"filters": (4, 4, 4), "recurrent_units": 4},
    "conv_bigru": {"filters": (4, 4, 8), "kernel_sizes": (4, 16, 16), "recurrent_units": 4},
    "conv_blstm": {"filters": 4, "recurrent_units": 4, "channel_pool": 2, "second_kernel_size": 40},
    "lstm_drnn": {"recurrent_units": 4},
    "denoising_autoencoder": {"recurrent_units": 4},
}


# Tables of one network, of one number of bands, one window, one image network. Networks without recurrent layers are
# traced in half the time.
_OF_ZHAO = {
    "PROPOSED": "fcn",
    "NETWORKS": {"fcn": "fcn"},
    "BANDS": (40,),
    "WINDOWS_MS": (25.0,),
    "IMAGE_NETWORKS": {"AlexNet": "alexnet_svm"},
}


def _convolutions():
    images = keras.Input((16, 16, 3))
    return keras.Model(images, keras.layers.Conv2D(4, 3, strides=2, activation="relu", name="conv1")(images))


def shrink(monkeypatch):
    """Makes the networks of the registry, and tables of many, small until the end of a test."""
    for name, value in _OF_ZHAO.items():
        monkeypatch.setattr(zhao, name, value)
    tiny = image_networks.Network(_convolutions, 16, {"fc6": 20, "fc7": 5}, "fc8", ("a", "b", "c"), 0)
    monkeypatch.setitem(image_networks.NETWORKS, "alexnet", tiny)
    for name, row in registry.MODELS.items():
        small = SMALL.get(row.builder.split(":")[1], {})
        monkeypatch.setitem(registry.MODELS, name, dataclasses.replace(row, options={**small, **row.options}))


def train_once(monkeypatch, kept):
    """Trains one run of each network on each corpus, in `kept`; further ones, of other settings, are copies of it.

    A table trains a network many times with another window or seed: that each training works is not its test.
    """
    from zoo.training import train as module

    real = module.train

    def train(settings, resume=False):
        settings = resolve(settings)
        place = kept / "-".join((settings.model, settings.corpus, settings.protocol, settings.fold))
        if not place.is_dir():
            real(dataclasses.replace(settings, out=str(place)))
        shutil.copytree(place, settings.out, dirs_exist_ok=True)
        write_json(Path(settings.out) / "config.json", settings.saved())

    monkeypatch.setattr(module, "train", train)
