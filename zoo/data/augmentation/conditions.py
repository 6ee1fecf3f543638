"""Alter speech as other microphones, rooms and places would: conditions to test in, variants to train on.

The chain is that of MixedEmotions D4.2, section 3: a microphone, then a room, then additive noise at a ratio to the
speech in the room. Random draws depend on seed, clip name and condition (or variant number) alone.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import soxr

from zoo.data.augmentation.additive_noise import SNR_LEVELS, Noises, add, within_one
from zoo.data.augmentation.impulse_responses import convolve
from zoo.data.augmentation.pitch_and_formants import change_voice
from zoo.errors import UserError

# Of factors, lowest and highest: Ko et al. 2015 (0.9, 1 and 1.1); three semitones; Jaitly and Hinton 2013.
RANGES = {"speed": (0.9, 1.1), "pitch": (0.84, 1.19), "vocal_tract": (0.9, 1.1)}

Responses = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Condition:
    """A recording condition. `microphone` and `room` name impulse responses, `level` is one of `SNR_LEVELS`."""

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
    rooms: Responses,
    side: str,
    seed: int,
    rate_hz: int,
    microphones: Responses | None = None,
) -> Callable[[np.ndarray, str], np.ndarray]:
    """Return a function that puts (waveform (samples,), clip name) in a condition: float32 (samples,), as long.

    `rooms` and `microphones` have the impulse responses that the condition names; the noise is of one `side`. Speech
    keeps its level through microphone and room, and a result beyond -1..1 is scaled down as a whole. The function
    raises UserError for silent speech that is to have a ratio to noise.
    """
    path = ((microphones or {}, condition.microphone), (rooms, condition.room))
    chain = [responses[name] for responses, name in path if name is not None]

    def degrade(waveform: np.ndarray, clip: str) -> np.ndarray:
        degraded = waveform.astype(np.float32)
        for response in chain:
            degraded = convolve(degraded, response)
        if condition.snr_db is None:
            return within_one(degraded) if chain else degraded
        assert noises is not None
        noise = noises.sample(side, len(degraded), _random(seed, clip, condition.name))
        return _add_to(clip, degraded, noise, condition.snr_db, rate_hz, condition.level)

    return degrade


def augmenter(
    kinds: Sequence[str],
    noises: Noises | None = None,
    responses: Responses | None = None,
    *,
    snr_db: tuple[float, float] = (0.0, 15.0),
    level: str = SNR_LEVELS[0],
    ranges: Mapping[str, tuple[float, ...]] = RANGES,
    seed: int,
    rate_hz: int,
) -> Callable[[np.ndarray, str, int], np.ndarray]:
    """Return a function that makes variants for training of (waveform (samples,), clip name, variant number).

    `kinds` are applied in this order: "speed", resampling by a factor, which changes tempo, pitch and formants together
    and the length to round(samples / factor); "pitch" and "vocal_tract", the fundamental frequency and the formants by
    a factor each, at the same length; "room", one of `responses`; "noise" of the training side, at a ratio uniform in
    `snr_db`. Factors are uniform in `ranges`, that of pitch on a logarithmic scale. A kind draws the same whichever
    others there are. Raises as `degrader`'s does.
    """
    rooms = [response for _, response in sorted((responses or {}).items())]

    def augment(waveform: np.ndarray, clip: str, number: int) -> np.ndarray:
        changed = [kind for kind in RANGES if kind in kinds]
        drawn = {kind: _factor(kind, ranges[kind], _random(seed, clip, number, kind)) for kind in changed}
        if "speed" in drawn:
            waveform = soxr.resample(waveform, rate_hz * drawn["speed"], rate_hz, quality="HQ")
        if "pitch" in drawn or "vocal_tract" in drawn:
            waveform = change_voice(waveform, rate_hz, drawn.get("pitch", 1.0), drawn.get("vocal_tract", 1.0))
        if "room" in kinds:
            waveform = convolve(waveform, rooms[int(_random(seed, clip, number, "room").integers(len(rooms)))])
        if "noise" in kinds:
            assert noises is not None
            rng = _random(seed, clip, number, "noise")
            ratio_db = float(rng.uniform(*snr_db))
            waveform = _add_to(clip, waveform, noises.sample("train", len(waveform), rng), ratio_db, rate_hz, level)
        return within_one(waveform)

    return augment


def _factor(kind: str, limits: tuple[float, ...], rng: np.random.Generator) -> float:
    lowest, highest = limits
    return lowest * (highest / lowest) ** rng.random() if kind == "pitch" else float(rng.uniform(lowest, highest))


def _random(*about: object) -> np.random.Generator:
    """Return a generator seeded by what it is for. Python's `hash` would differ between processes."""
    return np.random.default_rng(list(hashlib.sha256(json.dumps(about).encode()).digest()))


def _add_to(clip: str, speech: np.ndarray, noise: np.ndarray, snr_db: float, rate_hz: int, level: str) -> np.ndarray:
    try:
        return add(speech, noise, snr_db, rate_hz, level)
    except UserError as error:
        raise UserError(f"clip {clip}: {error}") from error
