"""Whole evaluations to look at, made up but consistent: of the embedded world, of real input, a large one."""

import math
from random import Random
from typing import Any

FAMILIES = ("sums", "translate", "extract", "sentiment", "service", "ordering", "json", "clarify")
KINDS = ("task", "constraint", "example")
JUDGES = ("gold", "judge", "reward")
ANSWERS = (
    ("How many eggs are 3 and 4?", "Seven eggs.", "3 and 4 makes 7 eggs, of course, as one easily sees, 7."),
    ("3个鸡蛋加4个，一共几个？", "一共七个鸡蛋，请放心。", "一共有八个鸡蛋吧，大概是八个。"),
    ("Reply as HTML.", "<b>Seven</b> & <i>no more</i>", "<script>alert('seven')</script><b>8</b>"),
    ("כמה הם שלוש ועוד ארבע?", "שבע. Happy to help!", "שמונה"),
    ("Name one long word.", "Donaudampfschifffahrtselektrizitätenhauptbetriebswerk" * 2, "Donaudampfschiff"),
    ("请按从小到大排列：9, 2, 5", "2, 5, 9。谢谢！", "9, 5, 2"),
)


def interval(
    estimate: float, half: float = 0.05, low: float = -math.inf, high: float = math.inf
) -> dict[str, float]:
    return {"estimate": estimate, "low": max(low, estimate - half), "high": min(high, estimate + half)}


def share(estimate: float, half: float = 0.05) -> dict[str, float]:
    return interval(estimate, half, 0.0, 1.0)


def text(en: str, zh: str) -> dict[str, str]:
    return {"en": en, "zh": zh}


def comparison(rate: float, prompts: int, baseline: float = 0.58, gain: float = 0.2) -> dict[str, Any]:
    ties = prompts // 8
    wins = min(max(round(rate * prompts - ties / 2), 0), prompts - ties)
    rate = (wins + ties / 2) / prompts
    half = 1.96 * math.sqrt(max(rate * (1 - rate), 0.02) / prompts)
    return {
        "prompts": prompts,
        "wins": wins,
        "ties": ties,
        "losses": prompts - ties - wins,
        "win_rate": share(rate, half),
        "policy": interval(baseline + gain, 0.6 / math.sqrt(prompts)),
        "baseline": interval(baseline, 0.6 / math.sqrt(prompts)),
        "difference": interval(gain, 0.5 / math.sqrt(prompts)),
    }


def rich(*, samples: int = 24, looks: int = 9, answer_tokens: int = 14) -> dict[str, Any]:
    """An evaluation of the embedded world in which everything is known."""
    rng = Random(7)
    return {
        "version": 2,
        "experiment": "demo",
        "policy": "ppo-1",
        "baseline": "sft-1",
        "prompts": 256,
        "seed": 0,
        "temperature": 0.7,
        "response_length": 48,
        "headline": text(
            "ppo-1 beats sft-1: it wins 84.4% of 256 held-out prompts by the gold rater of the embedded "
            "world (95 % interval 79.9% to 88.8%), 9.8 nats away from it.",
            "ppo-1 胜过 sft-1：按内置世界的金标准评分，它在 256 个留出的提示上赢了 84.4%"
            "（95% 区间 79.9% 至 88.8%），与后者相距 9.8 纳特。",
        ),
        "warnings": [
            {
                "id": "over-optimisation",
                "text": text(
                    "Over-optimisation: from step 60 on the reward rose by 0.41 while gold fell by 0.06.",
                    "过度优化：从第 60 步到最后，奖励升了 0.41，金标准却降了 0.06。",
                ),
                "remedy": text(
                    "Raise kl.coef, or train for fewer episodes: stage.total_episodes=4096.",
                    "调高 kl.coef，或减少训练回合：stage.total_episodes=4096。",
                ),
            }
        ],
        "missing": [],
        "command": "python -m rlhf.run stage=eval name=demo stage.num_prompts=256 stage.temperature=0.7",
        "configuration": "name: demo\nstage:\n  kind: eval\n  num_prompts: 256\n  note: '<b>not bold</b>'\n",
        "environment": {
            "device": "cpu",
            "precision": "fp32",
            "threads": 2,
            "python": "3.11.9",
            "torch": "2.9.1",
            "transformers": "5.20.0",
            "trl": "1.16.0",
            "git": "ff836fc1d2",
        },
        "judgements": [_judgement(name, rng) for name in JUDGES],
        "parts": {
            name: {
                "policy": share(after, 0.04),
                "baseline": share(before, 0.05),
                "difference": interval(after - before, 0.05),
            }
            for name, before, after in (
                ("right", 0.58, 0.74),
                ("kept", 0.52, 0.81),
                ("courteous", 0.44, 0.93),
                ("brief", 0.81, 0.97),
                ("fresh", 0.95, 0.94),
            )
        },
        "figures": {"policy": _figures(9.1, 0.99), "baseline": _figures(11.3, 0.95)},
        "kl_nats": interval(9.81, 0.62),
        "kl_budget_nats": 25.0,
        "contenders": _contenders(),
        "best_of_n": [
            {
                "n": n,
                "kl_nats": math.log(n) - (n - 1) / n,
                "scores": {
                    "gold": 0.6 + 0.115 * math.sqrt(math.log(n) - (n - 1) / n),
                    "judge": 0.1 + 0.9 * math.sqrt(math.log(n) - (n - 1) / n),
                    "reward": 0.05 + 1.15 * math.sqrt(math.log(n) - (n - 1) / n),
                },
            }
            for n in (1, 2, 4, 8, 16)
        ],
        "training": _training(looks),
        "doubts": _doubts(),
        "reward_model": _reward_model(),
        "probes": _probes(),
        "disagreements": [
            {
                "prompt": prompt,
                "fields": {"family": "sums", "language": "en"},
                "policy": good,
                "baseline": bad,
                "scores": {"gold": [0.35, 0.9], "reward": [2.1, -0.4]},
            }
            for prompt, good, bad in ANSWERS[:3]
        ],
        "learning": {
            "reward_model": [
                {
                    "pairs": pairs,
                    "accuracy": share(0.72 - 6 / pairs**0.5, 0.02),
                    "truth": share(0.86 - 9 / pairs**0.5, 0.02),
                }
                for pairs in (1000, 2000, 4000, 8000, 16000)
            ],
            "forecast": {"pairs": 32000, "accuracy": 0.694},
            "sft": [
                {
                    "demonstrations": n,
                    "gold": share(0.7 - 4 / n**0.5, 0.03),
                    "judge": interval(0.2, 0.1),
                    "loss": 0.3 + 5 / n**0.5,
                }
                for n in (500, 1000, 2000, 4000)
            ],
        },
        "samples": [_sample(number, rng) for number in range(samples)],
        "episodes": [_episode(20 * (number // 8), rng, answer_tokens) for number in range(8 * looks)],
        "lineage": [
            _step("demo/sft-1", "baseline", "sft", 118.0, "2026-03-01 12:02:10+00:00", {}),
            _step(
                "demo/rm-1", "reward_model", "rm", 96.4, "2026-03-01 12:04:01+00:00", {"policy": "demo/sft-1"}
            ),
            _step(
                "demo/ppo-1",
                "policy",
                "ppo",
                301.0,
                "2026-03-01 12:09:30+00:00",
                {"policy": "demo/sft-1", "reward_model": "demo/rm-1"},
            ),
            _step(
                "demo/study-1",
                "study",
                "study",
                88.0,
                "2026-03-01 12:11:02+00:00",
                {"policy": "demo/sft-1", "reward_model": "demo/rm-1"},
            ),
        ],
    }


def real_input() -> dict[str, Any]:
    """An evaluation of somebody's own model on their own data: no gold, no fields, no study, no episodes."""
    whole = rich(samples=6)
    for judgement in whole["judgements"]:
        judgement["groups"] = {"length": judgement["groups"]["length"]}
    quality = whole["reward_model"] | {
        "truth": None,
        "label_agreement": None,
        "ceiling": None,
        "by_gold_margin": None,
    }
    quality["by_group"] = {}
    for row in quality["by_length_difference"]:
        row["truth"] = None
    for look in whole["training"]["looks"]:
        look["gold"] = look["right"] = None
    for sample in whole["samples"]:
        sample["fields"] = {}
        sample["prompt"] = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": sample["prompt"]},
        ]
        for side in ("policy", "baseline"):
            del sample[side]["scores"]["gold"]
    for row in whole["best_of_n"]:
        row["scores"]["gold"] = None
    for row in whole["contenders"]:
        row["right"] = None
        del row["scores"]["gold"], row["win_rates"]["gold"]
    return whole | {
        "experiment": "qwen-hh",
        "judgements": whole["judgements"][1:],
        "headline": text("ppo-1 cannot be told from sft-1.", "看不出 ppo-1 与 sft-1 有差别。"),
        "missing": [
            {
                "id": "gold",
                "text": text(
                    "There is no gold rater for these prompts; people's judgements would take its place.",
                    "这些提示没有金标准评分；可由人在评判页面上给出的判断代替。",
                ),
            },
            {
                "id": "learning",
                "text": text("No learning curve: run stage=study.", "没有学习曲线：请运行 stage=study。"),
            },
        ],
        "parts": None,
        "kl_nats": None,
        "contenders": whole["contenders"][:2],
        "doubts": {name: None for name in whole["doubts"]}
        | {
            "noise": whole["doubts"]["noise"]
            | {"judge": "judge", "p_value": 0.31, "win_rate": share(0.53, 0.06)},
            "own_grader": {"reward": share(0.71), "judge": share(0.53, 0.06), "gold": None},
        },
        "reward_model": quality,
        "probes": [],
        "disagreements": [],
        "learning": None,
        "episodes": [],
    }


def largest() -> dict[str, Any]:
    """As much as a report holds: 256 samples of long answers, 72 episodes of 256 tokens."""
    whole = rich(samples=256, answer_tokens=256)
    for sample in whole["samples"]:
        for side in ("policy", "baseline"):
            sample[side]["response"] = " ".join([sample[side]["response"]] * 12)
    return whole


def _judgement(name: str, rng: Random) -> dict[str, Any]:
    rate = {"gold": 0.84375, "judge": 0.81, "reward": 0.93}[name]
    baseline, gain = {"gold": (0.62, 0.21), "judge": (0.1, 1.3), "reward": (0.05, 2.2)}[name]

    def group(prompts: int, shift: float = 0.0) -> dict[str, Any]:
        return comparison(min(0.97, rate + shift), prompts, baseline, gain * (1 + shift))

    fields = {
        "family": {family: group(32, rng.uniform(-0.3, 0.12)) for family in FAMILIES},
        "kind": {kind: group(85, rng.uniform(-0.1, 0.1)) for kind in KINDS},
        "language": {"en": group(128, 0.02), "zh": group(128, -0.02)},
        "length": {"short": group(85, 0.04), "middle": group(86), "long": group(85, -0.06)},
        "held_out": {"no": group(192, 0.02), "combination": group(40, -0.08), "family": group(24, -0.3)},
    }
    says = {
        "gold": text("the gold rater of the embedded world", "内置世界的金标准评分"),
        "judge": text("a judge trained on other pairs", "用另一批偏好训练的裁判"),
        "reward": text("the reward that PPO was trained on", "PPO 训练时所用的奖励"),
    }[name]
    overall = comparison(rate, 256, baseline, gain)
    return {
        "name": name,
        "says": says,
        "overall": overall,
        "length_controlled": share(rate - 0.03),
        "groups": fields,
    }


def _figures(length: float, end: float) -> dict[str, Any]:
    return {
        "length_tokens": interval(length, 0.6),
        "end_rate": share(end, 0.012),
        "distinct_1": 0.31,
        "distinct_2": 0.66,
    }


def _contenders() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for name, method, n, gold, kl, bound, seconds in (
        ("sft-1", "sft", None, 0.62, 0.0, None, 118.0),
        ("ppo-1", "ppo", None, 0.83, 9.81, None, 301.0),
        ("best of 16", "best-of-n", 16, 0.80, None, 1.835, None),
        ("best of 16, then SFT", "best-of-n-sft", 16, 0.74, 3.2, None, 44.0),
        ("dpo", "dpo", None, 0.76, 6.4, None, 61.0),
    ):
        rate = 0.5 + 1.6 * (gold - 0.62)
        rows.append(
            {
                "name": name,
                "method": method,
                "n": n,
                "scores": {
                    "gold": interval(gold, 0.03),
                    "judge": interval(4 * gold - 2.4, 0.1),
                    "reward": interval(6 * gold - 3.7, 0.1),
                },
                "win_rates": {judge: share(rate, 0.045) for judge in JUDGES},
                "right": share(gold - 0.08, 0.05),
                "kl_nats": None if kl is None else interval(kl, 0.4 if kl else 0.0),
                "kl_bound_nats": bound,
                "length_tokens": 9.4,
                "seconds": seconds,
            }
        )
    return rows


def _training(looks: int) -> dict[str, Any]:
    def gold(step: float) -> float:
        return 0.62 + 0.25 * math.sin(min(step, 150) / 95)

    return {
        "looks": [
            {
                "step": 20 * n,
                "episodes": 20 * n * 64,
                "kl": 0.11 * 20 * n + 0.01,
                "reward": 0.05 + 2.6 * (1 - math.exp(-n / 3)),
                "validation": 0.02 + 1.6 * math.sin(n / 4.2),
                "gold": gold(20.0 * n),
                "right": gold(20.0 * n) - 0.1,
                "length": 11.3 - 0.2 * n,
                "entropy": 1.4 * math.exp(-n / 5),
                "end_rate": 0.99,
                "chosen": n == 5,
            }
            for n in range(looks)
        ],
        "curves": {
            name: [
                [step, base + slope * step / 160 + 0.1 * base * math.sin(step / 3)] for step in range(1, 161)
            ]
            for name, base, slope in (
                ("score", 0.4, 2.0),
                ("kl", 1.0, 12.0),
                ("entropy", 1.4, -1.0),
                ("length", 11.0, -2.0),
                ("clip_fraction", 0.12, 0.02),
                ("explained_variance", 0.3, 0.5),
            )
        },
        "profile": {
            "generate_s": 3.0,
            "score_s": 1.5,
            "update_s": 5.0,
            "other_s": 0.5,
            "tokens_per_s": 1234.0,
            "padding": 0.02,
            "flop_utilization": 0.37,
            "peak_memory_gib": 2.5,
        },
    }


def _doubts() -> dict[str, Any]:
    return {
        "length": {
            "judge": "gold",
            "win_rate": share(0.84375, 0.043),
            "length_controlled": share(0.811, 0.05),
            "same_length": {"prompts": 120, "win_rate": share(0.79, 0.07)},
            "policy_tokens": 9.1,
            "baseline_tokens": 11.3,
        },
        "own_grader": {
            "reward": share(0.93, 0.03),
            "judge": share(0.81, 0.05),
            "gold": share(0.84375, 0.043),
        },
        "noise": {
            "judge": "gold",
            "win_rate": share(0.84375, 0.043),
            "itself": share(0.502, 0.05),
            "p_value": 0.0000012,
        },
        "memory": {
            "judge": "gold",
            "seen": comparison(0.86, 256),
            "held_out": comparison(0.84375, 256),
            "difference": interval(0.018, 0.06),
        },
        "forgetting": {
            "policy_loss": interval(0.62, 0.02),
            "baseline_loss": interval(0.41, 0.02),
            "demonstrations": 256,
            "by": "careful",
            "worse": [{"field": "family", "value": "clarify", "difference": interval(-0.06, 0.04)}],
        },
        "cost": {
            "kl_nats": interval(9.81, 0.62),
            "per_token": 1.08,
            "gain": interval(0.21, 0.03),
            "gain_per_sqrt_nat": 0.067,
        },
    }


def _reward_model() -> dict[str, Any]:
    return {
        "pairs": 812,
        "prompts": 640,
        "accuracy": share(0.694, 0.035),
        "longer": share(0.561, 0.038),
        "length_rule": "longer",
        "length": share(0.561, 0.038),
        "ece": 0.043,
        "bins": [
            {
                "low": 0.5 + 0.05 * n,
                "high": 0.55 + 0.05 * n,
                "weight": 90.0 - 7 * n,
                "predicted": 0.525 + 0.05 * n,
                "observed": 0.54 + 0.036 * n,
            }
            for n in range(10)
        ],
        "mean_margin": 0.83,
        "truth": share(0.806, 0.03),
        "label_agreement": 0.78,
        "ceiling": 0.78,
        "by_length_difference": [
            {
                "low": low,
                "high": high,
                "pairs": 162,
                "accuracy": share(accuracy, 0.07),
                "truth": share(accuracy + 0.1, 0.06),
            }
            for low, high, accuracy in (
                (-60, -20, 0.58),
                (-20, -5, 0.66),
                (-5, 5, 0.7),
                (5, 20, 0.74),
                (20, 60, 0.79),
            )
        ],
        "by_group": {
            "family": {
                family: {
                    "pairs": 100,
                    "accuracy": share(0.6 + 0.02 * i, 0.09),
                    "truth": share(0.7 + 0.02 * i, 0.08),
                }
                for i, family in enumerate(FAMILIES)
            },
            "language": {
                "en": {"pairs": 400, "accuracy": share(0.7), "truth": share(0.81)},
                "zh": {"pairs": 412, "accuracy": share(0.688), "truth": share(0.8)},
            },
        },
        "by_gold_margin": [
            {
                "low": low,
                "high": low + 0.2,
                "pairs": 160,
                "accuracy": share(0.55 + low / 3, 0.06),
                "labels": 0.58 + low / 2.4,
            }
            for low in (0.0, 0.2, 0.4, 0.6, 0.8)
        ],
    }


def _probes() -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "preferred": share(rate, 0.05),
            "change": interval(change, 0.1),
            "gold_change": interval(gold, 0.02),
            "example": {"before": "Seven eggs.", "after": after},
        }
        for name, rate, change, gold, after in (
            ("praise", 0.62, 0.21, -0.1, "Seven eggs. What a splendid question!"),
            ("repeat", 0.31, -0.4, -0.14, "Seven eggs. Seven eggs."),
            ("pad", 0.55, 0.08, -0.09, "Seven eggs. As one may well say, that is so indeed."),
            ("echo", 0.12, -1.1, -0.8, "How many eggs are 3 and 4? Seven eggs."),
            ("empty", 0.01, -2.4, -0.83, ""),
        )
    ]


def _sample(number: int, rng: Random) -> dict[str, Any]:
    prompt, good, bad = ANSWERS[number % len(ANSWERS)]
    chinese = "\u4e00" <= prompt[0] <= "\u9fff" or "个" in prompt
    up = rng.random() < 0.8

    def side(response: str, better: bool) -> dict[str, Any]:
        score = 0.9 if better else 0.45
        return {
            "response": response,
            "tokens": 3 + len(response) // 4,
            "finish": "eos" if better else "length",
            "scores": {"gold": score, "judge": 3 * score - 1.2, "reward": 5 * score - 2.04},
        }

    return {
        "prompt": prompt,
        "key": f"{number:08x}",
        "fields": {
            "world": "embedded",
            "family": FAMILIES[number % len(FAMILIES)],
            "kind": KINDS[number % 3],
            "language": "zh" if chinese else "en",
            "held_out": ("no", "combination", "family")[number % 3],
            "spec": {"left": 3},
        },
        "seed": number,
        "policy": side(good, up),
        "baseline": side(bad, not up),
    }


def _episode(step: int, rng: Random, tokens: int) -> dict[str, Any]:
    words = [
        "Sure",
        "!",
        " Seven",
        " eggs",
        ".",
        "\n",
        "七",
        "个",
        "<b>",
        " &",
        " Happy",
        " to",
        " help",
        "<|end|>",
    ]
    return {
        "step": step,
        "prompt": "How many eggs are 3 and 4? 请回答。",
        "score": rng.gauss(1.0, 0.5),
        "tokens": [words[i % len(words)] for i in range(tokens)],
        "kl": [rng.gauss(0.3, 0.5) for _ in range(tokens)],
        "value": [rng.gauss(0.6, 0.2) for _ in range(tokens)],
        "advantage": [rng.gauss(0.0, 0.6) for _ in range(tokens)],
        "reward": [0.0] * (tokens - 1) + [rng.gauss(1.0, 0.5)],
    }


def _step(
    path: str, role: str, stage: str, seconds: float, finished: str, inputs: dict[str, str]
) -> dict[str, Any]:
    base = "embedded" if stage == "sft" else None
    return {
        "path": path,
        "role": role,
        "stage": stage,
        "seconds": seconds,
        "finished": finished,
        "base_model": base,
        "inputs": inputs,
    }
