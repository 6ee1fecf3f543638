"""Read a corpus for a study of transfer: labels by common names, features, and draws of labelled clips."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from zoo.config.run_config import RunConfig
from zoo.data.batches.feature_store import Features
from zoo.data.corpora import label_maps
from zoo.data.schema import Clip, Fold
from zoo.errors import UserError
from zoo.features import from_config
from zoo.runs.dataset import Source, drop_clips, open_source, resolve
from zoo.runs.sides import need
from zoo.utils.progress import Progress


@dataclass(frozen=True)
class Corpus:
    """A corpus with common names as labels: folds of clips, features by the clip's name, and hashes of its audio."""

    config: RunConfig
    source: Source
    features: Mapping[str, Features]
    hashes: Mapping[str, str]
    labels: Mapping[str, str]  # the corpus's own: its common name

    def vectors(self, clips: Sequence[Clip]) -> np.ndarray:
        """Return the functionals of clips, (clips, features)."""
        return np.stack([self.features[clip.name].read()[0] for clip in clips]).astype(np.float64)


def read(config: RunConfig, progress: Progress) -> Corpus:
    """Read a corpus: features of its clips, and labels by their common names; clips without one are left out."""
    config = resolve(config)
    source, extractor = open_source(config), from_config.extractor(config)
    need(config, source.folds, "test")
    named = label_maps.of(config.corpus, {clip.label for clip in source.clips})
    folds = []
    for fold in source.folds:
        sides = [[replace(clip, label=named.names[clip.label]) for clip in side] for side in fold.sides]
        folds.append(Fold(fold.name, *(tuple(clip for clip in side if clip.label) for side in sides)))
    classes = tuple(sorted({name for name in named.names.values() if name}))
    source = replace(source, folds=tuple(folds), protocol=replace(source.protocol, classes=classes))
    clips = source.clips
    with progress.task(f"features of {config.corpus}", len(clips)) as advance:
        features, bad = from_config.features_of(config, extractor, clips, advance, config.on_bad_clip)
    hashes = {name: item.audio_sha256 for name, item in features.items()}
    return Corpus(config, drop_clips(source, bad), features, hashes, named.names)


def draw(pool: Sequence[Clip], count: int, seed: int) -> list[int]:
    """Return the indices of `count` clips of a pool: of each class in turn, at random, so that classes are balanced.

    The clips of a smaller budget are among those of a larger one. Raises UserError where there are fewer.
    """
    if count > len(pool):
        raise UserError(f"--budgets {count}: only {len(pool)} clips are of training speakers. Give smaller ones")
    rng = np.random.default_rng(seed)
    waiting = {
        name: [int(index) for index in rng.permutation([n for n, clip in enumerate(pool) if clip.label == name])]
        for name in sorted({clip.label for clip in pool})
    }
    order: list[int] = []
    while len(order) < count:
        names = [name for name in waiting if waiting[name]]
        order += [waiting[names[index]].pop() for index in rng.permutation(len(names))]
    return order[:count]
