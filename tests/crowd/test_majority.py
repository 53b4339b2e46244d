"""Majority: one leader, several, ties as half a vote; and what becomes of votes in a preference."""

import pytest

from rlhf.crowd.judgements import Judgement, tabulate
from rlhf.crowd.majority import majority


def of(said: dict[str, str]) -> list[Judgement]:
    """A letter a rater: what was said of the item."""
    return [
        Judgement(item, f"r{r}", label) for item, labels in said.items() for r, label in enumerate(labels)
    ]


def test_the_most_votes_lead_and_equal_ones_are_no_majority():
    found = majority(of({"two to one": "aab", "one each": "ab", "甲": "c"}))
    assert found["two to one"].label == "a"
    assert found["two to one"].shares == pytest.approx({"a": 2 / 3, "b": 1 / 3, "c": 0})
    assert found["two to one"].num_votes == 3
    assert found["one each"].label is None
    assert found["one each"].leaders == ("a", "b")
    assert found["甲"].label == "c"


def test_a_tie_is_a_class_or_half_a_vote_for_each():
    rows = of({"i": "att", "j": "abt", "k": "aat"})
    as_class = majority(rows, tie="t")
    assert as_class["i"].label == "t"
    assert as_class["j"].leaders == ("a", "b", "t")
    half = majority(rows, tie="t", ties="half")
    assert half["i"].label == "a"
    assert half["i"].shares == pytest.approx({"a": 2 / 3, "b": 1 / 3})
    assert half["j"].label is None
    assert half["k"].shares == pytest.approx({"a": 5 / 6, "b": 1 / 6})
    assert half["k"].num_votes == 3


def test_half_votes_want_two_classes_and_can_be_told_of_both():
    with pytest.raises(ValueError, match="two classes and a tie"):
        majority(of({"i": "at"}), tie="t", ties="half")
    assert majority(of({"i": "at"}), labels=["a", "b"], tie="t", ties="half")["i"].label == "a"
    assert majority(of({"i": "tt"}), labels=["a", "b"], tie="t", ties="half")["i"].leaders == ("a", "b")


def test_labels_stand_in_order_numbers_before_words():
    table = tabulate([], labels=[10, 9, "b", 2.5, "a"])
    assert table.labels == (2.5, 9, 10, "a", "b")


def test_one_rater_says_one_thing_of_an_item():
    with pytest.raises(ValueError, match="'r0' judged item 'i' twice"):
        majority([*of({"i": "a"}), Judgement("i", "r0", "b")])
