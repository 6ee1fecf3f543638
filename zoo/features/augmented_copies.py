"""Augment training data: utterances in noise, rooms, other speeds and voices, and noise added to segments.

Networks on features of utterances take one copy or the utterance itself per epoch, linear models all of them; networks
on waveforms get new noise in each segment and epoch. Validation and test data stay as they are. The seed of copies is
not the run's, so that runs of several seeds share the features on disk.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from zoo.config.augmentation_fields import RANGES
from zoo.config.run_config import RunConfig
from zoo.config.saved import cache_folder
from zoo.config.validation import augmentations
from zoo.data.audio.scan import arrays_sha256
from zoo.data.augmentation import pitch_and_formants
from zoo.data.augmentation.additive_noise import SNR_LEVELS, Noises, speech_power
from zoo.data.augmentation.conditions import augmenter
from zoo.data.augmentation.impulse_responses import REVERBERATION_SECONDS, exponential, load_responses
from zoo.data.batches.feature_store import Features, extract
from zoo.data.schema import Clip
from zoo.errors import UserError
from zoo.features import noisy_copies
from zoo.features.extractor import Extractor
from zoo.features.noisy_copies import SEED

_DRAWN_RESPONSES = 100  # for each number of copy


@dataclass(frozen=True)
class Sounds:
    """Recordings of noise and impulse responses of a run, None where it needs none; empty responses are to be drawn.

    `sha256` has the hashes of what was read and of how it is used, for the run's records.
    """

    noises: Noises | None
    responses: Mapping[str, np.ndarray] | None
    sha256: Mapping[str, str]


def open_sounds(config: RunConfig, rate_hz: int) -> Sounds:
    """Read a run's recordings of noise and impulse responses. Raises UserError naming the flag that is wrong."""
    noises = noisy_copies.open_for(config, rate_hz) if config.noise else None
    responses: Mapping[str, np.ndarray] | None = {} if "room" in augmentations(config) else None
    hashes = {"noise_sha256": noises.settings["sha256"]} if noises else {}
    if config.responses:
        try:
            responses = load_responses(Path(config.responses).expanduser(), rate_hz)
        except UserError as error:
            raise UserError(f"--responses {config.responses}: {error}") from error
        hashes["responses_sha256"] = arrays_sha256(responses)
    sounds = Sounds(noises, responses, hashes)
    if not augmentations(config):
        return sounds
    ways = json.dumps(_settings(config, sounds, config.copies), sort_keys=True)
    return replace(sounds, sha256={**hashes, "copies_sha256": hashlib.sha256(ways.encode()).hexdigest()})


def extract_copies(
    config: RunConfig,
    extractor: Extractor,
    sounds: Sounds,
    clips: Sequence[Clip],
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[dict[str, tuple[Features, ...]], list[dict[str, str]]]:
    """Return the features of `config.copies` altered copies of each utterance, by its name, cached on disk.

    Also "clip", "kind" and "reason" of those left out (`config.on_bad_clip`). Empty without augmentation. Raises
    BadClip for a copy that is too short or whose features are not finite, UserError for a silent utterance that noise
    is to be added to.
    """
    if not augmentations(config):
        return {}, []
    copies: list[dict[str, Features]] = []
    bad: dict[str, dict[str, str]] = {}
    for number in range(1, config.copies + 1):
        before = (number - 1) * len(clips)
        features, left_out = extract(
            clips,
            extractor.features,
            {**extractor.settings, **_settings(config, sounds, number)},
            cache_folder(config),
            rate_hz=extractor.rate_hz,
            min_seconds=extractor.least_seconds,
            max_seconds=config.max_clip_seconds,
            on_bad_clip=config.on_bad_clip,
            threads=extractor.threads,
            alter=_altered(config, sounds, number, extractor.rate_hz),
            progress=partial(lambda before, done: progress(before + done), before),
        )
        copies.append(features)
        bad |= {item["clip"]: item for item in left_out}
    whole = [clip.name for clip in clips if clip.name not in bad]
    return {name: tuple(features[name] for features in copies) for name in whole}, list(bad.values())


def noise_perturbation(config: RunConfig, rate_hz: int) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """Return a function that puts a segment (samples, 1) of a standardised waveform in noise of the training third.

    The ratio is uniform in `config.augment_snr`, over the segment's active frames; a silent segment stays as it is. The
    sum is scaled to unit variance, as the front-end would have the recording in that noise. Raises UserError without
    noise.
    """
    noises = noisy_copies.open_for(config, rate_hz)
    lowest_db, highest_db = config.augment_snr

    def perturb(segment: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if np.ptp(segment) == 0:  # standardised silence need not be 0
            return segment
        speech = segment[:, 0].astype(np.float64)
        noise = noises.sample("train", len(speech), rng).astype(np.float64)
        ratio = 10 ** (rng.uniform(lowest_db, highest_db) / 10)
        power = speech_power(speech, rate_hz) / ratio
        noisy = speech + noise * np.sqrt(power / np.square(noise).mean())
        return (noisy / np.sqrt(1 + power)).astype(np.float32)[:, None]

    return perturb


def _altered(config: RunConfig, sounds: Sounds, number: int, rate_hz: int) -> Callable[[np.ndarray, str], np.ndarray]:
    responses, (lowest_db, highest_db) = sounds.responses, config.augment_snr
    if responses is not None and not responses:
        rng = np.random.default_rng((SEED, number))
        responses = {f"{index:03d}": exponential(rng, rate_hz) for index in range(_DRAWN_RESPONSES)}
    kinds, ratios_db = augmentations(config), (lowest_db, highest_db)
    ranges = {kind: getattr(config, name) for name, kind in RANGES.items()}
    alter = augmenter(kinds, sounds.noises, responses, snr_db=ratios_db, ranges=ranges, seed=SEED, rate_hz=rate_hz)
    return lambda waveform, clip: alter(waveform, clip, number)


def _settings(config: RunConfig, sounds: Sounds, number: int) -> dict[str, Any]:
    """Return all that a copy depends on beside its utterance; what is not done to it leaves no trace."""
    kinds = augmentations(config)
    settings: dict[str, Any] = {"augmentation": sorted(kinds), "copy": number, "copies_seed": SEED}
    if "speed" in kinds:
        settings["speeds"] = [float(factor) for factor in config.speed_range]
    if "pitch" in kinds or "vocal_tract" in kinds:
        settings["voice"] = pitch_and_formants.METHOD
    for name in ("pitch_range", "vocal_tract_range"):
        settings |= {name: [float(factor) for factor in getattr(config, name)]} if RANGES[name] in kinds else {}
    if "room" in kinds:
        drawn = ["exponential", _DRAWN_RESPONSES, *REVERBERATION_SECONDS]
        settings["responses"] = sounds.sha256.get("responses_sha256", drawn)
    if sounds.noises and "noise" in kinds:
        ratios_db = [float(ratio_db) for ratio_db in config.augment_snr]
        settings |= {"noises": sounds.noises.settings, "snr_db": ratios_db, "level": SNR_LEVELS[0]}
    return settings
