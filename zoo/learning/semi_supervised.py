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
        rounds: of fitting and labelling at most; they end earlier when no label changes.
    """

    confidence: float = 0.7
    balance: float = 2.0
    rounds: int = 3


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
    predictions = learner.fit(people, labels, seed)
    machine: dict[int, int] = {}
    given, taken_back = predictions.pool, 0
    for _ in range(sure.rounds):
        new = confident(predictions.pool, people, sure)
        if new == machine:
            break
        taken_back += _withdrawn(machine, new)
        machine, given = new, predictions.pool
        predictions = learner.fit(*joined(people, labels, machine), seed)
    return Labelled(predictions, machine, _confidences(machine, given), taken_back)


def co_train(
    first: Learner, second: Learner, people: np.ndarray, labels: np.ndarray, sure: Sure, seed: int
) -> Labelled:
    """Fit two views of the same clips; what one is sure of becomes a training label of the other.

    Co-training (Blum and Mitchell 1998). A clip of which both are sure and that they label differently gets no label.
    The predictions are the first view's; the machine labels are those of both.
    """
    views = [learner.fit(people, labels, seed) for learner in (first, second)]
    by: list[dict[int, int]] = [{}, {}]
    given, taken_back = views, 0
    for _ in range(sure.rounds):
        new = [confident(view.pool, people, sure) for view in views]
        unlike = [clip for clip in new[0] if new[1].get(clip, new[0][clip]) != new[0][clip]]
        new = [{clip: label for clip, label in given.items() if clip not in unlike} for given in new]
        if new == by:
            break
        taken_back += _withdrawn({**by[1], **by[0]}, {**new[1], **new[0]})
        by, given = new, views
        views = [
            learner.fit(*joined(people, labels, others), seed) for learner, others in ((first, by[1]), (second, by[0]))
        ]
    machine, confidence = {**by[1], **by[0]}, {}
    for view, mine in zip(given, by, strict=True):
        confidence.update(_confidences(mine, view.pool))
    return Labelled(views[0], machine, confidence, taken_back)


def joined(people: np.ndarray, labels: np.ndarray, machine: Mapping[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the clips with a label of people or machine, and the labels."""
    clips = np.array([*people, *machine.keys()], int)
    return clips, np.array([*labels, *machine.values()], int)


def _withdrawn(before: Mapping[int, int], after: Mapping[int, int]) -> int:
    return sum(after.get(clip) != label for clip, label in before.items())


def _confidences(machine: Mapping[int, int], shares: np.ndarray) -> dict[int, float]:
    return {clip: float(shares[clip, label]) for clip, label in machine.items()}
