"""The manager's board: shares by hand, and alarms that ring for what they say and for nothing else."""

import math
from dataclasses import replace

import pytest

from rlhf.crowd.board import Alarm, Limits, left_share, longer_share, rater_figures, side_alarm
from rlhf.crowd.intervals import share
from rlhf.crowd.judgements import Judgement


def votes(rater: str, labels: str, *, left: str = "ab", seconds: float = 30.0) -> list[Judgement]:
    """A letter an item: the label. Which side it stood on goes round `left`."""
    return [
        Judgement(f"题 {n:03d}", rater, label, left=left[n % len(left)], longer="a", seconds=seconds + n % 3)
        for n, label in enumerate(labels)
    ]


def test_figures_by_hand():
    rows = [
        Judgement("1", "安", "first", left="first", longer="second", seconds=10),
        Judgement("2", "安", "second", left="first", longer="second", seconds=40),
        Judgement("3", "安", "tie", left="second", longer="first", seconds=20),
        Judgement("4", "安", "first"),
        Judgement("1", "Bo", "first"),
        Judgement("1", "Cy", "second"),
        Judgement("2", "Bo", "second"),
        Judgement("3", "Cy", "tie"),
    ]
    found = rater_figures(rows, gold={"1": "second", "4": "first", "9": "first"}, tie="tie")
    assert list(found) == ["Bo", "Cy", "安"]
    ann = found["安"]
    assert ann.num_judgements == 4
    # item 1: one of two others; 2 and 3: the one other; 4: nobody else
    assert (ann.agreement, ann.num_shared) == (share(2.5, 3), 3)
    assert (ann.gold, ann.num_gold) == (share(1, 2), 2)
    assert (ann.left, ann.num_sided) == (share(1, 2), 2)  # the tie is for no side, the fourth has none
    assert (ann.longer, ann.num_lengths) == (share(1, 2), 2)
    assert ann.median_seconds == 20
    assert ann.alarms == ()
    assert found["Bo"].median_seconds is None
    assert math.isnan(found["Bo"].left.estimate)
    assert (found["Bo"].left.low, found["Bo"].left.high) == (0.0, 1.0)


def test_who_presses_left_is_told_from_who_likes_one_label():
    always_left = votes("left", "ab" * 50)  # the label follows the side
    always_a = votes("a", "a" * 100)  # one label, on either side in turn
    even = votes("even", "aabb" * 25)
    found = rater_figures([*always_left, *always_a, *even])
    assert found["left"].left.estimate == 1.0
    assert [alarm.kind for alarm in found["left"].alarms] == ["side", "constant"]
    assert found["left"].alarms[0] == Alarm("side", 1.0, 0.53)
    assert found["a"].left.estimate == 0.5
    assert found["a"].longer.estimate == 1.0
    assert found["a"].alarms == ()  # what is right may be longer; it is shown, not rung for
    assert found["even"].alarms == ()


def test_always_a_tie_is_constant():
    rows = [*votes("ties", "t" * 40), *votes("even", "aabb" * 10)]
    found = rater_figures(rows, tie="t")["ties"]
    assert found.alarms == (Alarm("constant", 1.0, 0.95),)
    assert found.num_sided == 0


def test_ratings_without_sides_are_constant_by_label():
    rows = [Judgement(f"{n}", "r", 3) for n in range(40)] + [Judgement(f"{n}", "s", n % 5) for n in range(40)]
    found = rater_figures(rows)
    assert [alarm.kind for alarm in found["r"].alarms] == ["constant"]
    assert found["s"].alarms == ()


@pytest.mark.parametrize(
    ("lefts", "of", "rings"),
    [
        (520, 1000, False),  # within 3 points
        (560, 1000, True),
        (440, 1000, True),
        (56, 100, False),  # as far, but of too few to tell from chance
        (20, 20, False),  # fewer than enough
        (30, 30, True),
    ],
)
def test_the_side_alarm_wants_three_points_and_votes_enough(lefts: int, of: int, rings: bool):
    assert side_alarm(share(lefts, of), of, Limits()) is rings


def test_a_side_preference_is_the_same_on_the_other_side():
    rows = votes("r", "aabababbaa" * 10, left="ab")
    mirrored = [replace(row, left="b" if row.left == "a" else "a") for row in rows]
    one, other = left_share(rows, tie=None), left_share(mirrored, tie=None)
    assert one.estimate == pytest.approx(1 - other.estimate)
    assert one.low == pytest.approx(1 - other.high)
    assert longer_share(rows, tie=None) == longer_share(mirrored, tie=None) == share(60, 100)


def test_speed_is_beside_the_other_raters():
    slow = [votes(f"slow {n}", "aabb" * 10, seconds=30) for n in range(3)]
    fast = votes("fast", "aabb" * 10, seconds=5)
    found = rater_figures([row for rows in (*slow, fast) for row in rows])
    assert [alarm.kind for alarm in found["fast"].alarms] == ["speed"]
    assert found["fast"].alarms[0].limit == pytest.approx(31 / 3)
    assert found["slow 0"].alarms == ()
    everybody = [row for rows in slow for row in rows]  # all alike: nobody is fast
    assert all(not figures.alarms for figures in rater_figures(everybody).values())
    few = rater_figures([*everybody, *fast[:20]])["fast"]
    assert few.alarms == ()
    assert rater_figures(fast)["fast"].alarms == ()  # alone, there is no pace to be beside


def test_gold_rings_once_it_is_sure():
    gold = {f"题 {n:03d}": "a" for n in range(20)}
    lost = rater_figures(votes("r", "b" * 10 + "ab" * 5), gold=gold)["r"]
    assert (lost.gold, lost.num_gold) == (share(5, 20), 20)
    assert lost.alarms == (Alarm("gold", 0.25, 0.6),)
    unlucky = rater_figures(votes("r", "bab"), gold=gold)["r"]
    assert unlucky.gold.estimate == pytest.approx(1 / 3)
    assert unlucky.alarms == ()
