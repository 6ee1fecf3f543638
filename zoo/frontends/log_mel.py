"""Log-mel front-end: waveforms to logarithms of mel-band energies, as a Keras layer."""

import keras
from keras import ops

from zoo.frontends.mel_filterbank import mel_filters
from zoo.frontends.stft import HAMMING, framing, mel_energies, transform_constants
from zoo.layers.masking import InFloat32, frame_mask, register, zero_padding


@register
class LogMel(InFloat32):
    """Natural logarithm of mel-band energies of the power spectrum |STFT|^2, Hamming window.

    Frame t is centred on sample t * hop; beyond its ends a clip is silent. A clip of n samples has ceil(n / hop)
    frames: those of librosa's `melspectrogram(center=True, pad_mode="constant", norm=None)`, without the last one where
    n is a multiple of the hop, which librosa centres on the clip's end. Neither neighbours in the batch nor padding
    change them. Always computed in float32.

    Call: waveforms (batch, samples) in -1..1, sample counts (batch,) -> features (batch, frames, bands), frame counts
    (batch,).

    Args:
        rate_hz: sampling rate of the waveforms.
        window_ms, hop_ms: Zhao et al. 2019 use 25 and 10, and try windows up to 200.
        bands: mel bands from 0 Hz to half the rate; the paper tries 30 to 100.
        mel_scale: "htk" (m = 2595 log10(1 + f / 700), the paper's) or "slaney".
        n_fft: points of the transform; by default the window, doubled until every band holds a bin.
        floor: energies below it are raised to it, before the logarithm.
    """

    def __init__(
        self, rate_hz=16_000, window_ms=25.0, hop_ms=10.0, bands=40, mel_scale="htk", n_fft=None, floor=1e-10, **kwargs
    ):
        super().__init__(**kwargs)
        self.rate_hz, self.window_ms, self.hop_ms, self.bands = rate_hz, window_ms, hop_ms, bands
        self.mel_scale, self.floor = mel_scale, floor
        self.window, self.hop, self.n_fft = framing(rate_hz, window_ms, hop_ms, n_fft, bands, mel_scale)

    def build(self, waveform_shape, n_samples_shape=None):
        filters = mel_filters(self.rate_hz, self.n_fft, self.bands, self.mel_scale)
        self.kernels, self.mel = transform_constants(self.window, self.hop, self.n_fft, filters, HAMMING)

    def call(self, waveform, n_samples):
        waveform = zero_padding(waveform, frame_mask(waveform, n_samples))
        n_frames = self.n_frames(ops.shape(waveform)[1])
        energies = mel_energies(waveform, n_frames, self.window, self.hop, self.n_fft, self.kernels, self.mel)
        features = ops.transpose(ops.log(ops.maximum(energies, self.floor)), (1, 0, 2))
        return features, self.n_frames(n_samples)

    def n_frames(self, n_samples):
        """Frames of a clip of `n_samples` samples (number, array or tensor)."""
        return -(-n_samples // self.hop)

    def compute_output_spec(self, waveform, n_samples):
        n_frames = None if waveform.shape[1] is None else self.n_frames(waveform.shape[1])
        features = keras.KerasTensor((waveform.shape[0], n_frames, self.bands), "float32")
        return features, keras.KerasTensor(n_samples.shape, "int32")
