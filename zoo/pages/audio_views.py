"""Make pictures of recordings of any length in constant memory: waveforms as peaks, spectrograms as PNG.

Samples come in blocks: a file's by zoo.data.audio, an array's as views of it. What is kept is the size of the picture.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.data.audio.read import open_audio, open_file, stored

WINDOW_SECONDS = 0.032  # of a spectrum; neighbours overlap by half, or more where a picture has more columns
TOP_HZ = 8_000  # of the picture: what most models hear
RANGE_DB = 70.0  # of the picture: from its loudest cells, which are black, to white
LOUDEST_SHARE = 0.999  # of the cells lie below the loudest: a click does not make the rest white
_LEVELS = 16  # of grey: four bits a pixel
_FRAMES = 256  # spectra at a time
_BLOCK = 1 << 20  # samples of an array at a time

Peak = tuple[float, float]


@dataclass(frozen=True)
class ChannelView:
    """A channel's waveform, as its lowest and highest sample in each of equal spans, and its spectrogram as a PNG."""

    peaks: list[Peak]
    spectrogram: bytes


@dataclass(frozen=True)
class FileView:
    """A file's length, rate and channels, as stored."""

    seconds: float
    rate_hz: int
    channels: list[ChannelView]


def peaks(samples: np.ndarray, n: int) -> list[Peak]:
    """Return the lowest and highest of samples (m,) in each of `n` equal spans; in fewer where there are less samples.

    >>> peaks(np.array([0.0, 0.5, -1.0, 0.25]), 2)
    [(0.0, 0.5), (-1.0, 0.25)]
    """
    found = Peaks(n, len(samples))
    for block in _blocks(samples):
        found.add(block)
    return found.pairs()


def spectrogram_png(samples: np.ndarray, rate_hz: int, width: int, height: int) -> bytes:
    """Return the spectrogram of samples (m,) as a grey PNG: time to the right, 0 Hz to `top_hz` upwards, loud is black.

    A column is the mean power of the Hann-windowed spectra in its span, in decibels below the loudest of the picture.
    """
    found = Spectrogram(len(samples), rate_hz, width, height)
    for block in _blocks(samples):
        found.add(block)
    return found.png()


def top_hz(rate_hz: int) -> float:
    """Return the frequency at the upper edge of a spectrogram."""
    return min(TOP_HZ, rate_hz / 2)


def view(path: Path, n_peaks: int, width: int, height: int) -> FileView:
    """Return pictures of every channel of a file, as stored. Raises BadClip as zoo.data.audio.read.decode does."""
    with open_file(path) as stream, open_audio(stream, path) as audio:
        rate, total = audio.samplerate, audio.frames
        waves = [Peaks(n_peaks, total) for _ in range(audio.channels)]
        images = [Spectrogram(total, rate, width, height) for _ in waves]
        for block in stored(audio, path):
            for channel, (wave, image) in enumerate(zip(waves, images, strict=True)):
                wave.add(block[:, channel])
                image.add(block[:, channel])
    channels = [ChannelView(wave.pairs(), image.png()) for wave, image in zip(waves, images, strict=True)]
    return FileView(total / rate, rate, channels)


class Peaks:
    """Lowest and highest of `n_samples` that come in blocks, in each of `n` equal spans, or one for each sample."""

    def __init__(self, n: int, n_samples: int):
        self._n_samples, self._done = n_samples, 0
        self._low, self._high = (np.full(min(n, n_samples), edge) for edge in (np.inf, -np.inf))

    def add(self, samples: np.ndarray) -> None:
        """Take in the next samples (m,)."""
        if not len(samples):
            return
        places = np.arange(self._done, self._done + len(samples), dtype=np.int64) * len(self._low) // self._n_samples
        starts = np.flatnonzero(np.diff(places, prepend=-1))
        spans = places[starts]
        self._low[spans] = np.minimum(self._low[spans], np.minimum.reduceat(samples, starts))
        self._high[spans] = np.maximum(self._high[spans], np.maximum.reduceat(samples, starts))
        self._done += len(samples)

    def pairs(self) -> list[Peak]:
        return list(zip(self._low.tolist(), self._high.tolist(), strict=True))


class Spectrogram:
    """The picture of `spectrogram_png`, of `n_samples` that come in blocks."""

    def __init__(self, n_samples: int, rate_hz: int, width: int, height: int):
        self._size = max(2, round(WINDOW_SECONDS * rate_hz))
        self._hop = max(1, min(self._size // 2, n_samples // width))
        self._n_samples, self._width, self._height = n_samples, width, height
        self._bins = round(top_hz(rate_hz) * self._size / rate_hz) + 1
        self._window = np.hanning(self._size + 1)[:-1].astype(np.float32)
        # Half a window of silence at each end: frame i is in the middle around sample i * hop.
        self._held, self._frame = np.zeros(self._size // 2, np.float32), 0
        self._left = n_samples
        self._power, self._count = np.zeros((width, self._bins)), np.zeros(width)

    def add(self, samples: np.ndarray) -> None:
        """Take in the next samples (m,)."""
        self._left -= len(samples)
        last = np.zeros(self._size // 2, np.float32) if self._left <= 0 else np.zeros(0, np.float32)
        self._held = np.concatenate([self._held, samples, last], dtype=np.float32)
        n_frames = max(0, (len(self._held) - self._size) // self._hop + 1)
        if n_frames:
            frames = np.lib.stride_tricks.sliding_window_view(self._held, self._size)[:: self._hop][:n_frames]
            for start in range(0, n_frames, _FRAMES):
                self._add_frames(frames[start : start + _FRAMES])
            self._held = self._held[n_frames * self._hop :].copy()

    def _add_frames(self, frames: np.ndarray) -> None:
        power = np.square(np.abs(np.fft.rfft(frames * self._window)[:, : self._bins]), dtype=float)
        middles = np.arange(self._frame, self._frame + len(frames), dtype=np.int64) * self._hop
        columns = np.minimum(self._width - 1, middles * self._width // self._n_samples)
        np.add.at(self._power, columns, power)
        np.add.at(self._count, columns, 1)
        self._frame += len(frames)

    def png(self) -> bytes:
        from PIL import Image

        power = self._power / np.maximum(self._count, 1)[:, None]
        # Rows as means of the bins between their edges, by differences of the running sum.
        edges = np.linspace(0, self._bins, self._height + 1)
        total = np.concatenate([np.zeros((self._width, 1)), np.cumsum(power, axis=1)], axis=1)
        below = np.minimum(edges.astype(int), self._bins - 1)
        share = edges - below
        running = total[:, below] * (1 - share) + total[:, below + 1] * share
        rows = np.maximum(np.diff(running, axis=1), 0).T[::-1]
        loudest = max(np.quantile(rows, LOUDEST_SHARE), 1e-12)
        shade = np.clip(1 + 10 * np.log10(np.maximum(rows, 1e-20) / loudest) / RANGE_DB, 0, 1)
        image = Image.fromarray(np.rint((1 - shade) * (_LEVELS - 1)).astype(np.uint8), "P")
        image.putpalette([grey for n in range(_LEVELS) for grey in [round(255 * n / (_LEVELS - 1))] * 3])
        written = io.BytesIO()
        image.save(written, "PNG", bits=4, optimize=True)
        return written.getvalue()


def _blocks(samples: np.ndarray) -> Iterator[np.ndarray]:
    return (samples[start : start + _BLOCK] for start in range(0, len(samples), _BLOCK))
