"""Check that ratings and audio are of the same recording, and assign ratings to frames."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile

from zoo.data.audio.blocks import seconds_of
from zoo.data.audio.read import open_file
from zoo.data.audio.recording import BadClip
from zoo.data.schema import Trace
from zoo.errors import UserError

MAX_GAP_SECONDS = 1.0
_ROUNDING = 1e-6  # of a step: 3 * 0.04 / 0.04 is less than 3 in floating point


def frame_labels(
    trace: Trace, n_frames: int, hop_seconds: float, delay_seconds: float = 0.0, name: str = ""
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ratings of `n_frames` frames: labels (n_frames, dimensions) float32 and mask (n_frames,) bool.

    Frame i begins at i * `hop_seconds` and takes the latest rating given up to then: with equal steps from 0 s, frame
    i takes rating i, as AVEC counts them. Raters react late: with `delay_seconds` the frame takes the rating of that
    much later; a delay below 0 gives a network that much more audio before it rates. Where there is no rating (before
    the first, after the last, in the tail that a delay leaves) the label is 0 and the mask False. Ratings beyond the
    last frame are dropped; where one more frame would be needed, the last rating is repeated.

    Raises UserError, which names the recording `name`, for ratings that end over a second from the end of the frames,
    and where no frame has a rating.
    """
    name, seconds = name or "recording", n_frames * hop_seconds
    _check_gap(name, trace, seconds, "the audio's end")
    steps = len(trace.values)
    end_seconds = trace.start_seconds + steps * trace.step_seconds
    # One frame more is given the last rating, but never beyond the audio: a delay's tail stays empty.
    end_seconds = min(end_seconds + hop_seconds, max(end_seconds, seconds))
    shifted = np.arange(n_frames) * hop_seconds + delay_seconds
    index = np.floor((shifted - trace.start_seconds) / trace.step_seconds + _ROUNDING).astype(int)
    mask = (index >= 0) & (shifted < end_seconds - _ROUNDING * trace.step_seconds)
    if not mask.any():
        found = f"Its {seconds:.2f} s have labels from {trace.start_seconds:g} s on"
        raise UserError(
            f"{name}: no frame has a label. {found}, and the label delay is {delay_seconds:g} s. Choose a shorter one."
        )
    labels = np.zeros((n_frames, trace.values.shape[1]), np.float32)
    labels[mask] = trace.values[np.minimum(index[mask], steps - 1)]
    return labels, mask


def joined(columns: Mapping[str, tuple[np.ndarray, float]], step_seconds: float, place: str) -> Trace:
    """Return the trace of ratings that are given by dimension, each with the time of its first one in seconds.

    Raises UserError, which names `place`, where the dimensions differ in steps or in the first time.
    """
    if len({(len(values), start) for values, start in columns.values()}) > 1:
        found = " and ".join(f"{len(values)} of {name} from {start:g} s" for name, (values, start) in columns.items())
        raise UserError(f"{place}: expected the same steps in each dimension, found {found}. Restore the shorter one.")
    tracks, starts = zip(*columns.values(), strict=True)
    return Trace(tuple(columns), np.stack(tracks, axis=1).astype(np.float32), step_seconds, starts[0])


def check_span(trace: Trace, labels: Path, audio: Path) -> None:
    """Raise UserError for ratings, of the file or folder `labels`, that end over a second from the end of their audio.

    A cut file counts as long as it is. One that cannot be opened passes here; reading it raises the reason.
    """
    seconds = seconds_of(audio) or _seconds_left(audio)
    if seconds:
        _check_gap(str(labels), trace, seconds, f"the end of {audio}")


def _seconds_left(audio: Path) -> float:
    """Return the duration of a file whose header and content disagree; 0 where it cannot be opened."""
    try:
        with open_file(audio) as stream:
            return soundfile.info(stream).duration
    except (BadClip, soundfile.LibsndfileError, TypeError):
        return 0.0


def gap_seconds(trace: Trace, seconds: float) -> float:
    """Return how far ratings go beyond (> 0) or stop short of (< 0) the end of audio; a rating holds for a step."""
    last = trace.start_seconds + (len(trace.values) - 1) * trace.step_seconds
    return max(last - seconds, 0.0) + min(last + trace.step_seconds - seconds, 0.0)


def _check_gap(name: str, trace: Trace, seconds: float, end: str) -> None:
    gap = gap_seconds(trace, seconds)
    if abs(gap) > MAX_GAP_SECONDS:
        found = f"labels that end {abs(gap):.2f} s too {'late' if gap > 0 else 'early'}"
        raise UserError(
            f"{name}: expected labels that end within {MAX_GAP_SECONDS:g} s of {end} at {seconds:.2f} s, found {found}."
            " Check that labels and audio are of one recording, and restore the shorter one."
        )
