"""TRL 1.12.0's PPOTrainer on one job. Runs in an environment of its own; imports no rlhf.

`python -m scripts.bench.trl_contender JOB REPORT`. The trainer is used as it comes and timed from outside:
by what its module calls (`batch_generation`, `get_reward`), by the accelerator that it enters for every
optimiser step, and by a callback at the end of each iteration.
"""

import json
import os
import sys
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from scripts.bench.jobs import Job, Report, read_job

PACKAGES = ("trl", "transformers", "torch", "accelerate")


def main(job_file: str, report_file: str) -> int:
    """Runs the job, writes the report."""
    job = read_job(Path(job_file))
    # the trainer makes its Accelerator without telling it what its arguments say
    os.environ["ACCELERATE_USE_CPU"] = "true" if job.device == "cpu" else "false"
    os.environ["ACCELERATE_MIXED_PRECISION"] = "bf16" if job.precision == "bf16" else "no"
    import datasets
    import torch
    import transformers

    ppo: Any = import_module("trl.experimental.ppo.ppo_trainer")
    config_class: Any = import_module("trl.experimental.ppo").PPOConfig
    from scripts.bench.clock import Clock, Memory, rss
    from scripts.bench.watch import movement, product_types, snapshot

    torch.set_num_threads(job.threads)
    transformers.utils.logging.disable_progress_bar()
    memory, clock = Memory(job.device), Clock(job.device)
    report = Report(job.contender, job.warmup, epochs=job.epochs, baseline_bytes=memory.baseline)
    report.versions = {name: version(name) for name in PACKAGES}

    folder = Path(job.folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "policy", padding_side="left")
    language, classifier = transformers.AutoModelForCausalLM, transformers.AutoModelForSequenceClassification
    frozen = torch.bfloat16 if job.precision == "bf16" else torch.float32
    policy = language.from_pretrained(folder / "policy", dtype=torch.float32)
    value_model = classifier.from_pretrained(folder / "reward_model", dtype=torch.float32)
    trainer: Any = ppo.PPOTrainer(
        args=arguments(config_class, job),
        processing_class=tokenizer,
        model=policy,
        ref_model=language.from_pretrained(folder / "policy", dtype=frozen),
        reward_model=classifier.from_pretrained(folder / "reward_model", dtype=frozen),
        value_model=value_model,
        train_dataset=datasets.Dataset.from_dict({"input_ids": read_prompts(folder)}),
        callbacks=[end_of_iteration(transformers.TrainerCallback, report, clock, rss)],
    )
    check_accelerator(trainer.accelerator, job)
    report.probe_scores = probe(ppo, trainer, folder)
    before = {"policy": snapshot(policy), "critic": snapshot(value_model)}
    watch(ppo, trainer, job, report, clock)
    report.precision_seen = product_types(policy, clock)
    with autocast(job):
        trainer.train()
    report.peak_bytes = memory.peak
    report.moved = {
        "policy": movement(policy, before["policy"]),
        "critic": movement(value_model, before["critic"]),
    }
    report.write(Path(report_file))
    return 0


def arguments(config_class: Any, job: Job) -> Any:
    """The trainer's settings; minibatches only take effect with one accumulation step of the whole batch."""
    return config_class(
        output_dir=str(Path(job.folder) / "trl"),
        per_device_train_batch_size=job.batch_size,
        gradient_accumulation_steps=1,
        num_mini_batches=job.minibatches,
        num_ppo_epochs=job.epochs,
        total_episodes=job.batch_size * job.iterations,
        local_rollout_forward_batch_size=job.batch_size,
        response_length=job.response_limit,
        stop_token="eos",
        missing_eos_penalty=1.0,
        temperature=job.temperature,
        learning_rate=job.learning_rate,
        lr_scheduler_type="linear",
        adam_epsilon=1e-5,
        weight_decay=0.0,
        kl_coef=job.kl_coef,
        gamma=1.0,
        lam=0.95,
        cliprange=0.2,
        cliprange_value=0.2,
        vf_coef=0.1,
        num_sample_generations=0,
        gradient_checkpointing=False,
        save_strategy="no",
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=job.device == "cpu",
        bf16=job.precision == "bf16",
        seed=job.seed,
    )


def check_accelerator(accelerator: Any, job: Job) -> None:
    """That the Accelerator really computes where and how the job says.

    Raises:
        RuntimeError: it does not.
    """
    wanted = (job.device, "bf16" if job.precision == "bf16" else "no")
    found = (accelerator.device.type, accelerator.mixed_precision)
    if found != wanted:
        raise RuntimeError(f"device and mixed precision are to be {wanted}, TRL's Accelerator has {found}")


def autocast(job: Job) -> AbstractContextManager[Any]:
    """Around the whole run, as its generation and scoring go past the Accelerator."""
    import torch

    return torch.autocast(job.device, torch.bfloat16) if job.precision == "bf16" else nullcontext()


def watch(ppo: Any, trainer: Any, job: Job, report: Report, clock: Any) -> None:
    """Replaces what the trainer calls by the same with a note of the time, the lengths and the scores."""
    import torch

    generation, reward, accumulate = ppo.batch_generation, ppo.get_reward, trainer.accelerator.accumulate
    gather, step = trainer.accelerator.gather_for_metrics, trainer.optimizer.step
    pad, end = trainer.processing_class.pad_token_id, trainer.processing_class.eos_token_id

    def timed_generation(model: Any, queries: Any, *rest: Any) -> Any:
        clock.enter("generation")
        result = generation(model, queries, *rest)
        clock.enter("scoring")
        report.episodes.append(lengths(queries, result[0][:, queries.shape[1] :], pad, end))
        return result

    def noted_reward(model: Any, *rest: Any) -> Any:
        result = reward(model, *rest)
        if model is trainer.reward_model:
            report.scores.append(result[1].float().mean().item())
        return result

    @contextmanager
    def timed_accumulate(*models: Any) -> Generator[None]:
        clock.enter("update")
        with accumulate(*models):
            yield

    def timed_gather(x: Any) -> Any:
        clock.enter("other")
        return gather(x)

    def counted_step(*rest: Any, **named: Any) -> Any:
        report.optimiser_steps += 1
        return step(*rest, **named)

    ppo.batch_generation, ppo.get_reward = timed_generation, noted_reward
    trainer.accelerator.accumulate, trainer.accelerator.gather_for_metrics = timed_accumulate, timed_gather
    trainer.optimizer.step = counted_step
    assert isinstance(trainer.reward_model, torch.nn.Module)


def lengths(queries: Any, responses: Any, pad: int, end: int) -> list[tuple[int, int]]:
    """Tokens of each prompt, and of its response up to its first end token."""
    found: list[tuple[int, int]] = []
    for query, response in zip(queries.tolist(), responses.tolist(), strict=True):
        length = response.index(end) + 1 if end in response else len(response)
        found.append((sum(token != pad for token in query), length))
    return found


def end_of_iteration(base: Any, report: Report, clock: Any, rss: Any) -> Any:
    """A callback that ends the lap."""

    class Lap(base):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            clock.lap()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            report.seconds.append(clock.lap())
            report.rss.append(rss())

    return Lap()


def read_prompts(folder: Path) -> list[list[int]]:
    """The ids of the workload's prompts."""
    lines = (folder / "prompts.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["ids"] for line in lines]


def probe(ppo: Any, trainer: Any, folder: Path) -> list[float]:
    """What its reward says of the workload's fixed answers, each by itself."""
    import torch

    pairs: list[list[list[int]]] = json.loads((folder / "probes.json").read_text(encoding="utf-8"))
    pad, device = trainer.processing_class.pad_token_id, trainer.accelerator.device
    scores: list[float] = []
    for prompt, response in pairs:
        ids = torch.tensor([[*prompt, *response]], device=device)
        with torch.no_grad():
            scores.append(ppo.get_reward(trainer.reward_model, ids, pad, len(prompt))[1].item())
    return scores


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
