"""Scan a recording for speech: what its frames hold, channel by channel, in memory that does not grow with samples."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soxr

from zoo.data.audio.recording import BadClip, Level, mix
from zoo.data.audio.speech import silero
from zoo.data.audio.speech.windows import FRAME_SECONDS
from zoo.inference.rows import MIX
from zoo.inference.sources import CLIPPED, Source, View, of_view


@dataclass(frozen=True)
class Scanned:
    """A view of a recording in frames of `FRAME_SECONDS`.

    `scores` are probabilities of speech, `levels_db` levels in dB of full scale, `clipped` shares of clipped samples,
    all (frames,). `bad` says why there is no speech in a view that is silent, or whose channels cancel each other.
    """

    view: View
    scores: np.ndarray
    levels_db: np.ndarray
    clipped: np.ndarray
    bad: BadClip | None


class Resampler:
    """Resamples a recording that comes in pieces, mono."""

    def __init__(self, source: Source, rate_hz: int):
        self._same = source.rate_hz == rate_hz
        self._left = source.n_samples
        self._stream = soxr.ResampleStream(source.rate_hz, rate_hz, 1, dtype="float32", quality="HQ")

    def push(self, mono: np.ndarray) -> np.ndarray:
        """Return what more samples (n,) become."""
        self._left -= len(mono)
        return mono if self._same else self._stream.resample_chunk(mono, last=self._left <= 0)


def scan(source: Source, views: Sequence[View]) -> list[Scanned]:
    """Read a recording and find speech in its views. Raises BadClip for one that cannot be used."""
    scans = [_Scan(source, view) for view in views]
    for block in source.blocks():
        for one in scans:
            one.push(block)
    return [one.finish() for one in scans]


class _Scan:
    def __init__(self, source: Source, view: View):
        self._source, self._view = source, view
        self._level, self._resampler, self._detector = Level(), Resampler(source, silero.RATE_HZ), silero.Detector()
        self._held = np.empty(0, np.float32)
        self._scores, self._levels = list[np.ndarray](), list[np.ndarray]()
        self._clipped = np.zeros(int(source.seconds / FRAME_SECONDS) + 2)
        self._n_read = 0

    def push(self, block: np.ndarray) -> None:
        chosen = of_view(block, self._view)
        mono = mix(chosen)
        self._level.add_stored(chosen, mono)
        at = (self._n_read + np.nonzero(np.abs(chosen) >= CLIPPED)[0]) / self._source.rate_hz
        self._clipped += np.bincount((at / FRAME_SECONDS).astype(int), minlength=len(self._clipped))
        self._n_read += len(mono)
        self._take(self._resampler.push(mono))

    def _take(self, samples: np.ndarray) -> None:
        self._level.add_resampled(samples)
        self._scores.append(self._detector.push(samples))
        joined = np.concatenate([self._held, samples])
        count = len(joined) // silero.FRAME
        frames, self._held = joined[: count * silero.FRAME], joined[count * silero.FRAME :]
        power = np.square(frames.reshape(-1, silero.FRAME), dtype=np.float64).mean(axis=1)
        self._levels.append(10 * np.log10(power + 1e-12))

    def finish(self) -> Scanned:
        self._take(np.zeros(-len(self._held) % silero.FRAME, np.float32))
        scores, levels_db = np.concatenate(self._scores), np.concatenate(self._levels)
        channels = self._source.channels if self._view == MIX else 1
        clipped = self._clipped[: len(scores)] / (FRAME_SECONDS * self._source.rate_hz * channels)
        try:
            self._level.check(self._source.name)
        except BadClip as error:
            return Scanned(self._view, scores, levels_db, clipped, error)
        return Scanned(self._view, scores, levels_db, clipped, None)
