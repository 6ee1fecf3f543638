"""Put utterances in the noise and other conditions that a configuration names, for training and testing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from zoo.config.condition_fields import divided_noise
from zoo.config.run_config import RunConfig
from zoo.config.saved import cache_folder
from zoo.data.audio.scan import arrays_sha256
from zoo.data.augmentation import named_conditions
from zoo.data.augmentation.additive_noise import Noises, open_noises
from zoo.data.augmentation.conditions import Condition, degrader
from zoo.data.augmentation.impulse_responses import load_responses
from zoo.data.batches.feature_store import Features, extract
from zoo.data.schema import Clip
from zoo.errors import UserError
from zoo.features.extractor import Extractor

# Of thirds and stretches of noise. Not the run's own, so that runs of several seeds are tested on the same noisy clips.
SEED = 0

Waveform = Callable[[np.ndarray, str], np.ndarray]


@dataclass(frozen=True)
class Altered:
    """How utterances are put in a condition: from a waveform (samples,) and the utterance's name to what it becomes.

    `alter` is None for clean speech; `settings` are all that it depends on.
    """

    condition: Condition
    alter: Waveform | None
    settings: Mapping[str, Any]


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


def conditions_of(config: RunConfig) -> tuple[str, ...]:
    """Return the conditions of a configuration in words: those of --conditions, else its ratios."""
    return config.conditions or tuple(f"{snr_db!r}dB" for snr_db in config.snr)


def measured_responses(config: RunConfig, rate_hz: int) -> dict[str, np.ndarray]:
    """Read the impulse responses of --responses, none without it. Raises UserError for what cannot be used."""
    if not config.responses:
        return {}
    try:
        return load_responses(Path(config.responses).expanduser(), rate_hz)
    except UserError as error:
        raise UserError(f"--responses {config.responses}: {error}") from error


def altered(config: RunConfig, rate_hz: int, side: str) -> dict[str, Altered]:
    """Return how utterances of a side are put in each of the configuration's conditions, by `named_conditions.label`.

    Raises UserError for conditions, noise or responses that are wrong or absent.
    """
    named = {words: named_conditions.parse(words) for words in conditions_of(config)}
    responses = named_conditions.responses_of(named, measured_responses(config, rate_hz), rate_hz)
    noises = open_for(config, rate_hz) if any(one.snr_db is not None for one in named.values()) else None
    found: dict[str, Altered] = {}
    for words, condition in named.items():
        label = named_conditions.label(words)
        if label in found:
            raise UserError(f"--conditions names {words} twice. Leave one out")
        found[label] = _altered(condition, noises, responses, side, rate_hz)
    return found


def _altered(
    condition: Condition, noises: Noises | None, responses: Mapping[str, np.ndarray], side: str, rate_hz: int
) -> Altered:
    own = {name: responses[name] for name in (condition.microphone, condition.room) if name is not None}
    if not own:
        alter, settings = (
            mixer(noises, condition.snr_db, side) if noises and condition.snr_db is not None else (None, {})
        )
        return Altered(condition, alter, settings)
    settings = {"condition": condition.name, "side": side, "noise_seed": SEED, "responses_sha256": arrays_sha256(own)}
    if condition.snr_db is not None and noises:
        settings["noises"] = noises.settings
    return Altered(condition, degrader(condition, noises, own, side, SEED, rate_hz, own), settings)


def extract_noisy(
    config: RunConfig, extractor: Extractor, clips: Sequence[Clip], side: str
) -> dict[str, dict[str, Features]]:
    """Return the features of every utterance in every condition but clean, by its label and name, cached on disk.

    Noise is of the `side` alone. Raises BadClip for a clip whose features are not finite in noise.
    """
    found: dict[str, dict[str, Features]] = {}
    for label, one in altered(config, extractor.rate_hz, side).items():
        if one.alter is None:
            continue
        found[label], _ = extract(
            clips,
            extractor.features,
            {**extractor.settings, **one.settings},
            cache_folder(config),
            rate_hz=extractor.rate_hz,
            min_seconds=extractor.least_seconds,
            max_seconds=config.max_clip_seconds,
            threads=extractor.threads,
            alter=one.alter,
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
