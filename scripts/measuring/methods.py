"""The demo's SFT policy improved in several ways, and driven on without a KL penalty.

Both begin from the SFT policy and the reward model of `demo-seed-N`, which are made first where there are
none.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from scripts.measuring.chains import Measured, chain

ENSEMBLE = "ensemble"
MINIMUM = ("reward=ensemble", "reward.combine=min")
METHODS: Mapping[str, tuple[str, ...]] = {
    "ppo": (),
    "rloo": ("stage.advantage=rloo", "stage.samples_per_prompt=4"),
    "reinforce-pp": ("stage.advantage=reinforce_pp",),
    "ppo-minimum": MINIMUM,
}
"""Words for stage=ppo; those of an ensemble take a reward model with fellows."""
SAYS = {
    "sft": "SFT",
    "best-of-16": "best of 16",
    "ppo": "PPO",
    "rloo": "RLOO, 4 samples a prompt",
    "reinforce-pp": "REINFORCE++",
    "ppo-minimum": "PPO, minimum of 4 reward models",
}
HEAD = ("method", "seeds", "gold: wins over SFT", "gold", "right", "KL, nats", "seconds of training")
WITHOUT_KL = ("kl.coef=0", "stage.total_episodes=16384", "stage.eval_every=8", "stage.learning_rate=2e-4")
DRIVEN = {"one-model": (), "minimum": MINIMUM}


def methods(seeds: Sequence[int], runs_dir: Path) -> list[Measured]:
    """PPO, RLOO, REINFORCE++ and PPO on the minimum of an ensemble, for each seed."""
    measured = [
        improved(f"methods-{method}-seed-{seed}", seed, words, runs_dir)
        for seed in seeds
        for method, words in METHODS.items()
    ]
    print("\n".join(methods_table(measured)))
    return measured


def hacked(seeds: Sequence[int], runs_dir: Path) -> list[Measured]:
    """A long run at kl.coef=0: the learnt reward goes on rising, gold falls, and the report says so."""
    measured: list[Measured] = []
    for seed in seeds:
        for form, words in DRIVEN.items():
            name = f"hacked-{form}-seed-{seed}"
            item = improved(name, seed, (*WITHOUT_KL, *words), runs_dir)
            report = runs_dir / name / "eval-1" / "evaluation.json"
            if not item.failed:
                item = with_decline(item, json.loads(report.read_text(encoding="utf-8")))
            measured.append(item)
    print("\n".join(hacked_table(measured)))
    return measured


def improved(name: str, seed: int, words: Sequence[str], runs_dir: Path) -> Measured:
    """stage=ppo with these words and stage=eval, in an experiment of their own."""
    demo = f"demo-seed-{seed}"
    made = chain(demo, [["stage=all", f"seed={seed}"]], runs_dir)
    if made.failed:
        return replace(made, name=name)
    inputs = [f"seed={seed}", f"inputs.policy={runs_dir / demo / 'sft-1'}"]
    reward_model = runs_dir / demo / "rm-1"
    if MINIMUM[0] in words:
        fellows = f"{ENSEMBLE}-seed-{seed}"
        made = chain(fellows, [["stage=rm", "stage.ensemble=4", *inputs]], runs_dir)
        if made.failed:
            return replace(made, name=name)
        reward_model = runs_dir / fellows / "rm-1"
    shared = f"inputs.reward_model={reward_model}"
    evaluation = ["stage=eval", f"seed={seed}", f"inputs.policy={runs_dir / name / 'ppo-1'}"]
    evaluation += [
        f"inputs.baseline={runs_dir / demo / 'sft-1'}",
        f"inputs.reward_model={runs_dir / demo / 'rm-1'}",
    ]
    return chain(name, [["stage=ppo", *inputs, shared, *words], evaluation], runs_dir)


def with_decline(item: Measured, evaluation: Mapping[str, Any]) -> Measured:
    """The item with what its evaluation says of the way from the best look to the last.

    Failed where the learnt reward did not rise while gold fell, no warning names it, or the checkpoint that
    the rule chose does not beat SFT.
    """
    way = evaluation["training"]["decline"] or {}
    names = [warning["id"] for warning in evaluation["warnings"]]
    found = {
        "gold_change": way["change"]["estimate"] if way else 0.0,
        "gold_change_high": way["change"]["high"] if way else 0.0,
        "reward_change": way["reward_change"]["estimate"] if way else 0.0,
        "best_step": float(way.get("best", 0)),
        "last_step": float(way.get("last", 0)),
        "warned": float("over-optimisation" in names),
    }
    rate = item.figures["eval-1"]["gold_win_rate_low"]
    short = {
        "gold did not fall": found["gold_change_high"] >= 0,
        "the learnt reward did not rise": found["reward_change"] <= 0,
        "no warning names it": not found["warned"],
        f"the chosen checkpoint does not beat SFT: {rate:.1%} at the least": rate <= 0.5,
    }
    failed = "; ".join(text for text, is_so in short.items() if is_so)
    return replace(item, failed=failed or None, figures={**item.figures, "decline": found})


def methods_table(measured: Sequence[Measured]) -> list[str]:
    """A row a method, means over the seeds and their deviation; SFT and best of 16 from PPO's evaluations."""
    rows: list[tuple[str, ...]] = [HEAD, ("---", *["---:"] * (len(HEAD) - 1))]
    runs: dict[str, list[Mapping[str, Mapping[str, float]]]] = {}
    for item in measured:
        if not item.failed:
            runs.setdefault(item.name.removeprefix("methods-").rpartition("-seed-")[0], []).append(
                item.figures
            )
    plain = [figures["eval-1"] for figures in runs.get("ppo", [])]
    if plain:
        baseline = [_spread([one[f"{part}_baseline"] for one in plain]) for part in ("gold", "right")]
        rows.append((SAYS["sft"], str(len(plain)), "", *baseline, "0", ""))
        best = _spread([one["best-of-16_gold"] for one in plain])
        rows.append((SAYS["best-of-16"], str(len(plain)), "", best, "", "≤ 1.83", ""))
    for method, all_figures in runs.items():
        found = [figures["eval-1"] for figures in all_figures]
        rows.append(
            (
                SAYS[method],
                str(len(found)),
                _spread([one["gold_win_rate"] for one in found]),
                _spread([one["gold_policy"] for one in found]),
                _spread([one["right_policy"] for one in found]),
                _spread([one["kl_nats"] for one in found], 2),
                _spread([figures["ppo-1"]["seconds"] for figures in all_figures], 0),
            )
        )
    return _markdown(rows)


def hacked_table(measured: Sequence[Measured]) -> list[str]:
    """A row a run: what the way from gold's best look to the last was, and what the rule chose."""
    head = (
        "run",
        "gold's best look",
        "last look",
        "gold",
        "learnt reward",
        "warned",
        "chosen: wins over SFT",
    )
    rows: list[tuple[str, ...]] = [head, ("---", *["---:"] * (len(head) - 1))]
    for item in measured:
        if "decline" not in item.figures:
            continue
        way, found = item.figures["decline"], item.figures["eval-1"]
        rows.append(
            (
                item.name.removeprefix("hacked-"),
                f"{way['best_step']:.0f}",
                f"{way['last_step']:.0f}",
                f"{way['gold_change']:+.3f}",
                f"{way['reward_change']:+.3f}",
                "yes" if way["warned"] else "no",
                f"{found['gold_win_rate']:.1%}, at least {found['gold_win_rate_low']:.1%}",
            )
        )
    return _markdown(rows)


def _spread(values: Sequence[float], digits: int = 3) -> str:
    shown = f"{mean(values):.{digits}f}"
    return f"{shown} ± {stdev(values):.{digits}f}" if len(values) > 1 else shown


def _markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(row) + " |" for row in rows]
