"""Build a speech encoder of whatever family its configuration is of."""

from typing import Any

import keras

from zoo.models.emotion2vec import emotion2vec
from zoo.models.encoder_config import Emotion2VecConfig, EncoderConfig
from zoo.models.wav2vec2 import speech_encoder


def build(config: EncoderConfig, **options: Any) -> keras.Model:
    """Build the encoder of a configuration, with the options of `speech_encoder`; inputs and outputs are the same."""
    if isinstance(config, Emotion2VecConfig):
        return emotion2vec(config, **options)
    return speech_encoder(config, **options)
