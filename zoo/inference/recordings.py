"""Predict emotion in recordings: a row per clip, rows of windows for longer ones, channel by channel.

All rows of classes have the schema of zoo.inference.rows. Models of ratings have rows as their predictor gives them.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

from zoo.data.audio.recording import WITHOUT_SPEECH, BadClip
from zoo.inference.clips import Clip, names_of
from zoo.inference.predictor import OnBad, Predictor, in_turn, raise_bad
from zoo.inference.quality import quality_of
from zoo.inference.reading import CLIP_SECONDS, OnMixed, Reading, without_notice
from zoo.inference.rows import MIX, placed
from zoo.inference.segments import segments
from zoo.inference.sources import Source, View, Whole, source_of, wholes
from zoo.inference.speech import has_speech, no_speech, scores_of, speech_seconds

Row = dict[str, Any]


class _Judged(NamedTuple):
    """A view with its seconds of speech, and why it has no emotion."""

    whole: Whole
    speech_seconds: float
    bad: BadClip | None


@dataclass(frozen=True)
class _Opened:
    """A recording, its views, and what is in each, if it is to have one row; else None."""

    source: Source
    views: list[View]
    wholes: list[_Judged] | None


def rows(
    predictor: Predictor,
    clips: Sequence[Clip],
    reading: Reading,
    on_bad: OnBad = raise_bad,
    names: Sequence[str] = (),
    clips_hz: int | None = None,
    on_mixed: OnMixed = without_notice,
) -> Iterator[Row]:
    """Yield the rows of clips in order; clips, names, rate and `on_bad` are those of `Predictor.predict`.

    `on_mixed` gets each recording whose channels are mixed down. A recording without speech has a row whose "emotion"
    is None and whose "reason" says why, and so does a window for which the model has no finite output.
    """
    if predictor.frame_seconds:
        reading.check_ratings()
        yield from predictor.predict(clips, on_bad, names, clips_hz)
        return
    for some, of_some in zip(in_turn(clips), in_turn(names or names_of(clips)), strict=True):
        opened = _open_each(predictor, some, of_some, reading, clips_hz or predictor.rate_hz)
        read = [(one.source.name, judged) for one in opened if isinstance(one, _Opened) for judged in one.wholes or ()]
        answered = iter(predictor.judged([of.bad or of.whole.waveform for _, of in read], [name for name, _ in read]))
        for one in opened:
            try:
                yield from _rows(predictor, one, answered, reading, on_mixed)
            except BadClip as error:
                on_bad(error)


def _open_each(
    predictor: Predictor, clips: Sequence[Clip], names: Sequence[str], reading: Reading, clips_hz: int
) -> list[_Opened | BadClip]:
    """Open recordings, and read those that are to have one row. Two are read at the same time."""

    def opened(clip: Clip, name: str) -> _Opened | BadClip:
        try:
            return _open(predictor, source_of(clip, name, clips_hz), reading)
        except BadClip as error:
            return error

    with ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(opened, clips, names))


def _open(predictor: Predictor, source: Source, reading: Reading) -> _Opened:
    views, most_seconds = source.views(reading.channels), predictor.max_seconds
    if reading.segments == "always":
        return _Opened(source, views, None)
    if reading.segments == "auto" and source.seconds > min(CLIP_SECONDS, most_seconds):
        return _Opened(source, views, None)
    judged = []
    for whole in wholes(source, views, predictor.rate_hz, predictor.min_seconds, most_seconds):
        scores = scores_of(whole.waveform, predictor.rate_hz)
        bad = whole.bad or (None if reading.any_sound or has_speech(scores) else no_speech(scores, source.name))
        judged.append(_Judged(whole, 0.0 if bad else min(speech_seconds(scores), source.seconds), bad))
    return _Opened(source, views, judged)


def _rows(
    predictor: Predictor, opened: _Opened | BadClip, answered: Iterator[Any], reading: Reading, on_mixed: OnMixed
) -> Iterator[Row]:
    if isinstance(opened, BadClip):
        raise opened
    source, views = opened.source, opened.views
    if views == [MIX] and source.channels > 1:
        on_mixed(source.name, source.channels)
    if opened.wholes is None:
        yield from map(dict, segments(predictor, source, views, reading.any_sound))
        return
    results = [next(answered) for _ in opened.wholes]
    if failed := [result for result in results if isinstance(result, BadClip) and result.kind not in WITHOUT_SPEECH]:
        raise failed[0]
    for (whole, seconds, _), result in zip(opened.wholes, results, strict=True):
        n_mixed = source.channels if whole.view == MIX else 1
        quality = quality_of(whole.waveform, predictor.rate_hz, whole.clipped_share, n_mixed)
        place = {"file": source.name, "channel": whole.view, "start": None, "end": None}
        yield dict(placed(predictor.row(source.name, result), place, seconds, quality))
