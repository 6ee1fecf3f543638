"""Compute acoustic features by openSMILE: eGeMAPSv02 and ComParE_2016, in sliding windows or as low-level descriptors.

They need the `opensmile` package, which the extra [opensmile] installs. openSMILE belongs to audEERING and is licensed
for research and other non-commercial use only; its licence comes with the package.

eGeMAPS: Eyben et al. (2016), "The Geneva Minimalistic Acoustic Parameter Set (GeMAPS) for voice research and affective
computing". ComParE: Schuller et al. (2016), "The INTERSPEECH 2016 computational paralinguistics challenge".

A recording's descriptors are computed once and summarised in every window: a minute of audio in 3 s windows every 40 ms
takes 6 s (eGeMAPS) or 20 s (ComParE) on one core, where a call per window takes 5 minutes. The values differ a little
from those of a window cut out as a recording, at the edges of which the F0 track, moving averages and deltas end.
"""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.audio.recording import Segment
from zoo.data.audio.scan import Probe
from zoo.errors import UserError, unknown
from zoo.frontends import opensmile_process
from zoo.frontends.opensmile_process import own_processes
from zoo.utils import extras

FEATURE_SETS = {"egemaps": 88, "compare": 6373, "compare_five": 325}  # functionals per window
_FIVE = {"compare_five": "compare"}  # sets of five functionals of each descriptor of another set, for windows alone
SOURCES = (Path(__file__), Path(opensmile_process.__file__))
CLIP_FUNCTIONALS = ("five", "opensmile")
LEAST_SECONDS = 0.06  # of a clip: the longest analysis frame
LEAST_WINDOW_SECONDS = 0.09  # of a clip in windows, by the two constants below
DESCRIPTORS_PER_SECOND = 100
_DESCRIPTOR_FRAME = 6  # hops in the longest analysis frame, that of F0: 60 ms
_LEAST_DESCRIPTORS = 4  # openSMILE lengthens shorter windows to this many descriptor frames
_OPENSMILE_NAMES = {"egemaps": "eGeMAPSv02", "compare": "ComParE_2016"}


def functionals(
    waveform: np.ndarray, rate_hz: int, feature_set: str, window_seconds: float, hop_seconds: float
) -> np.ndarray:
    """Return functionals in sliding windows: float32 (samples // round(hop_seconds * rate_hz), FEATURE_SETS[...]).

    `waveform` is (samples,) within -1..1, beyond which it is clipped; openSMILE reads it as 16-bit samples. Row i is of
    the window of `window_seconds` centred on (i + 0.5) * hop_seconds, as far as the recording reaches. It holds the
    descriptors with analysis frames (up to 60 ms) within it. Rows of windows too short for openSMILE (under 4
    descriptors, 90 ms) repeat the nearest row that is not. openSMILE writes 0 for what a window does not have, such
    as the F0 of one without voice; yet some of ComParE's values are NaN in a few clips that hold nearly nothing. They
    run up to 1e13, also in speech.

    "compare_five" is maximum, minimum, range, mean and standard deviation of each of ComParE's 65 descriptors, a block
    of 65 each (MixedEmotions D4.2, section 5.3); frames without voice have an F0 of 0, and count.

    Raises UserError on an unknown feature set, without the opensmile package, or when no window is long enough;
    ValueError on another shape or a rate that is no multiple of 100 Hz (openSMILE would round its hop of 10 ms).
    """
    _check(waveform, rate_hz, feature_set)
    first, last = _windows(len(waveform), rate_hz, window_seconds, hop_seconds)
    if len(first) == 0:
        return np.zeros((0, FEATURE_SETS[feature_set]), np.float32)
    long_enough = np.flatnonzero(last - first + 1 >= _LEAST_DESCRIPTORS)
    if len(long_enough) == 0:
        raise UserError(
            f"{len(waveform) / rate_hz:g} s of audio in windows of {window_seconds:g} s: openSMILE expects windows of "
            "at least 0.09 s. Leave the recording out, or widen the windows"
        )
    if feature_set in _FIVE:
        _, rows, _ = descriptors(waveform, rate_hz, _FIVE[feature_set])
        values = np.stack([_five(rows[first[i] : last[i] + 1]) for i in long_enough])
    else:
        intervals = ",".join(f"{first[i]}-{last[i]}" for i in long_enough)
        values, _ = _elsewhere(waveform, rate_hz, feature_set, "Functionals", intervals)
    if values.shape != (len(long_enough), FEATURE_SETS[feature_set]):
        raise RuntimeError(f"openSMILE gave {values.shape}, in {len(long_enough)} windows")
    middles = (long_enough[1:] + long_enough[:-1]) / 2
    return values[np.searchsorted(middles, np.arange(len(first)))]  # of the nearest window that is long enough


def descriptors(waveform: np.ndarray, rate_hz: int, feature_set: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return low-level descriptors: times in seconds (n,), values float32 (n, 25 or 65) and their openSMILE names.

    There is a row every 10 ms, at the time where its analysis frame (20 or 60 ms long) begins, and one more than whole
    frames of 60 ms, by smoothing. `waveform` and the errors are those of `functionals`, but that 0.06 s are enough.
    """
    _check(waveform, rate_hz, feature_set, LEAST_SECONDS)
    values, names = _elsewhere(waveform, rate_hz, feature_set, "LowLevelDescriptors")
    return np.arange(len(values)) / DESCRIPTORS_PER_SECOND, values, names


def clip_functionals(waveform: np.ndarray, rate_hz: int, feature_set: str, functionals: str) -> np.ndarray:
    """Return functionals of a whole clip, float32 (n,). The errors are those of `functionals`.

    `functionals` is "five": maximum, minimum, range, mean and standard deviation of every descriptor, one block of 25
    (eGeMAPS) or 65 (ComParE) after another, as Zhao et al. 2019 take them (section IV); frames without voice have an F0
    of 0, and count. Or "opensmile": the set's own, 88 or 6,373.
    """
    level, summarised = _of_clips(functionals)
    _check(waveform, rate_hz, feature_set, LEAST_SECONDS)
    return summarised(_elsewhere(waveform, rate_hz, feature_set, level)[0])


def file_functionals(
    path: Path, segment: Segment, max_seconds: float, rate_hz: int, feature_set: str, functionals: str
) -> tuple[Probe, np.ndarray]:
    """Return the facts of a file or a `segment` of it, and its functionals (n,), those of `clip_functionals`.

    openSMILE's process reads and checks the file. Raises BadClip as `probe` does, and as `clip_functionals`.
    """
    level, summarised = _of_clips(functionals)
    seconds = (LEAST_SECONDS, max_seconds)
    facts, values = own_processes().extract_file(path, segment, seconds, rate_hz, _OPENSMILE_NAMES[feature_set], level)
    return facts, summarised(values)


def _of_clips(functionals: str) -> tuple[str, Callable[[np.ndarray], np.ndarray]]:
    """Return openSMILE's level whose values become functionals of a clip, and the function that makes them (n,)."""
    if functionals not in CLIP_FUNCTIONALS:
        raise unknown("functionals", functionals, CLIP_FUNCTIONALS)
    return ("Functionals", np.ravel) if functionals == "opensmile" else ("LowLevelDescriptors", _five)


def clip_settings(feature_set: str, functionals: str) -> dict[str, Any]:
    """Return all that `clip_functionals` depend on but the waveform and its rate, for the cache's key.

    Raises UserError for a set that is of windows alone.
    """
    installed = _version(feature_set)
    if feature_set in _FIVE:
        instead = f"--feature-set {_FIVE[feature_set]} --functionals five"
        raise UserError(f"--feature-set {feature_set} is for windows, found clips taken as a whole. Give {instead}")
    return {"clip_functionals": functionals, "set": _OPENSMILE_NAMES[feature_set], "opensmile": installed}


def settings(feature_set: str, window_seconds: float, hop_seconds: float) -> dict[str, Any]:
    """Return all that `functionals` depend on but the waveform and its rate. Raises as `functionals` does."""
    installed, windows = _version(feature_set), {"window_seconds": window_seconds, "hop_seconds": hop_seconds}
    found = {"functionals": _OPENSMILE_NAMES[_FIVE.get(feature_set, feature_set)], **windows, "opensmile": installed}
    return {**found, "five": True} if feature_set in _FIVE else found


def _five(descriptors: np.ndarray) -> np.ndarray:
    """Return maximum, minimum, range, mean and standard deviation of descriptors (frames, n): (5 n,)."""
    highest, lowest = descriptors.max(axis=0), descriptors.min(axis=0)
    return np.concatenate([highest, lowest, highest - lowest, descriptors.mean(axis=0), descriptors.std(axis=0)])


def _check(waveform: np.ndarray, rate_hz: int, feature_set: str, least_seconds: float = 0.0) -> None:
    _version(feature_set)
    if waveform.ndim != 1 or rate_hz % DESCRIPTORS_PER_SECOND:
        raise ValueError(f"expected (samples,) at a multiple of 100 Hz, got {waveform.shape} at {rate_hz} Hz")
    if len(waveform) / rate_hz < least_seconds:
        raise UserError(f"{len(waveform) / rate_hz:g} s of audio: openSMILE expects at least 0.06 s. Leave it out")


def _windows(n_samples: int, rate_hz: int, window_seconds: float, hop_seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and the last descriptor of every frame's window."""
    window, hop = round(window_seconds * rate_hz), round(hop_seconds * rate_hz)
    step = rate_hz // DESCRIPTORS_PER_SECOND
    begins = np.arange(n_samples // hop) * hop + hop // 2 - window // 2
    ends = np.minimum(begins + window, n_samples)
    return -(-np.maximum(begins, 0) // step), (ends - _DESCRIPTOR_FRAME * step) // step


def _elsewhere(waveform: np.ndarray, rate_hz: int, feature_set: str, *what: str) -> tuple[np.ndarray, list[str]]:
    return own_processes().extract(waveform, rate_hz, _OPENSMILE_NAMES[feature_set], *what)


def _version(feature_set: str) -> str:
    """Return the version of the opensmile package, without loading it. Raises UserError for an unknown set too."""
    if feature_set not in FEATURE_SETS:
        raise unknown("feature set", feature_set, FEATURE_SETS)
    extras.need("opensmile", "the front-end of eGeMAPS and ComParE")
    return version("opensmile")
