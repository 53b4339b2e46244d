"""Answers as pairs: whose stands beside whose, what is left out, and what is the same in every round."""

from collections import Counter
from typing import Any

import pytest
from pieces import pair

from rlhf.online.pairs import by_part, can_be_asked, candidate_pairs, content_of, pair_of, prompt_of
from rlhf.records import Message, Prompt


def rows(
    prompts: int, policy: str, *, answers: int = 2, temperature: float = 1.0, say: Any = None
) -> list[dict[str, Any]]:
    """Lines of `samples.jsonl`; answer n of a prompt has the seed n, whoever gives it."""
    return [
        {
            "prompt": f"p{prompt}",
            "key": Prompt(f"p{prompt}").key,
            "fields": {"language": "zh"},
            "response": say(prompt, number) if say else f"{policy} {temperature} {prompt} {number}",
            "policy": {"run": f"runs/{policy}"},
            "sampling": {"temperature": temperature},
            "seed": number,
        }
        for prompt in range(prompts)
        for number in range(answers)
    ]


LABELS = {"runs/new": "round-2", "runs/old": "sft"}


def whose(pairs: Any) -> Counter[tuple[str, str]]:
    return Counter((one.first.policy, one.second.policy) for one in pairs)


def test_by_turns_with_itself_and_with_the_first_policy() -> None:
    pairs = candidate_pairs([*rows(10, "new"), *rows(10, "old")], LABELS, "mixed")
    assert whose(pairs) == {("round-2", "round-2"): 5, ("round-2", "sft"): 5}


def test_always_with_the_other() -> None:
    pairs = candidate_pairs([*rows(10, "new"), *rows(10, "old")], LABELS, "sft")
    assert whose(pairs) == {("round-2", "sft"): 10}


def test_a_policy_that_is_its_own_opponent_is_paired_with_itself() -> None:
    labels = {"runs/old": "sft"}
    for opponent in ("policy", "sft", "predecessor", "mixed"):
        pairs = candidate_pairs(rows(3, "old"), labels, opponent)
        assert whose(pairs) == {("sft", "sft"): 3}


def test_answers_of_equal_luck_do_not_meet() -> None:
    """The n-th answers of two policies are drawn with one seed: equal policies would say the same."""
    pairs = candidate_pairs([*rows(4, "new"), *rows(4, "old")], LABELS, "sft")
    assert all(one.first.seed != one.second.seed for one in pairs)


def test_no_answer_is_in_two_pairs() -> None:
    pairs = candidate_pairs(rows(3, "old", answers=6), {"runs/old": "sft"}, "policy")
    texts = [side.text for one in pairs for side in (one.first, one.second)]
    assert len(texts) == len(set(texts)) == 18


def test_two_temperatures_meet() -> None:
    both = [*rows(2, "old", temperature=0.7), *rows(2, "old", temperature=1.3)]
    pairs = candidate_pairs(both, {"runs/old": "sft"}, "policy")
    assert len(pairs) == 4
    assert all({one.first.temperature, one.second.temperature} == {0.7, 1.3} for one in pairs)


@pytest.mark.parametrize("said", ["", "  \n", "a\x00b", "half \ud800"])
def test_what_nobody_can_be_shown_is_left_out(said: str) -> None:
    odd = rows(
        2, "old", say=lambda prompt, number: said if (prompt, number) == (0, 1) else f"{prompt}{number}"
    )
    pairs = candidate_pairs(odd, {"runs/old": "sft"}, "policy")
    assert [one.prompt.text for one in pairs] == ["p1"]


def test_equal_answers_are_no_question() -> None:
    assert not can_be_asked("yes", "yes")
    assert can_be_asked("yes", "yes.")
    assert candidate_pairs(rows(3, "old", say=lambda *_: "same"), {"runs/old": "sft"}, "policy") == []


def test_the_order_of_the_rows_says_nothing() -> None:
    both = [*rows(6, "new"), *rows(6, "old")]
    once = candidate_pairs(both, LABELS, "sft")
    again = candidate_pairs([*both[12:], *both[:12]], LABELS, "sft")
    assert [one.key for one in once] == [one.key for one in again]


def test_a_prompt_is_for_evaluation_in_every_round_or_in_none() -> None:
    """Whatever else the round holds: a reward model must not have learnt from a prompt of another's slice."""
    many, few = [pair(number) for number in range(200)], [pair(number) for number in range(0, 200, 7)]
    apart = {one.key for one in by_part(many, 0.3)["evaluation"]}
    assert {one.key for one in by_part(few, 0.3)["evaluation"]} == apart & {one.key for one in few}
    assert 40 <= len(apart) <= 80


def test_a_group_of_prompts_stays_together() -> None:
    grouped = [pair(number, group=f"g{number // 10}") for number in range(200)]
    for part in by_part(grouped, 0.3).values():
        assert all(count == 10 for count in Counter(one.prompt.fields["group"] for one in part).values())


def test_a_larger_share_keeps_what_was_apart() -> None:
    pairs = [pair(number) for number in range(100)]
    small, large = ({one.key for one in by_part(pairs, share)["evaluation"]} for share in (0.1, 0.4))
    assert small < large


def test_a_pair_comes_back_from_its_line() -> None:
    conversation = (Message("system", "简短"), Message("user", "你好"))
    one = pair(1, part="evaluation", language="zh")
    assert pair_of(one.row()) == one
    assert prompt_of(content_of(Prompt(conversation))).content == conversation
