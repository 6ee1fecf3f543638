"""Read what a caller gives as a recording channel by channel, at once or in blocks."""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.data.audio.read import AT_ONCE, open_audio, open_file, resample, stored
from zoo.data.audio.recording import BadClip, Level, check_length, check_rate, check_values, mix
from zoo.inference.clips import CONTENT, Clip, Readable, as_floats, content_of, in_columns, is_file
from zoo.inference.rows import MIX

CLIPPED = 0.999  # of full scale
View = int | str  # a channel, from 0, or MIX


@dataclass(frozen=True)
class Source:
    """A recording of `n_samples` per channel; `blocks` yields its samples as stored, float32 (n, channels)."""

    name: str
    rate_hz: int
    channels: int
    n_samples: int
    blocks: Callable[[], Iterator[np.ndarray]]

    @property
    def seconds(self) -> float:
        return self.n_samples / self.rate_hz

    def views(self, channels: str) -> list[View]:
        """Return what the option `channels` stands for. Raises BadClip for "right" of a recording of one channel."""
        if channels == "right" and self.channels < 2:
            raise BadClip(self.name, "channel", "one of a single channel")
        if channels == "split":
            return list(range(self.channels))
        return [{"left": 0, "right": 1}.get(channels, MIX)]


@dataclass(frozen=True)
class Whole:
    """A view of a recording as float32 `waveform` (samples,) at the model's rate, or why it has none."""

    view: View
    waveform: np.ndarray
    clipped_share: float
    bad: BadClip | None


def source_of(clip: Clip, name: str, clip_rate_hz: int) -> Source:
    """Open a clip (zoo.inference.clips); `clip_rate_hz` is the rate of samples. Raises BadClip and UserError."""
    if is_file(clip):
        path = Path(clip)
        return _file_source(name, lambda: open_file(path))
    if isinstance(clip, Readable) and not isinstance(clip, CONTENT):
        clip = content_of(clip, name)
    if isinstance(clip, CONTENT):
        content = bytes(clip)
        return _file_source(name, lambda: nullcontext(io.BytesIO(content)))
    samples = in_columns(as_floats(clip, name), name)
    check_rate(clip_rate_hz, samples.shape[1], name)
    with np.errstate(over="ignore"):  # what is too large becomes infinite, as in a file of doubles
        samples = samples.astype(np.float32)
    size = max(1, AT_ONCE // samples.shape[1])

    def blocks() -> Iterator[np.ndarray]:
        check_values(samples, name)
        return (samples[start : start + size] for start in range(0, len(samples), size))

    return Source(name, clip_rate_hz, samples.shape[1], len(samples), blocks)


def _file_source(name: str, opened: Callable) -> Source:
    with opened() as stream, open_audio(stream, name) as audio:
        facts = audio.samplerate, audio.channels, audio.frames

    def blocks() -> Iterator[np.ndarray]:
        with opened() as stream, open_audio(stream, name) as audio:
            yield from stored(audio, name, AT_ONCE)

    return Source(name, *facts, blocks)


def of_view(block: np.ndarray, view: View) -> np.ndarray:
    """Return the channels of a view from samples (n, channels): all for the mixture, else one."""
    return block if isinstance(view, str) else block[:, view : view + 1]


def wholes(source: Source, views: Sequence[View], rate_hz: int, min_seconds: float, max_seconds: float) -> list[Whole]:
    """Read the views of a recording at once. Raises BadClip as zoo.data.audio.read.read does, but for silence."""
    check_length(source.n_samples, source.rate_hz, source.name, min_seconds, max_seconds)
    parts: list[list[np.ndarray]] = [[] for _ in views]
    levels, clipped = [Level() for _ in views], [0] * len(views)
    for block in source.blocks():
        for number, view in enumerate(views):
            chosen = of_view(block, view)
            parts[number].append(mix(chosen))
            levels[number].add_stored(chosen, parts[number][-1])
            clipped[number] += int(np.count_nonzero(np.abs(chosen) >= CLIPPED))
    found = []
    for view, pieces, level, count in zip(views, parts, levels, clipped, strict=True):
        waveform, bad = resample(np.concatenate(pieces), source.rate_hz, rate_hz), None
        level.add_resampled(waveform)
        try:
            level.check(source.name)
        except BadClip as error:
            bad = error
        size = source.n_samples * (source.channels if view == MIX else 1)
        found.append(Whole(view, waveform, count / size, bad))
    return found
