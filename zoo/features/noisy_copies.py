"""Mix utterances with the noise that a configuration names, for training and testing."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from zoo.config.run_config import RunConfig, divided_noise
from zoo.config.saved import cache_folder
from zoo.data.augmentation.additive_noise import Noises, open_noises
from zoo.data.augmentation.conditions import Condition, degrader
from zoo.data.batches.feature_store import Features, extract
from zoo.data.schema import Clip
from zoo.errors import UserError
from zoo.features.extractor import Extractor

# Of thirds and stretches of noise. Not the run's own, so that runs of several seeds are tested on the same noisy clips.
SEED = 0


def open_for(config: RunConfig, rate_hz: int) -> Noises:
    """Open the noise of `config.noise`. Raises UserError where there is none, or it is too little."""
    if not config.noise:
        raise UserError(f"--model {config.model}: expected --noise DIR, a folder of recordings of noise. Add it")
    name, split = divided_noise(config.noise)
    folder = Path(name).expanduser()
    content = tuple((str(path), path.stat().st_mtime_ns) for path in sorted(folder.rglob("*")))
    try:
        return _opened(folder, rate_hz, split, content)
    except UserError as error:
        raise UserError(f"--noise {config.noise}: {error}") from error


@lru_cache(maxsize=2)
def _opened(folder: Path, rate_hz: int, split: str, content: tuple) -> Noises:
    """Read a folder once for all folds; `content` is a key for the state of its files."""
    return open_noises(folder, rate_hz, split, SEED)


def extract_noisy(
    config: RunConfig, extractor: Extractor, clips: Sequence[Clip], side: str
) -> dict[float, dict[str, Features]]:
    """Return the features of every utterance at every ratio of `config.snr`, by ratio and name, cached on disk.

    Noise is of the `side` alone. Raises BadClip for a clip whose features are not finite in noise.
    """
    noises, found = open_for(config, extractor.rate_hz), {}
    for snr_db in config.snr:
        mix, noise_settings = mixer(noises, snr_db, side)
        found[snr_db], _ = extract(
            clips,
            extractor.features,
            {**extractor.settings, **noise_settings},
            cache_folder(config),
            rate_hz=extractor.rate_hz,
            min_seconds=extractor.least_seconds,
            max_seconds=config.max_clip_seconds,
            threads=extractor.threads,
            alter=mix,
        )
    return found


def mixer(noises: Noises, snr_db: float, side: str) -> tuple[Callable[[np.ndarray, str], np.ndarray], dict[str, Any]]:
    """Return how utterances of a side ("train", "validation", "test") are mixed with noise of that side, at a ratio.

    That is a function from a waveform (samples,) and its utterance's name to the noisy waveform, and all settings that
    it depends on.
    """
    condition, rate_hz = Condition(snr_db=snr_db), noises.settings["rate_hz"]
    settings = {"noises": noises.settings, "condition": condition.name, "side": side, "noise_seed": SEED}
    return degrader(condition, noises, {}, side, SEED, rate_hz), settings
