"""Ratings against audio: whether they belong to the same recording, and which rating belongs to which frame."""

from pathlib import Path

import numpy as np
import soundfile

from zoo.data.audio.read import BadClip, decode
from zoo.data.schema import Trace
from zoo.errors import UserError

MAX_GAP_SECONDS = 1.0
_LONGEST_SECONDS = 3_600.0
_ROUNDING = 1e-6  # of a step: 3 * 0.04 / 0.04 is less than 3 in floating point


def frame_labels(
    trace: Trace, n_frames: int, hop_seconds: float, delay_seconds: float = 0.0, name: str = ""
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the ratings of `n_frames` frames: labels (n_frames, dimensions) float32 and mask (n_frames,) bool.

    Frame i begins at i * `hop_seconds` and takes the latest rating given up to then: with equal steps from 0 s, frame
    i takes rating i, as AVEC counts them. Raters answer late: with `delay_seconds` the frame takes the rating of that
    much later. Where there is no rating (before the first, after the last, in the tail that a delay leaves) the label
    is 0 and the mask False. A delay below 0 lets a network hear that much more before it rates. Ratings beyond the last
    frame are dropped; where one more frame would be needed, the last rating is repeated.

    Raises UserError, which calls the recording `name`, for a delay that is not finite, ratings that end over a second
    from the end of the frames, and where no frame has a rating.
    """
    if not np.isfinite(delay_seconds):
        raise UserError(f"the label delay is {delay_seconds} s, expected a finite number")
    gap = gap_seconds(trace, n_frames * hop_seconds)
    if abs(gap) > MAX_GAP_SECONDS:
        raise UserError(
            f"{name or 'recording'}: expected labels that end within {MAX_GAP_SECONDS:g} s of the audio's end at "
            f"{n_frames * hop_seconds:.2f} s, found {_too(gap)}. Check that labels and audio are of one recording."
        )
    steps = len(trace.values)
    end_seconds = trace.start_seconds + steps * trace.step_seconds
    # One frame more is given the last rating, but never beyond the audio: a delay's tail stays empty.
    end_seconds = min(end_seconds + hop_seconds, max(end_seconds, n_frames * hop_seconds))
    shifted = np.arange(n_frames) * hop_seconds + delay_seconds
    index = np.floor((shifted - trace.start_seconds) / trace.step_seconds + _ROUNDING).astype(int)
    mask = (index >= 0) & (shifted < end_seconds - _ROUNDING * trace.step_seconds)
    if not mask.any():
        lost = f"{-delay_seconds:g} s are heard first"
        if delay_seconds >= 0:
            lost = f"the label delay takes {delay_seconds:g} s"
        raise UserError(
            f"{name or 'recording'}: no frame has a label. Its {n_frames * hop_seconds:.2f} s have labels from "
            f"{trace.start_seconds:g} s on, of which {lost}. Choose a shorter delay."
        )
    labels = np.zeros((n_frames, trace.values.shape[1]), np.float32)
    labels[mask] = trace.values[np.minimum(index[mask], steps - 1)]
    return labels, mask


def check_span(trace: Trace, labels: Path, audio: Path) -> None:
    """Raises UserError for ratings, of the file or folder `labels`, that end over a second from the end of their audio.

    An audio file that cannot be opened is passed over here; reading it refuses it with the reason.
    """
    seconds = _seconds(audio, trace)
    gap = 0.0 if seconds is None else gap_seconds(trace, seconds)
    if abs(gap) > MAX_GAP_SECONDS:
        raise UserError(
            f"{labels}: expected labels that end within {MAX_GAP_SECONDS:g} s of the end of {audio} at {seconds:.2f} "
            f"s, found {_too(gap)}. Check that labels and audio are of one recording, and restore the shorter one."
        )


def gap_seconds(trace: Trace, seconds: float) -> float:
    """Returns how far ratings go beyond (> 0) or stop short of (< 0) the end of audio; a rating holds for a step."""
    last = trace.start_seconds + (len(trace.values) - 1) * trace.step_seconds
    return max(last - seconds, 0.0) + min(last + trace.step_seconds - seconds, 0.0)


def _too(gap: float) -> str:
    return f"labels that end {abs(gap):.2f} s too {'late' if gap > 0 else 'early'}"


def _seconds(audio: Path, trace: Trace) -> float | None:
    """Returns how long a file lasts by its header, or None where it cannot be read."""
    try:
        info = soundfile.info(str(audio))
    except (OSError, soundfile.LibsndfileError):
        return None
    # Some MP3 have no declared length, only libsndfile's estimate: one that does not fit is decoded to be sure.
    if info.format != "MP3" or abs(gap_seconds(trace, info.duration)) <= MAX_GAP_SECONDS:
        return info.duration
    try:
        samples, rate_hz = decode(audio, max_seconds=_LONGEST_SECONDS)
    except BadClip:
        return None
    return len(samples) / rate_hz
