"""Say what a valid recording is: for files, arrays, streams, training and exported graphs alike.

As stored, samples are finite, nominally in -1..1 and never beyond `LOUDEST`. Mixed down and at the model's rate, half
the range of the mixture (largest minus smallest sample, so that a constant offset is no signal) is at least `QUIETEST`.
Below that the recording is silent: a valid file, but without a signal at the level of speech.
"""

from pathlib import Path

import numpy as np

from zoo.data.audio.formats import READABLE
from zoo.errors import UserError

LOUDEST = 100.0  # of a sample: beyond it, floats at the scale of integers
QUIETEST = 5e-4  # of half a range, -66 dB of full scale; the quietest of 4,976 real clips of speech has 4e-3
CANCELLED = 0.01  # of the loudest channel's range: channels whose mixture has less cancel each other
MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 384_000
MAX_RATE_TIMES_CHANNELS = 8 * MAX_RATE_HZ

_FETCH = "Copy the file anew from its source."
# kind: (what was expected, what to do)
BAD_KINDS = {
    "missing": ("a readable file", "Check the path and its permissions."),
    "empty": ("a recording", _FETCH),
    "pointer": ("a recording", "Install git-lfs and run `git lfs pull` in the clone."),
    "not-audio": (READABLE, f"Convert it to WAV or FLAC if it is another format. {_FETCH}"),
    "truncated": ("the whole recording", _FETCH),
    "non-finite": ("finite samples", "Write the file again from its source, or leave it out."),
    "too-loud": ("samples about -1..1", "Divide integers by their full scale: 32768 for 16 bits."),
    "rate": ("a usual sampling rate and number of channels", "Convert it to 16 kHz mono."),
    "silent": ("speech", "Leave the clip out."),
    "cancelling": ("channels that can be mixed", "Take one of its channels, or turn the sign of the other."),
    "too-short": ("a longer clip", "Leave the clip out."),
    "too-long": ("one utterance", "Cut the recording into utterances, or leave it out."),
    "undefined": ("features and predictions that are finite", "Leave the clip out."),
}
# Valid recordings without an answer: predict gives them a row whose emotion is null; training leaves them out.
WITHOUT_SPEECH = ("silent", "cancelling")


class BadClip(UserError):  # noqa: N818
    """One recording that cannot be used. `kind` is a key of `BAD_KINDS`, `found` says what is wrong with it."""

    def __init__(self, path: str | Path, kind: str, found: str):
        expected, remedy = BAD_KINDS[kind]
        super().__init__(f"{path}: expected {expected}, found {found}. {remedy}")
        self.path = Path(path)
        self.kind, self.found = kind, found


def check_rate(rate_hz: int, channels: int, name: str | Path) -> None:
    """Raise BadClip for a rate or a number of channels that no recording of speech has."""
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ or rate_hz * channels > MAX_RATE_TIMES_CHANNELS:
        raise BadClip(name, "rate", f"{channels} channels at {rate_hz} Hz (the least is {MIN_RATE_HZ} Hz)")


def check_stored(samples: np.ndarray, rate_hz: int, name: str | Path, min_seconds: float, max_seconds: float) -> None:
    """Raise BadClip for samples (n,) or (n, channels) that are none, too few, too many, not finite or too loud."""
    seconds = len(samples) / rate_hz
    if not len(samples):
        raise BadClip(name, "empty", "a header without samples")
    if seconds > max_seconds:
        raise BadClip(name, "too-long", f"more than the most of {max_seconds:g} s")
    if seconds < min_seconds:
        raise BadClip(name, "too-short", f"{seconds:.4g} s (the least is {min_seconds:g} s)")
    check_values(samples, name)


def check_values(samples: np.ndarray, name: str | Path, where: str = "") -> None:
    """Raise BadClip for NaN, infinity and samples beyond `LOUDEST`; `where` says which samples these are."""
    bad = np.count_nonzero(~np.isfinite(samples))
    if bad:
        raise BadClip(name, "non-finite", f"{bad} of {samples.size} samples that are NaN or infinite{where}")
    peak = np.abs(samples).max(initial=0.0)
    if peak > LOUDEST:
        raise BadClip(name, "too-loud", f"a sample of {peak:.3g}{where}")


def check_level(mono: np.ndarray, name: str | Path, channels: np.ndarray | None = None) -> None:
    """Raise BadClip for a silent mixture (n,), and where `channels` (n, channels) as stored cancel each other in it."""
    level = half_range(mono)
    if channels is not None and channels.shape[1] > 1:
        loudest = max(half_range(channel) for channel in channels.T)
        if loudest >= QUIETEST and half_range(channels.mean(axis=1, dtype=np.float32)) < CANCELLED * loudest:
            raise BadClip(
                name, "cancelling", f"{channels.shape[1]} channels that cancel each other when they are mixed"
            )
    if level < QUIETEST:
        decibels = f"nothing above {20 * np.log10(QUIETEST):.0f} dB of full scale" if level else "zeros"
        raise BadClip(name, "silent", f"silence ({decibels})")


def check_finite(values: np.ndarray, name: str | Path, what: str = "features") -> None:
    """Raise BadClip where `values`, `what` was computed from a recording, hold NaN or infinity."""
    bad = np.count_nonzero(~np.isfinite(values))
    if bad:
        raise BadClip(name, "undefined", f"{bad} of {values.size} {what} that are NaN or infinite")


def half_range(samples: np.ndarray) -> float:
    """Return half the difference between the largest and the smallest sample (n,); 0 where there are none."""
    return float(samples.max() - samples.min()) / 2 if samples.size else 0.0
