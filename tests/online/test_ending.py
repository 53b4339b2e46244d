"""The rules that end a loop, one by one and in their order."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from rlhf.online.ending import ended, win_rate_over_first
from rlhf.runs.loop_record import LoopRecord, PolicyEntry, RoundRecord

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = PolicyEntry(label="sft", run="sft-1", fingerprint="0")


@dataclass(frozen=True)
class Rule:
    target_win_rate: float | None = None
    max_judgements: int | None = None
    patience: int | None = None
    rounds: int | None = None


def round_(
    number: int, promoted: bool | None, win_rate: float = 0.6, *, over: str = "sft", **more
) -> RoundRecord:
    return RoundRecord(
        number=number,
        status="done" if promoted is not None else "waiting",
        incumbent=over,
        strategy="random",
        budget=100,
        raters_per_item=1,
        campaign=f"round {number}",
        judgements=100,
        win_rate=win_rate,
        candidate=PolicyEntry(label=f"round-{number}", run=f"ppo-{number}", fingerprint=str(number)),
        promoted=promoted,
        started=NOW,
        **more,
    )


def record(*rounds: RoundRecord, incumbent: str = "sft") -> LoopRecord:
    entry = FIRST.model_copy(update={"label": incumbent})
    return LoopRecord(experiment="here", incumbent=entry, policies=[FIRST], rounds=list(rounds))


def test_nothing_ends_a_loop_without_rules_or_rounds():
    assert ended(record(), Rule()) is None
    assert ended(record(round_(1, False)), Rule()) is None
    assert ended(record(), Rule(rounds=1, patience=1, max_judgements=1, target_win_rate=0.51)) is None


def test_rounds():
    rule = Rule(rounds=2)
    assert ended(record(round_(1, True)), rule) is None
    assert ended(record(round_(1, True), round_(2, True)), rule) == "rounds"


def test_patience_counts_rounds_in_a_row():
    rule = Rule(patience=2)
    kept, promoted = (lambda number: round_(number, False)), (lambda number: round_(number, True))
    assert ended(record(kept(1), promoted(2), kept(3)), rule) is None
    assert ended(record(kept(1), promoted(2), kept(3), kept(4)), rule) == "patience"
    assert record(kept(1), promoted(2), kept(3), kept(4)).rounds_without_promotion == 2
    assert record().rounds_without_promotion == 0


def test_the_budget_counts_judgements_of_people_on_candidates_too():
    rule = Rule(max_judgements=250)
    assert ended(record(round_(1, True), round_(2, True)), rule) is None
    assert ended(record(round_(1, True), round_(2, True, human_judgements=50)), rule) == "budget"


def test_odds_of_promoted_steps_multiply_up_to_the_target():
    # 2 to 1, then 3 to 1, are 6 to 1
    rounds = (
        round_(1, True, 2 / 3),
        round_(2, False, 0.9, over="round-1"),
        round_(3, True, 3 / 4, over="round-1"),
    )
    found = record(*rounds, incumbent="round-3")
    assert win_rate_over_first(found) == pytest.approx(6 / 7)
    assert ended(found, Rule(target_win_rate=0.85)) == "target"
    assert ended(found, Rule(target_win_rate=0.86)) is None
    assert win_rate_over_first(record()) == 0.5


def test_rounds_that_a_rollback_left_behind_do_not_count():
    rounds = (
        round_(1, True, 2 / 3),
        round_(2, True, 0.9, over="round-1"),
        round_(3, True, 3 / 4, over="round-1"),
    )
    assert win_rate_over_first(record(*rounds, incumbent="round-3")) == pytest.approx(6 / 7)
    assert win_rate_over_first(record(*rounds, incumbent="round-1")) == pytest.approx(2 / 3)
    assert win_rate_over_first(record(*rounds, incumbent="sft")) == 0.5


def test_all_prompts_won_is_a_win_rate_of_one():
    assert win_rate_over_first(record(round_(1, True, 1.0), incumbent="round-1")) == 1.0


def test_the_target_comes_first_then_the_budget_then_patience():
    kept = record(round_(1, True, 0.9), round_(2, False, over="round-1"), incumbent="round-1")
    whole = {"target_win_rate": 0.8, "max_judgements": 100, "patience": 1, "rounds": 1}
    for expected in ("target", "budget", "patience", "rounds"):
        assert ended(kept, Rule(**whole)) == expected
        del whole[next(iter(whole))]
    assert ended(kept, Rule()) is None


def test_a_round_under_way_is_finished_first_and_a_wider_rule_goes_on():
    assert ended(record(round_(1, False), round_(2, None)), Rule(rounds=1, patience=1)) is None
    stopped = record(round_(1, False)).model_copy(update={"ended": "rounds"})
    assert ended(stopped, Rule(rounds=1)) == "rounds"
    assert ended(stopped, Rule(rounds=2)) is None
