"""The evaluation stage on made runs: what it takes, what it says, what it leaves behind."""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random

import pytest
from made_runs import PROMPTS, config, make_policy, make_reward_models

import stages.eval
import stages.policies
from rlhf.config import InputsConfig
from rlhf.data.encoding import make_encoder
from rlhf.demo import world
from rlhf.demo.base_model import base_folder
from rlhf.demo.personas import careful
from rlhf.demo.tasks import task_of
from rlhf.demo.tokenizer import tokenizer
from rlhf.errors import DataError, InputError
from rlhf.evaluation.inputs import find_inputs, judge_folder
from rlhf.rollout.base import Request, Rollout, Sampling
from rlhf.rollout.scripted import ScriptedEngine
from rlhf.runs import Experiment

STAGE = {
    "kind": "eval",
    "num_prompts": 12,
    "response_length": 60,
    "bootstrap": 100,
    "show": 3,
    "best_of": 4,
}


class Chain:
    """The runs of one experiment: SFT, reward models, PPO."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sft = make_policy(folder, "sft", seed=0)
        self.rm = make_reward_models(folder, self.sft)
        self.ppo = make_policy(folder, "ppo", seed=1, parent=self.sft)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    return Chain(tmp_path_factory.mktemp("runs"))


def inputs_of(chain: Chain, **named: str) -> dict[str, str]:
    found = find_inputs(InputsConfig(**named), Experiment(chain.folder, "made"))
    return {role: artifact.path for role, artifact in found.items()}


class TestInputs:
    def test_takes_the_newest_policy_and_the_sft_policy_it_came_from(self, chain: Chain) -> None:
        expected = {"policy": chain.ppo, "baseline": chain.sft, "reward_model": chain.rm}
        assert inputs_of(chain) == expected

    def test_a_policy_of_a_policy_of_ppo_goes_back_to_sft(self, tmp_path: Path) -> None:
        sft = make_policy(tmp_path, "sft", seed=0)
        first = make_policy(tmp_path, "ppo", seed=1, parent=sft)
        make_policy(tmp_path, "sft", seed=3)
        second = make_policy(tmp_path, "ppo", seed=2, parent=first)
        found = find_inputs(InputsConfig(), Experiment(tmp_path, "made"))
        assert (found["policy"].path, found["baseline"].path) == (second, sft)

    def test_an_sft_policy_that_names_no_base_has_no_baseline(self, chain: Chain, tmp_path: Path) -> None:
        make_policy(tmp_path, "sft", seed=0, base=None)
        with pytest.raises(InputError, match=r"which base model(?s:.*)inputs.baseline=FOLDER"):
            find_inputs(InputsConfig(), Experiment(tmp_path, "made"))
        assert inputs_of(chain, policy=chain.sft)["baseline"] == str(base_folder())
        named = inputs_of(chain, policy=chain.sft, baseline=chain.ppo)
        assert (named["policy"], named["baseline"]) == (chain.sft, chain.ppo)

    def test_an_sft_policy_of_a_model_is_compared_with_that_model(self, tmp_path: Path) -> None:
        base = f"{make_policy(tmp_path, 'sft', seed=0)}/model"
        other = tmp_path / "elsewhere"
        shutil.copytree(base, other)
        make_policy(tmp_path, "sft", seed=1, base=str(other))
        found = find_inputs(InputsConfig(), Experiment(tmp_path, "made"))
        assert found["baseline"].path == str(other)

    def test_a_plain_policy_is_compared_with_the_newest_sft(self, chain: Chain, tmp_path: Path) -> None:
        plain = str(shutil.copytree(f"{chain.ppo}/model", tmp_path / "plain"))
        assert inputs_of(chain, policy=plain)["baseline"] == chain.sft

    def test_the_judge_is_never_the_model_trained_against(self, chain: Chain) -> None:
        experiment = Experiment(chain.folder, "made")
        for named in ({}, {"judge": chain.rm}):
            assert judge_folder(find_inputs(InputsConfig(**named), experiment)) == f"{chain.rm}/judge_model"
        assert judge_folder({}) is None


def scripted(monkeypatch: pytest.MonkeyPatch, *speakers: Callable[[str], str]) -> list[list[Request]]:
    """Engines that answer by functions of the prompt's text, first the policy's, then the baseline's."""
    encoder = make_encoder(tokenizer(), 256)
    known = [*world.prompts(PROMPTS, 0), *world.held_out_prompts(PROMPTS, 0)]
    prompts = {tuple(encoder.prompt_ids(p)): p for p in known}
    waiting, asked = iter(speakers), []

    class Engine(ScriptedEngine):
        def __init__(self, *_given: object) -> None:
            speak = next(waiting)
            super().__init__(lambda ids: encoder.response_ids(speak(prompts[ids])), logprob=-1.0)
            self.asked: list[Request] = []
            asked.append(self.asked)

        def generate(self, requests: Iterable[Request], sampling: Sampling) -> Iterator[Rollout]:
            listed = list(requests)
            self.asked += listed
            return super().generate(listed, sampling)

    monkeypatch.setattr(stages.policies, "hf_engine", Engine)
    return asked


def perfect(prompt: object) -> str:
    return careful(task_of(prompt), Random(0))  # type: ignore[arg-type]


def empty(_prompt: object) -> str:
    return ""


def test_gold_tells_a_perfect_policy_from_a_silent_one(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = scripted(monkeypatch, perfect, empty)
    cfg = config(chain.folder, STAGE)
    manifest = stages.eval.run(cfg)
    assert manifest.kind == "evaluation"
    assert manifest.metrics["gold_win_rate"] == 1.0
    assert manifest.metrics["gold_policy"] == pytest.approx(1.0)
    assert manifest.metrics["gold_baseline"] == 0.0
    assert {"judge_win_rate", "reward_win_rate", "kl_nats", "policy_length"} <= manifest.metrics.keys()
    assert [r.seed for r in asked[0]] == [r.seed for r in asked[1]][:12]

    path = chain.folder / "made" / f"eval-{manifest.number}"
    rows = [json.loads(line) for line in (path / "samples.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == 12
    assert rows[0]["policy"]["scores"].keys() == {"gold", "judge", "reward"}
    saved = json.loads((path / "evaluation.json").read_text("utf-8"))
    assert saved["headline"]["en"].startswith(
        "ppo-1 beats sft-1: it wins 100.0% of 12 held-out prompts by the gold"
    )
    assert saved["headline"]["zh"].startswith("ppo-1 胜过 sft-1：")
    assert saved["samples"] == rows[:3]
    assert {step["path"] for step in saved["lineage"]} == {"made/sft-1", "made/rm-1", "made/ppo-1"}
    assert {"family", "language", "length"} <= saved["judgements"][0]["groups"].keys()
    assert rows[0]["policy"]["response"] in (path / "report.html").read_text("utf-8")
    printed = capsys.readouterr().out
    assert "100.0%" in printed
    assert str(path / "report.html") in printed.replace("\n", "")

    again = stages.eval.run(cfg)  # finished: no engine is made, the table is printed again
    assert again == manifest
    assert "100.0%" in capsys.readouterr().out


def test_two_equal_policies_tie(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, perfect, perfect)
    manifest = stages.eval.run(config(chain.folder, STAGE | {"show": 1}))
    for judge in ("gold", "judge", "reward"):
        assert manifest.metrics[f"{judge}_win_rate"] == 0.5
    assert manifest.metrics["policy_length"] == manifest.metrics["baseline_length"]


def test_the_real_engine_gives_equal_weights_equal_answers(chain: Chain) -> None:
    cfg = config(
        chain.folder,
        STAGE | {"num_prompts": 3, "response_length": 5},
        inputs={"policy": chain.sft, "baseline": chain.sft},
    )
    manifest = stages.eval.run(cfg)
    assert (manifest.metrics["gold_win_rate"], manifest.metrics["kl_nats"]) == (0.5, 0.0)


def test_the_kl_is_taken_at_the_temperature(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    kl = []
    for temperature in (0.5, 5.0):
        scripted(monkeypatch, perfect, empty)
        stage = STAGE | {"temperature": temperature, "num_prompts": 4}
        kl.append(stages.eval.run(config(chain.folder, stage)).metrics["kl_nats"])
    assert abs(kl[0]) > abs(kl[1]) > 0


def test_says_so_where_nothing_is_held_out(chain: Chain) -> None:
    data = {"limit": 20, "test_fraction": 0.0}
    with pytest.raises(DataError, match="raise it, or data"):
        stages.eval.run(config(chain.folder, STAGE, data=data))


def test_real_prompts_without_a_reward_model_are_judged_by_the_reward_alone(tmp_path: Path) -> None:
    sft = make_policy(tmp_path, "sft", seed=0)
    make_policy(tmp_path, "ppo", seed=1, parent=sft)
    (tmp_path / "questions.jsonl").write_text(
        "".join(json.dumps({"prompt": f"Question {n}?"}) + "\n" for n in range(40))
    )
    cfg = config(
        tmp_path,
        STAGE | {"response_length": 4},
        data={"prompts": str(tmp_path / "questions.jsonl"), "test_fraction": 0.3},
        reward={"kind": "rules", "per_word": 1.0},
    )
    manifest = stages.eval.run(cfg)
    assert [name for name in manifest.metrics if name.endswith("win_rate")] == ["reward_win_rate"]
    path = tmp_path / "made" / "eval-1"
    saved = json.loads((path / "evaluation.json").read_text("utf-8"))
    unknown = {gap["id"] for gap in saved["missing"]}
    assert unknown == {
        "gold", "judge", "fields", "study", "training", "memory", "forgetting", "reward_model",
    }  # fmt: skip
    assert saved["judgements"][0]["groups"].keys() == {"length"}
    assert saved["reward_model"] is None
    assert saved["parts"] is None
