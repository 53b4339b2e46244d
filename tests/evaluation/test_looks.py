"""What a PPO run says of its training, read back."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from rlhf.evaluation.doubts import Draws
from rlhf.evaluation.looks import decline, episodes_of, profile_of, training_of
from rlhf.rewards import Scored, Scores
from rlhf.runs import Artifact, Experiment
from rlhf.runs.artifact import from_run

DRAWS = Draws(seed=0, resamples=200)
LINES = [
    {"step": 0, "eval/score": 0.0, "eval/validation_score": 0.0, "eval/kl": 0.0, "eval/entropy": 1.0,
     "eval/length": 9.0, "eval/end_rate": 1.0},
    {"step": 1, "score": 0.5, "kl": "NaN", "episodes": 64.0},
    {"step": 2, "score": 0.9, "kl": 1.5, "episodes": 128.0, "eval/score": 1.0, "eval/validation_score": 0.5,
     "eval/kl": 2.0, "eval/entropy": 0.5, "eval/length": 12.0, "eval/end_rate": 0.75},
]  # fmt: skip


def look_rows(step: int, answers: Sequence[str], score: float) -> list[dict[str, object]]:
    common = {"score": score, "validation_score": score / 2, "kl": 1.0, "tokens": 2, "finish": "eos"}
    return [
        {
            "step": step,
            "prompt": [{"role": "user", "content": f"q{n}"}],
            "key": f"k{n}",
            "fields": {"n": n},
            "response": said,
            **common,
        }
        for n, said in enumerate(answers)
    ]


def make_run(folder: Path, rows: list[dict[str, object]], stage: str = "ppo") -> Artifact:
    with Experiment(folder, "t").open(stage, identity="x", config={}) as run:
        run.write_jsonl("metrics.jsonl", LINES)
        run.write_jsonl("looks.jsonl", rows)
        run.write_jsonl("episodes.jsonl", [{"step": step, "prompt": "q"} for step in (0, 2, 4) for _ in "ab"])
        manifest = run.finish("policy", metrics={"iteration": 2.0}, resolved={})
        return from_run("policy", run.path, manifest)


def right(batch: Sequence[Scored]) -> Scores:
    """Gold that counts the letter a, and half of that as its part."""
    total = torch.tensor([float(scored.response.count("a")) for scored in batch])
    return Scores(total, {"right": total / 2})


def test_looks_are_scored_by_gold(tmp_path: Path) -> None:
    rows = look_rows(0, ["a", "b"], 0.0) + look_rows(2, ["aa", "a"], 1.0)
    training = training_of(make_run(tmp_path, rows), right, DRAWS)
    assert training is not None
    first, last = training.looks
    assert (first.gold, last.gold, last.right) == (0.5, 1.5, 0.75)
    assert (first.chosen, last.chosen) == (False, True)
    assert (last.step, last.episodes, last.kl, last.reward, last.validation) == (2, 128, 2.0, 1.0, 0.5)
    assert (last.length, last.entropy, last.end_rate) == (12.0, 0.5, 0.75)
    assert training.decline is None  # the last is the best


def test_curves_leave_out_what_is_no_number(tmp_path: Path) -> None:
    training = training_of(make_run(tmp_path, []), right, DRAWS)
    assert training is not None
    assert training.curves["score"] == [(1, 0.5), (2, 0.9)]
    assert training.curves["kl"] == [(2, 1.5)]
    assert "grad_norm" not in training.curves
    assert [look.gold for look in training.looks] == [None, None]  # nothing was kept to score


def test_the_profile_is_the_median_over_the_iterations() -> None:
    seconds = [9.0, 2.0, 4.0]  # the first iteration warms up
    lines = [LINES[0], *({"step": n, "score": 0.0, "profile/update_s": s} for n, s in enumerate(seconds, 1))]
    assert profile_of(lines) == {"update_s": 4.0}
    assert profile_of(LINES) == {}


def test_without_gold_the_validation_model_says_when_it_fell(tmp_path: Path) -> None:
    rows = look_rows(0, ["x", "y"], 4.0) + look_rows(2, ["x", "y"], 1.0)
    training = training_of(make_run(tmp_path, rows), None, DRAWS)
    assert training is not None
    assert training.decline is not None
    assert (training.decline.by, training.decline.best, training.decline.last) == ("validation", 0, 2)
    assert training.decline.change.estimate == -1.5


def test_the_fall_is_paired_from_the_best_look_to_the_last() -> None:
    gold = {0: [0.1, 0.3], 4: [0.8, 1.0], 8: [0.6, 0.8]}
    reward = {0: [0.0, 0.0], 4: [1.0, 1.0], 8: [3.0, 2.0]}
    fell = decline("gold", gold, reward, DRAWS)
    assert fell is not None
    assert (fell.best, fell.last) == (4, 8)
    assert fell.change.estimate == pytest.approx(-0.2)
    assert fell.change.high == pytest.approx(-0.2)  # the same on each prompt: no doubt
    assert fell.reward_change.estimate == 1.5
    assert decline("gold", {}, {}, DRAWS) is None


def test_episodes_are_those_of_the_first_the_chosen_and_the_last_look(tmp_path: Path) -> None:
    policy = make_run(tmp_path, [])
    training = training_of(policy, None, DRAWS)
    assert [row["step"] for row in episodes_of(policy, training)] == [0, 0, 2, 2, 4, 4]
    assert [row["step"] for row in episodes_of(policy, None)] == [0, 0, 4, 4]


def test_only_a_run_of_ppo_has_a_training(tmp_path: Path) -> None:
    assert training_of(make_run(tmp_path, [], stage="sft"), right, DRAWS) is None
