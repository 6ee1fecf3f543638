"""Make batches of features: shuffled by seed, grouped by length, cropped, padded, weighted; compute their moments."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zoo.data.augmentation.feature_augmentation import change_tempo, mixup
from zoo.data.batches.by_length import padded
from zoo.data.batches.feature_store import Features
from zoo.data.batches.sampling import draw

_CHUNK_BATCHES = 8  # a batch has neighbours in length among so many batches of shuffled clips
_BUCKETS = 4
_BUCKET_STEP = 8


@dataclass(frozen=True)
class Example:
    """Features of a clip, and of altered copies (`versions`), its class index (>= 0) and the weight of its loss.

    `labels` (columns,), of all clips or of none, take the class's place where a network has several targets, or shares
    of the classes, such as of raters' votes, are what is learnt.
    """

    name: str = field(default="", kw_only=True)  # of the clip, for errors
    corpus: str = field(default="", kw_only=True)  # of several
    features: Features
    label: int
    weight: float = 1.0
    versions: tuple[Features, ...] = ()
    labels: np.ndarray | None = None


@dataclass(frozen=True)
class Mixing:
    """Mixup in batches: shares from Beta(alpha, alpha), none with `alpha` 0; the shorter clip goes on with `fill`.

    Classes become shares of `n_classes`; rows of labels are mixed as they are.
    """

    alpha: float
    n_classes: int
    fill: np.ndarray | float = 0.0


def training_batches(
    examples: Sequence[Example],
    batch_size: int,
    max_frames: int,
    *,
    seed: int,
    epoch: int,
    augment: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = None,
    tempo: float = 0.0,
    mixing: Mixing | None = None,
    sampling: str = "clips",
) -> Any:
    """Return one epoch of training: ({"features", "n_frames"}, label, weight) batches.

    All draws depend on (seed, epoch, clip) alone, so an epoch can be repeated after a crash. Each clip is there once,
    unless `sampling` draws others (zoo.data.batches.sampling), as itself or as one of its versions, all equally likely,
    its length changed by up to the share `tempo`; those longer than `max_frames` are cropped at random. Batches have
    `batch_size` clips or slightly fewer: no small, noisy last one. With `mixing` labels are (batch, classes), and a
    clip has at least half of its mixture with another of its batch, which is of like length.
    """
    # Of all clips and versions, so that no epoch has shapes of its own.
    every = np.array([item.n_frames for one in examples for item in (one.features, *one.versions)]) * (1 + tempo)
    boundaries = _boundaries(np.minimum(np.ceil(every), max_frames).astype(int))
    # The 1 keeps these draws apart from those of crops: (seed, epoch, clip, 0) is (seed, epoch, clip).
    rng = np.random.default_rng((seed, epoch, 0, 4))
    kinds = [example.label for example in examples], [example.corpus for example in examples]
    examples = [examples[index] for index in draw(sampling, *kinds, rng)]
    drawn = np.random.default_rng((seed, epoch, 0, 1)).random(len(examples))
    choices = [(example.features, *example.versions) for example in examples]
    taken = [choice[int(value * len(choice))] for choice, value in zip(choices, drawn, strict=True)]
    stretches = 1 + tempo * np.random.default_rng((seed, epoch, 0, 2)).uniform(-1, 1, len(examples))
    whole = np.rint([features.n_frames for features in taken] * stretches)
    whole = np.maximum(whole, 1).astype(int)
    lengths = np.minimum(whole, max_frames)
    plan = shuffled_plan(lengths, batch_size, np.random.default_rng((seed, epoch)))

    def load(index: int) -> np.ndarray:
        features, rng = taken[index], np.random.default_rng((seed, epoch, int(index)))
        source = -(-features.n_frames * int(lengths[index]) // int(whole[index]))  # all frames, unless cropped
        start = int(rng.integers(0, features.n_frames - source + 1))
        crop = features.read(start, source)
        crop = crop if source == lengths[index] else change_tempo(crop, lengths[index])
        return augment(crop, rng) if augment else crop

    mix = None if mixing is None else _mixer(mixing, len(examples), (seed, epoch, 0, 3))
    return _dataset(examples, plan, lengths, load, boundaries, mix)


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


def _mixer(mixing: Mixing, n_examples: int, seed: tuple[int, ...]) -> Callable:
    """Return a function that mixes each clip of a batch with one drawn from it.

    It maps the clips' indices, features, labels (batch,) or (batch, columns) and weights to features, labels (batch,
    classes or columns) and weights.
    """
    one_hot = np.eye(mixing.n_classes, dtype=np.float32)
    if not mixing.alpha:
        return lambda chosen, rows, labels, weights: (rows, one_hot[labels] if labels.ndim == 1 else labels, weights)
    rng = np.random.default_rng(seed)
    picks, shares = rng.random(n_examples), rng.beta(mixing.alpha, mixing.alpha, n_examples)
    shares = np.maximum(shares, 1 - shares).astype(np.float32)

    def mix(chosen, rows, labels, weights):
        share, others = shares[chosen], (picks[chosen] * len(chosen)).astype(int)
        labels = one_hot[labels] if labels.ndim == 1 else labels
        return (
            [mixup(row, rows[other], own, mixing.fill) for row, other, own in zip(rows, others, share, strict=True)],
            share[:, None] * labels + (1 - share[:, None]) * labels[others],
            share * weights + (1 - share) * weights[others],
        )

    return mix


def _dataset(examples, plan, lengths, load, boundaries, mix=None):
    """Read, mix and pad the plan's batches ahead of their use."""
    from zoo.data.batches.prefetch import batches  # imports Keras

    if several := examples[0].labels is not None:
        labels = np.stack([example.labels for example in examples])
    else:
        labels = np.array([example.label for example in examples], np.int32)
    weights = np.array([example.weight for example in examples], np.float32)

    def batch(number):
        chosen = plan[number]
        frames = int(boundaries[np.searchsorted(boundaries, lengths[chosen].max())])
        made = [load(index) for index in chosen], labels[chosen], weights[chosen]
        rows, *targets = mix(chosen, *made) if mix else made
        return *padded(rows, frames), *targets

    n_bands = examples[0].features.read(0, 1).shape[1]
    label = ("float32", (None, None)) if mix or several else ("int32", (None,))
    specs = [("float32", (None, None, n_bands)), ("int32", (None,)), label, ("float32", (None,))]
    return batches(len(plan), batch, specs)


def _boundaries(lengths: np.ndarray) -> np.ndarray:
    """Return few padded lengths for all batches (some backends compile for each new one), or the one that all have."""
    if lengths.min() == lengths.max():
        return lengths[:1]
    quantiles = np.quantile(lengths, np.arange(1, _BUCKETS + 1) / _BUCKETS)
    return np.unique(np.ceil(quantiles / _BUCKET_STEP).astype(int) * _BUCKET_STEP)
