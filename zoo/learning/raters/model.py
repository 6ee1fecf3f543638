"""Model how raters err, what their votes say of each clip, and whom to ask next.

Dawid and Skene 1979, "Maximum likelihood estimation of observer error-rates using the EM algorithm": each rater has a
confusion matrix, the chance of each answer given the true class; votes are independent given the true class; neither
the true classes nor the matrices are known, and both are found by expectation maximisation. MixedEmotions D4.2, section
2.3.2, asks for this ("learning the annotators' behaviour and dynamically deciding on how many annotators and whom to
ask when") and does not say how.

Here matrices are drawn towards that of all raters together, by `STRENGTH` imagined votes per class, so that a rater
with a few votes counts as an ordinary one; this one towards raters who are right with a chance of `ASSUMED`; and the
classes' frequencies towards equal ones, by as many imagined clips.
"""

from dataclasses import dataclass

import numpy as np

STRENGTH = 4.0  # imagined votes per true class of each rater, answered as all raters together answer
ASSUMED = 0.7  # chance of the true class before anything is known of the raters
_LEAST = 1e-9  # keeps logarithms finite


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


def fit(votes: Votes, strength: float = STRENGTH, n_steps: int = 200, tolerance: float = 1e-5) -> RaterModel:
    """Fit the model by expectation maximisation (Dawid and Skene 1979, equations 2.3 to 2.5).

    Begins with each clip's shares of votes as its probabilities, as they do; ends when no probability changes by more
    than `tolerance`. Deterministic. With strength 0 it is the method of 1979. Where no clip has two votes, these fit
    any matrices, among which the method would drift: then all raters have the assumed one.
    """
    counts = votes.counts()
    voted = counts.sum(axis=1) > 0
    posterior = np.divide(counts, counts.sum(axis=1, keepdims=True), where=voted[:, None], out=np.zeros_like(counts))
    if counts.sum(axis=1).max(initial=0) < 2:
        assumed = _assumed(votes.n_classes)
        return RaterModel(_rows(posterior.sum(axis=0)), np.tile(assumed, (votes.n_raters, 1, 1)), assumed)
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
    cells, shares_of = votes.raters * votes.n_classes + votes.classes, posterior[votes.clips].T
    by_true = [np.bincount(cells, shares, minlength=size[0] * size[1]).reshape(size) for shares in shares_of]
    answers = np.stack(by_true, axis=1)
    common = _rows(answers.sum(axis=0) + strength * _assumed(votes.n_classes))
    prior = _rows(posterior.sum(axis=0) + strength / votes.n_classes)
    return RaterModel(prior, _rows(answers + strength * common), common)


def _assumed(n_classes: int) -> np.ndarray:
    matrix = np.full((n_classes, n_classes), (1 - ASSUMED) / max(n_classes - 1, 1))
    np.fill_diagonal(matrix, ASSUMED)
    return _rows(matrix)


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


def whom_to_ask(model: RaterModel, posterior: np.ndarray, asked: np.ndarray) -> list[tuple[int, int, float]]:
    """Return (clip, rater, expected bits) for each clip, the most bits first.

    The rater is that of the highest expected information among those with whom `asked` (clips, raters) is 0; a clip
    without such a rater is left out.
    """
    bits = np.where(asked > 0, -1.0, information(posterior, model.confusions))
    best = bits.argmax(axis=1)
    gain = bits[np.arange(len(bits)), best]
    ordered = [clip for clip in np.argsort(-gain, kind="stable") if gain[clip] >= 0]
    return [(int(clip), int(best[clip]), float(gain[clip])) for clip in ordered]
