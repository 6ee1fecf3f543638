"""Pair noisy with clean features, and make batches of segments of both."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from zoo.data.batches.by_length import padded
from zoo.data.batches.clips import shuffled_plan
from zoo.data.batches.feature_store import Features
from zoo.data.batches.prefetch import batches
from zoo.data.batches.segments import starts

_STEP = 50  # frames are padded to a multiple of it: some backends compile for each new shape


@dataclass(frozen=True)
class Pair:
    """A clip in one condition ("" as it is): `noisy` and `clean` features with the same frames."""

    name: str
    condition: str
    noisy: Features
    clean: Features

    @property
    def n_frames(self) -> int:
        return self.clean.n_frames


def pair_batches(
    pairs: Sequence[Pair],
    batch_size: int,
    segment_frames: int,
    target: Callable[[np.ndarray], np.ndarray],
    *,
    seed: int,
    epoch: int,
) -> Any:
    """Return one epoch of training: ({"features", "n_frames"}, targets, weights) batches.

    Each clip is cut into whole segments from a random offset on; a shorter one is taken whole. Draws depend on (seed,
    epoch) alone. `target` maps clean features (frames, bands) to targets; `weights` (batch, frames) are 0 on padding.
    """
    rng = np.random.default_rng((seed, epoch))
    cuts = [
        (number, start, min(segment_frames, pair.n_frames))
        for number, pair in enumerate(pairs)
        for start in (starts(pair.n_frames, segment_frames, rng) if pair.n_frames > segment_frames else [0])
    ]
    plan = shuffled_plan(np.array([length for *_, length in cuts]), batch_size, rng)

    def batch(which):
        members = [cuts[index] for index in plan[which]]
        noisy = [pairs[number].noisy.read(start, length) for number, start, length in members]
        clean = [target(pairs[number].clean.read(start, length)) for number, start, length in members]
        features, lengths = padded(noisy, _STEP)
        targets, _ = padded(clean, _STEP)
        weights = np.arange(features.shape[1]) < lengths[:, None]
        return features, lengths, targets, weights.astype(np.float32)

    n_bands = pairs[0].noisy.read(0, 1).shape[1]
    frames = ("float32", (None, None, n_bands))
    return batches(len(plan), batch, [frames, ("int32", (None,)), frames, ("float32", (None, None))])


def even_cuts(n_frames: int, segment_frames: int) -> list[tuple[int, int]]:
    """Return start and length of consecutive segments that cover a clip once, all of about the same length."""
    ends = np.linspace(0, n_frames, -(-n_frames // segment_frames) + 1).round().astype(int)
    return [(int(start), int(end - start)) for start, end in pairwise(ends)]
