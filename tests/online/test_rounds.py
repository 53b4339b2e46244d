"""What a round goes by, what was changed before it, and where the budget ends."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from rlhf.config import LoopStage
from rlhf.errors import ConfigError
from rlhf.online.rounds import changes, ending, guidelines_text, next_round, rules_of, said_changes
from rlhf.runs.loop_record import LoopRecord, PolicyEntry, RoundRecord

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = PolicyEntry(label="sft", run="sft-1", fingerprint="0")


def stage(**options: object) -> LoopStage:
    return LoopStage.model_validate(options)


def record(rounds: int, told: LoopStage, **judgements: int) -> LoopRecord:
    found = LoopRecord(experiment="t", incumbent=FIRST, policies=[FIRST], rules=rules_of(told))
    for _ in range(rounds):
        coming = begun(found, told)
        done = coming.model_copy(update={"status": "done", "promoted": False, **judgements})
        found = found.with_round(done)
    return found


def begun(found: LoopRecord, told: LoopStage, guidelines: str = "") -> RoundRecord:
    return next_round(found, told, campaign="c", guidelines=guidelines, now=NOW)


def test_the_first_round_has_a_budget_of_its_own_and_chooses_by_chance() -> None:
    told = stage(budget=300, first_budget=900, strategy="uncertainty")
    first, second = begun(record(0, told), told), begun(record(1, told), told)
    assert (first.budget, first.strategy) == (900, "random")
    assert (second.budget, second.strategy) == (300, "uncertainty")
    assert (second.number, second.incumbent) == (2, "sft")


def test_the_last_round_takes_what_is_left_of_all_judgements() -> None:
    told = stage(budget=300, max_judgements=700)
    assert begun(record(2, told, judgements=300), told).budget == 100


def test_less_than_one_pair_takes_ends_the_loop() -> None:
    """With three judgements a pair, 2 that are left of 8 ask about nothing."""
    told = stage(budget=6, max_judgements=8, raters_per_item=3)
    assert ending(record(1, told, judgements=6), told) == "budget"
    assert ending(record(1, told, judgements=5), told) is None


def test_what_a_manager_changes_is_told_once() -> None:
    before = stage(budget=300, strategy="random", rounds=5)
    after = stage(budget=200, strategy="uncertainty", rounds=9, patience=2)
    found = record(2, before)
    rules = changes(found, after)
    assert rules == {"rounds": [5, 9], "patience": [None, 2]}
    assert list(said_changes(rules)) == ["patience none -> 2", "rounds 5 -> 9"]
    found = found.model_copy(update={"rules": rules_of(after)})
    assert changes(found, after) == {}
    coming = begun(found, after, guidelines="新的说明")
    told = changes(found, after, coming)
    assert {name for name in told} == {"strategy", "budget", "guidelines_sha256"}
    assert told["strategy"] == ["random", "uncertainty"]
    assert "new guidelines" in list(said_changes(told))


def test_the_first_rounds_own_ways_are_no_change() -> None:
    told = stage(budget=300, first_budget=900, strategy="uncertainty")
    found = record(1, told)
    assert changes(found, told, begun(found, told)) == {}


def test_guidelines_are_read_or_the_key_is_named(tmp_path: Path) -> None:
    file = tmp_path / "说明.txt"
    file.write_text("诚实", encoding="utf-8")
    assert guidelines_text(str(file)) == "诚实"
    assert guidelines_text(None) == ""
    with pytest.raises(ConfigError, match=r"stage.guidelines=.*missing.*cannot be read"):
        guidelines_text(str(tmp_path / "missing.txt"))
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        guidelines_text(str(file))
