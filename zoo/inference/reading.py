"""Read audio files and waveforms for prediction, a few at a time."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from zoo.data.audio.read import BadClip, check_waveform, read

BATCH_SECONDS = 120  # of audio in one batch, padding included
READ_AHEAD = 64  # utterances read together, so that neighbours in length share a batch and memory stays flat

Clip = str | Path | np.ndarray
OnBad = Callable[[BadClip], None]


def in_turn(items: Sequence, size: int = READ_AHEAD) -> Iterator[Sequence]:
    """Yield `size` items at a time, in order."""
    return (items[start : start + size] for start in range(0, len(items), size))


def read_all(
    clips: Sequence[Clip],
    rate_hz: int,
    min_seconds: float,
    max_seconds: float,
    on_bad: OnBad | None = None,
    names: Sequence[str] | None = None,
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
            if on_bad is None:
                raise
            return error

    found: list[np.ndarray | None] = []
    with ThreadPoolExecutor(max_workers=2) as pool:
        for result in pool.map(waveform, clips, names or map(str, clips)):
            if isinstance(result, BadClip):
                on_bad(result)  # type: ignore[misc]
            found.append(None if isinstance(result, BadClip) else result)
    return found
