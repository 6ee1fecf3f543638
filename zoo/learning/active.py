"""Simulate labelling on clips whose labels are known: who labels which clips, and how well the model then does.

The training side of a fold is the pool. A label by a person is the clip's true label, revealed when it is asked for.
Validation clips choose C and fit the temperature; their labels are the same for all strategies and are not counted.
Test clips are used for the curve alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.learning.cooperative import left_for_people
from zoo.learning.learner import Learner, Predictions
from zoo.learning.plan import Plan
from zoo.learning.semi_supervised import Labelled, co_train, self_train
from zoo.learning.strategies import Pool, choose
from zoo.metrics.classification import confusion_matrix, speaker_confusions, unweighted_accuracy, weighted_accuracy


@dataclass(frozen=True)
class Labels:
    """True class indices of a fold: of the pool's clips (n,) and the test clips (m,), with the test clips' speakers."""

    pool: np.ndarray
    test: np.ndarray
    test_speakers: Sequence[str]
    classes: Sequence[str]


@dataclass(frozen=True)
class Point:
    """A point of a curve.

    `row` are its figures; `hits` (speakers, classes) count the test clips of each that were recognised, speakers in
    the order of their names; `people` are the clips that people labelled, `machine` and `confidence` the machine's
    labels by clip.
    """

    row: dict[str, Any]
    hits: np.ndarray
    people: np.ndarray
    machine: dict[int, int]
    confidence: dict[int, float]


def simulate(labels: Labels, learners: Sequence[Learner], plan: Plan, seed: int) -> Iterator[Point]:
    """Yield the points of one curve, one for each of `plan.counts`.

    `learners` are the model, and the second view for co-training. Everything drawn depends on `seed` alone.
    """
    rng = np.random.default_rng(seed)
    people = first_clips(labels.pool, len(labels.classes), plan.initial, rng)
    found = _label(learners, plan, people, labels.pool[people], seed)
    yield _point(found, people, labels)
    for count in plan.counts(len(labels.classes))[1:]:
        people = np.concatenate([people, _ask(found, people, learners[0], labels, plan, count - len(people), rng)])
        found = _label(learners, plan, people, labels.pool[people], seed)
        yield _point(found, people, labels)


def full_score(labels: Labels, learner: Learner, seed: int = 0) -> Point:
    """Return the point of a model fitted on the labels of the whole pool."""
    every = np.arange(len(labels.pool))
    return _point(Labelled(learner.fit(every, labels.pool, seed), {}, {}), every, labels)


def first_clips(truth: np.ndarray, n_classes: int, initial: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the first labelled clips at random, `initial` of each class."""
    drawn = [rng.permutation(np.flatnonzero(truth == label))[:initial] for label in range(n_classes)]
    return np.concatenate(drawn)


def _label(learners: Sequence[Learner], plan: Plan, people: np.ndarray, labels: np.ndarray, seed: int) -> Labelled:
    if plan.way.machine == "co-training":
        return co_train(learners[0], learners[1], people, labels, plan.sure, seed)
    if plan.way.machine == "self-training":
        return self_train(learners[0], people, labels, plan.sure, seed)
    return Labelled(learners[0].fit(people, labels, seed), {}, {})


def _ask(
    found: Labelled, people: np.ndarray, learner: Learner, labels: Labels, plan: Plan, count: int, rng
) -> np.ndarray:
    """Return the clips that people are asked about next."""
    sure = found.machine if plan.strategy == "cooperative" else ()
    clips = left_for_people(len(labels.pool), people, sure, count, found.predictions.pool)
    pool = Pool(
        probabilities=found.predictions.pool[clips],
        vectors=learner.vectors[clips],
        labelled_vectors=learner.vectors[people],
        labels=labels.pool[people],
        classes=labels.classes,
    )
    return clips[choose(plan.asks_for, pool, count, rng)]


def _point(found: Labelled, people: np.ndarray, labels: Labels) -> Point:
    n_classes, predictions = len(labels.classes), found.predictions
    predicted = predictions.test.argmax(axis=1)
    confusion = confusion_matrix(labels.test, predicted, n_classes)
    _, by_speaker = speaker_confusions(labels.test, predicted, labels.test_speakers, n_classes)
    right = sum(labels.pool[clip] == label for clip, label in found.machine.items())
    row = {
        "labels": len(people),
        "machine_labels": len(found.machine),
        "machine_right": int(right),
        "taken_back": found.taken_back,
        "ua": float(unweighted_accuracy(confusion)),
        "wa": float(weighted_accuracy(confusion)),
        **_facts(predictions),
    }
    hits = np.diagonal(by_speaker, axis1=1, axis2=2)
    return Point(row, hits, people, dict(found.machine), dict(found.confidence))


def _facts(predictions: Predictions) -> dict[str, Any]:
    return {name: predictions.facts.get(name, "") for name in ("validation_ua", "temperature", "c")}
