"""Z-score features per speaker.

Mean and deviation are those of all of a speaker's clips in a run's protocol, on any side of a fold: figures of such a
run hold for speakers of whom (unlabelled) recordings exist, not for single recordings of unknown speakers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from zoo.data.schema import Clip
from zoo.errors import UserError
from zoo.utils.atomic_files import written_aside

FILE = "speakers.npz"
# Of a feature's largest value: a smaller deviation is the rounding of a constant, and an altered copy of a clip would
# be a million deviations away.
_LEAST = 1e-5
NOTE = "features standardised by each speaker's own clips, those of test speakers by their unlabelled test clips"


@dataclass(frozen=True)
class Speakers:
    """Mean and deviation (features,) by speaker, in float64; where a speaker does not vary, the deviation is 1."""

    means: Mapping[str, np.ndarray]
    deviations: Mapping[str, np.ndarray]

    def standardized(self, values: np.ndarray, speaker: str) -> np.ndarray:
        """Return a speaker's features (n, features), z-scored, float32. Raises UserError for an unknown speaker."""
        if speaker not in self.means:
            raise UserError(
                f"speaker {speaker!r} has no clips among those of the run ({', '.join(sorted(self.means))}), and its "
                "features need their mean and deviation"
            )
        return ((values - self.means[speaker]) / self.deviations[speaker]).astype(np.float32)


@dataclass(frozen=True)
class Standardized:
    """Features of a clip, z-scored by its speaker; read as zoo.data.batches.feature_store.Features are."""

    features: Any
    speakers: Speakers
    speaker: str

    @property
    def n_frames(self) -> int:
        return self.features.n_frames

    @property
    def audio_sha256(self) -> str:
        return self.features.audio_sha256

    def read(self, start: int = 0, n_frames: int | None = None) -> np.ndarray:
        return self.speakers.standardized(self.features.read(start, n_frames), self.speaker)


def measure(
    clips: Sequence[Clip], features: Mapping[str, Any], group: Callable[[Clip], str] = lambda clip: clip.speaker
) -> Speakers:
    """Return the statistics of every speaker, or other `group`, over the frames of all their clips.

    `features` are by clip name.
    """
    frames: dict[str, list[np.ndarray]] = {}
    for clip in clips:
        frames.setdefault(group(clip), []).append(features[clip.name].read())
    means, deviations = {}, {}
    for speaker, found in frames.items():
        values = np.concatenate(found).astype(np.float64)
        means[speaker], deviations[speaker] = values.mean(axis=0), values.std(axis=0)
        deviations[speaker][deviations[speaker] <= _LEAST * np.abs(values).max(axis=0)] = 1.0
    return Speakers(means, deviations)


def keep(folder: Path, speakers: Speakers, file: str = FILE) -> None:
    """Write the statistics into a run's folder.

    Raises UserError where it has others, against which its finished folds were fitted.
    """
    if (folder / file).is_file() and not _alike(load(folder, file), speakers):
        raise UserError(
            f"{folder / file}: the features of this run's speakers are no longer those it was started on. Resume with "
            "the versions of openSMILE and of the audio it had, or give another --out"
        )
    names = sorted(speakers.means)
    means, deviations = (np.stack([by[name] for name in names]) for by in (speakers.means, speakers.deviations))
    with written_aside(folder / file) as aside:
        np.savez(aside, names=np.array(names), means=means, deviations=deviations)


def load(folder: Path, file: str = FILE) -> Speakers:
    """Read what `keep` wrote in a run's folder. Raises UserError where it is absent or damaged."""
    path = folder / file
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = [str(name) for name in archive["names"]]
            return Speakers(*(dict(zip(names, archive[key], strict=True)) for key in ("means", "deviations")))
    except (OSError, ValueError, KeyError, BadZipFile, EOFError) as error:
        raise UserError(
            f"{path}: expected the run's statistics of {path.stem}, found none that can be read ({error}). Delete the "
            f"file and write it anew, without training: train.py --resume --out {folder}"
        ) from error


def _alike(one: Speakers, other: Speakers) -> bool:
    pairs = ((one.means, other.means), (one.deviations, other.deviations))
    return one.means.keys() == other.means.keys() and all(
        a[name].shape == b[name].shape and np.allclose(a[name], b[name], rtol=1e-4) for a, b in pairs for name in a
    )
