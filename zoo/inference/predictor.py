"""Predict emotion in files and waveforms, by the models of a run or by an exported model.

Both become a `Predictor`, so that they share the reader, the batches, the windows over long recordings and the rows.
They differ in how a waveform becomes outputs: run_predictor.py and export_predictor.py.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.data.audio.blocks import seconds_of
from zoo.data.audio.read import BadClip
from zoo.inference.reading import READ_AHEAD, Clip, OnBad, in_turn, read_all
from zoo.inference.rows import Row, rows


@dataclass(frozen=True)
class Predictor:
    """Predicts waveforms (samples,), float32 at `rate_hz`, between `min_seconds` and `max_seconds` long.

    `predict_waveforms` returns for each of them probabilities (classes,), or ratings (frames, dimensions) that are
    `frame_seconds` apart (0: probabilities). Files longer than `whole_seconds` are rated by `rate_long` instead, in
    windows.
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

    def predict(
        self, clips: Sequence[Clip], on_bad: OnBad | None = None, names: Sequence[str] | None = None
    ) -> Iterator[Row]:
        """Yield rows for audio files, and for waveforms as this class takes them.

        {"file", "emotion", "probabilities": {class: probability}, "trained_on"} per file; or {"file", "time" in
        seconds, a rating per dimension, "trained_on"} per frame. `names` stand as "file", by default paths, and of
        waveforms their position, such as "#0". One that cannot be used raises BadClip, or goes to `on_bad` and is left
        out.
        """
        names = names or [f"#{n}" if isinstance(clip, np.ndarray) else str(clip) for n, clip in enumerate(clips)]
        size = files_per_batch(self.frame_seconds > 0)
        for some, of_some in zip(in_turn(clips, size), in_turn(names, size), strict=True):
            for name, output in self._predict(some, of_some, on_bad):
                yield from rows(name, output, self.outputs, self.frame_seconds, self.trained_on)

    def _predict(
        self, clips: Sequence[Clip], names: Sequence[str], on_bad: OnBad | None
    ) -> Iterator[tuple[str, np.ndarray]]:
        long = self.rate_long
        if long and not isinstance(clips[0], np.ndarray) and seconds_of(Path(clips[0])) > self.whole_seconds:
            try:  # ratings come one file at a time
                yield names[0], long(Path(clips[0]))
            except BadClip as error:
                if on_bad is None:
                    raise
                on_bad(error)
            return
        waveforms = read_all(clips, self.rate_hz, self.min_seconds, self.max_seconds, on_bad, names)
        good = [(name, waveform) for name, waveform in zip(names, waveforms, strict=True) if waveform is not None]
        outputs = self.predict_waveforms([waveform for _, waveform in good])
        yield from zip((name for name, _ in good), outputs, strict=True)


def files_per_batch(continuous: bool) -> int:
    """Return how many files to predict together: one recording with its thousands of rows, or many utterances."""
    return 1 if continuous else READ_AHEAD
