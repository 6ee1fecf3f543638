"""Post-process ratings that arrive piece by piece, as postprocess.py does a whole recording."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo.inference.postprocess import PostProcess, apply


class RunningPostProcess:
    """Applies each fold's chain, where there are any, to its ratings and averages the folds, frame by frame."""

    def __init__(self, chains: Sequence[PostProcess] = ()):
        self.chains = chains
        self.before, self.after = reach(chains)  # at the start, a shift fills with the first frame, a median keeps it
        self._held: Any = None  # ratings (frames, folds, dimensions) that are still needed
        self._done = 0  # how many of those have been returned

    def push(self, ratings: np.ndarray) -> np.ndarray:
        """Take raw ratings (n, folds, dimensions) of the next frames; return those now certain, (m, dimensions)."""
        self._held = ratings if self._held is None else np.concatenate([self._held, ratings])
        return self._until(len(self._held) - self.after)

    def finish(self) -> np.ndarray:
        """Return the ratings (m, dimensions) that waited for more frames."""
        return np.empty((0, 0)) if self._held is None else self._until(len(self._held))

    def _until(self, end: int) -> np.ndarray:
        held: np.ndarray = self._held
        end, first = max(self._done, end), self._done
        if self.chains and len(held):
            folds = zip(self.chains, np.moveaxis(held, 1, 0), strict=True)
            smooth = np.mean([apply(chain, ratings) for chain, ratings in folds], axis=0)
        else:
            smooth = held.mean(axis=1)
        forgotten = max(0, end - self.before)
        self._held, self._done = held[forgotten:], end - forgotten
        return smooth[first:end]


def reach(chains: Sequence[PostProcess]) -> tuple[int, int]:
    """Return how many frames before and behind a frame its post-processed rating depends on."""
    before, after = [0], [0]
    for chain in chains:
        for steps in chain.chains.values():
            frames = {step.name: int(step.values.get("frames", 0)) for step in steps if step.kept}
            half, shift = frames.get("median", 0) // 2, frames.get("shift", 0)
            before.append(half + shift)
            after.append(half - shift)
    return max(before), max(after)
