"""Simulated raters: how often they are right, what sways them, and that nothing else does."""

import random
from uuid import UUID

import pytest
from pieces import campaign

from feedback_ui.database import Database
from feedback_ui.service.access import OPERATOR, Actor, campaign_named
from feedback_ui.service.accounts import accounts
from feedback_ui.service.claims import next_turn
from feedback_ui.service.current import current
from rlhf.online.raters import SimulatedRater, judge, simulated_raters
from rlhf.records import Prompt

SOMEBODY = Actor(UUID(int=1), "rater", "simulated-1")


def someone(*, skill: float = 0.8, length_bias: float = 0.0, name: str = "simulated-1", seed: int = 0):
    return SimulatedRater(Actor(UUID(int=1), "rater", name), seed, skill, length_bias)


def share_right(rater: SimulatedRater, count: int = 4000, *, better: str = "b", worse: str = "w") -> float:
    """How often the answer that is worth more is preferred, over as many prompts."""
    right = 0
    for number in range(count):
        worth = {(f"p{number}", better): 1.0, (f"p{number}", worse): 0.0}
        right += rater.prefers(f"p{number}", better, worse, worth) == -1
    return right / count


@pytest.mark.parametrize("skill", [0.5, 0.8, 0.95])
def test_skill_is_the_share_that_is_right(skill: float) -> None:
    """Within three standard errors of 4,000."""
    assert share_right(someone(skill=skill)) == pytest.approx(
        skill, abs=3 * (skill * (1 - skill) / 4000) ** 0.5
    )


def test_perfect_and_adverse() -> None:
    assert share_right(someone(skill=1.0), 200) == 1.0
    assert share_right(someone(skill=0.0), 200) == 0.0


def test_length_adds_to_the_log_odds() -> None:
    """Skill 0.8 is ln 4 nats; ten words at 0.1 nats more for the worse leave ln 4 - 1, a chance of 0.595."""
    longer = " ".join(["w"] * 11)
    assert share_right(someone(length_bias=0.1), worse=longer) == pytest.approx(0.5954, abs=0.025)


def test_length_counts_up_to_twenty_words_and_a_chinese_character_is_one() -> None:
    rater = someone(length_bias=0.1)
    twenty, hundred = ("好" * count for count in (21, 101))
    assert share_right(rater, worse=twenty) == pytest.approx(share_right(rater, worse=hundred), abs=0.03)
    # ln 4 - 2 nats: a chance of 0.351
    assert share_right(rater, worse=hundred) == pytest.approx(0.351, abs=0.025)


def test_equal_worth_is_called_a_tie_by_skill() -> None:
    worth = {(f"p{number}", text): 0.5 for number in range(2000) for text in "ab"}
    said = [someone().prefers(f"p{number}", "a", "b", worth) for number in range(2000)]
    assert said.count(0) / 2000 == pytest.approx(0.8, abs=0.03)
    assert said.count(1) == pytest.approx(said.count(-1), abs=75)


def test_exchanging_the_answers_exchanges_the_verdict() -> None:
    for number in range(100):
        prompt, rater = f"p{number}", someone(length_bias=0.2)
        worth = {(prompt, "one"): random.Random(number).random(), (prompt, "the other"): 0.5}
        forth, back = (
            rater.prefers(prompt, "one", "the other", worth),
            rater.prefers(prompt, "the other", "one", worth),
        )
        assert forth == -back


def test_raters_and_seeds_err_apart() -> None:
    worth = {(f"p{number}", text): float(text == "b") for number in range(500) for text in "ab"}

    def verdicts(rater: SimulatedRater) -> list[int]:
        return [rater.prefers(f"p{number}", "a", "b", worth) for number in range(500)]

    mine = verdicts(someone())
    assert mine == verdicts(someone())
    assert mine != verdicts(someone(name="simulated-2"))
    assert mine != verdicts(someone(seed=1))


def worth_of(items: int) -> dict[tuple[str, str], float]:
    keys = [Prompt(f"问题 {number}?").key for number in range(items)]
    return {(key, f"{word} {number}"): float(word == "good")
            for number, key in enumerate(keys) for word in ("good", "bad")}  # fmt: skip


def said(db: Database, name: str) -> list[tuple[str, str, str]]:
    """Rater, prompt and the text that was found better, in a fixed order."""
    names = {account.pseudonym: account.name for account in accounts(db, OPERATOR)}
    found = db.read(lambda session: current(session, campaign_named(session, name).id))
    rows: list[tuple[str, str, str]] = []
    for one in found:
        better = one.content["better"]
        text = one.subject.answers[better].text if better else "tie"
        rows.append((names[one.rater], str(one.subject.prompt), text))
    return sorted(rows)


def test_they_judge_all_that_is_wanted_through_the_store(db: Database) -> None:
    name = campaign(db, 6, raters_per_item=3)
    raters = simulated_raters(db, count=3, seed=0, skill=1.0, length_bias=0.0)
    assert sum(judge(db, name, raters, worth_of(6))) == 18
    assert [better for _, _, better in said(db, name)] == [f"good {n}" for _ in range(3) for n in range(6)]
    assert sum(judge(db, name, raters, worth_of(6))) == 0


def test_more_raters_than_an_item_takes_share_the_work(db: Database) -> None:
    name = campaign(db, 10, raters_per_item=3)
    raters = simulated_raters(db, count=5, seed=0, skill=0.8, length_bias=0.0)
    list(judge(db, name, raters, worth_of(10)))
    counts = [sum(rater == f"simulated-{n}" for rater, _, _ in said(db, name)) for n in range(1, 6)]
    assert sum(counts) == 30
    assert max(counts) - min(counts) <= 1


def test_stopped_anywhere_they_come_to_the_same(db: Database) -> None:
    """After a judgement, and with an item in hand that was not judged: who gets what depends on the store."""
    whole = campaign(db, 8, name="whole", raters_per_item=2)
    cut = campaign(db, 8, name="cut", raters_per_item=2)
    raters = simulated_raters(db, count=4, seed=3, skill=0.7, length_bias=0.0)
    list(judge(db, whole, raters, worth_of(8)))
    for stop_after in (1, 2, 4, 3):
        left = iter([False] * stop_after + [True])
        list(judge(db, cut, raters, worth_of(8), stopped=lambda left=left: next(left)))
        counts = {
            rater.actor.name: sum(row[0] == rater.actor.name for row in said(db, cut)) for rater in raters
        }
        next_turn(db, min(raters, key=lambda one: counts[one.actor.name]).actor, cut)  # and is killed
    raters = simulated_raters(db, count=4, seed=3, skill=0.7, length_bias=0.0)
    list(judge(db, cut, raters, worth_of(8)))
    assert said(db, cut) == said(db, whole)
