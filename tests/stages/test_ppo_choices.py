"""Runs of PPO with choices other than the default: they go on exactly, and end early for a reason."""

import json
from pathlib import Path
from typing import Any

import pytest
from ppo_runs import ITERATIONS, assert_same, last_state, small, words_of
from stage_runs import composed, keeping_states, metric_lines, newest, run_stage

import stages.ppo
from rlhf.config import validate
from rlhf.demo.tokenizer import tokenizer
from rlhf.errors import ConfigError
from rlhf.models.loading import save_plain
from rlhf.models.reward_model import new_reward_model
from rlhf.run import main

EVERYTHING = {
    "stage__samples_per_prompt": 2,
    "stage__normalize_scores": True,
    "stage__score_clip": 2.0,
    "stage__ptx_coef": 0.5,
    "stage__critic_learning_rate": 2e-2,
    "stage__critic_warmup": 1,
    "stage__target_kl": 0.05,
    "kl__estimator": "k3",
    "rollout__importance_cap": 2.0,
}


def write_demonstrations(folder: Path, count: int = 30) -> str:
    file = folder / "demonstrations.jsonl"
    rows = [{"prompt": f"Say number {n}.", "completion": f"number {n} it is"} for n in range(count)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


@pytest.mark.parametrize("advantage", ["gae", "rloo"])
def test_with_everything_on_a_run_goes_on_exactly(tmp_path: Path, tiny_model: Path, advantage: str) -> None:
    chosen: dict[str, Any] = dict(EVERYTHING)
    if advantage == "rloo":
        del chosen["stage__critic_learning_rate"], chosen["stage__critic_warmup"]
    chosen |= {"stage__advantage": advantage, "data__demonstrations": write_demonstrations(tmp_path)}
    whole = run_stage("ppo", tmp_path / "whole", small(tmp_path, tiny_model, **chosen))
    hours = {"stage__save_every": 100, "stage__max_hours": 1e-9}
    words = words_of(tmp_path / "stopped", small(tmp_path, tiny_model, **chosen, **hours))
    with keeping_states():
        for _ in range(1, ITERATIONS):
            assert main(words) == 130
        assert main(words) == 0
    assert_same(newest(tmp_path / "stopped", "ppo"), whole)

    lines = metric_lines(whole)[1:]
    page = (Path(__file__).parents[2] / "docs" / "stages" / "ppo.md").read_text()
    named = {name for line in lines for name in line if not name.startswith("score/")} - {"step"}
    assert [name for name in named if f"`{name}`" not in page] == []
    progress = last_state(whole)["progress"]
    assert progress["scores"]["count"] == 8 * ITERATIONS
    assert all(line["ptx_loss"] > 0 for line in lines[1:])
    assert all(line["score_clip_fraction"] < 1 for line in lines)
    if advantage == "rloo":
        assert not any("critic" in name or "value" in name for name in last_state(whole)["weights"])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"stage__stop_kl": 1e-3}, "past stage.stop_kl=0.001"),
        ({"stage__plateau_patience": 1, "stage__learning_rate": 1e-12}, "1 evaluations without a better"),
    ],
)
def test_a_run_that_ends_early_finishes_with_its_best_checkpoint(
    tmp_path: Path,
    tiny_model: Path,
    options: dict[str, Any],
    says: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    run = run_stage("ppo", tmp_path / "runs", small(tmp_path, tiny_model, **options))
    said = "".join(capfd.readouterr())
    lines = metric_lines(run)
    after = 4  # the second look, where nothing has changed since the first
    if "stage__stop_kl" in options:
        after = next(line["step"] for line in lines[1:] if line["kl"] > 1e-3)
    assert after < ITERATIONS
    assert f"the run ends after iteration {after} of {ITERATIONS}: " in said
    metrics = json.loads((run / "manifest.json").read_text())["metrics"]
    assert says in metrics["ended_early"]
    assert metrics["ended_early"] in said
    assert lines[-1]["step"] == after
    assert "eval/score" in lines[-1]  # it looked once more
    assert (run / "model" / "model.safetensors").is_file()
    assert last_state(run)["progress"]["ended"] == metrics["ended_early"]


def test_a_run_that_was_killed_at_its_early_end_only_finishes(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = small(tmp_path, tiny_model, stage__stop_kl=1e-3)
    whole = run_stage("ppo", tmp_path / "whole", options)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt("killed")

    with monkeypatch.context() as patch:
        patch.setattr(stages.ppo, "finish", killed)
        with pytest.raises(KeyboardInterrupt):
            run_stage("ppo", tmp_path / "killed", options)
    run = run_stage("ppo", tmp_path / "killed", options)
    assert metric_lines(run) == metric_lines(whole)
    assert (run / "model/model.safetensors").read_bytes() == (whole / "model/model.safetensors").read_bytes()


def test_demonstrations_are_not_mixed_in_from_another_world(tmp_path: Path, tiny_model: Path) -> None:
    options = small(tmp_path, tiny_model, stage__ptx_coef=0.1)
    with pytest.raises(ConfigError, match="none beside your prompts"):
        stages.ppo.run(validate(composed("ppo", tmp_path / "runs", options)))


def test_a_critic_that_nothing_would_use_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    critic = new_reward_model(str(tiny_model), pad_id=int(tokenizer().pad_token_id), seed=1)
    save_plain(critic, tokenizer(), tmp_path / "critic")
    options = small(tmp_path, tiny_model, stage__advantage="reinforce")
    options["inputs__critic"] = str(tmp_path / "critic")
    with pytest.raises(ConfigError, match=r"stage\.advantage=reinforce has no critic"):
        stages.ppo.run(validate(composed("ppo", tmp_path / "runs", options)))
