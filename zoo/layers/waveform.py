"""Cut raw waveforms into frames, pool channels, take magnitude spectra, as layers."""

from typing import Any

import keras
from keras import ops

from zoo.layers.masking import ExplicitMask, FrameMask, ZeroPadding, register


def frame_length(rate_hz: int, multiple: int = 1) -> int:
    """Samples of a 40 ms frame. Raises ValueError unless they are a whole number, and one `multiple` divides."""
    samples = rate_hz * 40 // 1000
    if rate_hz < 25 or rate_hz * 40 % 1000:
        raise ValueError(f"rate_hz is {rate_hz}, at which 40 ms are no whole number of samples; resample to 16000")
    if samples % multiple:
        raise ValueError(f"rate_hz is {rate_hz}: the poolings' {multiple} do not divide a frame of {samples} samples")
    return samples


def waveform_input(n_inputs: int, frame_samples: int) -> tuple[dict[str, Any], Any, Any]:
    """Build the inputs {"features": (batch, samples, 1), "n_frames": (batch,)} of a network on waveforms.

    "features" is the standardised waveform, "n_frames" its real samples. Returns the inputs by name, the waveform
    (batch, samples, 1) cut to whole frames, with zero padding, and the whole frames of each clip (batch,).
    """
    if n_inputs != 1:
        raise ValueError(f"the network takes the waveform, one channel, not {n_inputs}")
    features = keras.Input((None, 1), name="features")
    n_samples = keras.Input((), dtype="int32", name="n_frames")
    n_frames = n_samples // frame_samples
    waveform = WholeFrames(frame_samples, dtype="float32", name="whole_frames")(features)
    mask = FrameMask(name="sample_mask")(waveform, n_frames * frame_samples)
    waveform = ZeroPadding(dtype="float32", name="waveform")(waveform, mask)
    return {"features": features, "n_frames": n_samples}, waveform, n_frames


@register
class WholeFrames(ExplicitMask):
    """Cuts off what no longer makes a whole frame, so that no pooling mixes it with padding.

    Call: (batch, samples, channels) -> (batch, samples // frame_samples * frame_samples, channels).
    """

    def __init__(self, frame_samples: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.frame_samples = frame_samples

    def call(self, waveform):
        return waveform[:, : ops.shape(waveform)[1] // self.frame_samples * self.frame_samples]

    def compute_output_spec(self, waveform):
        batch, samples, channels = waveform.shape
        whole = None if samples is None else samples // self.frame_samples * self.frame_samples
        return keras.KerasTensor((batch, whole, channels), waveform.dtype)


@register
class ChannelMaxPooling(ExplicitMask):
    """The largest of every `pool_size` neighbouring channels. Channels left over are dropped: 10 pooled by 8 are 1.

    Call: (batch, ..., channels) -> (batch, ..., channels // pool_size).
    """

    def __init__(self, pool_size: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.pool_size = pool_size

    def call(self, inputs):
        groups = inputs.shape[-1] // self.pool_size
        grouped = (*ops.shape(inputs)[:-1], groups, self.pool_size)
        return ops.max(ops.reshape(inputs[..., : groups * self.pool_size], grouped), axis=-1)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor((*inputs.shape[:-1], inputs.shape[-1] // self.pool_size), inputs.dtype)


@register
class MagnitudeSpectrum(ExplicitMask):
    """Magnitudes of the orthonormal real FFT of rows of a waveform, without the first bin (the mean), in float32.

    Call: (batch, samples, 1) -> (batch, samples // row, row // 2, 1). A row is `row_samples` long, or, where that is
    None, all of the waveform.
    """

    def __init__(self, row_samples: int | None = None, **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.row_samples = row_samples
        # What predicts with it must cut a recording as training did.
        self.whole_segment = row_samples is None

    def call(self, waveform):
        batch, samples = ops.shape(waveform)[:2]
        row = self.row_samples or samples
        real, imaginary = ops.rfft(ops.reshape(waveform, (batch, samples // row, row)))
        # Silence has power zero, where a square root has no gradient.
        power = ops.maximum(ops.square(real) + ops.square(imaginary), 1e-20)
        return ops.sqrt(power / ops.cast(row, "float32"))[:, :, 1:, None]

    def compute_output_spec(self, waveform):
        batch, samples, _ = waveform.shape
        row = self.row_samples or samples
        rows = 1 if self.row_samples is None else samples and samples // row
        return keras.KerasTensor((batch, rows, row and row // 2, 1), "float32")
