"""Estimate how late a corpus's ratings are, from the recordings that networks are trained on and no others."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from zoo.data.audio.read import read
from zoo.data.audio.recording import BadClip
from zoo.data.corpora.gold_standard import MAX_DELAY_SECONDS, energy_contour, lag_correlations
from zoo.data.protocols.splits import Protocol
from zoo.data.schema import Clip

PAIRINGS = 39  # at random: in 250 simulated corpora, 1 in 15 unrelated dimensions correlated better than all of them
LEAST_RECORDINGS = 5  # which can be paired in 24 ways
LEAST_SECONDS = 2 * MAX_DELAY_SECONDS
_RATE_HZ = 16_000


@dataclass(frozen=True)
class Lag:
    """How late the ratings of one dimension follow the energy of the sound."""

    seconds: float
    correlation: float  # mean absolute one over the recordings, 0..1, at the lag where that is highest
    by_chance: float  # the highest at any lag where each recording is paired with the ratings of another
    correlates: bool  # whether the first is above the second


@dataclass(frozen=True)
class LabelDelay:
    """The lags by dimension from recordings that train in every fold of the protocol, or the reason for none."""

    protocol: str
    recordings: list[str]
    lags: dict[str, Lag]
    seconds: float | None  # to train with: the lag of the dimension that correlates most, None where none does
    reason: str = ""


def label_delay(
    protocol: Protocol,
    clips: Sequence[Clip],
    max_seconds: float = 60.0,
    on_clip: Callable[[int], object] = lambda done: None,
) -> LabelDelay:
    """Estimate the delay of ratings behind the sound from a loader's `clips`.

    A recording that any fold validates or tests on is not opened: a delay fitted to it would be test knowledge. Those
    that cannot be read, last under `LEAST_SECONDS` or over `max_seconds` are left out. `on_clip` is called after each
    with the number done.
    """
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    training = training_clips(protocol, clips)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pairs = pool.map(partial(_contours, max_seconds=max_seconds), training)
        for done, (clip, pair) in enumerate(zip(training, pairs, strict=True), start=1):
            if pair is not None and clip.trace and len(pair[0]) * clip.trace.step_seconds >= LEAST_SECONDS:
                found[clip.name] = pair
            on_clip(done)
    if len(found) < LEAST_RECORDINGS:
        expected = f"expected {LEAST_RECORDINGS} training recordings or more of {LEAST_SECONDS:g} s or more"
        return LabelDelay(protocol.name, [], {}, None, f"{expected}, found {len(found)} of {len(training)}")
    (step_seconds,) = {clip.trace.step_seconds for clip in training if clip.trace}  # of a corpus there is one
    energies, ratings = zip(*found.values(), strict=True)
    lags = {}
    for column, name in enumerate(protocol.targets):
        lags[name] = _lag(energies, [rating[:, column] for rating in ratings], step_seconds)
    best = max((lag for lag in lags.values() if lag.correlates), key=lambda lag: lag.correlation, default=None)
    return LabelDelay(protocol.name, list(found), lags, best.seconds if best else None)


def training_clips(protocol: Protocol, clips: Sequence[Clip]) -> list[Clip]:
    """Return the clips that are for training in some fold of the protocol and on no other side of any."""
    folds = protocol.divide(protocol.select(clips))
    train: Mapping[str, Clip] = {clip.name: clip for fold in folds for clip in fold.train}
    others = {clip.name for fold in folds for side in (fold.validation, fold.test) for clip in side}
    return [clip for name, clip in train.items() if name not in others]


def _contours(clip: Clip, max_seconds: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Return energy in dB (steps,) and ratings (steps, dimensions) from the first rating on; None without sound."""
    assert clip.trace is not None  # the protocol has targets
    step, start = clip.trace.step_seconds, clip.trace.start_seconds
    try:
        waveform = read(clip.path, _RATE_HZ, max_seconds=max_seconds)
    except BadClip:  # which the check reports
        return None
    early = max(0, int(np.ceil(-start / step - 1e-6)))  # ratings before the sound begins
    energy = energy_contour(waveform[round((start + early * step) * _RATE_HZ) :], round(step * _RATE_HZ))
    ratings = clip.trace.values[early : early + len(energy)]
    return energy[: len(ratings)], ratings.astype(np.float64)


def _lag(energies: Sequence[np.ndarray], ratings: Sequence[np.ndarray], step_seconds: float) -> Lag:
    correlations = lag_correlations(energies, ratings, step_seconds)
    rng, by_chance = np.random.default_rng(0), 0.0
    for _ in range(PAIRINGS):
        order = rng.permutation(len(ratings))
        foreign = dict(zip(order.tolist(), np.roll(order, 1).tolist(), strict=True))  # no recording has its own
        paired = [ratings[foreign[number]] for number in range(len(ratings))]
        by_chance = max(by_chance, float(lag_correlations(energies, paired, step_seconds).max()))
    highest = float(correlations.max())
    return Lag(float(np.argmax(correlations) * step_seconds), highest, by_chance, correlates=highest > by_chance)
