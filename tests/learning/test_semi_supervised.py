"""Labels by the machine: thresholds and balance by hand, rounds with scripted models."""

import numpy as np
import pytest

from zoo.learning.cooperative import left_for_people
from zoo.learning.learner import Predictions
from zoo.learning.semi_supervised import Sure, co_train, confident, self_train


class Scripted:
    """A learner that gives probabilities from a list, one fit after the other, and keeps what it was fitted on."""

    def __init__(self, *shares, scores=(0.5,)):
        self.shares, self.scores, self.seen = list(shares), list(scores), []

    def fit(self, clips, labels, seed):
        self.seen.append(dict(zip(clips.tolist(), labels.tolist(), strict=True)))
        shares, score = (given[min(len(self.seen), len(given)) - 1] for given in (self.shares, self.scores))
        return Predictions(*[np.array(shares)] * 3, {"validation_ua": score})


PEOPLE, LABELS = np.array([0, 1]), np.array([0, 1])


def shares(*of_class_0):
    """Probabilities of two classes for clips 2, 3, ...; clips 0 and 1 have labels by people."""
    return [[1.0, 0.0], [0.0, 1.0], *([p, 1 - p] for p in of_class_0)]


def test_sure_of_what_is_above_the_threshold():
    found = confident(np.array(shares(0.95, 0.6, 0.1, 0.9)), PEOPLE, Sure(confidence=0.9, balance=10))
    assert found == {2: 0, 5: 0, 4: 1}


def test_balance_keeps_the_surest_of_a_class():
    found = confident(np.array(shares(0.9, 0.99, 0.95, 0.92, 0.05)), PEOPLE, Sure(confidence=0.7, balance=2))
    assert found == {3: 0, 4: 0, 6: 1}  # two labels by people, two classes: at most 2 * 2 / 2 of each


def test_people_are_never_overruled():
    assert confident(np.array([[0.0, 1.0], [1.0, 0.0]]), PEOPLE, Sure(confidence=0.5)) == {}


def test_self_training_fits_on_what_it_was_sure_of_and_takes_labels_back():
    model = Scripted(shares(0.9, 0.9, 0.5), shares(0.9, 0.6, 0.1), shares(0.9, 0.6, 0.1))
    found = self_train(model, PEOPLE, LABELS, Sure(confidence=0.8, balance=10, rounds=5), seed=0)
    by_people = {0: 0, 1: 1}
    assert model.seen == [by_people, {**by_people, 2: 0, 3: 0}, {**by_people, 2: 0, 4: 1}]
    assert found.machine == {2: 0, 4: 1} and found.taken_back == 1  # clip 3
    assert found.confidence == pytest.approx({2: 0.9, 4: 0.9})


def test_self_training_ends_after_its_rounds():
    model = Scripted(shares(0.9, 0.5), shares(0.5, 0.9), shares(0.9, 0.5), shares(0.5, 0.9))
    found = self_train(model, PEOPLE, LABELS, Sure(confidence=0.8, balance=10, rounds=2), seed=0)
    assert len(model.seen) == 3 and found.machine == {3: 0} and found.taken_back == 1


def test_self_training_without_confidence_is_plain_learning():
    model = Scripted(shares(0.6, 0.5))
    found = self_train(model, PEOPLE, LABELS, Sure(confidence=0.99), seed=0)
    assert len(model.seen) == 1 and found.machine == {} and found.confidence == {}


def test_a_round_that_lowers_the_validation_score_is_undone():
    rounds = (shares(0.9, 0.5, 0.5), shares(0.9, 0.9, 0.5), shares(0.9, 0.9, 0.9))
    for guarded, seen, machine in ((True, 3, {2: 0}), (False, 4, {2: 0, 3: 0, 4: 0})):
        model = Scripted(*rounds, scores=(0.4, 0.5, 0.45))
        found = self_train(model, PEOPLE, LABELS, Sure(0.8, balance=10, rounds=3, guarded=guarded), seed=0)
        assert len(model.seen) == seen and found.machine == machine
        assert found.predictions.facts["validation_ua"] == (0.5 if guarded else 0.45)


def test_co_training_undoes_a_round_that_lowers_the_first_views_score():
    one = Scripted(shares(0.95, 0.5), shares(0.95, 0.95), scores=(0.5, 0.4))
    found = co_train(one, Scripted(shares(0.5, 0.05)), PEOPLE, LABELS, Sure(0.8, balance=10), seed=0)
    assert found.machine == {} and found.predictions.pool.tolist() == np.array(one.shares[0]).tolist()


def test_each_view_of_co_training_learns_what_the_other_is_sure_of():
    one = Scripted(shares(0.95, 0.5, 0.9, 0.5))  # sure of clips 2 and 4
    two = Scripted(shares(0.5, 0.05, 0.1, 0.5))  # sure of clips 3 and 4, of the latter otherwise
    found = co_train(one, two, PEOPLE, LABELS, Sure(confidence=0.8, balance=10, rounds=3), seed=0)
    assert one.seen[1] == {0: 0, 1: 1, 3: 1}
    assert two.seen[1] == {0: 0, 1: 1, 2: 0}
    assert found.machine == {2: 0, 3: 1}
    assert found.confidence == pytest.approx({2: 0.95, 3: 0.95})
    assert found.predictions.pool.tolist() == np.array(one.shares[0]).tolist()


def test_cooperative_learning_asks_people_about_what_the_machine_is_not_sure_of():
    confidence = np.array([[0.5, 0.5]] * 6)
    assert left_for_people(6, PEOPLE, {3, 5}, 2, confidence).tolist() == [2, 4]


def test_people_are_asked_about_the_least_sure_labels_of_the_machine_where_too_few_clips_are_left():
    shares = np.array([[0.5, 0.5]] * 3 + [[0.9, 0.1], [0.7, 0.3], [0.8, 0.2]])
    assert left_for_people(6, PEOPLE, {3, 4, 5}, 3, shares).tolist() == [2, 4, 5]
    assert left_for_people(6, PEOPLE, {}, 3, shares).tolist() == [2, 3, 4, 5]
