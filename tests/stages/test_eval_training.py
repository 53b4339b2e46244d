"""An evaluation of a policy that PPO really trained: its training, its memory, its rivals."""

import json
from pathlib import Path
from typing import Any

import pytest
from ppo_runs import ITERATIONS, small
from stage_runs import run_stage

from rlhf.runs.plain import plain

ASKED = {"stage__num_prompts": 6, "stage__response_length": 6, "stage__best_of": 3, "stage__bootstrap": 50}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("evaluated")
    options = small(folder, tiny_model, data__test_fraction=0.2)
    run_stage("ppo", folder / "runs", options)
    same = {key: value for key, value in options.items() if key.startswith("data__")}
    more = {"inputs__baseline": str(tiny_model), "reward": options["reward"], **same, **ASKED}
    evaluation = run_stage("eval", folder / "runs", more)
    return json.loads((evaluation / "evaluation.json").read_text("utf-8"))


def test_its_looks_are_there_and_one_is_the_published(saved: dict[str, Any]) -> None:
    looks = saved["training"]["looks"]
    assert [look["step"] for look in looks] == list(range(0, ITERATIONS + 1, 2))
    assert [look["episodes"] for look in looks] == [0, 16, 32, 48]
    assert sum(look["chosen"] for look in looks) == 1
    assert looks[0]["kl"] == pytest.approx(0.0, abs=1e-5)
    assert {look["gold"] for look in looks} == {None}
    assert [step for step, _ in saved["training"]["curves"]["score"]] == list(range(1, ITERATIONS + 1))


def test_its_episodes_can_be_inspected(saved: dict[str, Any]) -> None:
    assert saved["episodes"]
    for episode in saved["episodes"]:
        lengths = {len(episode[name]) for name in ("tokens", "kl", "value", "advantage", "reward")}
        assert len(lengths) == 1


def test_it_is_asked_what_it_was_trained_on(saved: dict[str, Any]) -> None:
    memory = saved["doubts"]["memory"]
    assert memory["judge"] == "reward"
    assert (memory["seen"]["prompts"], memory["held_out"]["prompts"]) == (6, saved["prompts"])


def test_its_rivals_are_judged_like_it(saved: dict[str, Any]) -> None:
    baseline, policy, best = saved["contenders"]
    assert (policy["method"], best["name"], best["n"]) == ("ppo", "best-of-3", 3)
    assert policy["win_rates"]["reward"] == saved["judgements"][0]["overall"]["win_rate"]
    assert policy["kl_nats"] == saved["kl_nats"]
    assert baseline["win_rates"]["reward"]["estimate"] == 0.5
    assert [one["n"] for one in saved["best_of_n"]] == [1, 2, 3]
    assert saved["best_of_n"][-1]["scores"]["reward"] == pytest.approx(best["scores"]["reward"]["estimate"])


def test_what_cannot_be_known_is_said(saved: dict[str, Any]) -> None:
    unknown = {gap["id"] for gap in saved["missing"]}
    assert unknown == {"gold", "judge", "fields", "study", "forgetting", "reward_model"}
    assert plain(saved) == saved
