"""The comparison of methods on the demo: what is run, when it fails, and its tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from scripts.measuring import methods as module
from scripts.measuring.chains import ROOT, Measured, chain
from scripts.measuring.methods import METHODS, hacked_table, improved, methods_table, with_decline

WON = {
    "gold_win_rate": 0.8,
    "gold_win_rate_low": 0.75,
    "gold_policy": 0.84,
    "right_policy": 0.8,
    "kl_nats": 3.0,
}
BEFORE = {"gold_baseline": 0.6, "right_baseline": 0.55, "best-of-16_gold": 0.79}
FELL = {
    "training": {
        "decline": {
            "best": 40,
            "last": 128,
            "change": {"estimate": -0.2, "low": -0.3, "high": -0.1},
            "reward_change": {"estimate": 0.5, "low": 0.4, "high": 0.6},
        }
    },
    "warnings": [{"id": "over-optimisation"}],
}


@pytest.fixture
def chains(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[list[str]]]]:
    """What would be run, by experiment."""
    seen: list[tuple[str, list[list[str]]]] = []

    def note(name: str, commands: Sequence[Sequence[str]], runs_dir: Path) -> Measured:
        seen.append((name, [list(words) for words in commands]))
        return Measured(name, [], 1.0)

    monkeypatch.setattr(module, "chain", note)
    return seen


def test_a_method_begins_from_the_demos_policy_and_reward_model(
    chains: list[tuple[str, list[list[str]]]],
) -> None:
    improved("methods-rloo-seed-3", 3, METHODS["rloo"], Path("runs"))
    (demo, _), (name, (ppo, evaluation)) = chains
    assert (demo, name) == ("demo-seed-3", "methods-rloo-seed-3")
    assert {"stage=ppo", "seed=3", "inputs.policy=runs/demo-seed-3/sft-1"} <= set(ppo)
    assert {"inputs.reward_model=runs/demo-seed-3/rm-1", "stage.advantage=rloo"} <= set(ppo)
    assert {"inputs.policy=runs/methods-rloo-seed-3/ppo-1", "inputs.baseline=runs/demo-seed-3/sft-1"} <= set(
        evaluation
    )


def test_an_ensemble_is_trained_first(chains: list[tuple[str, list[list[str]]]]) -> None:
    improved("methods-ppo-minimum-seed-0", 0, METHODS["ppo-minimum"], Path("runs"))
    _, (fellows, (lesson,)), (_, (ppo, evaluation)) = chains
    assert fellows == "ensemble-seed-0"
    assert "stage.ensemble=4" in lesson
    assert "inputs.reward_model=runs/ensemble-seed-0/rm-1" in ppo
    assert "inputs.reward_model=runs/demo-seed-0/rm-1" in evaluation


def test_the_words_of_every_method_are_options(tmp_path: Path) -> None:
    from rlhf.command import parse

    for words in (*METHODS.values(), module.WITHOUT_KL):
        assert list(parse(["stage=ppo", *words]).words)


def changed(**values: Any) -> Mapping[str, Any]:
    way = {**FELL["training"]["decline"], **values}  # type: ignore[dict-item]
    return {**FELL, "training": {"decline": way}}


@pytest.mark.parametrize(
    ("evaluation", "low", "said"),
    [
        (FELL, 0.75, None),
        (changed(change={"estimate": -0.1, "low": -0.3, "high": 0.1}), 0.75, "gold did not fall"),
        (changed(reward_change={"estimate": -0.1, "low": -0.3, "high": 0.1}), 0.75, "did not rise"),
        ({**FELL, "warnings": []}, 0.75, "no warning names it"),
        ({**FELL, "training": {"decline": None}}, 0.75, "gold did not fall"),
        (FELL, 0.5, "does not beat SFT: 50.0%"),
    ],
)
def test_being_hacked_has_to_show(evaluation: Mapping[str, Any], low: float, said: str | None) -> None:
    item = Measured("hacked-x-seed-0", [], 1.0, None, {"eval-1": {**WON, "gold_win_rate_low": low}})
    found = with_decline(item, evaluation)
    assert (found.failed is None) if said is None else (said in str(found.failed))


def test_the_tables_by_hand() -> None:
    runs = [
        Measured(f"methods-{method}-seed-{seed}", [], 9.0, None, {
            "eval-1": {**WON, **BEFORE, "gold_policy": gold}, "ppo-1": {"seconds": 60.0 + seed}
        })
        for method, golds in {"ppo": (0.8, 0.9), "rloo": (0.7,)}.items()
        for seed, gold in enumerate(golds)
    ]  # fmt: skip
    table = methods_table([*runs, Measured("methods-rloo-seed-1", [], 1.0, "it broke")])
    assert table[2] == "| SFT | 2 |  | 0.600 ± 0.000 | 0.550 ± 0.000 | 0 |  |"
    assert table[3].startswith("| best of 16 | 2 |  | 0.790 ± 0.000 |")
    # the deviation of 0.8 and 0.9 is 0.1 / sqrt 2
    assert table[4] == "| PPO | 2 | 0.800 ± 0.000 | 0.850 ± 0.071 | 0.800 ± 0.000 | 3.00 ± 0.00 | 60 ± 1 |"
    assert table[5] == "| RLOO, 4 samples a prompt | 1 | 0.800 | 0.700 | 0.800 | 3.00 | 60 |"
    item = with_decline(Measured("hacked-one-model-seed-0", [], 1.0, None, {"eval-1": WON}), FELL)
    assert hacked_table([item])[2] == (
        "| one-model-seed-0 | 40 | 128 | -0.200 | +0.500 | yes | 80.0%, at least 75.0% |"
    )


def test_what_is_shown_names_no_folder_of_this_machine(tmp_path: Path) -> None:
    item = chain("refused", [["stage=nothing", f"inputs.policy={ROOT}/runs/demo/sft-1"]], tmp_path)
    assert item.failed
    (command,) = item.commands
    assert command.endswith("stage=nothing inputs.policy=runs/demo/sft-1")
