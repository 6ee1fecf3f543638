"""emotion2vec: a speech encoder on the waveform, pre-trained on emotional speech by distillation of its own answers.

- Ma et al.: "emotion2vec: Self-Supervised Pre-Training for Speech Emotion Representation", Findings of ACL 2024
- architecture: Baevski, Babu, Hsu, Auli: "Efficient Self-supervised Learning with Contextualized Target
  Representations for Vision, Speech and Language" (data2vec 2.0), ICML 2023
"""

from dataclasses import replace
from typing import Any

import keras
from keras import layers

from zoo.layers.emotion2vec import ExtraTokens, LinearPositionBias, WithoutTokens
from zoo.layers.masking import FrameMask, ZeroPadding
from zoo.layers.speech_encoder import ClipStandardization, Gelu, PositionalConvolution
from zoo.models.encoder_config import Emotion2VecConfig
from zoo.models.wav2vec2 import InTraining, convolutions, dropped, held_back, transformer_layer

_NOTHING = InTraining()
_EPSILON = 1e-5  # of every normalisation outside the transformer layers


def emotion2vec(
    config: Emotion2VecConfig,
    *,
    reference_padding: bool = False,
    training: InTraining = _NOTHING,
    seed: int = 0,
    name: str = "speech_encoder",
) -> keras.Model:
    """Build an encoder.

    Inputs and outputs are those of `zoo.models.wav2vec2.speech_encoder`: the hidden states in front of the first
    transformer layer and behind each, (batch, frames, hidden), and the number of real frames (batch,). The mean of the
    last one's frames is the published embedding of an utterance.

    Padding never changes an answer: the positional convolutions see zeros beyond a clip's end, as if it were alone.
    The published code leaves padding out of attention alone: reference_padding=True does the same, for comparisons.

    Args:
        training: what is done in training alone.
        seed: of its draws.
    """
    waveform = keras.Input((None, 1), name="features")
    n_samples = keras.Input((), dtype="int32", name="n_frames")
    n_frames = config.n_frames(n_samples)
    frames = ClipStandardization(config.standardize, _EPSILON, name="standardized")(waveform, n_samples)
    frames = convolutions(frames, n_samples, replace(config, epsilon=_EPSILON), reference_padding)
    frames = layers.LayerNormalization(epsilon=_EPSILON, name="project_norm")(frames)
    frames = layers.Dense(config.hidden, name="project")(frames)
    frames = held_back(frames, n_frames, training, seed)
    positions = _positions(frames, None if reference_padding else FrameMask(name="mask")(frames, n_frames), config)
    frames = layers.Add(name="positioned")([frames, positions])
    frames = ExtraTokens(config.extra_tokens, name="extra_tokens")(frames)
    mask = FrameMask(name="token_mask")(frames, n_frames + config.extra_tokens)
    frames = layers.LayerNormalization(epsilon=config.epsilon, name="encoder_norm")(frames)
    frames = dropped(frames, training.dropout, seed, "encoder_dropout")
    states = [frames]
    for index in range(config.n_layers):
        if index == 0 or config.scale_per_layer:
            bias = _bias(frames, config, f"position_bias{index}")
        frames = transformer_layer(frames, mask, bias, config, f"layer{index}", training, seed + 10 * (index + 1))
        states.append(frames)
    states = [WithoutTokens(config.extra_tokens, name=f"state{index}")(state) for index, state in enumerate(states)]
    return keras.Model({"features": waveform, "n_frames": n_samples}, [*states, n_frames], name=name)


def _positions(frames: Any, mask: Any, config: Emotion2VecConfig) -> Any:
    """Return what the positional encoder adds: convolutions, each normalised and followed by GELU."""
    for index in range(config.position_layers):
        name = f"positions{index}"
        if mask is not None:
            frames = ZeroPadding(name=f"{name}_masked")(frames, mask)
        frames = PositionalConvolution(config.position_kernel, config.position_groups, name=name)(frames)
        frames = layers.LayerNormalization(epsilon=_EPSILON, center=False, scale=False, name=f"{name}_norm")(frames)
        frames = Gelu(name=f"{name}_gelu")(frames)
    return frames


def _bias(frames: Any, config: Emotion2VecConfig, name: str) -> Any:
    return LinearPositionBias(config.heads, config.extra_tokens, config.scale_per_head, name=name)(frames)
