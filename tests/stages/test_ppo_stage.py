"""What a run of PPO learns and publishes."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from made_runs import make_policy
from peft import PeftModel, TaskType
from ppo_runs import model_of, small
from stage_runs import composed, metric_lines, run_stage
from transformers import AutoModelForCausalLM

import stages.ppo
from rlhf.config import ModelConfig, validate
from rlhf.demo.tokenizer import tokenizer
from rlhf.errors import ConfigError
from rlhf.models.loading import adapter_base_sha256, save_adapter, save_plain, weights_sha256, with_adapter
from rlhf.models.reward_model import new_reward_model
from rlhf.runs import Experiment
from rlhf.training import ppo_state
from rlhf.training.held_out import is_better

LEARN = {
    "stage__total_episodes": 640,
    "stage__batch_size": 32,
    "stage__minibatch_size": 16,
    "stage__epochs": 4,
    "stage__temperature": 1.0,
    "stage__eval_every": 20,
    "stage__save_every": 100,
    "kl__kind": "fixed",
    "kl__coef": 0.01,
    "kl__budget": 100.0,
}


def manifest(run: Path) -> dict[str, Any]:
    return json.loads((run / "manifest.json").read_text())


def mean(lines: list[dict[str, Any]], name: str) -> float:
    return sum(line[name] for line in lines) / len(lines)


def test_a_function_in_a_file_moves_what_it_rewards(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def letters(prompt, response, **row):\n    return float(response.count('e'))\n"
    )
    reward = {"kind": "custom", "path": f"{tmp_path}/mine.py:letters"}
    run = run_stage("ppo", tmp_path / "runs", small(tmp_path, tiny_model, **LEARN, reward=reward))
    lines = metric_lines(run)[1:]
    assert mean(lines[-3:], "score") > mean(lines[:3], "score") + 2.0
    assert mean(lines[-3:], "kl") > 1.0
    metrics = manifest(run)["metrics"]
    assert metrics["score"] > metrics["score_before"] + 2.0
    samples = [json.loads(line) for line in (run / "samples.jsonl").read_text().splitlines()]
    assert {sample["step"] for sample in samples} == {0, 20}
    assert all(sample["score"] == sample["response"].count("e") for sample in samples)
    page = (Path(__file__).parents[2] / "docs" / "stages" / "ppo.md").read_text()
    logged = {name for line in metric_lines(run) for name in line} - {"step"}
    assert [name for name in logged if f"`{name.replace('score/custom', 'score/NAME')}`" not in page] == []


def test_a_weighted_sum_moves_each_part_its_own_way(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "mine.py").write_text("def f(prompt, response):\n    return float(response.count('e'))\n")
    parts = {
        "letters": {"weight": 1.0, "reward": {"kind": "custom", "path": f"{tmp_path}/mine.py:f"}},
        "words": {"weight": -1.5, "reward": {"kind": "rules", "per_word": 1.0}},
    }
    options = small(tmp_path, tiny_model, **LEARN, reward={"kind": "weighted", "parts": parts})
    lines = metric_lines(run_stage("ppo", tmp_path / "runs", options))[1:]
    for line in lines:
        assert line["score"] == pytest.approx(line["score/letters"] - 1.5 * line["score/words"], abs=1e-5)
    assert mean(lines[-3:], "score/letters") > mean(lines[:3], "score/letters") + 0.7
    assert mean(lines[-3:], "score/words") < mean(lines[:3], "score/words")
    assert mean(lines[-3:], "score") > mean(lines[:3], "score") + 1.2


def test_the_best_checkpoint_is_the_one_that_is_published(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The score rises to the end, but past `kl.budget` it does not count."""
    after: dict[int, dict[str, torch.Tensor]] = {}
    save = ppo_state.save

    def keep(run: Any, ppo: Any, progress: Any, log: Any) -> None:
        after[progress.iteration] = {name: x.clone() for name, x in ppo.trained_tensors().items()}
        save(run, ppo, progress, log)

    monkeypatch.setattr(stages.ppo.ppo_state, "save", keep)
    (tmp_path / "mine.py").write_text("def f(prompt, response):\n    return float(response.count('e'))\n")
    options = small(
        tmp_path,
        tiny_model,
        **{**LEARN, "stage__total_episodes": 384, "stage__eval_every": 1, "stage__save_every": 1}
        | {
            "kl__budget": 1.0,
            "kl__price": 0.5,
            "stage__recompute_logprobs": True,
            "stage__learning_rate": 3e-3,
        },  # its course crosses the budget
        reward={"kind": "custom", "path": f"{tmp_path}/mine.py:f"},
    )
    run = run_stage("ppo", tmp_path / "runs", options)
    lines = metric_lines(run)
    best: dict[str, Any] = {}

    def worth(line: dict[str, Any]) -> float:
        price = 0.5 * lines[0]["eval/validation_deviation"]
        return line["eval/validation_score"] - price * line["eval/kl"]

    for line in lines[1:]:
        within = line["eval/kl"] <= 1.0
        if within and (not best or worth(line) > worth(best)):
            best = line
    metrics = manifest(run)["metrics"]
    assert 1 < metrics["iteration"] == best["step"] < 12
    assert metrics["validation_score"] == best["eval/validation_score"]
    assert metrics["kl"] == best["eval/kl"] <= 1.0
    assert is_better(best, lines[1], kl_budget=1.0, kl_price=0.5 * lines[0]["eval/validation_deviation"])

    published = model_of(run)
    equal = [
        iteration
        for iteration, weights in after.items()
        if all(torch.equal(weights[f"policy.{name}"], value) for name, value in published.items())
    ]
    assert equal == [best["step"]]


def test_where_no_checkpoint_will_do_the_run_says_so(
    tmp_path: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text("def f(prompt, response):\n    return 1.0\n")
    reward = {"kind": "custom", "path": f"{tmp_path}/mine.py:f"}
    far = AutoModelForCausalLM.from_pretrained(tiny_model)
    with torch.no_grad():
        far.get_output_embeddings().weight.mul_(30)
    far.save_pretrained(tmp_path / "far")
    options = small(tmp_path, tiny_model, reward=reward, stage__total_episodes=16)
    options["inputs__reference"] = str(tmp_path / "far")
    run = run_stage("ppo", tmp_path / "runs", options)
    said = "".join(capfd.readouterr())
    warned = json.loads((run / "warnings.json").read_text())
    for name in ("no-improvement", "over-budget", "never-ends"):
        assert f"warning: {name}: {warned[name]}" in said
        assert name in manifest(run)["metrics"]["warnings"]


def make_lora_reward(runs_dir: Path, policy: str, *, adapter: bool = True) -> str:
    """A finished run of `rm` with model.adapter=lora on a policy's run."""
    experiment = Experiment(runs_dir, "made")
    inputs = {"policy": experiment.resolve("policy", policy, stage="rm")}
    base = new_reward_model(f"{policy}/model", pad_id=int(tokenizer().pad_token_id), seed=1)
    model = with_adapter(base, ModelConfig(adapter="lora"), TaskType.SEQ_CLS, seed=2)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "lora_B" in name:
                value.copy_(torch.randn(value.shape, generator=torch.Generator().manual_seed(3)) * 0.05)
    with experiment.open("rm", identity="made", config={}, inputs=inputs) as run:  # type: ignore[arg-type]
        run.publish("model", lambda folder: save_plain(model, tokenizer(), folder))
        if adapter:
            sha256 = weights_sha256(Path(f"{policy}/model"))
            run.publish(
                "adapter", lambda folder: save_adapter(model, folder, base=policy, base_sha256=sha256)
            )
        run.finish("reward_model", metrics={}, resolved={})
        return str(run.path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A policy of `sft` with a reward model of `rm` on it."""
    folder = tmp_path_factory.mktemp("made")
    policy = make_policy(folder, "sft", seed=0)
    return {"inputs__policy": policy, "inputs__reward_model": make_lora_reward(folder, policy)}


def brief(folder: Path, **more: Any) -> dict[str, Any]:
    """One iteration against a reward model."""
    options = small(folder, Path(), stage__total_episodes=8, stage__minibatch_size=8, stage__epochs=1)
    return options | {"reward": {"kind": "model"}, **more}


def test_one_trunk_and_separate_models_begin_alike_and_publish_plain_models(
    tmp_path: Path, made: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    lines: dict[str, dict[str, Any]] = {}
    for roles in ("shared", "separate"):
        options = brief(tmp_path, **made, model__adapter="lora", stage__roles=roles)
        run = run_stage("ppo", tmp_path / roles, options)
        assert f"roles are {roles}; the critic begins as the reward model" in "".join(capfd.readouterr())
        assert manifest(run)["resolved"]["roles"] == roles
        lines[roles] = metric_lines(run)[1]
        plain = AutoModelForCausalLM.from_pretrained(run / "model")
        assert not any("lora" in name for name, _ in plain.named_parameters())
        before = model_of(Path(made["inputs__policy"]))
        assert any(not torch.equal(value, before[name]) for name, value in model_of(run).items())
        sha256 = weights_sha256(Path(made["inputs__policy"]) / "model")
        assert adapter_base_sha256(run / "adapter") == sha256
        base = AutoModelForCausalLM.from_pretrained(Path(made["inputs__policy"]) / "model")
        policy = PeftModel.from_pretrained(base, str(run / "adapter")).merge_and_unload()
        ours, theirs = plain.state_dict(), policy.state_dict()
        assert all(torch.allclose(value, theirs[name], atol=1e-6) for name, value in ours.items())
    for name in ("score", "kl", "value", "entropy", "explained_variance", "value_loss", "policy_loss"):
        assert lines["shared"][name] == pytest.approx(lines["separate"][name], abs=1e-4), name
    assert abs(lines["shared"]["value"]) > 0.1


def test_sharing_that_cannot_be_is_refused_with_the_reason(tmp_path: Path, made: dict[str, str]) -> None:
    def run(**more: Any) -> None:
        options = brief(tmp_path, **{**made, "stage__roles": "shared", **more})
        stages.ppo.run(validate(composed("ppo", tmp_path / "runs", options)))

    with pytest.raises(ConfigError, match=r"cannot share one trunk, model\.adapter=lora is needed"):
        run()
    other = make_policy(tmp_path, "sft", seed=1)
    with pytest.raises(ConfigError, match="adapter was trained on another policy"):
        run(model__adapter="lora", inputs__policy=other)
    plain = make_lora_reward(tmp_path, other, adapter=False)
    with pytest.raises(ConfigError, match="the reward model is no adapter"):
        run(model__adapter="lora", inputs__policy=other, inputs__reward_model=plain)


def test_jobs_of_a_sweep_may_differ_in_precision(tmp_path: Path, tiny_model: Path) -> None:
    lines: list[dict[str, Any]] = []
    for job, precision in enumerate(("fp32", "bf16", "fp32")):
        options = small(tmp_path, tiny_model, stage__total_episodes=8, precision=precision)
        run = run_stage("ppo", tmp_path / f"runs-{job}", options)
        assert manifest(run)["resolved"]["precision"] == precision
        lines.append(metric_lines(run)[1])
        assert lines[-1]["first_ratio_gap"] < 1e-4
        assert lines[-1]["engine_gap"] < 1e-2
    assert lines[0] == lines[2] != lines[1]
