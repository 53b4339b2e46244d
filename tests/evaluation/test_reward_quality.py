"""Quality of a reward model on small cases by hand."""

import json

import pytest
from pydantic import TypeAdapter

from rlhf.evaluation.reward_quality import RewardQuality, better_length_rule, reward_quality
from rlhf.records import Preference, Prompt


def pair(number: int, chosen: str, rejected: str, **labels: float) -> Preference:
    return Preference(Prompt(f"question {number}"), chosen, rejected, **labels)


PAIRS = [pair(1, "long answer", "short"), pair(2, "a", "bbb"), pair(3, "four", "five"), pair(4, "yes", "no")]


def test_accuracy_counts_ties_half_and_length_is_beside_it() -> None:
    quality = reward_quality([2.0, 1.0, 0.0, -1.0], [1.0, 1.0, 1.0, -3.0], PAIRS)
    assert quality is not None
    assert quality.accuracy.estimate == pytest.approx(2.5 / 4)
    assert quality.longer.estimate == pytest.approx(2.5 / 4)  # right, wrong, equal lengths, right
    assert quality.accuracy.low < 2.5 / 4 < quality.accuracy.high


def test_a_soft_label_below_one_half_turns_the_pair_round() -> None:
    turned = [pair(1, "x", "y", probability=0.1)]
    quality = reward_quality([0.0], [1.0], turned)
    assert quality is not None
    assert quality.accuracy.estimate == 1.0


def test_undecided_and_weightless_pairs_have_no_right_order() -> None:
    assert (
        reward_quality(
            [1.0, 1.0], [0.0, 0.0], [pair(1, "x", "y", probability=0.5), pair(2, "x", "y", weight=0)]
        )
        is None
    )


def test_weights_weigh() -> None:
    quality = reward_quality([1.0, 0.0], [0.0, 1.0], [pair(1, "x", "y", weight=3.0), pair(2, "x", "y")])
    assert quality is not None
    assert quality.accuracy.estimate == pytest.approx(0.75)


def test_many_pairs_of_one_prompt_do_not_narrow_the_interval() -> None:
    apart = reward_quality([1.0] * 9 + [0.0], [0.5] * 10, [pair(n, "x", "y") for n in range(10)])
    one = reward_quality([1.0] * 9 + [0.0], [0.5] * 10, [pair(0, "x", "y")] * 10)
    assert apart is not None
    assert one is not None
    assert one.accuracy.high - one.accuracy.low > apart.accuracy.high - apart.accuracy.low


def test_truth_is_told_apart_from_labels() -> None:
    clean = [True, True, True, False]
    pairs = [Preference(Prompt(f"question {n}", {"clean": value}), "x", "y") for n, value in enumerate(clean)]
    quality = reward_quality([1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0], pairs)
    assert quality is not None
    assert quality.truth is not None
    assert quality.accuracy.estimate == pytest.approx(0.5)
    assert quality.truth.estimate == pytest.approx(0.75)
    assert quality.label_agreement == pytest.approx(0.75)


def test_the_rule_on_length_is_the_one_that_serves_the_training_pairs() -> None:
    assert better_length_rule(PAIRS) == "longer"
    assert better_length_rule([judged.swap() for judged in PAIRS]) == "longer"  # the same judgements
    assert better_length_rule([pair(1, "x", "yyy"), pair(2, "xxx", "y"), pair(3, "x", "yy")]) == "shorter"
    quality = reward_quality([1.0], [0.0], [pair(1, "x", "yyy")], length_rule="shorter")
    assert quality is not None
    assert (quality.longer.estimate, quality.length.estimate) == (0.0, 1.0)


def world_pair(
    number: int, chosen: str, rejected: str, family: str, *, clean: bool, margin: float
) -> Preference:
    fields = {"family": family, "clean": clean, "gold_margin": margin if clean else -margin}
    return Preference(Prompt(f"question {number}", fields), chosen, rejected)


WORLD = [
    world_pair(n, "x" * (10 + n), "y" * 10, "sums" if n < 5 else "colour", clean=n % 2 == 0, margin=0.1 * n)
    for n in range(1, 11)
]


def test_tables_part_the_pairs_by_length_family_and_margin() -> None:
    quality = reward_quality([1.0 if n <= 6 else 0.0 for n in range(1, 11)], [0.5] * 10, WORLD)
    assert quality is not None
    assert quality.ceiling == quality.label_agreement == 0.5
    assert [(one.low, one.high, one.pairs) for one in quality.by_length_difference] == [
        (1, 2, 2), (3, 4, 2), (5, 6, 2), (7, 8, 2), (9, 10, 2),
    ]  # fmt: skip
    assert [one.accuracy.estimate for one in quality.by_length_difference] == [1.0, 1.0, 1.0, 0.0, 0.0]
    families = quality.by_group["family"]
    assert {name: group.pairs for name, group in families.items()} == {"colour": 6, "sums": 4}
    assert families["sums"].accuracy.estimate == 1.0
    assert families["colour"].accuracy.estimate == pytest.approx(2 / 6)
    assert families["sums"].truth is not None
    assert families["sums"].truth.estimate == 0.5
    assert quality.by_gold_margin is not None
    assert sum(one.pairs for one in quality.by_gold_margin) == 10
    assert [one.labels for one in quality.by_gold_margin] == [0.5] * 5
    assert quality.by_gold_margin[0].low == pytest.approx(0.1)


def test_pairs_of_one_length_stand_together_and_real_pairs_have_no_margin() -> None:
    quality = reward_quality([1.0] * 4, [0.0] * 4, [pair(n, "abc", "abc") for n in range(4)])
    assert quality is not None
    (only,) = quality.by_length_difference
    assert (only.low, only.high, only.pairs) == (0.0, 0.0, 4)
    assert quality.by_gold_margin is None
    assert quality.by_group == {}
    assert quality.ceiling is None


def test_a_file_of_an_earlier_version_is_still_read() -> None:
    quality = reward_quality([1.0], [0.0], [pair(1, "x", "yyy")])
    assert quality is not None
    new = ("ceiling", "by_length_difference", "by_group", "by_gold_margin")
    saved = {name: value for name, value in quality.as_json().items() if name not in new}
    read = TypeAdapter(RewardQuality).validate_python(json.loads(json.dumps(saved)))
    assert (read.accuracy, read.by_group) == (quality.accuracy, {})
