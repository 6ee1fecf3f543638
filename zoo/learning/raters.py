"""Model how raters err, what their votes say of each clip, and whom to ask next.

Dawid and Skene 1979, "Maximum likelihood estimation of observer error-rates using the EM algorithm": each rater has a
confusion matrix, the chance of each answer given the true class; votes are independent given the true class; neither
the true classes nor the matrices are known, and both are found by expectation maximisation. MixedEmotions D4.2, section
2.3.2, asks for this ("learning the annotators' behaviour and dynamically deciding on how many annotators and whom to
ask when") and does not say how.

Matrices are drawn towards that of all raters together, by `STRENGTH` imagined votes per class, so that a rater with a
few votes counts as an ordinary one; with strength 0 it is the method of 1979.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

STRENGTH = 4.0  # imagined votes per true class of each rater, answered as all raters together answer
_LEAST = 1e-9  # keeps logarithms finite
_FEW = 0.01  # imagined votes for each answer of all raters together


@dataclass(frozen=True, eq=False)
class Votes:
    """Votes by position: vote i is that of rater `raters[i]` on clip `clips[i]` for class `classes[i]`, (votes,) each.

    A rater may vote on a clip several times.
    """

    clips: np.ndarray
    raters: np.ndarray
    classes: np.ndarray
    n_clips: int
    n_raters: int
    n_classes: int

    def counts(self) -> np.ndarray:
        """Return the number of votes by clip and class, (clips, classes)."""
        cells = np.bincount(self.clips * self.n_classes + self.classes, minlength=self.n_clips * self.n_classes)
        return cells.reshape(self.n_clips, self.n_classes).astype(np.float64)

    def asked(self) -> np.ndarray:
        """Return the number of votes by clip and rater, (clips, raters)."""
        cells = np.bincount(self.clips * self.n_raters + self.raters, minlength=self.n_clips * self.n_raters)
        return cells.reshape(self.n_clips, self.n_raters)


@dataclass(frozen=True, eq=False)
class RaterModel:
    """How often each class is true, `prior` (classes,), and what raters answer then.

    `confusions` (raters, true classes, answers) are the raters' own; `common` (true classes, answers) is that of all
    raters together. Rows sum to 1.
    """

    prior: np.ndarray
    confusions: np.ndarray
    common: np.ndarray

    def posterior(self, votes: Votes) -> np.ndarray:
        """Return the probability of each class for each clip, given its votes, (clips, classes); the prior without."""
        logs = np.tile(np.log(self.prior + _LEAST), (votes.n_clips, 1))
        seen = np.log(self.confusions + _LEAST)[votes.raters, :, votes.classes]  # (votes, true classes)
        for true in range(votes.n_classes):
            logs[:, true] += np.bincount(votes.clips, seen[:, true], minlength=votes.n_clips)
        return _shares(logs)

    def accuracies(self) -> np.ndarray:
        """Return how often each rater is expected to answer the true class, (raters,)."""
        return np.einsum("k,rkk->r", self.prior, self.confusions)


def fit(votes: Votes, strength: float = STRENGTH, n_steps: int = 200, tolerance: float = 1e-6) -> RaterModel:
    """Fit the model by expectation maximisation (Dawid and Skene 1979, equations 2.3 to 2.5).

    Begins with each clip's shares of votes as its probabilities, as they do; ends when no probability changes by more
    than `tolerance`. Deterministic. A clip without votes says nothing.
    """
    counts = votes.counts()
    voted = counts.sum(axis=1) > 0
    posterior = np.divide(counts, counts.sum(axis=1, keepdims=True), where=voted[:, None], out=np.zeros_like(counts))
    model = _maximised(votes, posterior, strength)
    for _ in range(n_steps):
        before, posterior = posterior, model.posterior(votes) * voted[:, None]
        model = _maximised(votes, posterior, strength)
        if np.abs(posterior - before).max(initial=0) < tolerance:
            break
    return model


def _maximised(votes: Votes, posterior: np.ndarray, strength: float) -> RaterModel:
    """Return the likeliest model, given the probability of each class for each clip (clips, classes)."""
    size = (votes.n_raters, votes.n_classes)
    answers = np.zeros((votes.n_raters, votes.n_classes, votes.n_classes))
    for true in range(votes.n_classes):
        cells = np.bincount(
            votes.raters * votes.n_classes + votes.classes, posterior[votes.clips, true], minlength=np.prod(size)
        )
        answers[:, true] = cells.reshape(size)
    common = _rows(answers.sum(axis=0) + _FEW * (strength > 0))
    return RaterModel(_rows(posterior.sum(axis=0)), _rows(answers + strength * common), common)


def _rows(weights: np.ndarray) -> np.ndarray:
    """Return weights of which each row sums to 1; a row without any has all alike."""
    return (weights + _LEAST) / (weights + _LEAST).sum(axis=-1, keepdims=True)


def _shares(logs: np.ndarray) -> np.ndarray:
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def information(posterior: np.ndarray, confusions: np.ndarray) -> np.ndarray:
    """Return how much an answer of each rater is expected to tell of each clip's class, in bits, (clips, raters).

    The mutual information of class and answer, sum over both of p(class) p(answer | class) log2 of p(answer | class) /
    p(answer): the expected fall of the entropy of the class (Lindley 1956).

    Args:
        posterior: probability of each class for each clip so far, (clips, classes).
        confusions: chance of each answer by rater and true class, (raters, classes, classes).
    """
    answers = np.einsum("ck,rka->cra", posterior, confusions)
    of_answers = -(answers * np.log2(answers + _LEAST)).sum(axis=2)
    given_class = -(confusions * np.log2(confusions + _LEAST)).sum(axis=2)  # (raters, classes)
    return np.maximum(of_answers - posterior @ given_class.T, 0.0)


def whom_to_ask(
    model: RaterModel, posterior: np.ndarray, asked: np.ndarray, level: float
) -> Sequence[tuple[int, int, float]]:
    """Return (clip, rater, expected bits) for each clip whose likeliest class is below `level`, the most bits first.

    The rater is that of the highest expected information among those not asked yet; clips that all raters have voted
    on are left out. `asked` (clips, raters) is above 0 where a rater was.
    """
    bits = np.where(asked > 0, -1.0, information(posterior, model.confusions))
    best = bits.argmax(axis=1)
    gain = bits[np.arange(len(bits)), best]
    open_clips = np.flatnonzero((posterior.max(axis=1) < level) & (gain >= 0))
    ordered = open_clips[np.argsort(-gain[open_clips], kind="stable")]
    return [(int(clip), int(best[clip]), float(gain[clip])) for clip in ordered]
