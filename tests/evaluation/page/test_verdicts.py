"""The verdict on each doubt follows from its figures."""

from typing import Any

import pytest

from rlhf.evaluation.page.doubts import QUESTIONS, doubts


def rate(low: float, high: float) -> dict[str, float]:
    return {"estimate": (low + high) / 2, "low": low, "high": high}


WIN, LOSS, EVEN = rate(0.6, 0.8), rate(0.2, 0.4), rate(0.4, 0.6)
TOKENS = {"judge": "gold", "policy_tokens": 9.0, "baseline_tokens": 8.0, "same_length": None}


def verdict(key: str, figures: dict[str, Any] | None, **more: Any) -> tuple[str, str]:
    evaluation = {"doubts": dict.fromkeys(QUESTIONS) | {key: figures}, "kl_budget_nats": 25.0} | more
    (doubt,) = (one for one in doubts(evaluation) if one.key == key)
    return doubt.kind, doubt.verdict.en


@pytest.mark.parametrize("key", list(QUESTIONS))
def test_what_cannot_be_answered_says_what_would(key: str) -> None:
    evaluation = {"doubts": dict.fromkeys(QUESTIONS), "kl_budget_nats": 25.0}
    (doubt,) = (one for one in doubts(evaluation) if one.key == key)
    assert (doubt.kind, doubt.verdict.en) == ("open", "It cannot be told here.")
    assert doubt.remedy
    assert "would tell" in doubt.remedy.en


def test_length() -> None:
    def of(plain: dict[str, float], controlled: dict[str, float]) -> tuple[str, str]:
        return verdict("length", TOKENS | {"win_rate": plain, "length_controlled": controlled})

    assert of(WIN, WIN) == ("fine", "No: at equal length it still wins.")
    assert of(WIN, LOSS) == ("bad", "Yes: at equal length it loses.")
    assert of(WIN, EVEN) == ("bad", "Perhaps: at equal length no win is left.")
    assert of(EVEN, WIN)[0] == "open"


def test_own_grader() -> None:
    def of(**rates: dict[str, float] | None) -> str:
        return verdict("own_grader", {"reward": WIN, "judge": None, "gold": None} | rates)[1]

    assert of(judge=WIN, gold=WIN).startswith("No")
    assert of(judge=EVEN, gold=WIN).startswith("No")
    assert of(judge=WIN, gold=LOSS).startswith("Yes")
    assert of(judge=EVEN).startswith("Perhaps")
    assert of() == "It may be: nobody else judged."


def test_noise() -> None:
    figures = {"judge": "gold", "win_rate": WIN, "itself": EVEN}
    assert verdict("noise", figures | {"p_value": 0.001}) == ("fine", "No: chance does this with p = 0.001.")
    assert verdict("noise", figures | {"p_value": 0.3}) == ("bad", "It may be: p = 0.3.")


def test_memory() -> None:
    def of(difference: dict[str, float], held_out: dict[str, float]) -> str:
        figures = {
            "judge": "gold",
            "seen": {"win_rate": WIN},
            "held_out": {"win_rate": held_out},
            "difference": difference,
        }
        return verdict("memory", figures)[1]

    assert of(rate(-0.1, 0.1), WIN).startswith("No")
    assert of(rate(0.1, 0.2), WIN).startswith("In part")
    assert of(rate(0.1, 0.2), EVEN).startswith("Yes")


def test_forgetting() -> None:
    worse = [{"field": "family", "value": "sums", "difference": rate(-0.2, -0.1)}]
    losses = {"policy_loss": rate(0.6, 0.7), "baseline_loss": rate(0.4, 0.5), "demonstrations": 9, "by": None}
    assert verdict("forgetting", losses | {"worse": worse})[0] == "bad"
    assert verdict("forgetting", losses | {"worse": []})[0] == "open"
    assert verdict("forgetting", losses | {"policy_loss": rate(0.4, 0.5), "worse": []})[0] == "fine"
    none = {"policy_loss": None, "baseline_loss": None}
    assert verdict("forgetting", losses | none | {"worse": []})[0] == "fine"


def test_cost() -> None:
    figures = {"kl_nats": rate(9.0, 11.0), "per_token": 1.0, "gain": None, "gain_per_sqrt_nat": None}
    assert verdict("cost", figures) == ("fine", "10 nats, within the budget of 25.")
    assert verdict("cost", figures, kl_budget_nats=8.0) == ("bad", "10 nats, beyond the budget of 8.")
