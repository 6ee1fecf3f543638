"""The noise a run asks for, and what is heard in it: the same for training, for testing and for any network."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo.config import RunConfig
from zoo.data.degrade import Condition, degrader
from zoo.data.noise import Noises, open_noises
from zoo.errors import UserError

# Of thirds and stretches of noise. Not the run's own, so that runs of several seeds are tested on the same noisy clips.
SEED = 0


@dataclass(frozen=True)
class Hearing:
    """`hear` maps a waveform (samples,) and its clip's name to the noisy waveform; `settings` is all it depends on."""

    hear: Callable[[np.ndarray, str], np.ndarray]
    settings: dict[str, Any]


def open_for(config: RunConfig, rate_hz: int) -> Noises:
    """Opens the noise of `config.noise`. Raises UserError where there is none, or it is too little."""
    if not config.noise:
        raise UserError(
            f"--model {config.model} is to hear speech in noise: expected --noise DIR, a folder of recordings of it, "
            "found none. Add it"
        )
    try:
        return open_noises(Path(config.noise).expanduser(), rate_hz, config.noise_split, SEED)
    except UserError as error:
        raise UserError(f"--noise {config.noise}: {error}") from error


def hearing(config: RunConfig, noises: Noises, snr_db: float, side: str) -> Hearing:
    """Returns how clips of a side ("train", "validation", "test") are heard at a ratio, in noise of that side alone."""
    condition, rate_hz = Condition(snr_db=snr_db, level=config.snr_level), noises.settings["rate_hz"]
    settings = {"noises": noises.settings, "condition": condition.name, "side": side, "noise_seed": SEED}
    return Hearing(degrader(condition, noises, {}, side, SEED, rate_hz), settings)
