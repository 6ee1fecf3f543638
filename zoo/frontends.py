"""Front-ends: from waveforms to features, as Keras layers, so that training and serving share every line."""

import keras
import numpy as np
from keras import ops

from zoo.layers import FrameMask, Weightless, ZeroPadding, register
from zoo.mel import MEL_SCALES, mel_filters, mel_frequencies

HAMMING, HANN = (0.54, 0.46), (0.5, 0.5)  # a - b cos: periodic windows


@register
class LogMel(keras.layers.Layer):
    """Natural logarithm of mel-band energies of the power spectrum |STFT|^2, Hamming window.

    Frame t is centred on sample t * hop; beyond its ends a clip is silent. A clip of n samples has ceil(n / hop)
    frames, those of librosa's `melspectrogram(center=True, pad_mode="constant", norm=None)`. Every clip is treated by
    itself: neither its neighbours in the batch nor its padding change it. Always computed in float32.

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
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.rate_hz, self.window_ms, self.hop_ms, self.bands = rate_hz, window_ms, hop_ms, bands
        self.mel_scale, self.floor = mel_scale, floor
        self.window, self.hop = round(rate_hz * window_ms / 1000), round(rate_hz * hop_ms / 1000)
        if mel_scale not in MEL_SCALES:
            raise ValueError(f"mel_scale is {mel_scale!r}, expected one of {', '.join(MEL_SCALES)}")
        if self.hop < 1 or self.window < 2 or bands < 1:
            raise ValueError(f"window {window_ms} ms, hop {hop_ms} ms, {bands} bands at {rate_hz} Hz: nothing is left")
        if n_fft is not None and n_fft < self.window:
            raise ValueError(f"n_fft is {n_fft}, expected at least the window's {self.window} samples")
        self.n_fft = n_fft or smallest_transform(rate_hz, self.window, bands, mel_scale)
        self.in_clip, self.silence = FrameMask(dtype="float32"), ZeroPadding(dtype="float32")

    def build(self, waveform_shape, n_samples_shape=None):
        filters = mel_filters(self.rate_hz, self.n_fft, self.bands, self.mel_scale)
        self.kernels, self.mel = transform_constants(self.window, self.hop, self.n_fft, filters, HAMMING)

    def call(self, waveform, n_samples):
        waveform = self.silence(waveform, self.in_clip(waveform, n_samples))
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

    def get_config(self):
        names = ("rate_hz", "window_ms", "hop_ms", "bands", "mel_scale", "n_fft", "floor")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@register
class StandardWaveform(Weightless):
    """The waveform itself, each clip brought to zero mean and unit variance over its own samples.

    So Tzirakis et al. 2018 and Trigeorgis et al. 2016 feed their networks. A silent clip stays silent. Always computed
    in float32.

    Call: waveforms (batch, samples), sample counts (batch,) -> (batch, samples, 1), zero on padding, and the counts.
    """

    def __init__(self, rate_hz=16_000, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.rate_hz = rate_hz
        self.in_clip, self.silence = FrameMask(dtype="float32"), ZeroPadding(dtype="float32")

    def call(self, waveform, n_samples):
        in_clip = self.in_clip(waveform, n_samples)
        count = ops.maximum(ops.cast(n_samples, "float32"), 1.0)[:, None]
        mean = ops.sum(self.silence(waveform, in_clip), axis=1, keepdims=True) / count
        centred = self.silence(waveform - mean, in_clip)
        variance = ops.sum(ops.square(centred), axis=1, keepdims=True) / count
        # Far below the variance of one bit's noise in 16-bit audio, 8e-11: only digital silence is held back by it.
        return (centred * ops.rsqrt(variance + 1e-14))[..., None], n_samples

    def n_frames(self, n_samples):
        """Steps of the features of a clip of `n_samples` samples: one for each."""
        return n_samples

    def compute_output_spec(self, waveform, n_samples):
        return keras.KerasTensor((*waveform.shape, 1), "float32"), keras.KerasTensor(n_samples.shape, "int32")

    def get_config(self):
        return {**super().get_config(), "rate_hz": self.rate_hz}


def with_frontend(frontend: keras.layers.Layer, network: keras.Model) -> keras.Model:
    """Returns a model from {"waveform": (batch, samples), "n_samples": (batch,)} to the network's output."""
    waveform = keras.Input((None,), name="waveform")
    n_samples = keras.Input((), dtype="int32", name="n_samples")
    features, n_frames = frontend(waveform, n_samples)
    output = network({"features": features, "n_frames": n_frames})
    return keras.Model({"waveform": waveform, "n_samples": n_samples}, output, name=f"{network.name}_on_waveforms")


def with_normalization(
    mean: np.ndarray, variance: np.ndarray, network: keras.Model, least_variance: float = 1e-4
) -> keras.Model:
    """Returns the network behind a fixed standardisation of its features, by `mean` and `variance`.

    Those are (bands,), or (frames, bands) where every clip has as many frames. A band that hardly varies (above the
    cut-off of band-limited recordings) carries nothing and is not blown up: its variance is taken as
    `least_variance`, whose default is for logarithms of energies; as 1 where it is exactly 0.
    """
    features = keras.Input(mean.shape if mean.ndim == 2 else (None, len(mean)), name="features")
    n_frames = keras.Input((), dtype="int32", name="n_frames")
    variance = np.maximum(np.where(variance == 0, 1.0, variance), least_variance)
    normalize = keras.layers.Normalization(
        axis=(-2, -1) if mean.ndim == 2 else -1,
        mean=mean.tolist(),
        variance=variance.tolist(),
        dtype="float32",
        name="normalization",
    )
    output = network({"features": normalize(features), "n_frames": n_frames})
    return keras.Model({"features": features, "n_frames": n_frames}, output, name=f"{network.name}_normalized")


def smallest_transform(rate_hz: int, window: int, bands: int, mel_scale: str) -> int:
    """Returns the window, doubled until every mel band holds a bin. Raises ValueError where that is too often."""
    n_fft = window
    while n_fft <= 64 * window:
        edges = mel_frequencies(bands + 2, rate_hz / 2, mel_scale)
        first_bin_inside = np.floor(edges[:-2] * n_fft / rate_hz) + 1
        if np.all(first_bin_inside * rate_hz / n_fft < edges[2:]):
            return n_fft
        n_fft *= 2
    raise ValueError(f"{bands} {mel_scale} bands are too narrow for a window of {window} samples: use fewer")


# The transform is one step of Cooley and Tukey's (1965, decimation in time) done by hand: every `radix`-th sample of a
# frame is a part, each part's short transform is a product with a fixed kernel, sums and differences of the parts' make
# the whole. All of it exists in every export format, and it takes a quarter of the plain product's multiplications.


def transform_constants(window: int, hop: int, n_fft: int, mel: np.ndarray, taper: tuple[float, float]):
    """Returns what `mel_energies` multiplies with: kernels, and `mel` (bands, n_fft // 2 + 1) in their order."""
    radix = next(radix for radix in (4, 2, 1) if hop % radix == n_fft % radix == 0)
    return _kernels(window, n_fft, radix, taper), _mel_of_parts(mel, n_fft, radix)


def mel_energies(waveform, n_frames, window: int, hop: int, n_fft: int, kernels: np.ndarray, mel: np.ndarray):
    """Energies of mel bands in |STFT|^2: waveforms (batch, samples) -> (frames, batch, bands).

    Frame t is centred on sample t * hop; the waveform is silent beyond its ends.
    """
    frames = _frames(waveform, n_frames, window, hop, n_fft, len(kernels))
    transforms = [ops.matmul(part, kernel) for part, kernel in zip(frames, kernels, strict=True)]
    return sum(ops.matmul(_power(part), bands) for part, bands in zip(_butterflies(transforms), mel, strict=True))


def _frames(waveform, n_frames, window, hop, n_fft, radix):
    """(batch, samples) -> `radix` parts of every frame, each (frames, batch, ceil(window / radix))."""
    batch, samples = ops.shape(waveform)[0], ops.shape(waveform)[1]
    before = n_fft // 2 - (n_fft - window) // 2  # where librosa puts a window shorter than its transform
    hops, width = -(-window // hop), -(-window // radix)
    waveform = ops.pad(waveform, [[0, 0], [before, (n_frames + hops) * hop - samples - before]])
    blocks = ops.reshape(waveform, (batch, n_frames + hops, hop // radix, radix))
    blocks = ops.transpose(blocks, (3, 1, 0, 2))  # slices of a first axis are no copies
    last = width - (hops - 1) * (hop // radix)

    def part(blocks):
        shifted = [blocks[i : n_frames + i] for i in range(hops)]
        return ops.concatenate([*shifted[:-1], shifted[-1][:, :, :last]], axis=-1)

    return [part(blocks[phase]) for phase in range(radix)]


def _kernels(window, n_fft, radix, taper):
    """Windowed cosines beside windowed sines (radix, ceil(window / radix), 2 * bins), for the parts of `_frames`.

    They hold the first half of n_fft / radix bins: a real signal's other half is the conjugate of another part's.
    """
    samples = np.arange(-(-window // radix) * radix).reshape(-1, radix).T[:, :, None]
    tapered = np.where(samples < window, taper[0] - taper[1] * np.cos(2 * np.pi * samples / window), 0)
    angles = 2 * np.pi * samples * np.arange(n_fft // radix // 2 + 1) / n_fft
    return (tapered * np.concatenate([np.cos(angles), -np.sin(angles)], axis=-1)).astype("float32")


def _butterflies(parts):
    """Transforms of the parts -> `radix` parts of the spectrum: bins k, k + n_fft / radix, ... All real | imaginary."""
    if len(parts) == 1:
        return parts
    if len(parts) == 2:
        return [parts[0] + parts[1], parts[0] - parts[1]]
    even, odd = _butterflies(parts[::2]), _butterflies(parts[1::2])
    real, imaginary = ops.split(odd[1], 2, axis=-1)
    turned = ops.concatenate([imaginary, -real], axis=-1)  # times -i
    return [even[0] + odd[0], even[1] + turned, even[0] - odd[0], even[1] - turned]


def _power(spectrum):
    real, imaginary = ops.split(ops.square(spectrum), 2, axis=-1)
    return real + imaginary


def _mel_of_parts(mel, n_fft, radix):
    """(bands, n_fft // 2 + 1) -> (radix, bins, bands), for the parts of the spectrum that `_butterflies` returns."""
    step = n_fft // radix
    bins = np.add.outer(step * np.arange(radix), np.arange(step // 2 + 1))
    bins = np.minimum(bins, n_fft - bins)  # a bin beyond the half is its mirror image's conjugate
    _, first = np.unique(bins, return_index=True)
    weights = np.zeros((bins.size, len(mel)), "float32")
    weights[first] = mel.T  # a bin that is there twice counts once
    return weights.reshape(*bins.shape, len(mel))
