"""Let the machine label clips itself where it is sure: self-training, and co-training of two views.

MixedEmotions D4.2, section 2.3.3. People's labels are never changed; machine labels are given anew in every round, so
that one the machine is no longer sure of is taken back.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zoo.learning.learner import Learner, Predictions


@dataclass(frozen=True)
class Sure:
    """When the machine is sure of a label.

    Args:
        confidence: calibrated probability of the most probable class, at least this.
        balance: of each class at most so many machine labels for every label by people per class: an equal share, so
            that a class that is predicted too often does not crowd out the others.
        rounds: of labelling and fitting at most; they end earlier when no label changes.
        guarded: whether a round is undone, and the last, that lowers the UA of the validation clips. Wrong labels
            that the machine is sure of would else feed on themselves.
    """

    confidence: float = 0.6
    balance: float = 2.0
    rounds: int = 2
    guarded: bool = True


@dataclass(frozen=True)
class Labelled:
    """People's labels and the machine's for one pool; `taken_back` counts machine labels withdrawn or changed."""

    predictions: Predictions
    machine: Mapping[int, int]
    confidence: Mapping[int, float]
    taken_back: int = 0


def confident(
    shares: np.ndarray, people: Sequence[int] | np.ndarray, sure: Sure, vetoed: Sequence[int] = ()
) -> dict[int, int]:
    """Return the class of each clip that the machine is sure of: {clip: class}, the surest of a class first.

    `shares` are calibrated probabilities (clips, classes); clips of `people` and `vetoed` ones get no label.
    """
    predicted, confidence = shares.argmax(axis=1), shares.max(axis=1).copy()
    confidence[np.array([*people, *vetoed], int)] = -1.0
    most = math.ceil(sure.balance * len(people) / shares.shape[1])
    found: dict[int, int] = {}
    for label in range(shares.shape[1]):
        clips = np.flatnonzero((predicted == label) & (confidence >= sure.confidence))
        ranked = clips[np.argsort(-confidence[clips], kind="stable")]
        found.update((int(clip), label) for clip in ranked[:most])
    return found


def self_train(learner: Learner, people: np.ndarray, labels: np.ndarray, sure: Sure, seed: int) -> Labelled:
    """Fit on people's labels, then on these and the labels the machine is sure of, round by round.

    Self-training (Scudder 1965; Yarowsky 1995). The first round's model has seen no machine label, so that each is
    judged anew whenever people have labelled more.
    """
    best = Labelled(learner.fit(people, labels, seed), {}, {})
    for _ in range(sure.rounds):
        shares = best.predictions.pool
        machine = confident(shares, people, sure)
        if machine == best.machine:
            break
        predictions = learner.fit(*joined(people, labels, machine), seed)
        if sure.guarded and _fell(best.predictions, predictions):
            break
        taken_back = best.taken_back + _withdrawn(best.machine, machine)
        best = Labelled(predictions, machine, _confidences(machine, shares), taken_back)
    return best


def co_train(
    first: Learner, second: Learner, people: np.ndarray, labels: np.ndarray, sure: Sure, seed: int
) -> Labelled:
    """Fit two views of the same clips; what one is sure of becomes a training label of the other.

    Co-training (Blum and Mitchell 1998). A clip of which both are sure and that they label differently gets no label.
    The predictions are the first view's, whose score guards the rounds; the machine labels are those of both.
    """
    views = [learner.fit(people, labels, seed) for learner in (first, second)]
    best = Labelled(views[0], {}, {})
    by: list[dict[int, int]] = [{}, {}]
    for _ in range(sure.rounds):
        new = [confident(view.pool, people, sure) for view in views]
        unlike = {clip for clip in new[0] if new[1].get(clip, new[0][clip]) != new[0][clip]}
        new = [{clip: label for clip, label in given.items() if clip not in unlike} for given in new]
        if new == by:
            break
        confidence = {**_confidences(new[1], views[1].pool), **_confidences(new[0], views[0].pool)}
        learnt = zip((first, second), reversed(new), strict=True)
        views = [learner.fit(*joined(people, labels, others), seed) for learner, others in learnt]
        if sure.guarded and _fell(best.predictions, views[0]):
            break
        machine = {**new[1], **new[0]}
        best = Labelled(views[0], machine, confidence, best.taken_back + _withdrawn(best.machine, machine))
        by = new
    return best


def joined(people: np.ndarray, labels: np.ndarray, machine: Mapping[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the clips with a label of people or machine, and the labels."""
    clips = np.array([*people, *machine.keys()], int)
    return clips, np.array([*labels, *machine.values()], int)


def _fell(before: Predictions, after: Predictions) -> bool:
    return bool(after.facts["validation_ua"] < before.facts["validation_ua"])


def _withdrawn(before: Mapping[int, int], after: Mapping[int, int]) -> int:
    return sum(after.get(clip) != label for clip, label in before.items())


def _confidences(machine: Mapping[int, int], shares: np.ndarray) -> dict[int, float]:
    return {clip: float(shares[clip, label]) for clip, label in machine.items()}
