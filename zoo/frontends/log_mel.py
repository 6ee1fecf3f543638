"""Compute logarithms of mel-band energies of waveforms, as a Keras layer."""

from typing import Any

import keras
from keras import ops

from zoo.frontends.mel_filterbank import mel_filters
from zoo.frontends.stft import HAMMING, framing, mel_energies, transform_constants
from zoo.layers.masking import InFloat32, frame_mask, register, zero_padding

CLIP_MEANS = ("kept", "removed", "running")


@register
class LogMel(InFloat32):
    """Natural logarithm of mel-band energies of the power spectrum |STFT|^2, Hamming window.

    Frame t is centred on sample t * hop; beyond its ends a clip is silent. A clip of n samples has ceil(n / hop)
    frames: those of librosa's `melspectrogram(center=True, pad_mode="constant", norm=None)`, without the last one where
    n is a multiple of the hop, which librosa centres on the clip's end. Neither neighbours in the batch nor padding
    change them. Always computed in float32.

    Call: waveforms (batch, samples) in -1..1, sample counts (batch,) -> features (batch, frames, bands), frame counts
    (batch,). What lies beyond a count is padding, of any value.

    Args:
        rate_hz: sampling rate of the waveforms.
        window_ms, hop_ms: Zhao et al. 2019 use 25 and 10, and try windows up to 200.
        bands: mel bands from 0 Hz to half the rate; the paper tries 30 to 100.
        mel_scale: "htk" (m = 2595 log10(1 + f / 700), the paper's) or "slaney".
        n_fft: points of the transform; by default the window, doubled until every band holds a bin.
        floor: energies below it are raised to it, before the logarithm.
        trim_db: above 0, frames at both ends are left out that are so many dB below the clip's loudest frame. The
            loudest one always stays.
        clip_mean: "kept", or "removed" from each band (Atal 1974, of cepstra): what a microphone's response and the
            gain add to every frame. It is the mean over the frames that are left; or with "running" over those up to
            each frame, so that later ones change nothing (the first frame becomes 0).
    """

    def __init__(
        self,
        rate_hz: int = 16_000,
        window_ms: float = 25.0,
        hop_ms: float = 10.0,
        bands: int = 40,
        mel_scale: str = "htk",
        n_fft: int | None = None,
        floor: float = 1e-10,
        trim_db: float = 0.0,
        clip_mean: str = "kept",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if clip_mean not in CLIP_MEANS:
            raise ValueError(f"clip_mean is {clip_mean!r}, expected one of {', '.join(CLIP_MEANS)}")
        if not 0 <= trim_db < float("inf"):
            raise ValueError(f"trim_db is {trim_db!r}, expected 0 dB or more")
        self.rate_hz, self.window_ms, self.hop_ms, self.bands = rate_hz, window_ms, hop_ms, bands
        self.mel_scale, self.floor, self.trim_db, self.clip_mean = mel_scale, floor, trim_db, clip_mean
        self.window, self.hop, self.n_fft = framing(rate_hz, window_ms, hop_ms, n_fft, bands, mel_scale)

    def build(self, waveform_shape, n_samples_shape=None):
        filters = mel_filters(self.rate_hz, self.n_fft, self.bands, self.mel_scale)
        self.kernels, self.mel = transform_constants(self.window, self.hop, self.n_fft, filters, HAMMING)

    def call(self, waveform, n_samples):
        waveform = zero_padding(waveform, frame_mask(waveform, n_samples))
        n_frames = self.n_frames(ops.shape(waveform)[1])
        energies = mel_energies(waveform, n_frames, self.window, self.hop, self.n_fft, self.kernels, self.mel)
        features = ops.transpose(ops.log(ops.maximum(energies, self.floor)), (1, 0, 2))
        n_frames = self.n_frames(n_samples)
        if self.trim_db:
            power = ops.transpose(ops.sum(energies, axis=-1))
            features, n_frames = _trimmed(features, n_frames, power, self.trim_db)
        if self.clip_mean == "removed":
            features = _centred(features, n_frames)
        elif self.clip_mean == "running":
            counts = ops.arange(1, ops.shape(features)[1] + 1, dtype="float32")
            features = features - ops.cumsum(features, axis=1) / counts[None, :, None]
        return features, n_frames

    def n_frames(self, n_samples):
        """Frames of a clip of `n_samples` samples (number, array or tensor), before silence is left out."""
        return -(-n_samples // self.hop)

    def compute_output_spec(self, waveform, n_samples):
        n_frames = None if waveform.shape[1] is None else self.n_frames(waveform.shape[1])
        features = keras.KerasTensor((waveform.shape[0], n_frames, self.bands), "float32")
        return features, keras.KerasTensor(n_samples.shape, "int32")


def _trimmed(features, n_frames, power, trim_db):
    """Features (batch, frames, bands) from the first to the last loud frame, moved to the front, and their counts.

    `power` is (batch, frames). Of a silent clip, whose frames are all as loud as its loudest, everything is left.
    """
    positions = ops.arange(ops.shape(features)[1], dtype="int32")[None]
    power = ops.where(frame_mask(features, n_frames), power, -1.0)  # padding is never loud
    loud = power >= ops.max(power, axis=1, keepdims=True) * 10 ** (-trim_db / 10)
    first = ops.min(ops.where(loud, positions, ops.shape(features)[1]), axis=1, keepdims=True)
    last = ops.max(ops.where(loud, positions, 0), axis=1, keepdims=True)
    order = ops.minimum(positions + first, last)
    return ops.take_along_axis(features, order[:, :, None], axis=1), (last - first + 1)[:, 0]


def _centred(features, n_frames):
    """Features (batch, frames, bands) less each band's mean over real frames."""
    real = frame_mask(features, n_frames)
    total = ops.sum(zero_padding(features, real), axis=1, keepdims=True)
    return features - total / ops.cast(ops.sum(ops.cast(real, "int32"), axis=1), "float32")[:, None, None]
