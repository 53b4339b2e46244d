"""Answers and an evaluation to test with, made by hand."""

from rlhf.algos.statistics import Interval
from rlhf.evaluation.answers import Answer
from rlhf.evaluation.doubts import Doubts
from rlhf.evaluation.figures import Figures
from rlhf.evaluation.lineage import Step
from rlhf.evaluation.summary import Evaluation, Judgement
from rlhf.evaluation.win_rate import Comparison, compare
from rlhf.evaluation.wording import Text
from rlhf.records import Prompt


def answer(prompt: str | Prompt, text: str, *, tokens: int = 3, finish: str = "eos") -> Answer:
    whole = prompt if isinstance(prompt, Prompt) else Prompt(prompt)
    return Answer(whole, text, (1,), tuple(range(2, 2 + tokens)), finish, seed=7)


def comparison(policy: list[float], baseline: list[float]) -> Comparison:
    return compare(policy, baseline, seed=0, resamples=200)


def figures(length: float = 10.0, end_rate: float = 0.9, distinct_2: float = 0.5) -> Figures:
    return Figures(point(length), point(end_rate), 0.4, distinct_2)


def point(value: float) -> Interval:
    return Interval(value, value, value)


def judgement(name: str, policy: list[float], baseline: list[float], **more: object) -> Judgement:
    return Judgement(name, Text(f"the {name}", f"{name} 评判"), comparison(policy, baseline), **more)  # type: ignore[arg-type]


def evaluation(**changes: object) -> Evaluation:
    gold = judgement("gold", [1.0] * 9 + [0.0], [0.0] * 9 + [1.0])
    values: dict[str, object] = {
        "experiment": "demo",
        "policy": "ppo-1",
        "baseline": "sft-1",
        "prompts": 200,
        "seed": 0,
        "temperature": 0.7,
        "response_length": 64,
        "command": "python -m rlhf.run stage=eval",
        "configuration": "name: demo",
        "environment": {"device": "cpu"},
        "judgements": (gold,),
        "parts": None,
        "figures": {"policy": figures(), "baseline": figures()},
        "kl_nats": Interval(5.25, 5.0, 5.5),
        "kl_budget_nats": 25.0,
        "contenders": (),
        "best_of_n": (),
        "training": None,
        "doubts": Doubts(None, None, None, None, None, None),
        "reward_model": None,
        "probes": (),
        "disagreements": (),
        "learning": None,
        "samples": (),
        "episodes": (),
        "lineage": (Step("demo/sft-1", "baseline", "sft", 61.0, "2026-01-02 03:04:05+00:00", "base", {}),),
    }
    return Evaluation(**(values | changes))  # type: ignore[arg-type]
