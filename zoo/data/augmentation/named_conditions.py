"""Name recording conditions in words, such as "telephone+hall+6dB", and compute stand-ins of measured responses.

Those of MixedEmotions D4.2, section 3.4.1: a smartphone's microphone, then a classroom or a hall, then noise.
"""

from collections.abc import Callable, Mapping

import numpy as np
import scipy  # its parts are imported when used

from zoo.data.augmentation.conditions import Condition
from zoo.data.augmentation.impulse_responses import exponential
from zoo.errors import UserError, unknown

CLEAN = "clean"
_BAND_HZ = (300.0, 3400.0)  # of telephones, ITU-T G.712
_RESPONSE_SECONDS = 0.05
_CLASSROOM_SECONDS, _HALL_SECONDS = 0.5, 1.8  # reverberation times


def telephone(rate_hz: int) -> np.ndarray:
    """Compute a telephone's band, 300 to 3,400 Hz, as a response of unit energy: float32 (samples,).

    A Butterworth band-pass of order 4, which is causal, so that speech is late by a millisecond at most. It stands in
    for the measured microphone of the deliverable. Raises UserError for rates of 6.8 kHz or less.
    """
    if rate_hz <= 2 * _BAND_HZ[1]:
        raise UserError(
            f"a telephone's band reaches {_BAND_HZ[1]:g} Hz: expected a rate above 6800 Hz, found {rate_hz}"
        )
    impulse = np.zeros(round(_RESPONSE_SECONDS * rate_hz))
    impulse[0] = 1.0
    response = scipy.signal.sosfilt(scipy.signal.butter(4, _BAND_HZ, "bandpass", fs=rate_hz, output="sos"), impulse)
    return (response / np.sqrt(np.square(response).sum())).astype(np.float32)


def _decaying(seconds: float, seed: int) -> Callable[[int], np.ndarray]:
    return lambda rate_hz: exponential(np.random.default_rng(seed), rate_hz, (seconds, seconds))


# Rooms are decaying noise (zoo.data.augmentation.impulse_responses.exponential), always the same.
COMPUTED: Mapping[str, Callable[[int], np.ndarray]] = {
    "telephone": telephone,
    "classroom": _decaying(_CLASSROOM_SECONDS, 0),
    "hall": _decaying(_HALL_SECONDS, 1),
}


def parse(words: str) -> Condition:
    """Return the condition that is called "clean", "6dB", "telephone" or "telephone+hall+6dB": in order of the sound.

    Raises UserError for more than two responses, a ratio that is not the last part, or a part without a name.
    """
    if words == CLEAN:
        return Condition()
    *names, last = (part.strip() for part in words.split("+"))
    ratio = _ratio(last)
    names += [last] if ratio is None else []
    if len(names) > 2 or not all(names) or any(_ratio(name) is not None for name in names):
        expected = "expected clean, or a microphone, a room and a ratio, each once at most, as in telephone+hall+6dB"
        raise UserError(f"--conditions: {expected}; found {words!r}")
    return Condition(ratio, *names)


def label(words: str) -> str:
    """Return what tables call a condition: its ratio alone as a number, and clean speech as nothing.

    >>> [label(words) for words in ("clean", "6.0dB", "telephone+6dB")]
    ['', '6', 'telephone+6dB']
    """
    condition = parse(words)
    if condition.microphone is None:
        return "" if condition.snr_db is None else f"{condition.snr_db:g}"
    return words


def responses_of(
    conditions: Mapping[str, Condition], measured: Mapping[str, np.ndarray], rate_hz: int
) -> dict[str, np.ndarray]:
    """Return the responses that conditions name: measured, else of `COMPUTED`. Raises UserError for others."""
    named = [name for one in conditions.values() for name in (one.microphone, one.room) if name is not None]
    found: dict[str, np.ndarray] = {}
    for name in dict.fromkeys(named):
        if name not in measured and name not in COMPUTED:
            raise unknown("response in --conditions", name, sorted({*measured, *COMPUTED}))
        found[name] = measured[name] if name in measured else COMPUTED[name](rate_hz)
    return found


def _ratio(part: str) -> float | None:
    """Return the ratio of "6dB", None for what is none."""
    number = part.removesuffix("dB")
    try:
        ratio = float(number) if number != part else None
    except ValueError:
        return None
    if ratio is not None and not -30 <= ratio <= 60:
        raise UserError(f"--conditions: {part} is a ratio, expected -30 to 60 dB")
    return ratio
