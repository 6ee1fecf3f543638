"""From recordings on disk to batches of segments with a rating for every frame."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.data.batches.feature_store import Features
from zoo.data.batches.prefetch import batches
from zoo.errors import UserError

Perturb = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Rated:
    """One recording as a network sees it.

    `labels` is (frames, dimensions) float32, `rated` (frames,) tells where there is a rating; a frame is
    `steps_per_frame` steps of the features long, e.g. 640 samples of a waveform.
    """

    name: str
    features: Features
    labels: np.ndarray
    rated: np.ndarray
    steps_per_frame: int


def segment_batches(
    recordings: Sequence[Rated],
    batch_size: int,
    segment_frames: int,
    *,
    seed: int,
    epoch: int,
    perturb: Perturb | None = None,
    unheard_frames: int = 0,
) -> Any:
    """Returns one epoch of training: ({"features", "n_frames"}, labels, weights) batches.

    Each recording is cut into whole segments from a random offset on; offsets, order and perturbation depend on
    (seed, epoch) alone, so an epoch can be had again after a crash. `labels` is (batch, frames, dimensions), `weights`
    (batch, frames): 0 where a frame has no rating, and in the first `unheard_frames` of a segment, whose ratings are of
    what was said before it. All batches have `batch_size` segments or one to few less, in equal
    measure: the moments of a CCC over a small last batch would be a noisy step.
    """
    rng = np.random.default_rng((seed, epoch))
    cuts = [
        (number, int(start))
        for number, recording in enumerate(recordings)
        for start in _starts(len(recording.labels), segment_frames, rng)
        if recording.rated[start + unheard_frames : start + segment_frames].any()
    ]
    plan = np.array_split(rng.permutation(len(cuts)), -(-len(cuts) // batch_size))

    def batch(which):
        members = [cuts[index] for index in plan[which]]
        features = np.stack([_features(recordings[number], start, segment_frames) for number, start in members])
        if perturb:
            generators = [np.random.default_rng((seed, epoch, int(index))) for index in plan[which]]
            features = np.stack([perturb(one, generator) for one, generator in zip(features, generators, strict=True)])
        chosen = [(recordings[number], slice(start, start + segment_frames)) for number, start in members]
        labels = np.stack([recording.labels[frames] for recording, frames in chosen])
        rated = np.stack([recording.rated[frames] for recording, frames in chosen])
        rated[:, :unheard_frames] = False
        n_steps = np.full(len(members), features.shape[1], np.int32)
        return features.astype(np.float32), n_steps, labels.astype(np.float32), rated.astype(np.float32)

    n_channels, n_dimensions = recordings[0].features.read(0, 1).shape[1], recordings[0].labels.shape[1]
    specs = [
        ("float32", (None, segment_frames * recordings[0].steps_per_frame, n_channels)),
        ("int32", (None,)),
        ("float32", (None, segment_frames, n_dimensions)),
        ("float32", (None, segment_frames)),
    ]
    return batches(len(plan), batch, specs)


def _starts(n_frames: int, segment_frames: int, rng: np.random.Generator) -> np.ndarray:
    """First frames of the segments. A recording just long enough for one still gives it anywhere."""
    offset = rng.integers(0, min(segment_frames, n_frames - segment_frames + 1))
    return np.arange(offset, n_frames - segment_frames + 1, segment_frames)


def _features(recording: Rated, start: int, n_frames: int) -> np.ndarray:
    steps = recording.steps_per_frame
    return recording.features.read(start * steps, n_frames * steps)


def check_changes(validation: Sequence[Rated], targets: Sequence[str]) -> None:
    """Raises UserError where all rated frames of a dimension are the same: CCC is then 0 or undefined, come what may.

    A single recording may be constant.
    """
    ratings = np.concatenate([item.labels[item.rated] for item in validation])
    names = list(dict.fromkeys(item.name for item in validation))
    where = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    for name, values in zip(targets, ratings.T, strict=True):
        if np.ptp(values) == 0:
            raise UserError(
                f"validation ratings of {name}: expected some that change, found {values[0]:g} in all {len(values)} "
                f"rated frames of {where}. CCC can tell no epoch from another by them. Restore the label files, or "
                "choose another --fold or --protocol"
            )
