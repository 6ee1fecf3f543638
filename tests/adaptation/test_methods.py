"""Methods as the command line names them."""

import pytest

from zoo.adaptation.methods import METHODS, Plan, plan_of
from zoo.adaptation.study import ALL, Amount, amounts_of
from zoo.errors import UserError


@pytest.mark.parametrize(
    ("text", "plan"),
    [
        ("batch_norm", Plan("batch_norm", METHODS["batch_norm"].strength)),
        ("batch_norm:0.25", Plan("batch_norm", 0.25)),
        ("prior:0.5", Plan(answers="prior", answers_strength=0.5)),
        ("batch_norm:1+prior", Plan("batch_norm", 1.0, "prior", 1.0)),
    ],
)
def test_plans_are_read_and_named(text, plan):
    assert plan_of(text) == plan
    assert plan_of(plan.name) == plan


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prior+batch_norm", "expected one method, or one of the network"),
        ("prior+prior_estimated", "expected one method, or one of the network"),
        ("batch_norm+statistics", "expected one method, or one of the network"),
        ("batchnorm", "Did you mean 'batch_norm'"),
        ("", "--method"),
        ("batch_norm:0", "above 0, at most 1"),
        ("batch_norm:nan", "above 0, at most 1"),
        ("prior:much", "above 0, at most 1"),
        ("few_shot:1e9", "above 0, at most 1000"),
    ],
)
def test_other_texts_are_refused(text, said):
    with pytest.raises(UserError, match=said):
        plan_of(text)


def test_an_assumption_is_said_wherever_it_is_made():
    for text in METHODS:
        assert plan_of(text).assumes.startswith("ASSUMES") == text.endswith("prior")
    assert plan_of("batch_norm+prior").assumes == plan_of("class_means_prior").assumes


def test_amounts_of_clips():
    plan, labelled = plan_of("batch_norm"), plan_of("few_shot")
    assert amounts_of("", plan) == [Amount(0)]
    assert amounts_of("5,all", plan) == [Amount(5), Amount(0)]
    assert amounts_of("", labelled) == [Amount(n, per_class=True) for n in (1, 2, 3)]
    for text in ("0", "-1", "1.5", "some", "5,,all"):
        with pytest.raises(UserError, match="--clips"):
            amounts_of(text, plan)
    with pytest.raises(UserError, match="--clips all: found 'all', expected for few_shot numbers"):
        amounts_of(ALL, labelled)
