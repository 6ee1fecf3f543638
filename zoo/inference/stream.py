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

A window without speech (zoo.data.audio.recording.check_level) is classified as None. A recording's ratings go on
through its pauses; here they are None until something has been received above the level of silence.
"""

from typing import Any

import numpy as np
import soxr

from zoo.data.audio.recording import LOUDEST, QUIETEST, BadClip, check_level
from zoo.errors import UserError
from zoo.inference.clips import as_floats, whole_hz
from zoo.inference.predictor import checked, emotion, named, no_emotion, reason
from zoo.inference.stream_model import Live, of_export
from zoo.inference.stream_postprocess import RunningPostProcess
from zoo.serving.saved_model import Exported

HOP_SECONDS = {"state": 0.4, "windows": 1.0, "emotion": 1.0}
WINDOW_SECONDS = {"windows": 8.0, "emotion": 4.0}
LOOK_AHEAD_SECONDS = 2.0  # of windows
_SILENT_SO_FAR = f"silent: nothing above {20 * np.log10(QUIETEST):.0f} dB of full scale so far"


class Stream:
    """Predict one stream by a model: an export (zoo.serving.saved_model, zoo.load), or a `Live` (stream_run.of_run).

    Args:
        hop_seconds: new audio that each block of rows waits for; by default `HOP_SECONDS`.
        window_seconds, look_ahead_seconds: of windows; by default `WINDOW_SECONDS` and `LOOK_AHEAD_SECONDS`.
        level: mean and deviation of the samples, fixed; by default those of the audio received so far.
        rate_hz: of the samples pushed, by default the model's; others are resampled.

    `look_back_seconds` is how much audio a row depends on at most; with state, all before it (infinite). Raises
    UserError for an option that this way does not have, or a value it cannot take.
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
        rate_hz = wanted_hz if rate_hz is None else whole_hz(rate_hz, "rate")
        _check(self.live, level)
        self.unit, self.level = self.live.frame_samples or 1, level
        self.hop, self.window, self.ahead = _sizes(self.live, hop_seconds, window_seconds, look_ahead_seconds)
        self._resampler = None
        if rate_hz != wanted_hz:
            self._resampler = soxr.ResampleStream(rate_hz, wanted_hz, 1, dtype="float32", quality="HQ")
        self._step = self.live.begin() if self.live.begin else None
        self.look_back_seconds = float("inf") if self._step else self.window * self.unit / wanted_hz
        self._smoothing = RunningPostProcess(self.live.chains)
        self._held, self._first = np.empty(0, np.float32), 0  # samples, and the number of the first of them
        self._next = 0  # unit to predict next
        self._counted, self._total, self._squares = 0, 0.0, 0.0  # samples in the running level, and their sums
        self._lowest, self._highest = np.inf, -np.inf  # of them
        self._silent_frames = 0  # rated before anything was above silence
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

        Rows are {"time", a rating per dimension, "trained_on", "reason"} with the seconds since the stream's start, or
        {"start", "end", "emotion", "probabilities", "trained_on", "reason"}. They do not depend on how the stream is
        cut into pushes. Without speech or a finite output, emotion and probabilities, or ratings, are None, and
        "reason" says why; it is None otherwise.

        Raises UserError for samples of another kind, NaN, infinity and samples beyond `LOUDEST`, of which nothing is
        taken; and after `finish`.
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
        samples = as_floats(samples, "stream")
        if samples.ndim != 1:
            raise UserError(
                f"stream: expected samples (n,), found {samples.dtype} {samples.shape}; mix channels down by their mean"
            )
        if not np.isfinite(samples).all():
            at = self._pushed + int(np.flatnonzero(~np.isfinite(samples))[0])
            found = f"found NaN or infinity at sample {at}; check its source and its --sample-format"
            raise UserError(f"stream: expected finite samples, {found}")
        if (loudest := np.abs(samples).max(initial=0)) > LOUDEST:
            raise UserError(
                f"stream: expected samples about -1..1, found one of {loudest:.3g}; divide integers by their full "
                "scale, 32768 for 16 bits, and check --sample-format"
            )
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
        live, window = self.live, self._held[start - self._first : end - self._first]
        times = {"start": round(start / live.rate_hz, 3), "end": round(end / live.rate_hz, 3)}
        why, answer = None, no_emotion(live.outputs)
        try:
            check_level(window, "stream")
            probabilities = checked(live.answer(window), (len(live.outputs),), "stream")
            answer = emotion(live.outputs, probabilities, live.judge(probabilities, window))
        except BadClip as error:
            why = reason(error)
        return {**times, **answer, "trained_on": live.trained_on, "reason": why}

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
        self._hear(self._received if last else end * self.unit)
        if live.standard:
            mean, scale = self._level()
            piece = ((piece - mean) * scale).astype(np.float32)[:, None]
        if self._step:
            ratings = self._smoothing.push(self._step(piece, self._next - start, count))
        else:
            ratings = self._window(piece, end - start)[self._next - start : self._next - start + count]
        self._raw.extend(ratings)
        self._next += count
        if (self._highest - self._lowest) / 2 < QUIETEST:
            self._silent_frames = self._next
        self._forget_before((self._next - max(live.before_frames, self.window)) * self.unit)

    def _window(self, piece: np.ndarray, n_frames: int) -> np.ndarray:
        """Return the ratings of a window, NaN where the model has none."""
        shape = n_frames, len(self.live.outputs)
        try:
            return checked(self.live.answer(piece), shape, "stream")
        except BadClip:
            return np.full(shape, np.nan)

    def _hear(self, end: int) -> None:
        """Take the samples before `end` into the running level."""
        new = self._held[self._counted - self._first : end - self._first].astype(float)
        self._counted, self._total, self._squares = end, self._total + new.sum(), self._squares + new @ new
        self._lowest, self._highest = new.min(initial=self._lowest), new.max(initial=self._highest)

    def _level(self) -> tuple[float, float]:
        """Return mean and factor of the samples so far, as StandardWaveform does of a whole recording."""
        if self.level is not None:
            return float(self.level[0]), 1 / np.sqrt(float(self.level[1]) ** 2 + 1e-14)
        mean = self._total / self._counted
        return mean, 1 / np.sqrt(max(self._squares / self._counted - mean**2, 0.0) + 1e-14)

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
            rows.append(self._rating(frame))
            self._row += 1
        return rows

    def _rating(self, frame: int) -> dict[str, Any]:
        """Return the next row, by the first of the held ratings, that of `frame`."""
        live, why = self.live, None
        if frame < self._silent_frames:
            why = _SILENT_SO_FAR
        elif not np.isfinite(self._raw[0]).all():
            why = "undefined: an output that is NaN or infinite"
        ratings = dict.fromkeys(live.outputs) if why else named(live.outputs, self._raw[0])
        time = round(self._row * self.unit / live.rate_hz, 3)
        return {"time": time, **ratings, "trained_on": live.trained_on, "reason": why}


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
        count = round(seconds / unit_seconds) if _is_number(seconds) and np.isfinite(seconds) else -1
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


def _check(live: Live, level: tuple[float, float] | None) -> None:
    if level is not None and not live.standard:
        raise UserError("level is for networks on waveforms; leave it out")
    pair = level if isinstance(level, (tuple, list)) else ()
    numbers = [value for value in pair if _is_number(value) and np.isfinite(value)]
    if level is not None and (len(pair) != 2 or len(numbers) != 2 or numbers[1] <= 0):
        raise UserError(f"level is {level}, expected a mean and a deviation above 0, as of samples in -1..1")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
