"""Simulate raters of known confusion matrices, and compare ways of choosing whom to ask of which clip.

    majority   raters drawn for every clip alike; the label is the class of the most votes
    model      the same votes; the label is the likeliest class by the rater model (`zoo.learning.raters.model`)
    open       the clips that are least certain by the model so far; raters drawn
    best       these clips; the next rater is the one with the most expected information by the current model
    best-fair  the same, no rater having more than `SHARE` times an equal share of all votes

The last three begin with `CALIBRATION` of the clips, on which all raters vote, so that the model knows them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from zoo.learning.raters.model import RaterModel, Votes, fit, information

WAYS = ("majority", "model", "open", "best", "best-fair")
CALIBRATION = 0.05
SHARE = 2.0
_ROUNDS_PER_VOTE = 2  # the model is fitted anew when half of the clips have had one more vote

# Chance of the true class by kind of rater, and how many there are of each.
PANEL: Mapping[str, tuple[float, int]] = MappingProxyType(
    {"expert": (0.85, 2), "layman": (0.6, 6), "biased": (0.7, 2), "careless": (0.0, 2)}
)


def panel(n_classes: int, rng: np.random.Generator) -> tuple[list[str], np.ndarray]:
    """Draw the raters of `PANEL`: their kinds, and confusion matrices (raters, classes, classes).

    Rows are drawn around the kind's own (Dirichlet, 40 imagined votes). The biased take half of one class for another;
    the careless answer alike whatever is true.
    """
    kinds = [kind for kind, (_, n) in PANEL.items() for _ in range(n)]
    matrices = np.array([_matrix(kind, n_classes, rng) for kind in kinds])
    return kinds, matrices


def _matrix(kind: str, n_classes: int, rng: np.random.Generator) -> np.ndarray:
    if kind == "careless":
        return np.tile(rng.dirichlet(np.ones(n_classes)), (n_classes, 1))
    right = PANEL[kind][0]
    rows = np.full((n_classes, n_classes), (1 - right) / (n_classes - 1))
    np.fill_diagonal(rows, right)
    if kind == "biased":
        true, taken_for = rng.permutation(n_classes)[:2]
        rows[true, taken_for] += rows[true, true] / 2
        rows[true, true] /= 2
    return np.array([rng.dirichlet(40 * row) for row in rows])


@dataclass(frozen=True, eq=False)
class Task:
    """True classes (clips,), and the answer that each rater gives if asked, (clips, raters)."""

    truth: np.ndarray
    answers: np.ndarray
    n_classes: int

    def votes(self, asked: np.ndarray) -> Votes:
        """Return the votes where `asked` (clips, raters) is true."""
        clips, raters = np.nonzero(asked)
        n_clips, n_raters = asked.shape
        return Votes(clips, raters, self.answers[clips, raters], n_clips, n_raters, self.n_classes)


def task(matrices: np.ndarray, prior: np.ndarray, n_clips: int, rng: np.random.Generator) -> Task:
    """Draw true classes and all answers of raters with these confusion matrices."""
    truth = rng.choice(len(prior), n_clips, p=prior)
    limits = matrices.cumsum(axis=2)[:, truth]  # (raters, clips, classes)
    answers = (rng.uniform(size=limits.shape[:2])[:, :, None] > limits).sum(axis=2).T
    return Task(truth, np.minimum(answers, len(prior) - 1), len(prior))


def ask(way: str, task: Task, votes_per_clip: float, rng: np.random.Generator) -> list[tuple[float, float, RaterModel]]:
    """Ask in rounds, up to a mean number of votes per clip; return (votes per clip, accuracy, model) after each."""
    n_clips, n_raters = task.answers.shape
    asked = np.zeros((n_clips, n_raters), bool)
    if way in ("open", "best", "best-fair"):
        asked[rng.permutation(n_clips)[: round(CALIBRATION * n_clips)]] = True
    budget, found = round(votes_per_clip * n_clips), []
    while True:
        model = fit(task.votes(asked))
        posterior = model.posterior(task.votes(asked))
        if asked.any(axis=1).all():
            found.append((asked.sum() / n_clips, _accuracy(way, task, asked, posterior, rng), model))
        size = min(-(-n_clips // _ROUNDS_PER_VOTE), budget - asked.sum())
        if size <= 0:
            return found
        before = asked.sum()
        most = SHARE * (before + size) / n_raters if way == "best-fair" else np.inf
        _ask_more(way, asked, model, posterior, int(size), most, rng)
        if asked.sum() == before:
            return found


def _accuracy(way: str, task: Task, asked: np.ndarray, posterior: np.ndarray, rng: np.random.Generator) -> float:
    if way == "majority":
        posterior = task.votes(asked).counts() + rng.uniform(0, 0.5, posterior.shape)  # ties are drawn
    return float(np.mean(posterior.argmax(axis=1) == task.truth))


def _ask_more(
    way: str,
    asked: np.ndarray,
    model: RaterModel,
    posterior: np.ndarray,
    size: int,
    most: float,
    rng: np.random.Generator,
) -> None:
    """Ask one rater of each of `size` clips; changes `asked` (clips, raters)."""
    drawn = rng.uniform(size=len(asked))
    n_votes = asked.sum(axis=1)
    # All clips are asked once before any is asked again; then the fewest votes, or the least certain, come first.
    first = n_votes if way in ("majority", "model") else np.where(n_votes == 0, -1.0, posterior.max(axis=1))
    bits = information(posterior, model.confusions) if way.startswith("best") else rng.uniform(size=asked.shape)
    for clip in np.lexsort((drawn, first))[:size]:
        free = ~asked[clip] & (asked.sum(axis=0) < most)
        if free.any():
            asked[clip, np.where(free, bits[clip], -1.0).argmax()] = True
