"""The study stage: what it makes, from what, what it says of more data, and that a killed one goes on."""

import json
from pathlib import Path
from typing import Any

import pytest
from made_runs import make_policy
from safetensors.torch import load_file
from stage_runs import kill_after, metric_lines, newest, run_stage, start
from transformers import AutoModelForCausalLM

import stages.study
from rlhf.data.encoding import make_encoder
from rlhf.demo import world
from rlhf.demo.tokenizer import tokenizer
from rlhf.errors import InputError
from rlhf.models.loading import load_tokenizer
from rlhf.runs import Experiment
from rlhf.runs.show import description, listing

BEFORE = {
    "data__limit": 320,
    "data__test_fraction": 0.2,
    "stage__batch_size": 8,
    "stage__max_steps": 4,
    "stage__eval_every": 2,
}
STUDY = {
    "data__limit": 320,
    "data__test_fraction": 0.2,
    "stage__fractions": [0.25, 0.5],
    "stage__dpo_batch_size": 16,
    "stage__dpo_learning_rate": 0.003,
    "stage__best_of": 3,
    "stage__best_of_prompts": 10,
    "stage__num_prompts": 6,
    "stage__response_length": 7,
    "stage__bootstrap": 50,
    "stage__save_every": 2,
}


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def chosen_answers(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "best_of_n.jsonl").read_text().splitlines()]


def before(runs_dir: Path, tiny_model: Path, **more: Any) -> Path:
    """The runs of sft and rm that a study starts from."""
    run_stage("sft", runs_dir, BEFORE | {"model__path": str(tiny_model), "stage__learning_rate": 0.01} | more)
    run_stage("rm", runs_dir, BEFORE | {"stage__learning_rate": 0.003} | more)
    return runs_dir


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    return before(tmp_path_factory.mktemp("study"), tiny_model)


@pytest.fixture(scope="module")
def run(runs_dir: Path) -> Path:
    return run_stage("study", runs_dir, STUDY)


def test_it_leaves_plain_policies_with_what_they_took(run: Path, runs_dir: Path) -> None:
    policies = read(run / "study.json")["policies"]
    assert [{key: value for key, value in policy.items() if key != "seconds"} for policy in policies] == [
        {"name": "dpo", "method": "dpo", "folder": "dpo"},
        {"name": "best-of-3-sft", "method": "best-of-n-sft", "n": 3, "folder": "best_of_n_sft"},
    ]
    sft = load_file(runs_dir / "t" / "sft-1" / "model" / "model.safetensors")
    weights = [sft["model.norm.weight"].tolist()]
    for policy in policies:
        assert policy["seconds"] > 0
        model = AutoModelForCausalLM.from_pretrained(run / policy["folder"])
        weights.append(model.state_dict()["model.norm.weight"].tolist())
        assert load_tokenizer(str(run / policy["folder"])).chat_template
        assert model.generation_config.eos_token_id
    assert weights[0] != weights[1] != weights[2] != weights[0]


def test_the_curves_rise_to_what_the_runs_of_rm_and_sft_found(run: Path, runs_dir: Path) -> None:
    learning = read(run / "study.json")["learning"]
    quarter, half, whole = learning["reward_model"]
    assert 0 < quarter["pairs"] < half["pairs"] < whole["pairs"]
    quality = read(runs_dir / "t" / "rm-1" / "quality.json")["model"]
    assert (whole["accuracy"], whole["truth"]) == (quality["accuracy"], quality["truth"])
    assert 0 <= half["truth"]["low"] <= half["truth"]["estimate"] <= half["truth"]["high"] <= 1
    sizes = [point["demonstrations"] for point in learning["sft"]]
    assert sizes == sorted(sizes)
    assert len(sizes) == 3
    sft = read(runs_dir / "t" / "sft-1" / "manifest.json")["metrics"]
    assert learning["sft"][-1]["loss"] == sft["validation_loss"]
    for point in learning["sft"]:
        assert point["judge"] is None
        assert 0 <= point["gold"]["low"] <= point["gold"]["high"] <= 1
    assert set(learning) == {"reward_model", "forecast", "sft"}


def test_dpo_sees_the_reward_models_own_pairs(run: Path, runs_dir: Path) -> None:
    whole = read(run / "study.json")["learning"]["reward_model"][-1]["pairs"]
    known = read(run / "pieces.json")["dpo"]
    assert known["steps"] == -(-whole // 16)
    assert known["resolved"]["learning_rate"] == 0.003
    assert 0 <= known["test"]["accuracy"] <= 1
    more = run_stage(
        "study", runs_dir, STUDY | {"stage__pieces": ["dpo"], "stage__dpo_epochs": 2, "stage__dpo_beta": 1.0}
    )
    assert read(more / "pieces.json")["dpo"]["steps"] == -(-2 * whole // 16)
    assert read(more / "study.json")["learning"] is None
    margins = [read(path / "pieces.json")["dpo"]["test"]["margin"] for path in (run, more)]
    assert margins[0] != margins[1]


def test_the_best_answers_to_training_prompts_are_learnt(run: Path) -> None:
    from rlhf.data.splits import part_of

    rows = chosen_answers(run)
    encoder = make_encoder(tokenizer(), 256)
    assert len({row["key"] for row in rows}) == len(rows) == 10
    shares = {"train": 0.75, "validation": 0.05, "test": 0.2}
    trained = {prompt.key: prompt.fields["group"] for prompt in world.prompts(1000, 0)}
    assert {part_of(trained[row["key"]], shares, "part") for row in rows} == {"train"}
    for row in rows:
        learnt = [token for token in row["row"]["labels"] if token != -100]
        assert 0 < len(learnt) <= 7
        assert row["row"]["input_ids"][-len(learnt) :] == learnt
        assert encoder.decode(learnt) == row["response"]
    known = read(run / "pieces.json")["answers"]
    assert sum(row["score"] for row in rows) / 10 == pytest.approx(known["best_reward"])
    assert known["best_reward"] > known["reward"]


def test_a_study_is_no_policy_and_starts_from_sft(run: Path, runs_dir: Path) -> None:
    experiment = Experiment(runs_dir, "t")
    for stage in ("eval", "sample", "ppo"):
        assert experiment.resolve("policy", stage=stage).path.endswith("sft-1")
    make_policy(runs_dir / "other", "sft", seed=0)
    make_policy(runs_dir / "other", "ppo", seed=1)
    assert Experiment(runs_dir / "other", "made").resolve("policy", stage="study").path.endswith("sft-1")
    named = experiment.resolve("policy", str(run / "dpo"), stage="eval")
    assert named.model == str(run / "dpo")


def test_it_is_listed_and_shown(run: Path, runs_dir: Path) -> None:
    (row,) = [row for row in listing(runs_dir, "t") if row["run"] == run.name]
    assert (row["kind"], row["status"]) == ("study", "finished")
    assert list(row["metrics"])[:2] == ["dpo_accuracy", "best_of_n_reward"]
    (entry,) = [entry for entry in description(runs_dir / "t") if entry["run"] == run.name]
    assert entry["inputs"]["policy"]["path"] == "t/sft-1"
    assert entry["inputs"]["reward_model"]["path"] == "t/rm-1"


def test_the_same_command_reports_and_another_reward_is_another_study(run: Path, runs_dir: Path) -> None:
    assert run_stage("study", runs_dir, STUDY) == newest(runs_dir, "study")
    count = len(list((runs_dir / "t").glob("study-*")))
    assert run_stage("study", runs_dir, STUDY | {"kl__coef": 0.3}) == newest(runs_dir, "study")
    assert len(list((runs_dir / "t").glob("study-*"))) == count
    rules = {"reward__kind": "rules", "reward__per_word": -1.0, "stage__pieces": ["best-of-n"]}
    other = run_stage("study", runs_dir, STUDY | rules)
    assert other.name not in (run.name, f"study-{count}")
    assert all(row["score"] <= 0 for row in chosen_answers(other))


def test_a_study_that_failed_goes_on_with_the_next_piece(
    tmp_path: Path, runs_dir: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was finished is not trained again, and the end is the undisturbed run's to the bit."""
    link_runs(runs_dir, tmp_path)

    def fail(_bench: object) -> None:
        raise RuntimeError("the machine went down")

    with monkeypatch.context() as patched:
        patched.setitem(stages.study.PIECES, "reward-curve", fail)  # type: ignore[arg-type]
        with pytest.raises(RuntimeError, match="went down"):
            run_stage("study", tmp_path, STUDY)
    assert set(read(newest(tmp_path, "study") / "pieces.json")) == {"dpo", "answers", "best-of-n"}
    with monkeypatch.context() as patched:
        patched.setattr(stages.study, "dpo_training", fail)
        patched.setattr(stages.study, "load_speaker", fail)
        patched.setattr(stages.study, "best_of_training", fail)
        assert_same_study(run_stage("study", tmp_path, STUDY), run)


@pytest.mark.parametrize("lines", [3, 12, 17])
def test_a_killed_study_ends_as_an_undisturbed_one(
    tmp_path: Path, runs_dir: Path, run: Path, lines: int
) -> None:
    link_runs(runs_dir, tmp_path)
    assert kill_after(start("study", tmp_path, STUDY), tmp_path, "study", lines, 0.01)
    assert not (newest(tmp_path, "study") / "manifest.json").exists()
    assert_same_study(run_stage("study", tmp_path, STUDY), run)


def test_max_hours_saves_and_ends(tmp_path: Path, runs_dir: Path) -> None:
    link_runs(runs_dir, tmp_path)
    with pytest.raises(KeyboardInterrupt, match="max_hours"):
        run_stage("study", tmp_path, STUDY | {"stage__max_hours": 1e-9})
    assert list((newest(tmp_path, "study") / "state").glob("step-*"))


def link_runs(runs_dir: Path, target: Path) -> None:
    """The runs that a study starts from, in another runs folder."""
    (target / "t").mkdir(parents=True)
    for name in ("sft-1", "rm-1"):
        (target / "t" / name).symlink_to(runs_dir / "t" / name)


def assert_same_study(one: Path, other: Path) -> None:
    def timeless(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: timeless(inner) for key, inner in value.items() if key != "seconds"}
        return [timeless(inner) for inner in value] if isinstance(value, list) else value

    for name in ("study.json", "pieces.json"):
        assert timeless(read(one / name)) == timeless(read(other / name))
    assert metric_lines(one) == metric_lines(other)
    for name in ("dpo", "best_of_n_sft"):
        weights = [(folder / name / "model.safetensors").read_bytes() for folder in (one, other)]
        assert weights[0] == weights[1], name


def test_other_data_than_the_runs_had_is_refused(runs_dir: Path) -> None:
    with pytest.raises(InputError, match=r"sft-1 .* data\.limit=320, .* data\.limit=150"):
        run_stage("study", runs_dir, STUDY | {"data__limit": 150})
    curve = {"stage__pieces": ["reward-curve"]}
    with pytest.raises(InputError, match=r"rm-1 .* seed=0, .* seed=1"):
        run_stage("study", runs_dir, STUDY | curve | {"seed": 1})
    with pytest.raises(InputError, match=r"data\.test_fraction=0\.2, .* data\.test_fraction=0\.1"):
        run_stage("study", runs_dir, STUDY | curve | {"data__test_fraction": 0.1})


def test_a_plain_reward_model_serves_all_but_its_curve(runs_dir: Path) -> None:
    plain = {"inputs__reward_model": str(runs_dir / "t" / "rm-1" / "validation_model")}
    with pytest.raises(InputError, match=r"stage\.pieces=\[dpo,best-of-n,demonstration-curve\]"):
        run_stage("study", runs_dir, STUDY | plain)
    run = run_stage("study", runs_dir, STUDY | plain | {"stage__pieces": ["dpo", "best-of-n"]})
    all_pairs = read(run / "pieces.json")["dpo"]["steps"]
    assert (
        all_pairs == 15
    )  # 172 + 25 + 36 training pairs, 16 a step, none left to a validation model or a judge
    assert read(run / "study.json")["learning"] is None


@pytest.fixture
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Demonstrations and pairs of one's own, without a word of the embedded world."""
    folder = tmp_path_factory.mktemp("data")
    rows = {
        "demonstrations": lambda n: {"prompt": f"Count to {n}.", "completion": f"{n} it is."},
        "preferences": lambda n: {"prompt": f"数到 {n}", "chosen": f"{n} 。", "rejected": "no" * (1 + n % 3)},
    }
    for name, row in rows.items():
        lines = (json.dumps(row(n), ensure_ascii=False) for n in range(320))
        (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return {f"data__{name}": str(folder / f"{name}.jsonl") for name in rows}


class TestOnesOwnFiles:
    """A local model and JSONL, no gold: the judge of the rm run scores."""

    def test_it_works_and_says_what_it_cannot_know(
        self, tmp_path: Path, tiny_model: Path, files: dict[str, str]
    ) -> None:
        before(tmp_path, tiny_model, **files)
        run = run_stage("study", tmp_path, STUDY | files)
        learning = read(run / "study.json")["learning"]
        assert [point["truth"] for point in learning["reward_model"]] == [None] * 3
        assert [point["gold"] for point in learning["sft"]] == [None] * 3
        for point in learning["sft"]:
            assert point["judge"]["low"] <= point["judge"]["estimate"] <= point["judge"]["high"]
        assert all("数到" in row["prompt"] for row in chosen_answers(run))
        with pytest.raises(InputError, match=r"data\.demonstrations=.*demonstrations.jsonl"):
            run_stage("study", tmp_path, STUDY | {"data__preferences": files["data__preferences"]})
        path = Path(files["data__preferences"])
        path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
        with pytest.raises(InputError, match="its content has changed"):
            run_stage("study", tmp_path, STUDY | files)

    def test_without_a_judge_there_is_the_loss_alone(
        self, tmp_path: Path, tiny_model: Path, files: dict[str, str]
    ) -> None:
        run_stage("sft", tmp_path, BEFORE | {"model__path": str(tiny_model)} | files)
        run_stage("rm", tmp_path, BEFORE | {"stage__judge_share": 0.0} | files)
        run = run_stage("study", tmp_path, STUDY | files | {"stage__pieces": ["demonstration-curve"]})
        for point in read(run / "study.json")["learning"]["sft"]:
            assert (point["gold"], point["judge"]) == (None, None)
            assert point["loss"] > 0


def test_adapters_are_merged(tmp_path: Path, tiny_model: Path) -> None:
    before(tmp_path, tiny_model, model__adapter="lora")
    run = run_stage("study", tmp_path, STUDY | {"model__adapter": "lora", "stage__max_steps": 2})
    for folder in ("dpo", "best_of_n_sft"):
        assert not list((run / folder).glob("adapter*"))
        AutoModelForCausalLM.from_pretrained(run / folder)
    assert {known["steps"] for known in read(run / "pieces.json").values()} == {0, 2}
