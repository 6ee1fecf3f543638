"""Make batches of segments of recordings with ratings along them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.data.batches.feature_store import Features
from zoo.data.batches.prefetch import batches
from zoo.errors import UserError, shortened

Perturb = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Rated:
    """One recording: features, `labels` (frames, dimensions) float32 and `rated` (frames,), where there is a rating.

    A frame is `steps_per_frame` steps of the features long, e.g. 640 samples of a waveform.
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
    """Return one epoch of training: ({"features", "n_frames"}, labels, weights) batches.

    Each recording is cut into whole segments from a random offset on; draws depend on (seed, epoch) alone. `labels` is
    (batch, frames, dimensions), `weights` (batch, frames): 0 where a frame has no rating, and in the first
    `unheard_frames` of a segment, rated on speech before it. Batches have `batch_size` segments or slightly fewer: a
    CCC over a small last batch would be noisy.
    """
    rng = np.random.default_rng((seed, epoch))
    cuts = [
        (number, int(start))
        for number, recording in enumerate(recordings)
        for start in starts(len(recording.labels), segment_frames, rng)
        if recording.rated[start + unheard_frames : start + segment_frames].any()
    ]
    plan = np.array_split(rng.permutation(len(cuts)), -(-len(cuts) // batch_size))

    def segment(index):
        number, start = cuts[index]
        recording, frames = recordings[number], slice(start, start + segment_frames)
        steps = recording.steps_per_frame
        features = recording.features.read(start * steps, segment_frames * steps)
        if perturb:
            features = perturb(features, np.random.default_rng((seed, epoch, int(index))))
        return features, len(features), recording.labels[frames], recording.rated[frames]

    def batch(which):
        columns = zip(*map(segment, plan[which]), strict=True)
        arrays = [np.stack(column).astype(kind) for column, (kind, _) in zip(columns, specs, strict=True)]
        arrays[3][:, :unheard_frames] = 0
        return tuple(arrays)

    n_channels, n_dimensions = recordings[0].features.read(0, 1).shape[1], recordings[0].labels.shape[1]
    specs = [
        ("float32", (None, segment_frames * recordings[0].steps_per_frame, n_channels)),
        ("int32", (None,)),
        ("float32", (None, segment_frames, n_dimensions)),
        ("float32", (None, segment_frames)),
    ]
    return batches(len(plan), batch, specs)


def starts(n_frames: int, segment_frames: int, rng: np.random.Generator) -> np.ndarray:
    """Return the first frames of the segments, from a random offset on."""
    offset = rng.integers(0, min(segment_frames, n_frames - segment_frames + 1))
    return np.arange(offset, n_frames - segment_frames + 1, segment_frames)


def check_changes(validation: Sequence[Rated], targets: Sequence[str]) -> None:
    """Raise UserError where all ratings of a dimension are equal, so that its CCC is 0 or undefined."""
    ratings = np.concatenate([item.labels[item.rated] for item in validation])
    where = shortened(list(dict.fromkeys(item.name for item in validation)))
    for name, values in zip(targets, ratings.T, strict=True):
        if np.ptp(values) == 0:
            raise UserError(
                f"validation ratings of {name}: expected some that change, found {values[0]:g} in all {len(values)} "
                f"rated frames of {where}. CCC is the same for every epoch. Restore the label files, or "
                "choose another --fold or --protocol"
            )
