"""Classify a recording of any length in windows of speech, in memory that does not grow with its samples.

It is read twice: first to find speech in all views (channels, or their mixture), then for the samples of the windows.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from zoo.data.audio.recording import BadClip, check_length, check_level, mix
from zoo.data.audio.speech.windows import FRAME_SECONDS, MOST_SECONDS, is_speech, windows
from zoo.inference.predictor import READ_AHEAD, Predictor
from zoo.inference.quality import quality_of
from zoo.inference.rows import MIX, Quality, Row, placed
from zoo.inference.scan import Resampler, Scanned, scan
from zoo.inference.sources import Source, View, of_view
from zoo.inference.speech import no_speech, speech_seconds


class _Window(NamedTuple):
    """Seconds `start` to `end` of a view."""

    start: float
    end: float
    of: Scanned


def segments(predictor: Predictor, source: Source, views: Sequence[View], any_sound: bool = False) -> Iterator[Row]:
    """Yield a row per window of speech, by time and channel; for a view without speech one row that says so.

    With `any_sound` windows are cut of the whole recording. Raises BadClip for a recording that cannot be used.
    """
    check_length(source.n_samples, source.rate_hz, source.name, predictor.min_seconds, predictor.longest_seconds)
    todo = []
    for scanned in scan(source, views):
        cut = [] if scanned.bad else list(_cut(scanned, source, predictor, any_sound))
        todo += cut
        if not cut:
            yield _without_speech(predictor, source, scanned)
    todo.sort(key=lambda window: (window.start, str(window.of.view)))
    cut_out = _read(source, todo, predictor.rate_hz)
    while batch := list(islice(cut_out, READ_AHEAD)):
        yield from _classified(predictor, source, *zip(*batch, strict=True))


def _cut(scanned: Scanned, source: Source, predictor: Predictor, any_sound: bool) -> Iterator[_Window]:
    speech = np.ones(len(scanned.scores), bool) if any_sound else is_speech(scanned.scores)
    # A graph refuses windows that are longer than it takes by a sample.
    most_seconds = min(MOST_SECONDS, predictor.max_seconds)
    for first, last in windows(speech, scanned.levels_db, most_seconds):
        start, end = first * FRAME_SECONDS, min(last * FRAME_SECONDS, source.seconds)
        lacking = max(0.0, predictor.min_seconds - (end - start))
        start = max(0.0, start - lacking)
        yield _Window(start, min(source.seconds, max(end, start + predictor.min_seconds)), scanned)


def _read(source: Source, todo: Sequence[_Window], rate_hz: int) -> Iterator[tuple[_Window, np.ndarray]]:
    """Yield windows, sorted by their start, and their samples (n,) at `rate_hz`."""
    blocks, begin = source.blocks(), 0  # of what is held
    views = {window.of.view: Resampler(source, rate_hz) for window in todo}
    held = dict.fromkeys(views, np.empty(0, np.float32))
    for window in todo:
        first, last = round(window.start * rate_hz), round(window.end * rate_hz)
        while begin + len(held[window.of.view]) < last and (block := next(blocks, None)) is not None:
            before = min(first - begin, len(held[window.of.view]))  # samples that no later window has
            for view, resampler in views.items():
                samples = resampler.push(mix(of_view(block, view)))
                held[view] = np.concatenate([held[view][before:], samples])
            begin += before
        yield window, held[window.of.view][first - begin : last - begin]


def _classified(
    predictor: Predictor, source: Source, found: Sequence[_Window], waveforms: Sequence[np.ndarray]
) -> Iterator[Row]:
    read = [_or_silent(waveform, source.name) for waveform in waveforms]
    results = predictor.judged(read, [source.name] * len(read))
    for window, waveform, result in zip(found, waveforms, results, strict=True):
        first, last = round(window.start / FRAME_SECONDS), round(window.end / FRAME_SECONDS)
        quality = _quality(predictor, source, window.of, waveform, slice(first, last))
        place = {"file": source.name, "channel": window.of.view}
        seconds = {"start": round(window.start, 3), "end": round(window.end, 3)}
        spoken = min(speech_seconds(window.of.scores[first:last]), window.end - window.start)
        yield placed(predictor.row(source.name, result), {**place, **seconds}, spoken, quality)


def _or_silent(waveform: np.ndarray, name: str) -> np.ndarray | BadClip:
    try:
        check_level(waveform, name)
    except BadClip as error:
        return error
    return waveform


def _without_speech(predictor: Predictor, source: Source, scanned: Scanned) -> Row:
    error = scanned.bad or no_speech(scanned.scores, source.name)
    quality = _quality(predictor, source, scanned, np.empty(0, np.float32), slice(None))
    power = float(np.power(10, scanned.levels_db / 10).mean())
    quality["level_dbfs"] = round(10 * np.log10(power), 1) if scanned.bad is None else None
    place = {"file": source.name, "channel": scanned.view, "start": 0.0, "end": round(source.seconds, 3)}
    return placed(predictor.row(source.name, error), place, 0.0, quality)


def _quality(predictor: Predictor, source: Source, scanned: Scanned, waveform: np.ndarray, frames: slice) -> Quality:
    n_mixed = source.channels if scanned.view == MIX else 1
    clipped = scanned.clipped[frames]
    return quality_of(waveform, predictor.rate_hz, float(clipped.mean()) if len(clipped) else 0.0, n_mixed)
