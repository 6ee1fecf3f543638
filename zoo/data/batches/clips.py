"""Batches of features: shuffled by seed, grouped by length, cropped, padded, weighted; and moments of features."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zoo.data.batches.by_length import padded
from zoo.data.batches.feature_store import Features
from zoo.data.batches.prefetch import batches

_CHUNK_BATCHES = 8  # a batch has neighbours in length among so many batches of shuffled clips
_BUCKETS = 4
_BUCKET_STEP = 8


@dataclass(frozen=True)
class Example:
    """Features of a clip, and of altered copies (`versions`), its class index (>= 0) and the weight of its loss."""

    name: str = field(default="", kw_only=True)  # of the clip, for errors
    features: Features
    label: int
    weight: float = 1.0
    versions: tuple[Features, ...] = ()


def training_batches(
    examples: Sequence[Example],
    batch_size: int,
    max_frames: int,
    *,
    seed: int,
    epoch: int,
    augment: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = None,
) -> Any:
    """Return one epoch of training: ({"features", "n_frames"}, label, weight) batches.

    All draws depend on (seed, epoch, clip) alone, so an epoch can be repeated after a crash. Each clip is there once,
    as itself or as one of its versions, all equally likely; those longer than `max_frames` are cropped at random.
    Batches have `batch_size` clips or slightly fewer: no small, noisy last one.
    """
    # The 1 keeps these draws apart from those of crops: (seed, epoch, clip, 0) is (seed, epoch, clip).
    drawn = np.random.default_rng((seed, epoch, 0, 1)).random(len(examples))
    choices = [(example.features, *example.versions) for example in examples]
    taken = [choice[int(value * len(choice))] for choice, value in zip(choices, drawn, strict=True)]
    lengths = np.minimum([features.n_frames for features in taken], max_frames)
    plan = shuffled_plan(lengths, batch_size, np.random.default_rng((seed, epoch)))

    def load(index: int) -> np.ndarray:
        features, rng = taken[index], np.random.default_rng((seed, epoch, int(index)))
        start = int(rng.integers(0, features.n_frames - lengths[index] + 1))
        crop = features.read(start, int(lengths[index]))
        return augment(crop, rng) if augment else crop

    # Of all versions, so that no epoch has shapes of its own.
    every = [features.n_frames for choice in choices for features in choice]
    return _dataset(examples, plan, lengths, load, _boundaries(np.minimum(every, max_frames)))


def whole_batches(examples: Sequence[Example], max_frames: int = 12_000) -> Any:
    """Return all examples in order, uncropped, in batches of at most `max_frames` frames with padding."""
    lengths = np.array([example.features.n_frames for example in examples])
    plan: list[list[int]] = []
    for index, length in enumerate(lengths):
        if plan and max(length, *lengths[plan[-1]]) * (len(plan[-1]) + 1) <= max_frames:
            plan[-1].append(index)
        else:
            plan.append([index])
    return _dataset(examples, plan, lengths, lambda index: examples[index].features.read(), _boundaries(lengths))


def moments(features: Iterable[Features]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance per band over every frame: two float64 (bands,)."""
    count, mean, square = 0, 0.0, 0.0
    for clip in features:
        frames = clip.read().astype(np.float64)
        count += len(frames)
        delta = frames.mean(axis=0) - mean  # Chan et al. 1983: merging moments, stable for any offset
        mean = mean + delta * len(frames) / count
        square = square + frames.var(axis=0) * len(frames) + delta**2 * len(frames) * (count - len(frames)) / count
    return np.asarray(mean), np.asarray(square / count)


def shuffled_plan(lengths: np.ndarray, batch_size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the indices of every batch: at random, but neighbours in length together, in batches of like size."""
    order = rng.permutation(len(lengths))
    for start in range(0, len(order), _CHUNK_BATCHES * batch_size):
        chunk = order[start : start + _CHUNK_BATCHES * batch_size]
        chunk[:] = chunk[np.argsort(lengths[chunk], kind="stable")]
    plan = np.array_split(order, -(-len(order) // batch_size))
    rng.shuffle(plan)
    return plan


def _dataset(examples, plan, lengths, load, boundaries):
    """Read and pad the plan's batches ahead of their use."""
    labels = np.array([example.label for example in examples], np.int32)
    weights = np.array([example.weight for example in examples], np.float32)

    def batch(number):
        chosen = plan[number]
        frames = int(boundaries[np.searchsorted(boundaries, lengths[chosen].max())])
        return *padded([load(index) for index in chosen], frames), labels[chosen], weights[chosen]

    n_bands = examples[0].features.read(0, 1).shape[1]
    specs = [("float32", (None, None, n_bands)), ("int32", (None,)), ("int32", (None,)), ("float32", (None,))]
    return batches(len(plan), batch, specs)


def _boundaries(lengths: np.ndarray) -> np.ndarray:
    """Return few padded lengths for all batches (some backends compile for each new one), or the one that all have."""
    if lengths.min() == lengths.max():
        return lengths[:1]
    quantiles = np.quantile(lengths, np.arange(1, _BUCKETS + 1) / _BUCKETS)
    return np.unique(np.ceil(quantiles / _BUCKET_STEP).astype(int) * _BUCKET_STEP)
