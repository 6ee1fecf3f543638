"""Files to answers, batch after batch, by a run or an export: in this process, or in several that each load the model.

A worker is this module in a process of its own. It reads batches from its standard input and writes their answers, one
JSON line each; when its input ends, for whatever reason, so does the worker.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo import registry
from zoo.config import saved
from zoo.data.audio.blocks import moments, seconds_of, windows
from zoo.data.audio.read import BadClip
from zoo.features.speaker_normalization import check_unknown_voices
from zoo.inference.predictions_file import Answers, Failure
from zoo.serving import saved_model
from zoo.serving.saved_model import Exported

CLIPS, RECORDINGS = 64, 1  # in a batch: clips of like length share a request, recordings have thousands of rows each
_LONG_SECONDS, _MARGIN = 120.0, 0.25  # windows of recordings beyond an export's limit; their share left to each side
_DAY_SECONDS = 86_400.0

Ask = Callable[[Sequence[Path], Callable[[BadClip], None]], Iterable[dict[str, Any]]]


@dataclass(frozen=True)
class Source:
    """The folder of a run, or of an export, and how it is asked. `max_seconds` of None is the kind's own limit."""

    place: str
    exported: bool
    continuous: bool
    fold: str | None = None
    max_seconds: float | None = None
    smooth: bool = False

    @property
    def batch(self) -> int:
        """Files that are answered together."""
        return RECORDINGS if self.continuous else CLIPS


def source(place: Path, exported: bool, **options: Any) -> Source:
    """Looks at the folder of a run, or of an export's version, without loading what is in it."""
    if exported:
        description = saved_model.read_description(place)
        return Source(str(place), True, description["task"] == "continuous", **options)
    settings = saved.load(place / "config.json")
    registry.check_answers(settings.model, place)
    check_unknown_voices(settings, place)
    return Source(str(place), False, registry.get(settings.model).task == "continuous", **options)


def opened(source: Source) -> Ask:
    """Loads the models."""
    if source.exported:
        return of_export(saved_model.load(source.place))
    limit = {} if source.max_seconds is None else {"max_seconds": source.max_seconds}
    if source.continuous:
        from zoo.inference.continuous import ratings_of

        return ratings_of(Path(source.place), source.fold, source.smooth, **limit)
    from zoo.inference.categorical import emotions_of

    return emotions_of(Path(source.place), source.fold, **limit)


def of_export(exported: Exported) -> Ask:
    """Asks an export. Recordings longer than its graph takes are rated in windows, by networks on waveforms."""
    description = exported.description
    if description["frontend"]["kind"] != "StandardWaveform":
        return exported.predict
    most = description["longest"] / exported.rate_hz

    def answer(paths: Sequence[Path], on_bad: Callable[[BadClip], None]) -> Iterator[dict[str, Any]]:
        for path in paths:
            if seconds_of(path) <= most:
                yield from exported.predict([path], on_bad)
                continue
            try:
                ratings = _in_windows(exported, path)
            except BadClip as error:
                on_bad(error)
            else:
                yield from exported.in_words(str(path), ratings)

    return answer


def _in_windows(exported: Exported, path: Path) -> np.ndarray:
    """Ratings (frames, dimensions) of a file of any length, in constant memory.

    As zoo.inference.long_recordings.trace_long has it, with shorter windows, for an export's convolutions cannot run in
    pieces.
    """
    description, rate_hz = exported.description, exported.rate_hz
    steps, segment = description["steps_per_frame"], description["segment_frames"]
    mean, variance, _ = moments(path, rate_hz, _DAY_SECONDS)
    size = int(min(description["longest"], _LONG_SECONDS * rate_hz)) // steps
    margin = segment or round(_MARGIN * size)  # segments must lie in every window as they do in the whole
    inner = (size - 2 * margin) // segment * segment if segment else size - 2 * margin
    if inner < 1:
        raise BadClip(
            path, "too-long", f"{seconds_of(path):.4g} s (the most is {description['longest'] / rate_hz:g} s)"
        )
    parts = []
    for window in windows(path, inner * steps, margin * steps, rate_hz):
        before, after = window.before // steps, window.after // steps
        if len(window.samples) // steps <= before + after:
            continue  # what is left of the file makes no frame
        features = ((window.samples - mean) / np.sqrt(variance + 1e-14)).astype(np.float32)[:, None]
        ratings = exported.on_features([features])[0]
        parts.append(ratings[before : len(ratings) - after])
    return np.concatenate(parts)


def batches_of(paths: Sequence[Path], size: int) -> Iterator[Sequence[Path]]:
    for start in range(0, len(paths), size):
        yield paths[start : start + size]


def here(ask: Ask, batches: Iterable[Sequence[Path]]) -> Iterator[Answers]:
    """Answers batch after batch in this process."""
    for paths in batches:
        failed: list[Failure] = []
        rows = list(ask(paths, lambda error: failed.append(Failure(str(error.path), error.kind, str(error)))))  # noqa: B023
        yield Answers(rows, failed)
