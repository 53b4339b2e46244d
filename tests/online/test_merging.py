"""All rounds' judgements as preferences: numbers worked by hand, slices kept apart, nothing by chance."""

import random

import pytest
from pieces import judged, pair

from rlhf.data.formats import to_preferences
from rlhf.data.sources import Rows
from rlhf.online.merging import Labelled, outcomes, preferences, slice_of


def labelled(number: int, items: range = range(3), **parts: object) -> Labelled:
    """Each pair judged by three raters: good, good, and bad."""
    pairs = [pair(n, part="evaluation" if n in parts.get("apart", ()) else "learning") for n in items]  # type: ignore[operator]
    said = [
        judged(one, f"r{rater}", one.first.text if rater < 3 else one.second.text)
        for one in pairs
        for rater in (1, 2, 3)
    ]
    return Labelled(number, pairs, said)


def test_majority_takes_the_side_of_most_and_the_mean_margin() -> None:
    """Two for it and one against, each by a strength of 1: (1/3 + 1/3 - 1/3) / 3 = 1/9."""
    rows = preferences([labelled(1)], aggregate="majority", recent_weight=1.0)
    assert sorted(row["chosen"] for row in rows) == ["good 0", "good 1", "good 2"]
    for row in rows:
        assert row["probability"] == 1.0
        assert row["margin"] == pytest.approx(1 / 9)


def test_raw_keeps_every_judgement() -> None:
    rows = preferences([labelled(1)], aggregate="raw", recent_weight=1.0)
    assert len(rows) == 9
    assert sum(row["chosen"].startswith("good") for row in rows) == 6
    assert {row["margin"] for row in rows} == {1 / 3}


def test_a_tie_prefers_neither() -> None:
    one = pair(0)
    tied = Labelled(1, [one], [judged(one, "r1", "tie")])
    for aggregate in ("raw", "majority", "dawid_skene"):
        (row,) = preferences([tied], aggregate=aggregate, recent_weight=1.0)
        assert (row["probability"], row["margin"]) == (pytest.approx(0.5), 0.0)


def test_a_rater_who_is_mostly_wrong_is_believed_less() -> None:
    """Two agree against the third on eleven pairs; where one of the two is missing, the skilled one wins."""
    pairs = [pair(number) for number in range(12)]
    said = [judged(one, rater, one.first.text) for one in pairs[:11] for rater in ("good-1", "good-2")]
    said += [judged(one, "bad", one.second.text) for one in pairs[:11]]
    said += [
        judged(pairs[11], "good-1", pairs[11].first.text),
        judged(pairs[11], "bad", pairs[11].second.text),
    ]
    rows = preferences([Labelled(1, pairs, said)], aggregate="dawid_skene", recent_weight=1.0)
    unsure = next(row for row in rows if "11" in row["chosen"] + row["rejected"])
    assert unsure["chosen"] == "good 11"
    assert unsure["probability"] > 0.8
    even = preferences([Labelled(1, pairs, said)], aggregate="majority", recent_weight=1.0)
    assert next(row for row in even if "11" in row["chosen"])["probability"] == 0.5


def test_recent_rounds_weigh_more() -> None:
    """With 2, a round weighs twice as much as the one before: 1/4, 1/2, 1."""
    rounds = [labelled(number, range(10 * number, 10 * number + 2)) for number in (1, 2, 3)]
    rows = preferences(rounds, aggregate="majority", recent_weight=2.0)
    weights = {row["chosen"].split()[1][0]: row["weight"] for row in rows}
    assert weights == {"1": 0.25, "2": 0.5, "3": 1.0}
    assert {row["weight"] for row in preferences(rounds, aggregate="majority", recent_weight=1.0)} == {1.0}


def test_what_stands_in_any_slice_is_learnt_from_in_no_round() -> None:
    """Pair 1 is for evaluation in round 2, and was asked about for learning in round 1."""
    rounds = [labelled(1), labelled(2, range(1, 5), apart=(1, 4))]
    rows = preferences(rounds, aggregate="majority", recent_weight=1.0)
    assert sorted(row["chosen"] for row in rows) == ["good 0", "good 2", "good 2", "good 3"]


def test_the_slice_holds_what_most_decided() -> None:
    one, other, third = (pair(number, part="evaluation") for number in range(3))
    said = [judged(one, rater, one.second.text) for rater in ("a", "b")]
    said += [judged(other, "a", other.first.text), judged(other, "b", other.second.text)]
    said += [judged(third, "a", "tie"), judged(third, "b", third.first.text)]
    found = slice_of(Labelled(1, [one, other, third], said))
    assert sorted((better, worse) for _, better, worse in found) == [("bad 0", "good 0"), ("good 2", "bad 2")]


def test_a_managers_verdict_settles_a_pair() -> None:
    one = pair(0)
    said = [judged(one, rater, one.first.text) for rater in ("a", "b", "c")]
    said.append(judged(one, "boss", one.second.text, settles=True))
    for aggregate in ("raw", "majority", "dawid_skene"):
        (row,) = preferences([Labelled(1, [one], said)], aggregate=aggregate, recent_weight=1.0)
        assert row["chosen"] == "bad 0"
        assert row["probability"] > 0.99


def test_an_answer_loses_to_what_a_rater_made_of_it() -> None:
    one = pair(0)
    said = [judged(one, "a", None, edit=("bad 0", "better 0"))]
    (row,) = preferences([Labelled(1, [one], said)], aggregate="dawid_skene", recent_weight=1.0)
    assert (row["chosen"], row["rejected"]) == ("better 0", "bad 0")


def test_the_order_of_judgements_changes_no_bit() -> None:
    first, second = labelled(1, range(20)), labelled(2, range(15, 40))
    shuffled = [
        Labelled(one.number, one.pairs, random.Random(7).sample(list(one.judged), len(one.judged)))
        for one in (second, first)
    ]
    for aggregate in ("raw", "majority", "dawid_skene"):
        whole = preferences([first, second], aggregate=aggregate, recent_weight=1.5)
        assert preferences(shuffled, aggregate=aggregate, recent_weight=1.5) == whole


def test_the_rows_are_read_as_preferences_with_their_fields() -> None:
    one = pair(0, group="g", language="zh")
    rows = preferences(
        [Labelled(1, [one], [judged(one, "a", one.first.text)])], aggregate="majority", recent_weight=1.0
    )
    (read,) = to_preferences(Rows(rows, ["1"], [])).records
    assert read.prompt == one.prompt
    assert (read.chosen, read.rejected, read.probability, read.weight) == ("good 0", "bad 0", 1.0, 1.0)


def test_what_people_said_of_the_candidate() -> None:
    """Of `round-1`: two of three prefer it, a tie, and both bad, which is a tie as well."""
    won, tied, bad = (pair(number) for number in range(3))
    said = [judged(won, "a", "good 0"), judged(won, "b", "good 0"), judged(won, "c", "bad 0")]
    said += [judged(tied, "a", "tie"), judged(bad, "a", None)]
    found = outcomes(Labelled(1, [won, tied, bad], said), "round-1")
    assert found == {won.prompt.key: [1.0, 1.0, 0.0], tied.prompt.key: [0.5], bad.prompt.key: [0.5]}
    assert outcomes(Labelled(1, [won], said[:3]), "sft") == {won.prompt.key: [0.0, 0.0, 1.0]}
