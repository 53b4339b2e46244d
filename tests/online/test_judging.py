"""What an evaluation says of candidate and incumbent, and what the page shows of it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
import torch

from rlhf.errors import DataError
from rlhf.online.judging import asked_pairs, gold_figures, outcomes, shown, slice_quality
from rlhf.records import Prompt
from rlhf.rewards import Scored, Scores
from rlhf.runs.loop_record import RoundRecord


def row(
    number: int, mine: str, other: str, *, mine_scores: dict[str, float], other_scores: dict[str, float]
) -> dict[str, Any]:
    """A line of an evaluation's `samples.jsonl`."""
    return {
        "prompt": f"问题 {number}",
        "key": Prompt(f"问题 {number}").key,
        "fields": {"language": "zh"},
        "seed": number,
        "policy": {"response": mine, "tokens": 3, "finish": "eos", "scores": mine_scores},
        "baseline": {"response": other, "tokens": 3, "finish": "eos", "scores": other_scores},
    }


def rows(*scores: tuple[float, float]) -> list[dict[str, Any]]:
    return [
        row(number, f"mine {number}", f"other {number}", mine_scores={"gold": a}, other_scores={"gold": b})
        for number, (a, b) in enumerate(scores)
    ]


def test_who_won_by_a_judge() -> None:
    found, keys = outcomes(rows((0.9, 0.1), (0.5, 0.5), (0.2, 0.4)), "gold")
    assert found == [1.0, 0.5, 0.0]
    assert keys == [Prompt(f"问题 {number}").key for number in range(3)]


def test_prompts_without_a_verdict_are_left_out_and_none_at_all_is_an_error() -> None:
    unread = row(9, "a", "b", mine_scores={}, other_scores={})
    assert outcomes([*rows((1.0, 0.0)), unread], "gold")[0] == [1.0]
    with pytest.raises(DataError, match="no verdict by endpoint"):
        outcomes(rows((1.0, 0.0)), "endpoint")


def test_gold_scores_and_wins() -> None:
    """Of 0.9, 0.5 and 0.1 the mean is 0.5, the incumbent's 0.4; one won, one lost, one tied."""
    found = gold_figures(rows((0.9, 0.3), (0.5, 0.5), (0.1, 0.4)), seed=0)
    assert found is not None
    assert found.recorded["gold_score"] == pytest.approx(0.5)
    assert found.recorded["gold_score_incumbent"] == pytest.approx(0.4)
    assert found.recorded["gold_win_rate"] == pytest.approx(0.5)
    assert found.recorded["gold_win_low"] <= 0.5 <= found.recorded["gold_win_high"]
    assert gold_figures([row(0, "a", "b", mine_scores={}, other_scores={})], seed=0) is None


def test_people_are_asked_about_what_differs() -> None:
    same = row(7, "same", "same", mine_scores={}, other_scores={})
    empty = row(8, "", "something", mine_scores={}, other_scores={})
    all_rows = [*rows((1, 0), (0, 1)), same, empty]
    pairs, ties = asked_pairs(all_rows, "round-2", "round-1", 4, temperature=0.7)
    assert ties == [same["key"]]
    assert {(one.first.policy, one.second.policy) for one in pairs} == {("round-2", "round-1")}
    assert sorted(one.first.text for one in pairs) == ["mine 0", "mine 1"]
    few = asked_pairs(all_rows, "round-2", "round-1", 2, temperature=0.7)
    assert len(few[0]) + len(few[1]) <= 2
    assert asked_pairs(all_rows[::-1], "round-2", "round-1", 4, temperature=0.7) == (pairs, ties)


def by_length(batch: Sequence[Scored]) -> Scores:
    return Scores(torch.tensor([float(len(scored.response)) for scored in batch]))


def test_accuracy_on_a_slice_counts_ties_half() -> None:
    """Longer is better: right, wrong, a tie; 1.5 of 3."""
    prompt = Prompt("p")
    found = slice_quality(by_length, [(prompt, "long", "no"), (prompt, "no", "long"), (prompt, "ab", "cd")])
    assert found is not None
    assert (found.count, found.correct, found.accuracy) == (3, 1.5, 0.5)
    assert 0 < found.low < 0.5 < found.high < 1
    assert slice_quality(by_length, []) is None


def test_the_same_prompts_stand_side_by_side_over_rounds() -> None:
    first = RoundRecord(
        number=1, incumbent="sft", strategy="random", budget=1, raters_per_item=1, campaign="c",
        started=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    second = first.model_copy(update={"number": 2, "incumbent": "round-1"})
    once = shown([], rows((0.9, 0.1), (0.5, 0.5)), first, "round-1", 1)
    again = shown(once, rows((0.7, 0.9), (0.5, 0.5)), second, "round-2", 1)
    (one,) = again
    assert set(one.answers) == {"sft", "round-1", "round-2"}
    assert one.gold is not None
    place = int(one.prompt.removeprefix("问题 "))
    assert one.gold["sft"] == (0.1, 0.5)[place]
    assert one.gold["round-1"] == (0.9, 0.5)[place]  # as its own round scored it
    assert one.gold["round-2"] == (0.7, 0.5)[place]
