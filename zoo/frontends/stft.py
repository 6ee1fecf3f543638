"""Compute mel-band energies of the short-time Fourier transform, by operations that every export format has."""

from typing import Any

import numpy as np
from keras import ops

from zoo.frontends.mel_filterbank import mel_frequencies

HAMMING, HANN = (0.54, 0.46), (0.5, 0.5)  # a - b cos: periodic windows


def framing(
    rate_hz: int, window_ms: float, hop_ms: float, n_fft: int | None, bands: int, mel_scale: str
) -> tuple[int, int, int]:
    """Return samples of a window and of a hop, and points of the transform: `n_fft`, or the smallest that will do.

    That is the window, doubled until every mel band holds a bin. Raises ValueError where there is none.
    """
    window, hop = round(rate_hz * window_ms / 1000), round(rate_hz * hop_ms / 1000)
    if hop < 1 or window < 2 or bands < 1:
        raise ValueError(f"window {window_ms} ms, hop {hop_ms} ms, {bands} bands at {rate_hz} Hz: nothing is left")
    if n_fft is not None and n_fft < window:
        raise ValueError(f"n_fft is {n_fft}, expected at least the window's {window} samples")
    edges = mel_frequencies(bands + 2, rate_hz / 2, mel_scale)
    for points in [n_fft] if n_fft else [window << doublings for doublings in range(7)]:
        first_bin_inside = np.floor(edges[:-2] * points / rate_hz) + 1
        if n_fft or np.all(first_bin_inside * rate_hz / points < edges[2:]):
            return window, hop, points
    raise ValueError(f"{bands} {mel_scale} bands are too narrow for a window of {window} samples: use fewer")


# The transform is one step of Cooley and Tukey's (1965, decimation in time) done by hand: every `radix`-th sample of a
# frame is a part, each part's short transform is a product with a fixed kernel, sums and differences of the parts' make
# the whole. All of it exists in every export format, and it takes a quarter of the plain product's multiplications.


def transform_constants(
    window: int, hop: int, n_fft: int, mel: np.ndarray, taper: tuple[float, float]
) -> tuple[np.ndarray, Any]:
    """Return what `mel_energies` multiplies with: kernels, and `mel` (bands, n_fft // 2 + 1) in their order."""
    radix = next(radix for radix in (4, 2, 1) if hop % radix == n_fft % radix == 0)
    return _kernels(window, n_fft, radix, taper), _mel_of_parts(mel, n_fft, radix)


def mel_energies(
    waveform: Any, n_frames: Any, window: int, hop: int, n_fft: int, kernels: np.ndarray, mel: np.ndarray
) -> Any:
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
    """Windowed cosines, then windowed sines (radix, ceil(window / radix), 2 * bins), for the parts of `_frames`.

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
    """Split mel weights (bands, n_fft // 2 + 1) into (radix, bins, bands), as `_butterflies` splits the spectrum."""
    step = n_fft // radix
    bins = np.add.outer(step * np.arange(radix), np.arange(step // 2 + 1))
    bins = np.minimum(bins, n_fft - bins)  # a bin beyond the half is its mirror image's conjugate
    _, first = np.unique(bins, return_index=True)
    weights = np.zeros((bins.size, len(mel)), "float32")
    weights[first] = mel.T  # a bin that is there twice counts once
    return weights.reshape(*bins.shape, len(mel))
