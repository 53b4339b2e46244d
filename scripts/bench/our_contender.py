"""This project's PPO on one job, set up by the stage's own code from the words that a person would type.

`python -m scripts.bench.our_contender JOB REPORT`. Evaluations and saved states are left out on both sides;
what is timed is `Ppo.iterate`, its parts by the engine and the updater that it calls.
"""

import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from rlhf.command import parse
from rlhf.config import Config, PpoStage, validate
from rlhf.records import Prompt
from rlhf.rewards.base import Scored, Scores
from rlhf.rollout.base import Request, Rollout, Sampling
from rlhf.training.ppo import Ppo, Progress, kl_controller
from scripts.bench.clock import Clock, Memory, rss
from scripts.bench.jobs import Job, Report, read_job
from scripts.bench.watch import movement, product_types, snapshot
from stages.ppo import find_inputs
from stages.ppo_setup import set_up
from stages.shared import session

PACKAGES = ("torch", "transformers", "accelerate", "peft")


def main(job_file: str, report_file: str) -> int:
    """Runs the job, writes the report."""
    job = read_job(Path(job_file))
    memory = Memory(job.device)
    clock = Clock(job.device)
    report = Report(job.contender, job.warmup, baseline_bytes=memory.baseline)
    report.versions = {name: version(name) for name in PACKAGES}
    with tempfile.TemporaryDirectory() as runs:
        cfg = configuration(job, runs)
        assert isinstance(cfg.stage, PpoStage)
        report.epochs = cfg.stage.epochs
        with session(cfg, find_inputs(cfg), ("prompts",)) as here:
            ppo = set_up(here)
            report.probe_scores = probe(ppo, Path(job.folder))
            trained = ppo.roles.policy_value
            models = {"policy": trained.policy, "critic": trained.critic or trained.value_head}
            models = {name: model for name, model in models.items() if model is not None}
            before = {name: snapshot(model) for name, model in models.items()}
            report.precision_seen = product_types(trained.language_model, clock)
            watch(ppo, report, clock)
            run(ppo, cfg, report, clock)
            report.moved = {name: movement(model, before[name]) for name, model in models.items()}
    report.peak_bytes = memory.peak
    report.write(Path(report_file))
    return 0


def configuration(job: Job, runs: str) -> Config:
    """What the words make; a workload's own settings are given, those of method only at equal settings."""
    words = [
        "stage=ppo",
        f"runs_dir={runs}",
        "trackers=[]",
        f"inputs.policy={job.folder}/policy",
        f"inputs.reward_model={job.folder}/reward_model",
        f"data.prompts={job.folder}/prompts.jsonl",
        f"seed={job.seed}",
        f"threads={job.threads}",
        f"device={job.device}",
        f"precision={job.precision}",
        f"stage.response_length={job.response_limit}",
        f"stage.temperature={job.temperature}",
        f"stage.learning_rate={job.learning_rate}",
        f"stage.total_episodes={job.batch_size * job.iterations}",
        f"stage.batch_size={job.batch_size}",
        f"kl.coef={job.kl_coef}",
        *job.words,
    ]
    with initialize_config_module(config_module="configs", version_base=None):
        composed = compose("config", overrides=list(parse(words).words))
    container = OmegaConf.to_container(composed, resolve=True)
    assert isinstance(container, dict)
    return validate({str(key): value for key, value in container.items()})


def watch(ppo: Ppo, report: Report, clock: Clock) -> None:
    """Replaces what an iteration calls by the same with a note of the time, the lengths and the steps."""
    generate, update, step = ppo.engine.generate, ppo.updater.update, ppo.optimizer.step

    def timed_generate(requests: Iterable[Request], sampling: Sampling) -> Iterator[Rollout]:
        asked = list(requests)
        prompts = {request.id: len(request.prompt_ids) for request in asked}
        lengths: list[tuple[int, int]] = []
        for rollout in generate(asked, sampling):
            lengths.append((prompts[rollout.request_id], len(rollout.response_ids)))
            yield rollout
        clock.enter("scoring")
        report.episodes.append(lengths)

    def timed_update(*words: Any, **named: Any) -> Any:
        clock.enter("update")
        statistics = update(*words, **named)
        clock.enter("other")
        return statistics

    def counted_step() -> None:
        report.optimiser_steps += 1
        step()

    for owner, name, replacement in (
        (ppo.engine, "generate", timed_generate),
        (ppo.updater, "update", timed_update),
        (ppo.optimizer, "step", counted_step),
    ):
        setattr(owner, name, replacement)


def run(ppo: Ppo, cfg: Config, report: Report, clock: Clock) -> None:
    """The iterations, as the stage runs them."""
    progress = Progress(iteration=0, kl=kl_controller(cfg.kl, ppo.stage.total_episodes))
    clock.lap()
    for iteration in range(1, ppo.stage.num_iterations + 1):
        clock.enter("generation")
        figures = ppo.iterate(progress, iteration)
        report.seconds.append(clock.lap())
        report.rss.append(rss())
        report.scores.append(figures["score"])


def probe(ppo: Ppo, folder: Path) -> list[float]:
    """What its reward says of the workload's fixed answers."""
    pairs: list[list[list[int]]] = json.loads((folder / "probes.json").read_text(encoding="utf-8"))
    answered = [
        Scored(Prompt(""), ppo.encoder.decode(response), tuple(prompt), tuple(response), "eos")
        for prompt, response in pairs
    ]
    with torch.no_grad():
        scores: Scores = ppo.reward(answered)
    return scores.total.tolist()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
