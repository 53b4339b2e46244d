"""Which prompts PPO trained on, from what its run says."""

from pathlib import Path

from rlhf.config import Config, validate
from rlhf.evaluation.seen import PpoRun, ppo_run
from rlhf.runs import Artifact, Experiment
from rlhf.runs.artifact import from_run
from rlhf.training.prompt_order import ppo_seed, prompt_order


def config(**changes: object) -> Config:
    stage = {"kind": "ppo", "batch_size": 8, "minibatch_size": 4, "total_episodes": 64, "response_length": 33}
    return validate({"stage": stage, "seed": 5, **changes})


def trained(folder: Path, cfg: Config, iteration: int = 3) -> Artifact:
    with Experiment(folder, "t").open("ppo", identity="x", config=cfg.model_dump(mode="json")) as run:
        manifest = run.finish("policy", metrics={"iteration": float(iteration)}, resolved={})
        return from_run("policy", run.path, manifest)


def test_the_prompts_until_the_published_checkpoint_in_the_order_of_the_run(tmp_path: Path) -> None:
    run = ppo_run(trained(tmp_path, config()))
    assert run is not None
    assert (run.seed, run.response_length, run.episodes) == (5, 33, 24)
    order = prompt_order(ppo_seed(5), 100, range(24))
    assert run.places(100, 10) == order[:10]
    assert run.places(100, 50) == order  # no more were taken
    assert sorted(run.places(20, 50)) == list(range(20))  # each once, however often it was taken


def test_several_samples_of_a_prompt_are_one_prompt_that_was_seen() -> None:
    run = PpoRun(seed=5, response_length=33, episodes=24, samples_per_prompt=4, data={})
    assert run.places(100, 50) == prompt_order(ppo_seed(5), 100, range(6))


def test_other_data_are_not_what_it_saw(tmp_path: Path) -> None:
    run = ppo_run(trained(tmp_path, config()))
    assert run is not None
    assert run.same_data(config())
    assert not run.same_data(config(data={"limit": 50}))
    assert not run.same_data(config(seed=6))  # the embedded world's prompts come from the seed


def test_files_are_the_same_whatever_the_seed(tmp_path: Path) -> None:
    data = {"prompts": "prompts.jsonl"}
    run = ppo_run(trained(tmp_path, config(data=data)))
    assert run is not None
    assert run.same_data(config(data=data, seed=6))


def test_only_a_run_of_ppo_says_it(tmp_path: Path) -> None:
    with Experiment(tmp_path, "t").open("sft", identity="x", config={}) as made:
        manifest = made.finish("policy", metrics={}, resolved={})
        assert ppo_run(from_run("policy", made.path, manifest)) is None
