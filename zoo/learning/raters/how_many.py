"""Decide how many raters to ask of each clip: ask one after another, and end when they agree well enough.

MixedEmotions D4.2, section 2.3.2, "dynamically deciding on how many annotators". Rules that end asking, each at a level
set before:

    number     so many votes, the same for each clip: what the others are compared with
    agreement  so many votes for one class (Zhang and others 2015, "Dynamic active learning based on agreement and
               applied to emotion recognition in spoken interactions")
    lead       so many more votes for the leading class than for the next one
    posterior  the probability of the likeliest class, by the rater model (`zoo.learning.raters.model`)

Measured by drawing from real counts of votes (`Drawn`), one vote of each clip being kept out as a further rater.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zoo.learning.raters.model import RaterModel, Votes, fit

LEVELS: Mapping[str, Sequence[float]] = {
    "number": (1, 2, 3, 4, 5, 6, 7, 8, 9),
    "agreement": (1, 2, 3, 4, 5, 6),
    "lead": (1, 2, 3, 4, 5),
    "posterior": (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99),
}


@dataclass(frozen=True, eq=False)
class Drawn:
    """Votes in the order of asking: class indices (clips, most votes), -1 behind a clip's last.

    `further` (clips,) is one more vote of each clip, which no rule sees; `ties` (clips, classes), below a half, decides
    between classes of as many votes.
    """

    votes: np.ndarray
    further: np.ndarray
    ties: np.ndarray

    @property
    def available(self) -> np.ndarray:
        """Votes that can be asked for, (clips,)."""
        return np.asarray((self.votes >= 0).sum(axis=1))

    def so_far(self) -> np.ndarray:
        """Return the votes by class after each one, (clips, most votes, classes)."""
        return np.cumsum(self.votes[:, :, None] == np.arange(self.ties.shape[1]), axis=1)


def draw(counts: np.ndarray, rng: np.random.Generator) -> Drawn:
    """Put each clip's votes, given as counts (clips, classes), in a drawn order. Raises ValueError below two votes."""
    n_clips, n_classes = counts.shape
    each = counts.sum(axis=1)
    if each.min(initial=2) < 2:
        raise ValueError(f"expected two votes or more of each clip, found {each.min()}")
    votes = np.full((n_clips, each.max(initial=0)), -1)
    clips = np.repeat(np.arange(n_clips), each)
    places = np.concatenate([rng.permutation(n) for n in each])
    votes[clips, places] = np.repeat(np.tile(np.arange(n_classes), n_clips), counts.ravel())
    last = (np.arange(n_clips), each - 1)
    further = votes[last]
    votes[last] = -1
    return Drawn(votes, further, rng.uniform(0, 0.5, counts.shape))


def fit_unnamed(counts: np.ndarray) -> RaterModel:
    """Fit the rater model to counts of votes (clips, classes) that name no raters: one matrix for all of them."""
    n_clips, n_classes = counts.shape
    clips = np.repeat(np.arange(n_clips), counts.sum(axis=1))
    classes = np.repeat(np.tile(np.arange(n_classes), n_clips), counts.ravel())
    return fit(Votes(clips, np.zeros_like(clips), classes, n_clips, 1, n_classes))


def posteriors(model: RaterModel, so_far: np.ndarray) -> np.ndarray:
    """Return the probability of each class by votes of any raters so far, both (..., classes)."""
    logs = np.log(model.prior) + so_far @ np.log(model.common.T)
    powers = np.exp(logs - logs.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def reached(rule: str, level: float, so_far: np.ndarray, posterior: np.ndarray) -> np.ndarray:
    """Say whether asking may end, (...), by votes so far and probabilities of classes, both (..., classes)."""
    if rule == "number":
        return np.asarray(so_far.sum(axis=-1) >= level)
    if rule == "posterior":
        return np.asarray(posterior.max(axis=-1) >= level)
    ordered = np.sort(so_far, axis=-1)
    lead = ordered[..., -1] - (ordered[..., -2] if rule == "lead" else 0)
    return np.asarray(lead >= level)


def asked_and_label(drawn: Drawn, model: RaterModel, rule: str, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Return how many votes a rule asks for and the label it ends with, (clips,) each.

    The label is the likeliest class for the rule "posterior", the class of the most votes for the others.
    """
    so_far = drawn.so_far()
    posterior = posteriors(model, so_far)
    ends = reached(rule, level, so_far, posterior)
    asked = np.minimum(np.where(ends.any(axis=1), ends.argmax(axis=1) + 1, len(so_far[0])), drawn.available)
    place = (np.arange(len(asked)), asked - 1)
    score = posterior[place] if rule == "posterior" else so_far[place] + drawn.ties
    return asked, score.argmax(axis=1)
