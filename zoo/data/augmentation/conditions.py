"""Speech as other microphones, rooms and places would have recorded it: conditions to test in, variants to train on.

The chain is that of MixedEmotions D4.2, section 3: a microphone, then a room, then additive noise, whose level is set
against the speech as it sounds in the room. What is random hangs on the seed, the clip's name and the condition (or the
variant's number) and on nothing else, so that a clip is the same in every run, order and process.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import soxr

from zoo.data.augmentation.additive_noise import SNR_LEVELS, Noises, add, within_one
from zoo.data.augmentation.impulse_responses import convolve
from zoo.errors import UserError, unknown

KINDS = ("speed", "room", "noise")  # of augmentation, in the order in which they are applied
SPEEDS = (0.9, 1.1)
SNR_DB = (0.0, 15.0)

Responses = Mapping[str, np.ndarray]
Step = Callable[[np.ndarray, str, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Condition:
    """How a recording is made. `microphone` and `room` name impulse responses, `level` is one of `SNR_LEVELS`."""

    snr_db: float | None = None
    microphone: str | None = None
    room: str | None = None
    level: str = SNR_LEVELS[0]

    @property
    def name(self) -> str:
        """For tables: "clean", "5 dB", "microphone phone + room large + 5 dB (all samples)"."""
        parts = [f"microphone {self.microphone}"] if self.microphone is not None else []
        parts += [f"room {self.room}"] if self.room is not None else []
        if self.snr_db is not None:
            parts.append(f"{self.snr_db:g} dB" + (" (all samples)" if self.level == "all" else ""))
        return " + ".join(parts) or "clean"


def degrader(
    condition: Condition,
    noises: Noises | None,
    responses: Responses,
    side: str,
    seed: int,
    rate_hz: int,
    microphones: Responses | None = None,
) -> Callable[[np.ndarray, str], np.ndarray]:
    """Returns what a condition makes of (waveform (samples,), clip name): float32 (samples,), in time with the input.

    The noise is of one `side`. A microphone's response is one of `microphones`, or, where that is None, of `responses`,
    as a room's is. Speech keeps its level through microphone and room, and the whole is turned down where
    it would pass -1..1; a clean condition gives the waveform back as it is. Other processes can be sent the function.

    Raises UserError for a condition without what it needs: noise, a response of that name, a known side or level.
    Called, it raises UserError, with the clip's name, for silent speech that is to have a ratio to noise.
    """
    _check_level(condition.level)
    chain = []
    of_microphones = responses if microphones is None else microphones
    for name, known in ((condition.microphone, of_microphones), (condition.room, responses)):
        if name is not None:
            if name not in known:
                raise unknown("impulse response", name, known)
            chain.append(known[name])
    if condition.snr_db is not None:
        if not np.isfinite(condition.snr_db):
            raise UserError(f"snr_db is {condition.snr_db}, expected a ratio in dB, or None for no noise")
        noises = _checked(noises, side, rate_hz, f"the condition {condition.name!r}")
    return partial(_degrade, condition, noises, chain, side, seed, rate_hz)


def augmenter(
    kinds: Sequence[str],
    noises: Noises | None = None,
    responses: Responses | None = None,
    *,
    snr_db: tuple[float, float] = SNR_DB,
    speed: tuple[float, float] = SPEEDS,
    level: str = SNR_LEVELS[0],
    seed: int,
    rate_hz: int,
) -> Callable[[np.ndarray, str, int], np.ndarray]:
    """Returns a function that makes variants for training of (waveform (samples,), clip name, variant number).

    Every one of `kinds` is applied, in this order: "speed", resampling by a factor uniform in `speed`, which changes
    tempo and pitch together and the length to round(samples / factor) (Ko et al. 2015, by 0.9, 1 and 1.1; of a range,
    no two copies of a clip are alike); "room", one of `responses`; "noise" of the training side, at a ratio uniform in
    `snr_db`. A variant is float32, and the same each time; a kind draws the same whichever others there are. Ratings in
    time do not follow "speed". Other processes can be sent the function.

    Raises UserError for kinds that are unknown, none, or lack what they need, and for settings out of range. Called, it
    raises UserError, with the clip's name, for silent speech that is to have a ratio to noise.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise unknown("augmentation", kind, KINDS)
    if not kinds:
        raise UserError(f"no augmentation is named, expected some of {', '.join(KINDS)}")
    _check_level(level)
    if not -np.inf < snr_db[0] <= snr_db[1] < np.inf:
        raise UserError(f"snr_db is {tuple(snr_db)}, expected the lowest and the highest ratio in dB")
    if not 0.5 <= speed[0] <= speed[1] <= 2:
        raise UserError(f"speed is {tuple(speed)}, expected the lowest and the highest factor, from 0.5 to 2")
    steps: dict[str, Step] = {}
    if "speed" in kinds:
        steps["speed"] = partial(_change_speed, speed, rate_hz)
    if "room" in kinds:
        if not responses:
            raise UserError("augmentation by rooms needs impulse responses, found none. Load or draw some")
        steps["room"] = partial(_put_in_room, [responses[name] for name in sorted(responses)])
    if "noise" in kinds:
        noises = _checked(noises, "train", rate_hz, "augmentation by noise")
        steps["noise"] = partial(_put_in_noise, noises, snr_db, level, rate_hz)
    return partial(_augment, steps, seed)


def _check_level(level: str) -> None:
    if level not in SNR_LEVELS:
        raise unknown("speech level", level, SNR_LEVELS)


def _checked(noises: Noises | None, side: str, rate_hz: int, purpose: str) -> Noises:
    if noises is None:
        raise UserError(f"{purpose} needs recordings of noise, found none. Name a folder of them")
    if side not in noises.sides:
        raise unknown("side of the noise", side, noises.sides)
    if noises.settings["rate_hz"] != rate_hz:
        raise ValueError(f"expected noise at {rate_hz} Hz, got it at {noises.settings['rate_hz']} Hz")
    return noises


def _random(*about: object) -> np.random.Generator:
    """A generator of its own for everything that is named alike. Python's `hash` would differ between processes."""
    return np.random.default_rng(list(hashlib.sha256(json.dumps(about).encode()).digest()))


def _degrade(
    condition: Condition,
    noises: Noises | None,
    chain: Sequence[np.ndarray],
    side: str,
    seed: int,
    rate_hz: int,
    waveform: np.ndarray,
    clip: str,
) -> np.ndarray:
    heard = waveform.astype(np.float32)
    for response in chain:
        heard = convolve(heard, response)
    if condition.snr_db is not None and noises is not None:
        noise = noises.sample(side, len(heard), _random(seed, clip, condition.name))
        return _add_to(clip, heard, noise, condition.snr_db, rate_hz, condition.level)
    return within_one(heard) if chain else heard


def _augment(steps: Mapping[str, Step], seed: int, waveform: np.ndarray, clip: str, number: int) -> np.ndarray:
    for kind, step in steps.items():
        waveform = step(waveform, clip, _random(seed, clip, number, kind))
    return within_one(waveform)


def _change_speed(
    factors: tuple[float, float], rate_hz: int, waveform: np.ndarray, clip: str, rng: np.random.Generator
) -> np.ndarray:
    factor = float(rng.uniform(*factors))
    return waveform if factor == 1 else soxr.resample(waveform, rate_hz * factor, rate_hz, quality="HQ")


def _put_in_room(
    responses: Sequence[np.ndarray], waveform: np.ndarray, clip: str, rng: np.random.Generator
) -> np.ndarray:
    return convolve(waveform, responses[int(rng.integers(len(responses)))])


def _put_in_noise(
    noises: Noises,
    snr_db: tuple[float, float],
    level: str,
    rate_hz: int,
    waveform: np.ndarray,
    clip: str,
    rng: np.random.Generator,
) -> np.ndarray:
    ratio_db = float(rng.uniform(*snr_db))
    return _add_to(clip, waveform, noises.sample("train", len(waveform), rng), ratio_db, rate_hz, level)


def _add_to(clip: str, speech: np.ndarray, noise: np.ndarray, snr_db: float, rate_hz: int, level: str) -> np.ndarray:
    try:
        return add(speech, noise, snr_db, rate_hz, level)
    except UserError as error:
        raise UserError(f"clip {clip}: {error}") from error
