"""Describe speech encoders and published heads on them: their architecture, without the networks and without Keras."""

import math
from dataclasses import dataclass
from typing import Any

EMOTION2VEC = "emotion2vec"  # its family


@dataclass(frozen=True)
class EncoderConfig:
    """What a published encoder's config.json and preprocessor_config.json say of its architecture.

    family: wav2vec2, hubert or wavlm.
    conv_filters, conv_kernels, conv_strides: of the convolutions on the waveform.
    conv_norm: "group" (each channel of the first convolution over time) or "layer" (channels of each frame, behind
        every convolution).
    norm_first: whether layer normalisation comes before attention and feed-forward parts (`do_stable_layer_norm`).
    project_norm: whether layer normalisation comes before the projection to `hidden` (`feat_proj_layer_norm`).
    standardize: whether each waveform is standardised over its real samples first (`do_normalize`).
    """

    family: str = "wav2vec2"
    hidden: int = 768
    n_layers: int = 12
    heads: int = 12
    feed_forward: int = 3072
    conv_filters: tuple[int, ...] = (512,) * 7
    conv_kernels: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_strides: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    conv_bias: bool = False
    conv_norm: str = "group"
    norm_first: bool = False
    project_norm: bool = True
    position_kernel: int = 128
    position_groups: int = 16
    buckets: int = 320
    max_distance: int = 800
    epsilon: float = 1e-5
    standardize: bool = True
    rate_hz: int = 16_000

    def n_frames(self, n_samples: Any) -> Any:
        """Frames that the convolutions make of `n_samples` samples (number, array or tensor)."""
        for kernel, stride in zip(self.conv_kernels, self.conv_strides, strict=True):
            n_samples = (n_samples - kernel) // stride + 1
        return n_samples

    @property
    def step_samples(self) -> int:
        """Samples from one frame to the next: 320, 20 ms, for published encoders."""
        return math.prod(self.conv_strides)

    @property
    def least_samples(self) -> int:
        """Samples of the shortest clip that makes a frame: 400 for published encoders."""
        samples = 1
        for kernel, stride in zip(reversed(self.conv_kernels), reversed(self.conv_strides), strict=True):
            samples = (samples - 1) * stride + kernel
        return samples


@dataclass(frozen=True)
class EncoderHead:
    """A published network's head on its encoder, on the mean of its frames or of projected frames.

    kind: "dense" (mean of frames, dense layer of `width`, tanh, outputs: Wagner et al. 2023, IEEE TPAMI, "Dawn of the
        Transformer Era in Speech Emotion Recognition"), "projector" (frames projected to `width`, their mean, outputs:
        transformers' sequence classification) or "linear" (mean of frames, outputs: emotion2vec+; `width` is 0).
    labels: of the outputs, in order.
    regression: whether outputs are ratings; else they are classes, and become probabilities.
    weighted_layers: whether it reads a learned average of all hidden states, not the last.
    """

    kind: str
    labels: tuple[str, ...]
    width: int
    regression: bool = False
    weighted_layers: bool = False


@dataclass(frozen=True)
class Emotion2VecConfig(EncoderConfig):
    """What a published config.yaml says of emotion2vec's architecture; defaults are those of the base models.

    position_layers: convolutions of the positional encoder, each of `position_kernel` frames.
    extra_tokens: learned vectors in front of the frames, which no hidden state that is given out has.
    prenet_layers: how many of the `n_layers` transformer layers belong to the modality's own encoder. It changes the
        names of published tensors alone.
    scale_per_layer, scale_per_head: whether each layer, and each head, has its own scale of the linear position bias.
    """

    family: str = EMOTION2VEC
    conv_norm: str = "layer"
    position_kernel: int = 19
    position_layers: int = 5
    extra_tokens: int = 10
    prenet_layers: int = 4
    scale_per_layer: bool = False
    scale_per_head: bool = True
