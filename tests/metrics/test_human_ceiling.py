"""One rater against the others: by hand, and by a loop over every single rater."""

import doctest

import numpy as np
import pytest

from zoo.metrics import human_ceiling as module
from zoo.metrics.human_ceiling import human_ceiling, one_against_the_others


def by_definition(votes):
    """Take every rater out, one by one."""
    confusion, left_out = np.zeros((votes.shape[1],) * 2, int), 0
    for clip in votes:
        raters = [c for c, number in enumerate(clip) for _ in range(int(number))]
        for place, chosen in enumerate(raters):
            others = np.bincount(raters[:place] + raters[place + 1 :], minlength=len(clip))
            best = np.flatnonzero(others == others.max())
            if len(best) == 1:
                confusion[best[0], chosen] += 1
            else:
                left_out += 1
    return confusion, left_out


def test_example_in_the_docstring():
    assert doctest.testmod(module).failed == 0


def test_every_rater_is_taken_out_once(rng):
    votes = rng.integers(0, 4, (60, 4))
    votes = votes[votes.sum(axis=1) > 1]
    confusion, left_out = one_against_the_others(votes)
    expected, expected_left_out = by_definition(votes)
    np.testing.assert_array_equal(confusion.sum(axis=0), expected)
    assert left_out.sum() == expected_left_out
    found = human_ceiling(votes, np.arange(len(votes)) % 5)
    assert found["wa"]["value"] == pytest.approx(np.trace(expected) / expected.sum())
    assert found["ua"]["value"] == pytest.approx(np.mean(np.diag(expected) / expected.sum(axis=1)))
    assert (found["ratings"], found["left_out"]) == (expected.sum(), expected_left_out)
    assert found["ua"]["low"] < found["ua"]["value"] < found["ua"]["high"]


def test_by_hand():
    """Four raters 3:1: three see 2:1 and agree, the fourth sees 3:0 and does not."""
    found = human_ceiling([[3, 1], [0, 4]], ["a", "b"])
    assert found["wa"]["value"] == 7 / 8 and found["ua"]["value"] == (3 / 4 + 1) / 2


def test_a_rater_alone_has_no_one_to_be_compared_with():
    found = human_ceiling([[1, 0], [0, 0], [2, 0]], ["a", "a", "b"])
    assert (found["clips"], found["ratings"], found["left_out"], found["wa"]["value"]) == (1, 2, 1, 1.0)
    nothing = human_ceiling([[0, 0]], ["a"])
    assert nothing["ua"] == {"value": None, "low": None, "high": None}


@pytest.mark.parametrize("votes", [[[1, float("nan")]], [[1, -1]], [1, 2]])
def test_votes_that_are_no_numbers_of_raters_are_refused(votes):
    with pytest.raises(ValueError, match="votes: expected numbers of raters"):
        one_against_the_others(votes)


def test_clips_and_speakers_must_match():
    for votes, speakers in (([[1, 2]], []), (np.zeros((0, 2)), [])):
        with pytest.raises(ValueError, match="clips with a speaker each"):
            human_ceiling(votes, speakers)
