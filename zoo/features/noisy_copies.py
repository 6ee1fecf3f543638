"""The noise a run asks for, and what is heard in it: the same for training, for testing and for any network."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from zoo.config.run_config import RunConfig
from zoo.config.saved import cache_folder
from zoo.data.augmentation.additive_noise import Noises, open_noises
from zoo.data.augmentation.conditions import Condition, degrader
from zoo.data.batches.feature_store import Features, extract
from zoo.data.schema import Clip
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
    folder = Path(config.noise).expanduser()
    content = tuple((str(path), path.stat().st_mtime_ns) for path in sorted(folder.rglob("*")))
    try:
        return _opened(folder, rate_hz, config.noise_split, content)
    except UserError as error:
        raise UserError(f"--noise {config.noise}: {error}") from error


@lru_cache(maxsize=2)
def _opened(folder: Path, rate_hz: int, split: str, content: tuple) -> Noises:
    """Read once for all folds; `content` tells another state of the folder apart."""
    return open_noises(folder, rate_hz, split, SEED)


def extract_heard(
    config: RunConfig,
    features_of: Callable[[np.ndarray], np.ndarray],
    settings: Mapping[str, Any],
    clips: Sequence[Clip],
    side: str,
    rate_hz: int,
) -> dict[float, dict[str, Features]]:
    """Returns the features of every clip at every ratio of `config.snr`, by ratio and name, made once and kept.

    `features_of` and `settings` are an extractor's; noise is of the `side` alone.
    """
    noises, found = open_for(config, rate_hz), {}
    for snr_db in config.snr:
        noisy = hearing(config, noises, snr_db, side)
        found[snr_db], _ = extract(
            clips,
            features_of,
            {**settings, **noisy.settings},
            cache_folder(config),
            rate_hz=rate_hz,
            max_seconds=config.max_clip_seconds,
            hear=noisy.hear,
        )
    return found


def hearing(config: RunConfig, noises: Noises, snr_db: float, side: str) -> Hearing:
    """Returns how clips of a side ("train", "validation", "test") are heard at a ratio, in noise of that side alone."""
    condition, rate_hz = Condition(snr_db=snr_db, level=config.snr_level), noises.settings["rate_hz"]
    settings = {"noises": noises.settings, "condition": condition.name, "side": side, "noise_seed": SEED}
    return Hearing(degrader(condition, noises, {}, side, SEED, rate_hz), settings)
