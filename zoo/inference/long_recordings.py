"""Rate recordings of any length, in overlapping windows that are longer than a network's memory."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from zoo.data.audio.blocks import moments, seconds_of, windows
from zoo.data.audio.recording import BadClip

WHOLE_SECONDS = 300.0  # longer recordings are rated in windows, by runs and exports alike
WINDOW_SECONDS, MARGIN = 120.0, 0.25  # of a window, and the share of it at each end that only gives context


def rate_in_windows(
    path: Path,
    rate: Callable[[np.ndarray], np.ndarray],
    steps_per_frame: int,
    segment_frames: int,
    rate_hz: int,
    max_seconds: float,
    longest_seconds: float = float("inf"),
) -> np.ndarray:
    """Return the ratings (frames, ...) of a file of any length in constant memory, by overlapping windows.

    `rate` maps samples (n, 1) at mean 0 and deviation 1 to ratings; the file is read twice, first for its own mean and
    deviation. Windows are at most `longest_seconds` long. `segment_frames`, of a network that depends on where segments
    begin and end, else 0, lets segments lie in every window as they do in the whole recording.

    Raises BadClip for a file that cannot be used, is longer than `max_seconds`, or needs longer windows.
    """
    mean, variance = moments(path, rate_hz, max_seconds)
    size = max(round(WINDOW_SECONDS * rate_hz / steps_per_frame), 3 * segment_frames)
    if longest_seconds < float("inf"):
        size = min(size, round(longest_seconds * rate_hz) // steps_per_frame)
    margin = segment_frames or round(MARGIN * size)
    inner = size - 2 * margin
    inner -= inner % (segment_frames or 1)
    if inner < 1:
        raise BadClip(path, "too-long", f"{seconds_of(path):.4g} s (the most is {longest_seconds:g} s)")
    parts = []
    for samples, first, last in windows(path, inner * steps_per_frame, margin * steps_per_frame, rate_hz):
        before, after = first // steps_per_frame, last // steps_per_frame
        if len(samples) // steps_per_frame <= before + after:
            continue  # what is left of the file makes no frame
        ratings = rate(((samples - mean) / np.sqrt(variance + 1e-14)).astype(np.float32)[:, None])
        parts.append(ratings[before : len(ratings) - after])
    return np.concatenate(parts)
