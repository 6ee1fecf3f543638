"""Load the saved .keras model of a run; find its front-end and its network."""

import zipfile
from pathlib import Path

import keras

from zoo import losses
from zoo.errors import UserError
from zoo.frontends import clean_speech, deep_spectrum, log_mel, mfcc, waveform
from zoo.layers import attention, long_convolution, lstm, masking, window_statistics
from zoo.layers import waveform as waveform_layers
from zoo.runs import keras_archive

# Saved models name layers and losses by class: importing these modules registers every one of them.
LAYERS = (
    attention,
    clean_speech,
    deep_spectrum,
    log_mel,
    long_convolution,
    losses,
    lstm,
    masking,
    mfcc,
    waveform,
    waveform_layers,
    window_statistics,
)


def load_model(path: Path, waveforms: bool = True) -> keras.Model:
    """Load a saved .keras model that takes waveforms, or one that takes features.

    Nothing in the file is executed (Keras's safe mode). Raises UserError when it is absent, damaged, or another model.
    """
    if not path.is_file():
        raise UserError(f"{path}: no trained model is there; train to the end first, or add --resume to go on")
    try:
        keras_archive.check(path)
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        if waveforms and not any(hasattr(layer, "rate_hz") for layer in model.layers):
            raise ValueError("one without a front-end")
    except (ValueError, TypeError, KeyError, OSError, zipfile.BadZipFile) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"{path}: expected a model as train.py saves it, found another or a damaged one ({reason}). "
            "Restore the file, or train again into another folder"
        ) from error
    return model


def frontend(model: keras.Model) -> keras.layers.Layer:
    """Return the layer of a saved model that turns waveforms into features."""
    return next(layer for layer in model.layers if hasattr(layer, "rate_hz"))


def looks_at_whole_segments(network: keras.Model) -> bool:
    """Say whether a layer of the network depends on where a segment begins and ends."""
    return any(getattr(layer, "whole_segment", False) for layer in network.layers)


def network_of(model: keras.Model) -> keras.Model:
    """Return the network behind the front-end of a saved model; the model itself where it has none."""
    if not any(hasattr(layer, "rate_hz") for layer in model.layers):
        return model
    return next(layer for layer in model.layers if isinstance(layer, keras.Model))
