"""Predict from a stream of audio: rows appear as soon as the audio they depend on has been received.

There are three ways, by what a network is made of:

    state     Ratings by unidirectional recurrent layers with their state carried from piece to piece, as is an export's
              post-processing. Equal to the ratings of the whole recording, but for its level (below).
    windows   Ratings by other networks: each block of rows within a window that reaches back and a little ahead. With
              untrained weights conv_blstm differs from the whole recording by up to 1e-4 with 2 s ahead, 3e-3 with 1 s;
              conv_bigru (fft=frame) by 1e-6 and 2e-4. Networks that depend on where segments begin get whole
              segments: equal, but for frames that the last, overlapping segment rates again.
    emotion   One classification per window, equal to that of the utterance cut there.

Networks on waveforms take them at mean 0 and deviation 1 over the whole recording. In a stream both are those of the
audio received so far (conv_lstm untrained, swelling noise: ratings within a range of 0.08 differ by up to 0.007 in the
first 5 s, 0.004 after 20 s); a fixed `level` removes that difference.
"""

from typing import Any

import numpy as np
import soxr

from zoo.data.audio.recording import LOUDEST
from zoo.errors import UserError
from zoo.inference.predictor import emotion, named
from zoo.inference.stream_model import Live, of_export
from zoo.inference.stream_postprocess import RunningPostProcess
from zoo.serving.saved_model import Exported

HOP_SECONDS = {"state": 0.4, "windows": 1.0, "emotion": 1.0}
WINDOW_SECONDS = {"windows": 8.0, "emotion": 4.0}
LOOK_AHEAD_SECONDS = 2.0  # of windows
RATES_HZ = (1000, 384_000)


class Stream:
    """Predict one stream by a model: an export (zoo.serving.saved_model, zoo.load), or a `Live` (stream_run.of_run).

    Args:
        hop_seconds: new audio that each block of rows waits for; by default `HOP_SECONDS`.
        window_seconds, look_ahead_seconds: of windows; by default `WINDOW_SECONDS` and `LOOK_AHEAD_SECONDS`.
        level: mean and deviation of the samples, fixed; by default those of the audio received so far.
        rate_hz: of the samples pushed, by default the model's; others are resampled.

    Raises UserError for an option that this way does not have, or a value it cannot take.
    """

    def __init__(
        self,
        model: Any,
        hop_seconds: float | None = None,
        *,
        window_seconds: float | None = None,
        look_ahead_seconds: float | None = None,
        level: tuple[float, float] | None = None,
        rate_hz: int | None = None,
    ):
        model = getattr(model, "exported", model)
        self.live: Live = of_export(model) if isinstance(model, Exported) else model
        wanted_hz = self.live.rate_hz
        rate_hz = wanted_hz if rate_hz is None else rate_hz
        _check(self.live, level, rate_hz)
        self.unit, self.level = self.live.frame_samples or 1, level
        self.hop, self.window, self.ahead = _sizes(self.live, hop_seconds, window_seconds, look_ahead_seconds)
        self._resampler = None
        if rate_hz != wanted_hz:
            self._resampler = soxr.ResampleStream(rate_hz, wanted_hz, 1, dtype="float32", quality="HQ")
        self._step = self.live.begin() if self.live.begin else None
        self._smoothing = RunningPostProcess(self.live.chains)
        self._held, self._first = np.empty(0, np.float32), 0  # samples, and the number of the first of them
        self._next = 0  # unit to predict next
        self._counted, self._total, self._squares = 0, 0.0, 0.0  # samples in the running level, and their sums
        self._raw: list[np.ndarray] = []  # ratings that are not all shown
        self._raw_first, self._row = 0, 0  # the first one's frame, and the next row's
        self._pushed, self._finished = 0, False

    @property
    def latency_seconds(self) -> float:
        """The longest time from a row's time until it appears, in audio received, without computation and resampling.

        Of classes, from a moment until a window that holds it is classified. Ratings with a delay appear earlier by it.
        """
        waits = self.hop + self.ahead + self._smoothing.after + max(0, -self.live.delay_frames)
        return waits * self.unit / self.live.rate_hz

    def push(self, samples: np.ndarray) -> list[dict[str, Any]]:
        """Take the next samples, floats (n,) nominally in -1..1; return the rows that are now certain.

        Rows are {"time", a rating per dimension, "trained_on"} with the seconds since the stream's start, or {"start",
        "end", "emotion", "probabilities", "trained_on"}. They do not depend on how the stream is cut into pushes.
        Raises UserError for samples of another kind, NaN or infinity, of which nothing is taken; and after `finish`.
        """
        samples = self._checked(samples)
        self._pushed += len(samples)
        return self._take(self._resampler.resample_chunk(samples) if self._resampler else samples, ended=False)

    def finish(self) -> list[dict[str, Any]]:
        """End the stream; return the rows that waited for more audio. Samples that make no whole frame are left out."""
        rest = self._checked(np.empty(0, np.float32))
        if self._resampler and self._pushed:
            rest = self._resampler.resample_chunk(rest, last=True)
        rows = self._take(rest, ended=True)
        self._finished = True
        return rows

    def _checked(self, samples: np.ndarray) -> np.ndarray:
        if self._finished:
            raise UserError("the stream is finished; begin another for more audio")
        samples = np.asarray(samples)
        if samples.ndim != 1 or samples.dtype.kind != "f":
            found = f"found {samples.dtype} {samples.shape}; mix channels down, divide integers by their largest"
            raise UserError(f"stream: expected samples (n,) of floats in -1..1, {found}")
        if not np.isfinite(samples).all():
            at = self._pushed + int(np.flatnonzero(~np.isfinite(samples))[0])
            found = f"found NaN or infinity at sample {at}; check its source and its --format"
            raise UserError(f"stream: expected finite samples, {found}")
        if (loudest := np.abs(samples).max(initial=0)) > LOUDEST:
            raise UserError(f"stream: expected samples about -1..1, found one of {loudest:.3g}; check its --format")
        return samples.astype(np.float32)

    def _take(self, samples: np.ndarray, ended: bool) -> list[dict[str, Any]]:
        self._held = np.concatenate([self._held, samples])
        return self._emotions(ended) if self.live.way == "emotion" else self._ratings(ended)

    @property
    def _received(self) -> int:
        return self._first + len(self._held)

    def _forget_before(self, sample: int) -> None:
        forgotten = max(sample - self._first, 0)
        self._held, self._first = self._held[forgotten:], self._first + forgotten

    def _emotions(self, ended: bool) -> list[dict[str, Any]]:
        rows = []
        while self._received >= self._next + self.window:
            rows.append(self._emotion(self._next, self._next + self.window))
            self._next += self.hop
            self._forget_before(self._next - self.hop)
        complete = self._next and self._received == self._next - self.hop + self.window
        if ended and not complete and self._received >= self.live.shortest:
            rows.append(self._emotion(max(self._first, self._received - self.window), self._received))
        return rows

    def _emotion(self, start: int, end: int) -> dict[str, Any]:
        live = self.live
        probabilities = live.answer(self._held[start - self._first : end - self._first])
        times = {"start": round(start / live.rate_hz, 3), "end": round(end / live.rate_hz, 3)}
        return {**times, **emotion(live.outputs, probabilities), "trained_on": live.trained_on}

    def _ratings(self, ended: bool) -> list[dict[str, Any]]:
        frames = self._received // self.unit
        while frames >= self._next + self.hop + self.ahead:
            self._rate(self.hop, self._next + self.hop + self.ahead)
        if ended and frames > self._next:
            self._rate(frames - self._next, frames, last=True)
        if ended:
            self._raw.extend(self._smoothing.finish())
        return self._rows(frames, ended)

    def _rate(self, count: int, end: int, last: bool = False) -> None:
        """Rate the next `count` frames, by audio up to frame `end`."""
        live = self.live
        start = max(0, self._next - live.before_frames if self._step else end - self.window)
        piece = self._held[start * self.unit - self._first : end * self.unit - self._first]
        if live.standard:
            mean, scale = self._level_at(self._received if last else end * self.unit)
            piece = ((piece - mean) * scale).astype(np.float32)[:, None]
        if self._step:
            ratings = self._smoothing.push(self._step(piece, self._next - start, count))
        else:
            ratings = live.answer(piece)[self._next - start : self._next - start + count]
        self._raw.extend(ratings)
        self._next += count
        self._forget_before((self._next - max(live.before_frames, self.window)) * self.unit)

    def _level_at(self, end: int) -> tuple[float, float]:
        """Return mean and factor of the samples before `end`, as StandardWaveform does of a whole recording."""
        if self.level is not None:
            return float(self.level[0]), 1 / np.sqrt(float(self.level[1]) ** 2 + 1e-14)
        new = self._held[self._counted - self._first : end - self._first].astype(float)
        self._counted, self._total, self._squares = end, self._total + new.sum(), self._squares + new @ new
        mean = self._total / end
        return mean, 1 / np.sqrt(max(self._squares / end - mean**2, 0.0) + 1e-14)

    def _rows(self, received_frames: int, ended: bool) -> list[dict[str, Any]]:
        rows = []
        while self._row < received_frames:
            frame = max(0, self._row - self.live.delay_frames)
            if ended:
                frame = min(frame, received_frames - 1)
            if frame >= self._raw_first + len(self._raw):
                break
            del self._raw[: frame - self._raw_first]
            self._raw_first = frame
            time = round(self._row * self.unit / self.live.rate_hz, 3)
            rows.append({"time": time, **named(self.live.outputs, self._raw[0]), "trained_on": self.live.trained_on})
            self._row += 1
        return rows


def _sizes(live: Live, *seconds: float | None) -> tuple[int, int, int]:
    """Return hop, window and look-ahead, given in seconds, in frames, or in samples for classes."""
    hop_seconds, window_seconds, look_ahead_seconds = seconds
    unit, way = live.frame_samples or 1, live.way
    unit_seconds = unit / live.rate_hz
    if way != "windows" and look_ahead_seconds is not None:
        raise UserError("look-ahead is for ratings by windows; leave it out")
    if way == "state" and window_seconds is not None:
        raise UserError("this network carries its state and needs no window; leave it out")

    def units(name: str, given: float | None, default: float, least: int = 1) -> int:
        seconds = default if given is None else given
        count = round(seconds / unit_seconds) if np.isfinite(seconds) else -1
        if count < least or abs(count * unit_seconds - seconds) > 1e-3:
            expected = f"a multiple of {unit_seconds:g} s, at least {least * unit_seconds:g} s"
            raise UserError(f"{name} is {seconds} s, expected {expected}")
        return count

    inner, inner_ahead = live.inner_frames, live.inner_ahead_frames
    if live.segment_frames:
        if seconds != (None, None, None) or inner or inner_ahead:
            raise UserError(
                f"this network looks at segments of {live.segment_frames * unit_seconds:g} s as wholes: it takes no "
                "other hop, window or look-ahead, and no delay or post-processing within an export"
            )
        return live.segment_frames, live.segment_frames, 0
    hop = units("hop", hop_seconds, HOP_SECONDS[way])
    if way == "state":
        return hop, 0, live.after_frames
    window = units("window", window_seconds, WINDOW_SECONDS[way])
    default_ahead = LOOK_AHEAD_SECONDS + inner_ahead * unit_seconds if way == "windows" else 0.0
    ahead = units("look-ahead", look_ahead_seconds, default_ahead, inner_ahead)
    least = hop + ahead + inner
    if least > window or not live.shortest <= window * unit <= live.longest:
        raise UserError(
            f"window is {window * unit_seconds:g} s, expected hop, look-ahead and the model's delay "
            f"({least * unit_seconds:g} s) to fit in, and {live.shortest / live.rate_hz:g} to "
            f"{live.longest / live.rate_hz:g} s as the model has it"
        )
    return hop, window, ahead


def _check(live: Live, level: tuple[float, float] | None, rate_hz: int) -> None:
    if level is not None and not live.standard:
        raise UserError("level is for networks on waveforms; leave it out")
    if level is not None and (len(level) != 2 or not np.isfinite(level).all() or level[1] <= 0):
        raise UserError(f"level is {level}, expected a mean and a deviation above 0, as of samples in -1..1")
    if rate_hz != live.rate_hz and not RATES_HZ[0] <= rate_hz <= RATES_HZ[1]:
        raise UserError(f"rate is {rate_hz} Hz, expected {RATES_HZ[0]} to {RATES_HZ[1]}")
