"""Count raters' votes on clips by class, make training targets of them, and tell whether raters agree."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from zoo.data.schema import Clip
from zoo.errors import UserError

TARGET = "emotion"  # of `Clip.votes`, which classifications use


def counts(clip: Clip, classes: Sequence[str]) -> np.ndarray:
    """Return how many raters chose each class, float64 (classes,); zeros for a clip without votes.

    Raises UserError for a number that is below 0 or not finite.
    """
    votes = _of(clip)
    for name, number in votes.items():
        if not math.isfinite(number) or number < 0:
            raise UserError(f"{clip.path}: expected numbers of raters, found {number:g} for {name}. Repair its votes")
    return np.array([votes.get(name, 0.0) for name in classes], np.float64)


def distribution(clip: Clip, classes: Sequence[str]) -> np.ndarray:
    """Return the share of raters that chose each class, (classes,). Raises UserError for a clip without a vote."""
    found = counts(clip, classes)
    if found.sum() == 0:
        raise UserError(
            f"{clip.path}: expected the vote of at least one rater on {', '.join(classes)}, found none. Leave out "
            "--soft-labels votes, or give votes for every training clip"
        )
    return found / found.sum()


def agreement(clip: Clip) -> float | None:
    """Return the share of a clip's raters that chose its most frequent class, 0..1; None without votes."""
    votes = counts(clip, tuple(_of(clip)))
    return float(votes.max() / votes.sum()) if votes.sum() > 0 else None


def table(clips: Iterable[Clip], classes: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Return votes (n, classes) of the clips that have some, and their speakers."""
    voted = [(counts(clip, classes), clip.speaker) for clip in clips]
    chosen = [(votes, speaker) for votes, speaker in voted if votes.sum() > 0]
    return np.array([votes for votes, _ in chosen]).reshape(-1, len(classes)), [speaker for _, speaker in chosen]


def _of(clip: Clip) -> Mapping[str, float]:
    """Return a clip's votes on its emotion, or on the one target that a table has votes on."""
    only = next(iter(clip.votes.values())) if len(clip.votes) == 1 else {}
    return clip.votes.get(TARGET, only)


def renamed(clip: Clip, names: Mapping[str, str]) -> Clip:
    """Return the clip with its votes under the classes that `names` has for a corpus's labels; others are left out."""
    if TARGET not in clip.votes:
        return clip
    merged: dict[str, float] = {}
    for label, number in clip.votes[TARGET].items():
        if label in names:
            merged[names[label]] = merged.get(names[label], 0) + number
    return replace(clip, votes={**clip.votes, TARGET: merged})
