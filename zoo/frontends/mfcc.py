"""Compute MFCCs, their deltas, and statistics over time, as Keras layers."""

from typing import Any

import keras
import numpy as np
from keras import ops
from scipy.fft import dct

from zoo.frontends.mel_filterbank import mel_filters
from zoo.frontends.stft import HANN, framing, mel_energies, transform_constants
from zoo.layers.masking import InFloat32, Weightless, frame_mask, register, zero_padding

STATISTICS = {"mean": 1, "six": 6}  # channels of each stream
TOP_DB, LEAST_ENERGY = 80.0, 1e-10  # librosa's


@register
class Mfcc(InFloat32):
    """Mel-frequency cepstral coefficients as `librosa.feature.mfcc` defines them, always computed in float32.

    Hann window, power spectrum, Slaney's mel bands of unit area, decibels down to 80 below the clip's own maximum,
    orthonormal DCT-II. Frame t is centred on sample t * hop, a clip is silent beyond its ends, and n samples have
    1 + n // hop frames (by an odd transform 1 + (n - 1) // hop). Neither a batch's other clips nor padding change them.

    Call: waveforms (batch, samples), sample counts (batch,) -> (batch, frames, coefficients), frame counts (batch,).

    Args:
        coefficients: how many, from the 0th on; no more than there are bands.
        window_ms, hop_ms: rounded to samples; by default librosa's 2,048 and 512 samples at 22,050 Hz.
        mel_bands: from 0 Hz to half the rate.
        n_fft: points of the transform; by default the window, doubled until every band holds a bin.
        peak_normalize: bring the largest sample of each clip to 1 or -1 first. A silent clip stays silent.
    """

    def __init__(
        self,
        rate_hz: int = 22_050,
        coefficients: int = 80,
        window_ms: float = 2048 / 22.05,
        hop_ms: float = 512 / 22.05,
        mel_bands: int = 128,
        n_fft: int | None = None,
        peak_normalize: bool = True,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.rate_hz, self.coefficients, self.window_ms, self.hop_ms = rate_hz, coefficients, window_ms, hop_ms
        self.mel_bands, self.peak_normalize = mel_bands, peak_normalize
        if not 1 <= coefficients <= mel_bands:
            raise ValueError(f"coefficients is {coefficients}, expected 1 to mel_bands, which is {mel_bands}")
        self.window, self.hop, self.n_fft = framing(rate_hz, window_ms, hop_ms, n_fft, mel_bands, "slaney")

    def build(self, waveform_shape, n_samples_shape=None):
        filters = mel_filters(self.rate_hz, self.n_fft, self.mel_bands, "slaney", equal_area=True)
        self.kernels, self.mel = transform_constants(self.window, self.hop, self.n_fft, filters, HANN)
        self.cosines = dct(np.eye(self.mel_bands), norm="ortho")[:, : self.coefficients].astype("float32")
        self.of_one_db = np.eye(1, self.coefficients, dtype="float32")[0] * np.sqrt(np.float32(self.mel_bands))

    def call(self, waveform, n_samples):
        waveform = zero_padding(waveform, frame_mask(waveform, n_samples))
        if self.peak_normalize:
            peak = ops.max(ops.abs(waveform), axis=1, keepdims=True)
            waveform = waveform / ops.where(peak > 0, peak, 1.0)
        row_frames = self.n_frames(ops.shape(waveform)[1])
        energies = mel_energies(waveform, row_frames, self.window, self.hop, self.n_fft, self.kernels, self.mel)
        energies = ops.transpose(energies, (1, 0, 2))
        n_frames = self.n_frames(n_samples)
        real = zero_padding(energies, frame_mask(energies, n_frames))
        loudest = ops.maximum(ops.max(real, axis=(1, 2), keepdims=True), LEAST_ENERGY)
        # Only the 0th coefficient depends on the level. Added at the end, that takes no digits from the others.
        below = ops.maximum(_decibels(ops.maximum(energies, LEAST_ENERGY) / loudest), -TOP_DB)
        return ops.matmul(below, self.cosines) + _decibels(loudest) * self.of_one_db, n_frames

    def n_frames(self, n_samples):
        """Frames of a clip of `n_samples` samples (number, array or tensor)."""
        return 1 + (n_samples - self.n_fft % 2) // self.hop

    def compute_output_spec(self, waveform, n_samples):
        n_frames = None if waveform.shape[1] is None else self.n_frames(waveform.shape[1])
        features = keras.KerasTensor((waveform.shape[0], n_frames, self.coefficients), "float32")
        return features, keras.KerasTensor(n_samples.shape, "int32")


def _decibels(ratio):
    return ops.log(ratio) * (10 / np.log(10))


@register
class Deltas(Weightless, InFloat32):
    """First or second derivative over time, per frame, as `librosa.feature.delta(mode="interp")` defines it.

    At each frame a polynomial of degree `order` is fitted to the `width` frames around it; the first and last
    width // 2 frames share the fit to the clip's first or last `width` frames, wherever the row ends. librosa refuses
    a clip shorter than that: here its first and last frame are repeated beyond its ends (mode="nearest").

    Call: (batch, frames, channels), frame counts (batch,) -> same shape, zero on padding. In float32.
    """

    def __init__(self, order: int = 1, width: int = 9, **kwargs: Any):
        super().__init__(**kwargs)
        self.order, self.width = order, width

    def call(self, frames, n_frames):
        row, half = ops.shape(frames)[1], self.width // 2
        n_frames = ops.maximum(ops.cast(n_frames, "int32"), 1)[:, None, None]
        position = ops.arange(row, dtype="int32")[None, :, None]

        def frame_at(frames, index):
            return ops.sum(ops.where(position == index, frames, 0.0), axis=1, keepdims=True)

        in_clip = position < n_frames
        frames = ops.where(in_clip, frames, frame_at(frames, n_frames - 1))
        frames = ops.concatenate([*[frames[:, :1]] * half, frames, *[frames[:, -1:]] * half], axis=1)
        slopes = self._fit(lambda shift: frames[:, half + shift : half + shift + row])
        # The derivative of the order of the polynomial is one number for all the frames of a fit.
        one_fit, last = n_frames >= self.width, n_frames - 1 - half
        slopes = ops.where((position < half) & one_fit, frame_at(slopes, half), slopes)
        slopes = ops.where((position > last) & one_fit, frame_at(slopes, last), slopes)
        return ops.where(in_clip, slopes, 0.0)

    def _fit(self, shifted):
        """Least squares (Savitzky and Golay 1964) on differences, which are exactly 0 for a constant."""
        half = self.width // 2
        steps = np.arange(1, half + 1, dtype=float)
        if self.order == 1:
            weights = steps / (2 * np.sum(steps**2))
            return sum(float(weight) * (shifted(j) - shifted(-j)) for j, weight in enumerate(weights, start=1))
        mean = 2 * np.sum(steps**2) / self.width
        weights = 2 * (steps**2 - mean) / (2 * np.sum((steps**2 - mean) ** 2) + mean**2)
        centre = shifted(0)
        return sum(float(weight) * (shifted(j) + shifted(-j) - 2 * centre) for j, weight in enumerate(weights, start=1))

    def compute_output_spec(self, frames, n_frames):
        return keras.KerasTensor(frames.shape, "float32")


@register
class Statistics(Weightless, InFloat32):
    """Statistics of each channel over a clip's own frames: its mean, or six of them.

    The six are, in this order, mean, standard deviation (of the population), minimum, maximum, skewness, and kurtosis
    above that of the normal distribution (Fisher's, so 0 for it): scipy.stats' with their defaults. A constant channel
    has skewness and kurtosis 0, where scipy has NaN.

    Call: (batch, frames, channels), frame counts (batch,) -> (batch, channels, 1 or 6). In float32.
    """

    def __init__(self, statistics: str = "six", **kwargs: Any):
        super().__init__(**kwargs)
        if statistics not in STATISTICS:
            raise ValueError(f"statistics is {statistics!r}, expected one of {', '.join(STATISTICS)}")
        self.statistics = statistics

    def call(self, frames, n_frames):
        in_clip = frame_mask(frames, n_frames)
        count = ops.maximum(ops.cast(n_frames, "float32"), 1.0)[:, None, None]

        def average(values):
            return ops.sum(zero_padding(values, in_clip), axis=1, keepdims=True) / count

        mean = average(frames)
        if self.statistics == "mean":
            return ops.transpose(mean, (0, 2, 1))
        centred = frames - mean
        deviation = ops.sqrt(average(ops.square(centred)))
        constant = deviation <= 1e-6 * ops.abs(mean)  # scipy's limit: rounding of the mean, in float32
        deviation = ops.where(constant, 0.0, deviation)
        standard = centred / ops.where(constant, 1.0, deviation)
        squares = ops.square(standard)
        skewness = ops.where(constant, 0.0, average(squares * standard))
        kurtosis = ops.where(constant, 0.0, average(ops.square(squares)) - 3.0)
        outside = ~in_clip[:, :, None]
        least = ops.min(ops.where(outside, np.inf, frames), axis=1, keepdims=True)
        most = ops.max(ops.where(outside, -np.inf, frames), axis=1, keepdims=True)
        six = ops.concatenate([mean, deviation, least, most, skewness, kurtosis], axis=1)
        return ops.transpose(six, (0, 2, 1))

    def compute_output_spec(self, frames, n_frames):
        return keras.KerasTensor((frames.shape[0], frames.shape[2], STATISTICS[self.statistics]), "float32")


@register
class StreamStatistics(Weightless, InFloat32):
    """The frames of a clip of any length as one image: they and their derivatives, under statistics over time.

    Channels are stream after stream (frames, as many derivatives as `deltas`: 0, 1 or 2), in each the statistics in the
    order of `Statistics`.

    Call: (batch, frames, n), frame counts (batch,) -> (batch, n, channels) and counts (batch,), which are all n: an
    image has no padding. `channels` is (deltas + 1) * (1 or 6). In float32.
    """

    def __init__(self, deltas: int = 2, statistics: str = "mean", **kwargs: Any):
        super().__init__(**kwargs)
        if deltas not in (0, 1, 2):
            raise ValueError(f"deltas is {deltas}, expected 0, 1 or 2")
        self.derivatives = [Deltas(order) for order in range(1, deltas + 1)]
        self.over_time = Statistics(statistics)
        self.deltas, self.statistics = deltas, statistics
        self.channels = (deltas + 1) * STATISTICS[statistics]

    def call(self, frames, n_frames):
        streams = [frames, *(derivative(frames, n_frames) for derivative in self.derivatives)]
        image = ops.concatenate([self.over_time(stream, n_frames) for stream in streams], axis=-1)
        return image, ops.cast(n_frames, "int32") * 0 + frames.shape[2]

    def compute_output_spec(self, frames, n_frames):
        image = keras.KerasTensor((frames.shape[0], frames.shape[2], self.channels), "float32")
        return image, keras.KerasTensor(n_frames.shape, "int32")


@register
class CepstralStatistics(keras.layers.Layer):
    """A clip of any length as one image: its MFCCs and their derivatives, under statistics over time.

    Khan, Butt, Ali 2020 take 80 coefficients, with 3 channels (Table 4) or 18 (Table 3); the paper is silent on
    windows, for which librosa's defaults are taken. Arguments are those of `StreamStatistics` and, by name, `Mfcc`.

    Call: waveforms (batch, samples), sample counts (batch,) -> (batch, coefficients, channels) and counts (batch,),
    which are all `coefficients`.
    """

    def __init__(
        self,
        deltas: int = 2,
        statistics: str = "mean",
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: str = "float32",
        **mfcc: Any,
    ):
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.mfcc = Mfcc(**mfcc)
        self.over_time = StreamStatistics(deltas, statistics)
        self.rate_hz, self.coefficients, self.channels = (
            self.mfcc.rate_hz,
            self.mfcc.coefficients,
            self.over_time.channels,
        )

    def build(self, waveform_shape, n_samples_shape=None):
        self.mfcc.build(waveform_shape, n_samples_shape)

    def call(self, waveform, n_samples):
        return self.over_time(*self.mfcc(waveform, n_samples))

    def get_config(self):
        return {**self.mfcc.get_config(), **self.over_time.get_config(), **super().get_config()}

    def n_frames(self, n_samples):
        """Rows of the image of a clip of `n_samples` samples (number, array or tensor): `coefficients` for each."""
        return n_samples * 0 + self.coefficients

    def compute_output_spec(self, waveform, n_samples):
        features = keras.KerasTensor((waveform.shape[0], self.coefficients, self.channels), "float32")
        return features, keras.KerasTensor(n_samples.shape, "int32")


def mfcc_frames(
    window_ms: float,
    hop_ms: float,
    rate_hz: int = 16_000,
    coefficients: int = 13,
    mel_bands: int = 26,
    peak_normalize: bool = False,
) -> Mfcc:
    """Return the front-end of networks on every frame, by default of D4.2, section 3: coefficients 0 to 12 at 16 kHz,
    levels as recorded. The deliverable's are HTK's; these are librosa's, on 26 bands.
    """
    return Mfcc(rate_hz, coefficients, window_ms, hop_ms, mel_bands, None, peak_normalize, name="mfcc_frames")
