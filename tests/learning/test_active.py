"""Simulated labelling on made clips: who labels what, what is counted, and that test labels decide nothing."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.special import softmax

from zoo.errors import UserError
from zoo.learning.active import Labels, full_score, simulate
from zoo.learning.learner import Predictions, check_classes
from zoo.learning.plan import STRATEGIES, Plan, check, check_pool
from zoo.learning.semi_supervised import Sure

CLASSES = ("angry", "neutral", "sad")
MIDDLES = np.array([[3.0, 0], [-3, 0], [0, 3]])


class Centroids:
    """A learner: softmax of negative distances to the classes' means."""

    def __init__(self, vectors, test):
        self.vectors, self.test = vectors, test

    def fit(self, clips, labels, seed):
        check_classes(labels)
        means = np.array([self.vectors[clips][labels == label].mean(axis=0) for label in range(3)])

        def shares(values):
            return softmax(-np.linalg.norm(values[:, None] - means, axis=2), axis=1)

        pool, test = shares(self.vectors), shares(self.test)
        return Predictions(pool, test, test, {"temperature": 1.0, "validation_ua": 0.5})


def made(seed=0, n=120):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    return MIDDLES[labels] + 1.5 * rng.normal(size=(n, 2)), labels


@pytest.fixture(scope="module")
def task():
    (pool, labels), (test, truth) = made(0), made(1, 60)
    speakers = [f"speaker {number % 4}" for number in range(60)]
    return Labels(labels, truth, speakers, CLASSES), (Centroids(pool, test), Centroids(pool[:, ::-1], test[:, ::-1]))


PLAN = Plan(budget=40, initial=2, batch=10, sure=Sure(confidence=0.8))


def run(task, seed=0, **changes):
    labels, learners = task
    return list(simulate(labels, learners, replace(PLAN, **changes), seed))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_people_label_as_many_clips_as_the_plan_says_each_once(task, strategy):
    points = run(task, strategy=strategy)
    assert [point.row["labels"] for point in points] == [6, 16, 26, 36, 40] == PLAN.counts(3)
    for before, after in pairwise(points):
        assert after.people[: len(before.people)].tolist() == before.people.tolist()
    assert len(set(points[-1].people.tolist())) == 40
    first = task[0].pool[points[0].people]
    assert np.bincount(first).tolist() == [2, 2, 2]
    for point in points:
        assert not set(point.machine) & set(point.people.tolist())


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_seeds_repeat_and_differ(task, strategy):
    one, again, other = (run(task, seed, strategy=strategy) for seed in (3, 3, 4))
    assert [point.row for point in one] == [point.row for point in again]
    assert [point.people.tolist() for point in one] == [point.people.tolist() for point in again]
    assert one[0].people.tolist() != other[0].people.tolist()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_labels_of_test_clips_decide_nothing(task, strategy):
    labels, learners = task
    shuffled = replace(labels, test=np.random.default_rng(0).permutation(labels.test))
    points, others = run((labels, learners), strategy=strategy), run((shuffled, learners), strategy=strategy)
    assert [p.people.tolist() for p in points] == [p.people.tolist() for p in others]
    assert [p.machine for p in points] == [p.machine for p in others]
    assert [p.row["ua"] for p in points] != [p.row["ua"] for p in others]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_labels_nobody_asked_for_decide_nothing(task, strategy):
    """Clips that people did not label may have any label: those chosen and the figures stay."""
    labels, learners = task
    points = run(task, strategy=strategy)
    unasked = np.setdiff1d(np.arange(len(labels.pool)), points[-1].people)
    changed = labels.pool.copy()
    changed[unasked] = 2 - changed[unasked]
    others = simulate_from(points[0].people, replace(labels, pool=changed), learners, strategy)
    assert [p.people.tolist() for p in points] == [p.people.tolist() for p in others]
    assert [p.row["ua"] for p in points] == [p.row["ua"] for p in others]


def simulate_from(first, labels, learners, strategy):
    """Simulate from given first clips, with the random draws that choosing them took."""
    from zoo.learning import active

    def drawn(truth, n_classes, initial, rng):
        for label in range(n_classes):
            rng.permutation(np.flatnonzero(made(0)[1] == label))
        return first

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(active, "first_clips", drawn)
        return list(simulate(labels, learners, replace(PLAN, strategy=strategy), 0))


def test_figures_of_a_point_are_those_of_its_predictions(task):
    labels, (learner, _) = task
    point = run(task, strategy="random")[-1]
    predicted = learner.fit(point.people, labels.pool[point.people], 0).test.argmax(axis=1)
    recalls = [np.mean(predicted[labels.test == label] == label) for label in range(3)]
    assert point.row["ua"] == pytest.approx(np.mean(recalls))
    assert point.row["wa"] == pytest.approx(np.mean(predicted == labels.test))
    assert point.hits.shape == (4, 3) and point.hits.sum() == np.sum(predicted == labels.test)
    right = np.array([s == "speaker 2" for s in labels.test_speakers]) & (predicted == labels.test)
    assert point.hits[2].tolist() == [np.sum(right & (labels.test == label)) for label in range(3)]


def test_machine_labels_are_counted_and_judged(task):
    point = run(task, strategy="semi-supervised")[2]
    assert point.row["machine_labels"] == len(point.machine) > 0
    assert point.row["machine_right"] == sum(task[0].pool[c] == label for c, label in point.machine.items())
    assert min(point.confidence.values()) >= 0.8


def test_cooperative_learning_asks_about_no_clip_that_the_machine_labels(task):
    points = run(task, strategy="cooperative")
    for before, after in pairwise(points):
        asked = set(after.people[len(before.people) :].tolist())
        assert before.machine and not asked & set(before.machine)


def test_active_learning_asks_about_the_least_certain_clips(task):
    labels, (learner, _) = task
    points = run(task, strategy="active")
    shares = learner.fit(points[0].people, labels.pool[points[0].people], 0).pool.max(axis=1)
    shares[points[0].people] = 2
    assert set(points[1].people[6:]) == set(np.argsort(shares)[:10])


def test_all_labels_give_the_full_score(task):
    point = full_score(task[0], task[1][0])
    assert point.row["labels"] == 120 and point.row["machine_labels"] == 0 and point.row["ua"] > 0.8


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"strategy": "cooperativ"}, "unknown --strategy 'cooperativ'. Did you mean 'cooperative'"),
        ({"query": "margins"}, "unknown --query 'margins'. Did you mean 'margin'"),
        ({"strategy": "random", "query": "margin"}, "--query margin has no effect on --strategy random"),
        ({"second_view": "fcn"}, "--second-view fcn has no effect on --strategy cooperative"),
        ({"initial": 0}, "--initial is 0, expected 1 or more"),
        ({"batch": 0}, "--batch is 0, expected 1 or more"),
        ({"sure": Sure(confidence=1.5)}, "--confidence is 1.5, expected a probability, 0 to 1"),
        ({"sure": Sure(balance=0)}, "--balance is 0, expected more than 0"),
        ({"sure": Sure(rounds=0)}, "--rounds is 0, expected 1 or more"),
    ],
)
def test_plans_that_cannot_be_are_refused(changes, said):
    with pytest.raises(UserError) as error:
        check(replace(PLAN, **changes))
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("budget", "counts", "said"),
    [
        (200, {"a": 60, "b": 60}, "--budget is 200, and fold 0 has 120 clips to label"),
        (3, {"a": 60, "b": 60}, "--budget is 3, fewer than the first labels: --initial 2 of each of 2 classes is 4"),
        (20, {"a": 60, "b": 1}, "--initial is 2, and fold 0 has 1 clips of b to label"),
        (20, {"a": 60}, "fold 0: all clips to label are a, expected several classes"),
    ],
)
def test_budgets_that_do_not_fit_the_pool_are_refused(budget, counts, said):
    with pytest.raises(UserError) as error:
        check_pool(replace(PLAN, budget=budget), "0", counts)
    assert said in str(error.value)
