"""Which input a stage takes, and what it is told where there is none that it can take."""

import json
import os
import shutil
from pathlib import Path

import pytest

from rlhf.errors import InputError
from rlhf.runs import Experiment


def fails(experiment: Experiment, role: str, named: str | None = None, *, stage: str = "ppo") -> str:
    """The message of an input that cannot be had."""
    with pytest.raises(InputError) as caught:
        experiment.resolve(role, named, stage=stage)
    message = str(caught.value)
    assert len(message.splitlines()) <= 10
    return message


def taken(experiment: Experiment, role: str, stage: str, named: str | None = None) -> str:
    return Path(experiment.resolve(role, named, stage=stage).path).name


# -- not named -------------------------------------------------------------------------------------


def test_learners_start_from_sft_and_the_others_from_the_newest(experiment: Experiment, make) -> None:
    make("sft", "policy")
    make("rm", "reward_model")
    make("ppo", "policy")
    for stage in ("rm", "ppo"):
        assert taken(experiment, "policy", stage) == "sft-1"
    for stage in ("sample", "eval"):
        assert taken(experiment, "policy", stage) == "ppo-1"
    assert taken(experiment, "baseline", "eval") == "sft-1"
    assert taken(experiment, "reward_model", "ppo") == "rm-1"
    make("sft", "policy")
    assert taken(experiment, "policy", "ppo") == "sft-2"
    assert taken(experiment, "policy", "eval") == "sft-2"


def test_data_of_the_experiment(experiment: Experiment, make) -> None:
    make("sample", "samples")
    make("label", "preferences")
    make("sample", "samples")
    assert taken(experiment, "samples", "eval") == "sample-2"
    assert taken(experiment, "preferences", "rm") == "label-1"


def test_what_an_artifact_says(experiment: Experiment, make) -> None:
    path = make("sft", "policy")
    policy = experiment.resolve("policy", stage="ppo")
    assert (policy.role, policy.kind, policy.path, policy.model) == (
        "policy",
        "policy",
        str(path),
        str(path / "model"),
    )
    assert policy.manifest is not None
    assert policy.label.startswith(f"{path} (policy, 20")


def test_unfinished_runs_and_other_experiments_are_passed_over(experiment: Experiment, make) -> None:
    make("sft", "policy")
    make("sft", "policy", finish=False)
    make("sft", "policy", within=Experiment(experiment.runs_dir, "other"))
    assert experiment.resolve("policy", stage="ppo").path == str(experiment.path / "sft-1")


@pytest.mark.parametrize("role", ["reference", "critic", "judge"])
def test_roles_that_are_only_ever_named(experiment: Experiment, make, role: str) -> None:
    make("sft", "policy")
    make("rm", "reward_model")
    assert experiment.resolve(role, stage="ppo", required=False) is None
    assert f"inputs.{role}=FOLDER" in fails(experiment, role)
    assert taken(experiment, role, "ppo", "sft-1") == "sft-1"


@pytest.mark.parametrize("role", ["policy", "reward_model", "baseline", "preferences", "samples"])
def test_nothing_there_and_not_required(experiment: Experiment, role: str) -> None:
    assert experiment.resolve(role, stage="eval", required=False) is None


@pytest.mark.parametrize(
    ("role", "command"),
    [
        ("policy", "stage=sft name=demo"),
        ("reward_model", "stage=rm name=demo"),
        ("samples", "stage=sample name=demo"),
    ],
)
def test_nothing_there_names_the_command(experiment: Experiment, role: str, command: str) -> None:
    assert f"Make it: python -m rlhf.run {command}" in fails(experiment, role)


def test_missing_preferences_name_the_page_and_the_option(experiment: Experiment) -> None:
    message = fails(experiment, "preferences", stage="rm")
    assert "feedback_ui" in message
    assert "data.preferences=FILE" in message


def test_only_ppo_output_is_nothing_to_start_from(experiment: Experiment, make) -> None:
    make("ppo", "policy")
    assert "needs a policy made by stage=sft" in fails(experiment, "policy", stage="rm")


def test_only_an_unfinished_one_names_the_command_that_resumes(experiment: Experiment) -> None:
    experiment.open("sft", identity="k", config={}, command="python -m rlhf.run stage=sft seed=3").close()
    message = fails(experiment, "policy")
    assert "sft-1 is unfinished" in message
    assert "python -m rlhf.run stage=sft seed=3" in message


def test_one_being_made_says_so(experiment: Experiment) -> None:
    with experiment.open("sft", identity="k", config={}):
        assert f"is being made right now (pid {os.getpid()}" in fails(experiment, "policy")


# -- named -----------------------------------------------------------------------------------------


def test_ways_to_name_a_run(experiment: Experiment, make, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make("sft", "policy")
    make("sft", "policy")
    for named in (str(path), f"{path}/", "sft-1", "demo/sft-1", str(path / "model")):
        policy = experiment.resolve("policy", named, stage="ppo")
        assert Path(policy.path) == path, named
        assert policy.manifest is not None
    monkeypatch.chdir(experiment.runs_dir.parent)
    assert experiment.resolve("policy", "runs/demo/sft-1", stage="ppo").fingerprint == policy.fingerprint


def test_ppo_output_may_be_named(experiment: Experiment, make) -> None:
    make("ppo", "policy")
    assert taken(experiment, "policy", "ppo", "ppo-1") == "ppo-1"


def test_an_unfinished_run_named(experiment: Experiment, make) -> None:
    make("sft", "policy", finish=False)
    assert "sft-1 is unfinished" in fails(experiment, "policy", "sft-1")
    assert "sft-1 is unfinished" in fails(experiment, "policy", str(experiment.path / "sft-1" / "model"))


def test_the_wrong_kind_of_run(experiment: Experiment, make) -> None:
    make("sft", "policy")
    make("rm", "reward_model")
    message = fails(experiment, "policy", "rm-1")
    assert "is a reward model, made by stage=rm; the role takes a policy" in message
    assert "stage=sft name=demo" in message
    assert "is a policy, made by stage=sft; the role takes a reward model" in fails(
        experiment, "reward_model", "sft-1"
    )
    assert "takes a samples" in fails(experiment, "samples", "sft-1")


def plain_model(folder: Path, *heads: str) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"architectures": list(heads)}))
    (folder / "model.safetensors").write_bytes(b"w")
    return folder


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        ("Qwen2ForCausalLM", "policy"),
        ("GPT2LMHeadModel", "policy"),
        ("Gemma3ForConditionalGeneration", "policy"),
        ("LlamaForSequenceClassification", "reward_model"),
    ],
)
def test_plain_model_folders(experiment: Experiment, tmp_path: Path, head: str, kind: str) -> None:
    folder = plain_model(tmp_path / "m", head)
    role, other = ("policy", "reward_model") if kind == "policy" else ("reward_model", "policy")
    artifact = experiment.resolve(role, str(folder), stage="ppo")
    assert (artifact.kind, artifact.model, artifact.manifest) == (kind, str(folder), None)
    assert "by its config.json" in fails(experiment, other, str(folder))


def test_a_plain_folder_that_does_not_say_its_kind_is_believed(
    experiment: Experiment, tmp_path: Path
) -> None:
    folder = plain_model(tmp_path / "m")
    assert experiment.resolve("policy", str(folder), stage="ppo").kind == "policy"
    assert experiment.resolve("reward_model", str(folder), stage="ppo").kind == "reward_model"


def test_the_fingerprint_of_a_plain_folder_is_its_content(experiment: Experiment, tmp_path: Path) -> None:
    folder = plain_model(tmp_path / "m", "LlamaForCausalLM")
    before = experiment.resolve("policy", str(folder), stage="ppo").fingerprint
    shutil.copytree(folder, tmp_path / "copy")
    assert experiment.resolve("policy", str(tmp_path / "copy"), stage="ppo").fingerprint == before
    (folder / "model.safetensors").write_bytes(b"v")
    assert experiment.resolve("policy", str(folder), stage="ppo").fingerprint != before


def test_folders_that_are_no_model(experiment: Experiment, tmp_path: Path) -> None:
    folder = plain_model(tmp_path / "m", "LlamaForCausalLM")
    (folder / "model.safetensors").rename(folder / "training_args.bin")
    assert "no weights" in fails(experiment, "policy", str(folder))
    (folder / "config.json").write_text("[")
    (folder / "w.bin").touch()
    assert "not a model's configuration" in fails(experiment, "policy", str(folder))
    (folder / "config.json").rename(folder / "adapter_config.json")
    assert "adapter without its base" in fails(experiment, "policy", str(folder))
    (folder / "adapter_config.json").unlink()
    assert "neither a run folder" in fails(experiment, "policy", str(folder))
    assert "is a file" in fails(experiment, "policy", str(folder / "w.bin"))


def test_a_whole_experiment_named(experiment: Experiment, make) -> None:
    make("sft", "policy")
    assert "name one of its runs (sft-1)" in fails(experiment, "policy", str(experiment.path))


def test_hub_ids(experiment: Experiment) -> None:
    model = experiment.resolve("policy", "Qwen/Qwen2.5-0.5B", stage="ppo")
    assert (model.path, model.model, model.kind) == ("Qwen/Qwen2.5-0.5B", "Qwen/Qwen2.5-0.5B", "policy")
    assert model.fingerprint == "hub:Qwen/Qwen2.5-0.5B"
    assert experiment.resolve("reward_model", "org/rm", stage="ppo").kind == "reward_model"


@pytest.mark.parametrize(
    "named", ["runs/nope", "demo/nope", "./a/b", "/nowhere/at-all", "nope", "a/b/c", "sft-9"]
)
def test_paths_that_do_not_exist(experiment: Experiment, make, named: str) -> None:
    make("sft", "policy")
    message = fails(experiment, "policy", named)
    assert f"inputs.policy={named} does not exist" in message
    assert "sft-1" in message


def test_data_is_not_looked_for_on_the_hub(experiment: Experiment) -> None:
    assert "does not exist; name a run folder" in fails(experiment, "samples", "org/samples")


def test_plain_data(experiment: Experiment, tmp_path: Path) -> None:
    file = tmp_path / "prefs.jsonl"
    file.write_text("{}")
    preferences = experiment.resolve("preferences", str(file), stage="rm")
    assert (preferences.kind, preferences.path, preferences.manifest) == ("preferences", str(file), None)


# -- changed since ---------------------------------------------------------------------------------


def test_a_changed_file_is_found_in_daily_use(experiment: Experiment, make) -> None:
    path = make("sft", "policy")
    weights = path / "model" / "model.safetensors"
    status = weights.stat()
    weights.write_bytes(weights.read_bytes() + b"!")
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))
    message = fails(experiment, "policy")
    assert "701 bytes, 700 when it was finished" in message
    assert str(weights) in message
    assert "was changed on 20" in message
    assert "python -m rlhf.runs verify demo" in message


def test_a_change_of_the_same_size_is_found_by_its_time(experiment: Experiment, make) -> None:
    weights = make("sft", "policy") / "model" / "model.safetensors"
    weights.write_bytes(b"W" + weights.read_bytes()[1:])
    assert "its content differs" in fails(experiment, "policy")


def test_a_touched_or_copied_folder_stays_usable(experiment: Experiment, make, tmp_path: Path) -> None:
    path = make("sft", "policy")
    os.utime(path / "model" / "model.safetensors", (1, 1))
    fingerprint = experiment.resolve("policy", stage="ppo").fingerprint
    shutil.copytree(path, tmp_path / "copy", copy_function=shutil.copy)
    assert experiment.resolve("policy", str(tmp_path / "copy"), stage="ppo").fingerprint == fingerprint


def test_a_damaged_manifest(experiment: Experiment, make) -> None:
    path = make("sft", "policy")
    os.truncate(path / "manifest.json", 100)
    assert "manifest.json cannot be read" in fails(experiment, "policy")


def test_an_unknown_role_is_a_mistake_of_ours(experiment: Experiment) -> None:
    with pytest.raises(ValueError, match="role 'teacher'"):
        experiment.resolve("teacher", stage="ppo")
