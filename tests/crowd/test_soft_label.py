"""From votes to a preference: the better first, ties half, and the same gradient in either form."""

import math

import pytest

from rlhf.crowd.judgements import Judgement
from rlhf.crowd.majority import majority
from rlhf.crowd.soft_labels import SoftLabel, soft_label
from rlhf.records import Preference, Prompt


def test_the_more_probable_is_chosen():
    assert soft_label({"a": 0.9, "b": 0.1}, "a", "b") == SoftLabel("a", "b", 0.9, 1.0)
    assert soft_label({"a": 0.2, "b": 0.8}, "a", "b") == SoftLabel("b", "a", 0.8, 1.0)
    assert soft_label({"a": 0.5, "b": 0.5}, "a", "b") == SoftLabel("a", "b", 0.5, 1.0)


def test_a_tie_is_half_for_each():
    label = soft_label({"a": 0.1, "b": 0.5, "tie": 0.4}, "a", "b", tie="tie")
    assert label == SoftLabel("b", "a", pytest.approx(0.7), 1.0)
    assert soft_label({"a": 0.3, "b": 0.7}, "a", "b", tie="tie").probability == 0.7


@pytest.mark.parametrize("p", [0.5, 0.6, 0.97])
def test_both_forms_pull_alike_where_scores_are_equal(p: float):
    # d/dd [-p log sigmoid(d) - (1 - p) log sigmoid(-d)] at d = 0 is 1/2 - p; of the hard label -w / 2
    soft = soft_label({"a": p, "b": 1 - p}, "a", "b")
    hard = soft_label({"a": p, "b": 1 - p}, "a", "b", form="weight")
    assert hard.probability == 1.0
    assert -hard.weight / 2 == pytest.approx(soft.weight * (0.5 - soft.probability))


def test_it_fits_a_preference_and_takes_votes():
    votes = majority([Judgement("题", r, "甲" if r < "c" else "乙") for r in "abc"])
    label = soft_label(votes["题"].shares, "甲", "乙")
    answers = {"甲": "好", "乙": "坏"}
    preference = Preference(
        Prompt("?"),
        answers[str(label.chosen)],
        answers[str(label.rejected)],
        label.probability,
        weight=label.weight,
    )
    assert preference.chosen == "好"
    assert math.isclose(preference.probability, 2 / 3)


def test_other_classes_are_refused():
    with pytest.raises(ValueError, match="judged by"):
        soft_label({"a": 0.5, "b": 0.3, "tie": 0.2}, "a", "b")
    with pytest.raises(ValueError, match="judged by"):
        soft_label({"a": 1.0}, "a", "b")
