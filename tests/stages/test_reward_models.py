"""Ensembles and cost models from their training to PPO: what is logged, what moves, an exact resume."""

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ppo_runs import ITERATIONS, assert_same, small, write_prompts
from second_device import SecondDevice
from stage_runs import assert_same_runs, composed, metric_lines, run_stage
from torch import nn

from rlhf.config import Config, validate
from rlhf.data.encoding import make_encoder
from rlhf.demo import world
from rlhf.demo.tokenizer import tokenizer
from rlhf.errors import InputError
from rlhf.models import offload
from rlhf.models.offload import Visits
from rlhf.models.reward_model import load_reward_model
from rlhf.records import Message, Prompt
from rlhf.rewards import ModelReward, Scored, build_reward
from rlhf.rewards.ensemble import combined, member_folders
from rlhf.runs import Experiment
from rlhf.training.held_out import is_better
from rlhf.training.machine import set_up_machine
from rlhf.training.update import PpoUpdater
from stages import ppo_setup
from stages.reward_models import Scoring
from stages.rm_lessons import lessons, pairs_by_model

PAIRS = {
    "data__limit": 120,
    "stage__batch_size": 8,
    "stage__max_steps": 2,
    "stage__eval_every": 2,
    "stage__learning_rate": 0.003,
    "stage__judge_share": 0.0,
}
NOT_BATCHED = {"stage__max_hours": 1e-9, "stage__save_every": 100}  # each call takes one step


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A run of rm with three members and a validation model."""
    return run_stage("rm", tmp_path_factory.mktemp("rm"), members(tiny_model))


def members(tiny_model: Path, **more: Any) -> dict[str, Any]:
    return PAIRS | {"inputs__policy": str(tiny_model), "stage__ensemble": 3} | more


def configured(stage: dict[str, Any], **more: Any) -> Config:
    return validate({"stage": stage, **more})


def in_steps(stage: str, runs_dir: Path, options: dict[str, Any]) -> Path:
    """The same run, stopped after every step and taken up again."""
    stops = 0
    while True:
        try:
            run = run_stage(stage, runs_dir, options | NOT_BATCHED)
        except KeyboardInterrupt:
            stops += 1
        else:
            assert stops > 3
            return run


class TestTraining:
    def test_the_first_is_the_model_without_an_ensemble(
        self, tmp_path: Path, tiny_model: Path, ensemble: Path
    ) -> None:
        alone = run_stage("rm", tmp_path, PAIRS | {"inputs__policy": str(tiny_model)})
        names = ["model", "member_2", "member_3", "validation_model"]
        weights = {name: (ensemble / name / "model.safetensors").read_bytes() for name in names}
        for name in ("model", "validation_model"):
            assert (alone / name / "model.safetensors").read_bytes() == weights[name]
        assert len(set(weights.values())) == 4
        assert list(json.loads((ensemble / "quality.json").read_text())) == names
        assert [Path(folder).name for folder in member_folders(str(ensemble), f"{ensemble}/model")] == names[
            :3
        ]
        assert all(load_reward_model(str(ensemble / name)).config.reward_shift != 0 for name in names)

    def test_further_members_see_samples_drawn_with_replacement(self) -> None:
        pairs = world.preferences(2000, 0)
        stage = {"kind": "rm", "ensemble": 4, "validation_share": 0.2, "judge_share": 0.1}
        told = lessons(configured(stage), pairs)
        own = pairs_by_model(configured(stage).stage, pairs)["model"]  # pyright: ignore[reportArgumentType]
        assert list(told) == ["model", "member_2", "member_3", "member_4", "validation_model", "judge_model"]
        assert told["model"].pairs == own
        shares = []
        for number in (2, 3, 4):
            drawn = [id(pair) for pair in told[f"member_{number}"].pairs]
            assert len(drawn) == len(own)
            assert set(drawn) <= {id(pair) for pair in own}
            shares.append(len(set(drawn)) / len(own))
        assert shares == pytest.approx([1 - 1 / math.e] * 3, abs=0.03)  # of n draws with replacement
        assert len({lesson.seed for lesson in told.values()}) == 4
        by_seed = lessons(configured(stage | {"ensemble_bootstrap": False}), pairs)
        assert all(by_seed[f"member_{number}"].pairs == own for number in (2, 3, 4))

    def test_a_run_in_steps_is_the_same(self, tmp_path: Path, tiny_model: Path, ensemble: Path) -> None:
        assert_same_runs(in_steps("rm", tmp_path, members(tiny_model)), ensemble)


class TestEnsembleInPpo:
    def options(self, folder: Path, tiny_model: Path, ensemble: Path, **reward: Any) -> dict[str, Any]:
        told = {"kind": "ensemble", "combine": "mean_minus_std", "std_coef": 0.5, **reward}
        return small(folder, tiny_model, reward=told, inputs__reward_model=str(ensemble))

    def test_the_spread_is_logged_and_taken_off_and_a_resume_is_exact(
        self, tmp_path: Path, tiny_model: Path, ensemble: Path
    ) -> None:
        options = self.options(tmp_path, tiny_model, ensemble)
        whole = run_stage("ppo", tmp_path / "whole", options)
        lines = metric_lines(whole)[1:]
        assert len(lines) == ITERATIONS
        for line in lines:
            assert line["score/spread"] > 0
            assert line["score/min"] < line["score/mean"]
            assert line["score"] == pytest.approx(line["score/mean"] - 0.5 * line["score/spread"], abs=1e-5)
        assert_same(in_steps("ppo", tmp_path / "steps", options), whole)

    def test_frozen_models_are_away_during_the_update_and_change_nothing(
        self, tmp_path: Path, tiny_model: Path, ensemble: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The reference, three members and the validation model: one is on the device at a time, and none
        while policy and critic learn."""
        options = self.options(tmp_path, tiny_model, ensemble)
        here = run_stage("ppo", tmp_path / "here", options)
        device, sizes, during = SecondDevice(), list[int](), list[int]()

        def visits(model: nn.Module, where: torch.device) -> Visits:
            made = Visits(model, where, bring=device.bring)
            device.watch([model])
            sizes.append(sum(weight.nbytes for weight in model.parameters()))
            return made

        update = PpoUpdater.update

        def watched(*args: Any, **more: Any) -> dict[str, float]:
            during.append(device.bytes_there)
            return update(*args, **more)

        monkeypatch.setattr(ppo_setup, "offloads", lambda *_: True)
        monkeypatch.setattr(offload, "Visits", visits)
        monkeypatch.setattr(PpoUpdater, "update", watched)
        away = run_stage("ppo", tmp_path / "away", options)
        assert len(sizes) == 5
        assert device.most_bytes == max(sizes)
        assert during == [0] * ITERATIONS
        uses = ITERATIONS + 4  # a look before the first and after every second
        expected = [uses + 1, uses, uses, uses, 4]  # the reference is tried once for whether it packs
        brought = sum(x.nbytes for x in device.brought)
        assert brought == sum(times * size for times, size in zip(expected, sizes, strict=True))
        assert_same(away, here)

    def test_a_run_of_one_model_is_no_ensemble(
        self, tmp_path: Path, tiny_model: Path, ensemble: Path
    ) -> None:
        options = self.options(tmp_path, tiny_model, ensemble)
        options["inputs__reward_model"] = str(ensemble / "member_2")
        with pytest.raises(InputError, match=r"holds one reward model and no other; .* stage.ensemble=4"):
            run_stage("ppo", tmp_path, options)

    def test_an_evaluation_scores_with_all_members(self, tiny_model: Path, ensemble: Path) -> None:
        cfg = validate(
            composed("eval", ensemble.parents[1], {"reward": {"kind": "ensemble", "combine": "min"}})
        )
        artifact = Experiment(ensemble.parents[1], "t").resolve("reward_model", str(ensemble), stage="eval")
        machine = set_up_machine(cfg)
        encoder = make_encoder(tokenizer(), 256)
        here: Any = SimpleNamespace(cfg=cfg, inputs={"reward_model": artifact}, machine=machine)
        prompt = Prompt((Message("user", "说一句话。"),))
        batch = [
            Scored(prompt, text, tuple(encoder.prompt_ids(prompt)), tuple(encoder.response_ids(text)), "eos")
            for text in ("好", "Well then.")
        ]
        scores = build_reward(cfg.reward, Scoring(here, encoder))(batch)
        one_by_one = torch.stack(
            [
                ModelReward(load_reward_model(folder), encoder)(batch).total
                for folder in member_folders(str(ensemble), f"{ensemble}/model")
            ]
        )
        torch.testing.assert_close(scores.total, combined(one_by_one, "min", 0.0), atol=1e-5, rtol=1e-4)


class TestSafeInPpo:
    """Words are helpful; the cost comes from a reward model of another run."""

    def options(self, folder: Path, tiny_model: Path, cost: str, **more: Any) -> dict[str, Any]:
        reward = {
            "kind": "safe",
            "helpful": {"kind": "rules", "per_word": 1.0},
            "cost": {"kind": "model", "path": cost},
            "limit": -0.2,
            "rate": 0.5,
            **more,
        }
        return small(folder, tiny_model, reward=reward, kl__price=0.0)

    def test_the_multiplier_follows_the_logged_cost_and_looks_leave_it(
        self, tmp_path: Path, tiny_model: Path, ensemble: Path
    ) -> None:
        """With a look at every second iteration and a state after each, the recursion holds."""
        options = self.options(tmp_path, tiny_model, str(ensemble))
        run = run_stage("ppo", tmp_path / "whole", options)
        lines = metric_lines(run)[1:]
        expected = 1.0
        for line in lines:
            assert line["score/lagrange"] == pytest.approx(expected, rel=1e-5)
            assert line["score"] == pytest.approx(
                (line["score/helpful"] - expected * line["score/cost"]) / (1 + expected), abs=1e-4
            )
            expected *= math.exp(0.5 * expected * (line["score/cost"] + 0.2))
        assert lines[-1]["score/lagrange"] != pytest.approx(1.0, abs=1e-3)
        manifest = json.loads((run / "manifest.json").read_text())
        assert manifest["inputs"]["reward.cost"]["manifest_sha256"]
        looks = [line for line in lines if "eval/over_limit" in line]
        assert [line["step"] for line in looks] == [2, 4, 6]
        best = min(looks, key=lambda line: (line["eval/over_limit"], -line["eval/validation_score"]))
        assert manifest["metrics"]["iteration"] == best["step"]
        assert_same(in_steps("ppo", tmp_path / "steps", options), run)

    @pytest.mark.parametrize(
        ("over", "kl", "score", "best", "wins"),
        [
            (0.0, 5.0, 1.0, {"eval/over_limit": 0.3, "eval/kl": 1.0, "eval/validation_score": 9.0}, True),
            (0.3, 1.0, 9.0, {"eval/over_limit": 0.0, "eval/kl": 5.0, "eval/validation_score": 1.0}, False),
            (0.2, 9.0, 0.0, {"eval/over_limit": 0.3, "eval/kl": 1.0, "eval/validation_score": 9.0}, True),
            (0.3, 1.0, 9.0, {"eval/over_limit": 0.3, "eval/kl": 2.0, "eval/validation_score": 9.0}, True),
            (0.0, 5.0, 1.0, {"eval/over_limit": 0.0, "eval/kl": 1.0, "eval/validation_score": 0.9}, True),
            (0.5, 5.0, 1.0, {}, True),
        ],
    )
    def test_a_checkpoint_that_keeps_to_the_limit_goes_before_one_that_does_not(
        self, over: float, kl: float, score: float, best: dict[str, float], wins: bool
    ) -> None:
        candidate = {"eval/over_limit": over, "eval/kl": kl, "eval/validation_score": score}
        assert is_better(candidate, best, kl_budget=25.0, kl_price=0.0) is wins

    def test_a_cost_model_that_is_not_there(self, tmp_path: Path, tiny_model: Path) -> None:
        with pytest.raises(InputError, match=r"^reward.cost.path=rm-9 does not exist"):
            run_stage("ppo", tmp_path, self.options(tmp_path, tiny_model, "rm-9"))

    def test_a_weight_that_does_not_move(self, tmp_path: Path, tiny_model: Path, ensemble: Path) -> None:
        options = self.options(tmp_path, tiny_model, str(ensemble), rate=0.0, multiplier=3.0)
        lines = metric_lines(run_stage("ppo", tmp_path / "runs", options))[1:]
        assert [line["score/lagrange"] for line in lines] == pytest.approx([3.0] * ITERATIONS)

    def test_an_evaluation_names_the_cost_model_it_scored_with(
        self, tmp_path: Path, tiny_model: Path, ensemble: Path
    ) -> None:
        reward = self.options(tmp_path, tiny_model, str(ensemble))["reward"]
        options = {
            "inputs__policy": str(tiny_model),
            "inputs__baseline": str(tiny_model),
            "data__prompts": str(write_prompts(tmp_path)),
            "data__test_fraction": 0.3,
            "stage__num_prompts": 4,
            "stage__response_length": 4,
            "stage__best_of": 0,
            "reward": reward,
        }
        run = run_stage("eval", tmp_path / "runs", options)
        inputs = json.loads((run / "manifest.json").read_text())["inputs"]
        assert Path(inputs["reward.cost"]["path"]).name == ensemble.name
        lineage = json.loads((run / "evaluation.json").read_text())["lineage"]
        assert any(step["role"] == "reward.cost" and step["stage"] == "rm" for step in lineage)
