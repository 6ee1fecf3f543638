"""Waveforms as features: standardised to mean 0 and deviation 1, or as they are; as Keras layers."""

from typing import Any

import keras
from keras import ops

from zoo.layers.masking import InFloat32, Weightless, frame_mask, register, zero_padding


@register
class StandardWaveform(Weightless, InFloat32):
    """The waveform itself, each clip brought to zero mean and unit variance over its own samples.

    So Tzirakis et al. 2018 and Trigeorgis et al. 2016 feed their networks. A silent clip stays silent. Always computed
    in float32.

    Call: waveforms (batch, samples), sample counts (batch,) -> (batch, samples, 1), zero on padding, and the counts.
    """

    def __init__(self, rate_hz: int = 16_000, **kwargs: Any):
        super().__init__(**kwargs)
        self.rate_hz = rate_hz

    def call(self, waveform, n_samples):
        in_clip = frame_mask(waveform, n_samples)
        count = ops.maximum(ops.cast(n_samples, "float32"), 1.0)[:, None]
        mean = ops.sum(zero_padding(waveform, in_clip), axis=1, keepdims=True) / count
        centred = zero_padding(waveform - mean, in_clip)
        variance = ops.sum(ops.square(centred), axis=1, keepdims=True) / count
        # Far below the variance of one bit's noise in 16-bit audio, 8e-11: only digital silence is held back by it.
        return (centred * ops.rsqrt(variance + 1e-14))[..., None], n_samples

    def n_frames(self, n_samples):
        """Steps of the features of a clip of `n_samples` samples: one for each."""
        return n_samples

    def compute_output_spec(self, waveform, n_samples):
        return keras.KerasTensor((*waveform.shape, 1), "float32"), keras.KerasTensor(n_samples.shape, "int32")


@register
class RawWaveform(Weightless, InFloat32):
    """The waveform as it is, for networks that standardise it themselves, as speech encoders do.

    Call: waveforms (batch, samples), sample counts (batch,) -> (batch, samples, 1), and the counts.
    """

    def __init__(self, rate_hz: int = 16_000, **kwargs: Any):
        super().__init__(**kwargs)
        self.rate_hz = rate_hz

    def call(self, waveform, n_samples):
        return ops.cast(waveform, "float32")[..., None], n_samples

    def n_frames(self, n_samples):
        """Steps of the features of a clip of `n_samples` samples: one for each."""
        return n_samples

    def compute_output_spec(self, waveform, n_samples):
        return keras.KerasTensor((*waveform.shape, 1), "float32"), keras.KerasTensor(n_samples.shape, "int32")
