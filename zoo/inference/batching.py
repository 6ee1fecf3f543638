"""Read waveforms ahead, and run a model over them in batches of like length."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np

from zoo.data.audio.read import BadClip, read
from zoo.runs.model_file import frontend

# Clips are read this many at a time, so that neighbours in length can share a batch and memory stays flat.
_WINDOW = 64
_BATCH_SECONDS = 120


def read_windows(
    paths: Sequence[Path],
    rate_hz: int,
    max_seconds: float = 60.0,
    on_bad: Callable[[BadClip], None] | None = None,
    min_seconds: float = 0.025,
) -> Iterator[list[tuple[Path, np.ndarray]]]:
    """Yields the clips in order, some at a time, as (path, waveform (samples,)).

    A clip that cannot be used raises BadClip, or is handed to `on_bad` and left out.
    """

    def waveform(path: Path) -> np.ndarray | BadClip:
        try:
            return read(path, rate_hz, min_seconds, max_seconds)
        except BadClip as error:
            if on_bad is None:
                raise
            return error

    with ThreadPoolExecutor(max_workers=2) as pool:
        for start in range(0, len(paths), _WINDOW):
            window = paths[start : start + _WINDOW]
            good = []
            for path, result in zip(window, pool.map(waveform, window), strict=True):
                if isinstance(result, BadClip):
                    on_bad(result)  # type: ignore[misc]
                else:
                    good.append((path, result))
            yield good


def predict(model: keras.Model, clips: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Returns the model's output for each waveform (samples,), in order.

    Clips of like length share a batch, padded to whole seconds: few shapes, little padding. The network ignores
    padding, so a clip's output does not depend on its neighbours.
    """
    rate_hz = frontend(model).rate_hz
    outputs: list[np.ndarray] = [np.empty(0)] * len(clips)
    by_seconds: dict[int, list[int]] = {}
    for index, clip in enumerate(clips):
        by_seconds.setdefault(-(-len(clip) // rate_hz), []).append(index)
    for seconds, members in sorted(by_seconds.items()):
        size = max(1, _BATCH_SECONDS // seconds)
        for start in range(0, len(members), size):
            chosen = members[start : start + size]
            padded = np.zeros((len(chosen), seconds * rate_hz), np.float32)
            for row, index in zip(padded, chosen, strict=True):
                row[: len(clips[index])] = clips[index]
            lengths = np.array([len(clips[index]) for index in chosen], np.int32)
            batch = model.predict_on_batch({"waveform": padded, "n_samples": lengths})
            for index, output in zip(chosen, np.asarray(batch), strict=True):
                outputs[index] = output
    return outputs
