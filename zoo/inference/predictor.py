"""Predict emotion in files and waveforms, by the models of a run or by an exported model.

Both become a `Predictor`; how a waveform becomes outputs is in run_predictor.py and export_predictor.py.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.audio.blocks import seconds_of
from zoo.data.audio.read import check_waveform, read
from zoo.data.audio.recording import BadClip

BATCH_SECONDS = 120  # of audio in one batch, padding included
READ_AHEAD = 64  # utterances read together, so that neighbours in length share a batch and memory stays flat

Clip = str | Path | np.ndarray
OnBad = Callable[[BadClip], None]
Row = dict[str, Any]


def raise_bad(error: BadClip) -> None:
    raise error


@dataclass(frozen=True)
class Predictor:
    """Predicts waveforms (samples,), float32 at `rate_hz`, between `min_seconds` and `max_seconds` long.

    `predict_waveforms` returns for each of them probabilities (classes,), or ratings (frames, dimensions) that are
    `frame_seconds` apart (0: probabilities). `rate_long` instead rates files longer than `whole_seconds`, in windows.
    """

    outputs: tuple[str, ...]
    trained_on: str
    rate_hz: int
    min_seconds: float
    max_seconds: float
    predict_waveforms: Callable[[Sequence[np.ndarray]], list[np.ndarray]]
    frame_seconds: float = 0.0
    whole_seconds: float = float("inf")
    rate_long: Callable[[Path], np.ndarray] | None = None

    def predict(self, clips: Sequence[Clip], on_bad: OnBad = raise_bad, names: Sequence[str] = ()) -> Iterator[Row]:
        """Yield rows for audio files, and for waveforms as this class takes them.

        {"file", "emotion", "probabilities": {class: probability}, "trained_on"} per file; or {"file", "time" in
        seconds, a rating per dimension, "trained_on"} per frame. "file" is of `names`, by default the path, or the
        position of a waveform, such as "#0". One that cannot be used goes to `on_bad` (which raises) and is left out.
        """
        names = names or [f"#{n}" if isinstance(clip, np.ndarray) else str(clip) for n, clip in enumerate(clips)]
        size = 1 if self.frame_seconds else READ_AHEAD  # ratings: one recording with its thousands of rows
        for some, of_some in zip(in_turn(clips, size), in_turn(names, size), strict=True):
            for name, output in self._predict(some, of_some, on_bad):
                yield from self._rows(name, output)

    def _predict(self, clips: Sequence[Clip], names: Sequence[str], on_bad: OnBad) -> Iterable[tuple[str, np.ndarray]]:
        first = clips[0]  # ratings come one file at a time
        if self.rate_long and not isinstance(first, np.ndarray) and seconds_of(Path(first)) > self.whole_seconds:
            try:
                return [(names[0], self.rate_long(Path(first)))]
            except BadClip as error:
                on_bad(error)
                return []
        waveforms = read_all(clips, self.rate_hz, self.min_seconds, self.max_seconds, on_bad, names)
        outputs = self.predict_waveforms([waveform for waveform in waveforms if waveform is not None])
        return zip(compress(names, [waveform is not None for waveform in waveforms]), outputs, strict=True)

    def _rows(self, file: str, output: np.ndarray) -> Iterator[Row]:
        if not self.frame_seconds:
            yield {"file": file, **emotion(self.outputs, output), "trained_on": self.trained_on}
            return
        for frame, values in enumerate(output):
            time = round(frame * self.frame_seconds, 3)
            yield {"file": file, "time": time, **named(self.outputs, values), "trained_on": self.trained_on}


def named(outputs: Sequence[str], values: np.ndarray) -> dict[str, float]:
    """Return probabilities or ratings (outputs,) by name, to six decimals."""
    return {name: round(float(value), 6) for name, value in zip(outputs, values, strict=True)}


def emotion(outputs: Sequence[str], probabilities: np.ndarray) -> Row:
    """Return {"emotion": the likeliest class, "probabilities": {class: probability}}."""
    return {"emotion": outputs[int(probabilities.argmax())], "probabilities": named(outputs, probabilities)}


def in_turn(items: Sequence, size: int = READ_AHEAD) -> Iterator[Sequence]:
    """Yield `size` items at a time, in order."""
    return (items[start : start + size] for start in range(0, len(items), size))


def read_all(
    clips: Sequence[Clip],
    rate_hz: int,
    min_seconds: float,
    max_seconds: float,
    on_bad: OnBad = raise_bad,
    names: Sequence[str] = (),
) -> list[np.ndarray | None]:
    """Return files, and waveforms (samples,) at `rate_hz`, as float32 waveforms; two are read at the same time.

    `names` are what errors call them. One that cannot be used raises BadClip, or goes to `on_bad` and is None here.
    """

    def waveform(clip: Clip, name: str) -> np.ndarray | BadClip:
        try:
            if isinstance(clip, np.ndarray):
                return check_waveform(clip, name, rate_hz, min_seconds, max_seconds)
            return read(clip, rate_hz, min_seconds, max_seconds)
        except BadClip as error:
            return error

    found: list[np.ndarray | None] = []
    with ThreadPoolExecutor(max_workers=2) as pool:
        for result in pool.map(waveform, clips, names or map(str, clips)):
            if isinstance(result, BadClip):
                on_bad(result)
                found.append(None)
            else:
                found.append(result)
    return found
