"""Say what a valid recording is: for files, arrays, streams, training and exported graphs alike.

As stored, samples are finite, nominally in -1..1 and never beyond `LOUDEST`. Mixed down and at the model's rate, half
the range of the mixture (largest minus smallest sample, so that a constant offset is no signal) is at least `QUIETEST`.
Below that the recording is silent: a valid file, but without a signal at the level of speech.
"""

import shlex
from pathlib import Path

import numpy as np

from zoo.data.audio.formats import READABLE
from zoo.errors import UserError

LOUDEST = 100.0  # of a sample: beyond it, floats at the scale of integers
QUIETEST = 5e-4  # of half a range, -66 dB of full scale; the quietest of 4,976 real clips of speech has 4e-3
CANCELLED = 0.01  # of the loudest channel's range: channels whose mixture has less cancel each other
MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 384_000
MAX_RATE_TIMES_CHANNELS = 8 * 96_000  # 30 s of them, which are decoded at a time, take 92 MB

Segment = tuple[float, float | None]  # start and end in seconds; None: the file's end
WHOLE: Segment = (0.0, None)
ROUNDING_SECONDS = 0.1  # that labels' times may go beyond the end of a file, as those that were rounded do

_FETCH = "Copy the file anew from its source."
# kind: (what was expected, what to do)
BAD_KINDS = {
    "missing": ("a readable file", "Check the path and its permissions."),
    "empty": ("a recording", _FETCH),
    "pointer": ("a recording", "Install git-lfs and run `git lfs pull` in the clone."),
    "not-audio": (READABLE, f"Convert it to WAV or FLAC if it is another format. {_FETCH}"),
    "foreign": (READABLE, "Convert it to WAV."),
    "truncated": ("the whole recording", _FETCH),
    "unfinished": ("a header that declares all its samples", "Repair the header, or write the recording anew."),
    "joined": ("one recording", "Split the file into its recordings."),
    "non-finite": ("finite samples", "Write the file again from its source, or leave it out."),
    "too-loud": ("samples about -1..1", "Divide integers by their full scale: 32768 for 16 bits."),
    "rate": ("a usual sampling rate and number of channels", "Convert it to 16 kHz mono."),
    "silent": ("speech", "Leave the clip out."),
    "no speech found": ("speech", "Leave the clip out, or add --any-sound."),
    "channel": ("a recording with a right channel", "Choose --channels mix, split or left."),
    "cancelling": ("channels that can be mixed", "Take one of its channels, or turn the sign of the other."),
    "too-short": ("a longer clip", "Leave the clip out."),
    "too-long": ("one utterance", "Cut the recording into utterances, or leave it out."),
    "beyond": ("a segment within the recording", "Correct its start and end in the table."),
    "undefined": ("features and predictions that are finite", "Leave the clip out."),
}
# Valid recordings without an answer: predict gives them a row whose emotion is null; training leaves them out.
WITHOUT_SPEECH = ("silent", "cancelling", "no speech found")


class BadClip(UserError):  # noqa: N818
    """One recording that cannot be used. `kind` is a key of `BAD_KINDS`, `found` says what is wrong with it.

    `command` repairs it: in it, {name} is the file and {new} the file to write.
    """

    def __init__(self, path: str | Path, kind: str, found: str, command: str = ""):
        expected, remedy = BAD_KINDS[kind]
        if command:
            suffix = Path(path).suffix
            new = f"{str(path).removesuffix(suffix)}{'.new' if suffix == '.wav' else ''}.wav"
            words = {"name": shlex.quote(str(path)), "new": shlex.quote(new)}
            remedy = f"{remedy} Run `{command.format(**words)}`"
        super().__init__(f"{path}: expected {expected}, found {found}. {remedy}")
        self.path = Path(path)
        self.kind, self.found, self.command = kind, found, command


def check_rate(rate_hz: int, channels: int, name: str | Path) -> None:
    """Raise BadClip for a rate or a number of channels that no recording of speech has."""
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ or rate_hz * channels > MAX_RATE_TIMES_CHANNELS:
        usual = f"{MIN_RATE_HZ} to {MAX_RATE_HZ} Hz, and up to {MAX_RATE_TIMES_CHANNELS} Hz times channels, are"
        raise BadClip(name, "rate", f"{channels} channel{'s' * (channels > 1)} at {rate_hz} Hz ({usual} read)")


def check_length(n_samples: int, rate_hz: int, name: str | Path, min_seconds: float, max_seconds: float) -> None:
    """Raise BadClip for a number of samples (per channel) that is 0 or lasts too short or too long."""
    seconds = n_samples / rate_hz
    if not n_samples:
        raise BadClip(name, "empty", "a header without samples")
    if seconds > max_seconds:
        raise BadClip(name, "too-long", f"{seconds:.4g} s (the most is {max_seconds:g} s)")
    if seconds < min_seconds:
        raise BadClip(name, "too-short", f"{seconds:.4g} s (the least is {min_seconds:g} s)")


def within(segment: Segment, n_samples: int, rate_hz: int, name: str | Path) -> tuple[int, int]:
    """Return the first sample of a segment and the one behind its last, of a recording of `n_samples` per channel.

    Raises BadClip for a segment that begins or ends beyond the recording; `ROUNDING_SECONDS` more are cut off.
    """
    start, end = segment
    seconds = n_samples / rate_hz
    if start >= seconds > 0 or (end is not None and end > seconds + ROUNDING_SECONDS):
        raise BadClip(name, "beyond", f"a recording of {seconds:.2f} s")
    return round(start * rate_hz), n_samples if end is None else min(round(end * rate_hz), n_samples)


def check_stored(samples: np.ndarray, rate_hz: int, name: str | Path, min_seconds: float, max_seconds: float) -> None:
    """Raise BadClip for samples (n,) or (n, channels) that are none, too few, too many, not finite or too loud."""
    check_length(len(samples), rate_hz, name, min_seconds, max_seconds)
    check_values(samples, name)


def check_values(samples: np.ndarray, name: str | Path, where: str = "") -> None:
    """Raise BadClip for NaN, infinity and samples beyond `LOUDEST`; `where` says which samples these are."""
    bad = np.count_nonzero(~np.isfinite(samples))
    if bad:
        raise BadClip(name, "non-finite", f"{bad} of {samples.size} samples that are NaN or infinite{where}")
    peak = np.abs(samples).max(initial=0.0)
    if peak > LOUDEST:
        raise BadClip(name, "too-loud", f"a sample of {peak:.3g}{where}")


class Ranges:
    """Smallest and largest sample of each column of arrays (n, columns) that come in pieces."""

    def __init__(self) -> None:
        self._low: np.ndarray | None = None
        self._high: np.ndarray | None = None

    def add(self, samples: np.ndarray) -> None:
        """Take in samples (n, columns), finite."""
        if len(samples):
            low, high = samples.min(axis=0), samples.max(axis=0)
            self._low = low if self._low is None else np.minimum(self._low, low)
            self._high = high if self._high is None else np.maximum(self._high, high)

    @property
    def halves(self) -> np.ndarray:
        """Half of each column's range, (columns,); (0,) before the first sample."""
        return np.zeros(0) if self._low is None or self._high is None else (self._high - self._low) / 2


class Level:
    """The level of a recording that comes in pieces: of its channels, of their mixture as stored, and as resampled."""

    def __init__(self) -> None:
        self._channels, self._mixture, self._resampled = Ranges(), Ranges(), Ranges()

    def add_stored(self, channels: np.ndarray, mono: np.ndarray) -> None:
        """Take in samples as stored, (n, channels), and their mixture (n,)."""
        self._channels.add(channels)
        self._mixture.add(mono[:, None])

    def add_resampled(self, mono: np.ndarray) -> None:
        """Take in the mixture at the model's rate, (n,)."""
        self._resampled.add(mono[:, None])

    def check(self, name: str | Path) -> None:
        """Raise BadClip for channels that cancel each other in their mixture, and for a silent mixture."""
        channels, loudest = len(self._channels.halves), self._channels.halves.max(initial=0.0)
        if loudest >= QUIETEST and self._mixture.halves.max(initial=0.0) < CANCELLED * loudest:
            found = f"{channels} channels that cancel each other when they are mixed"
            raise BadClip(name, "cancelling", found)
        # Resampled, an offset rings at both ends; as stored, there may be sound that the model's rate does not keep.
        level = min((of.halves[0] for of in (self._mixture, self._resampled) if len(of.halves)), default=0.0)
        if level < QUIETEST:
            decibels = f"nothing above {20 * np.log10(QUIETEST):.0f} dB of full scale" if level else "all samples alike"
            raise BadClip(name, "silent", f"silence ({decibels})")


def check_level(mono: np.ndarray, name: str | Path, channels: np.ndarray | None = None) -> None:
    """Raise BadClip for a silent mixture (n,), and where `channels` (n, channels) as stored cancel each other in it."""
    level = Level()
    if channels is not None:
        level.add_stored(channels, mix(channels))
    level.add_resampled(mono)
    level.check(name)


def check_finite(values: np.ndarray, name: str | Path, what: str = "features") -> None:
    """Raise BadClip where `values`, `what` was computed from a recording, hold NaN or infinity."""
    bad = np.count_nonzero(~np.isfinite(values))
    if bad:
        raise BadClip(name, "undefined", f"{bad} of {values.size} {what} that are NaN or infinite")


def mix(channels: np.ndarray) -> np.ndarray:
    """Return the mean of channels (n, channels): float32 (n,)."""
    return channels.mean(axis=1, dtype=np.float32)
