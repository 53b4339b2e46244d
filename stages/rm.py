"""The reward model: the SFT model with a scalar head learns from pairs which of two answers is better, or
from single answers with thumbs or scores how good each is (`stage.objective`).

Three of them, on training prompts that do not overlap: `model/` is what PPO maximises, `validation_model/`
picks PPO's checkpoint, and `judge_model/` judges the evaluation, so that nobody marks their own work. With
`stage.ensemble` the first one has fellows, `member_2/` and so on, on bootstrap samples of its pairs. Named by
`inputs.reward_model`, an earlier run's models go on learning, each as what it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peft import TaskType
from transformers import PreTrainedModel

from rlhf.config import Config, RmStage
from rlhf.data.encoding import Encoder
from rlhf.errors import InputError
from rlhf.evaluation.reward_quality import better_length_rule, headlines, reward_quality
from rlhf.models.loading import (
    load_tokenizer,
    parameter_count,
    save_adapter,
    save_plain,
    tokenizer_sha256,
    weights_sha256,
    with_adapter,
)
from rlhf.models.reward_model import load_reward_model, new_reward_model
from rlhf.runs import Artifact, Experiment, Manifest
from rlhf.training.course import Course, common_arguments, latest_saved
from rlhf.training.machine import Stop, auto_learning_rate
from rlhf.training.ordering import make_plan
from rlhf.training.reward_trainer import RewardTrainer, pair_rows, reward_trainer
from rlhf.training.score_trainer import rating_rows, score_trainer
from stages.rm_data import RmData, datasets_of, load_data, shift_references
from stages.rm_lessons import Lesson, lessons
from stages.shared import Session, encoder_for, session


@dataclass(frozen=True)
class Bench:
    """What the three trainings have in common."""

    here: Session
    stage: RmStage
    policy: Artifact
    earlier: Artifact | None
    """The reward models that go on learning, where they do not begin anew."""
    encoder: Encoder
    data: RmData
    references: list[list[int]]
    stop: Stop


def run(cfg: Config) -> Manifest:
    """Trains the reward models from the SFT policy; returns the manifest of the run that holds them."""
    assert isinstance(cfg.stage, RmStage)
    inputs = find_inputs(cfg)
    policy = inputs["policy"]
    with session(cfg, inputs, datasets_of(cfg)) as here:
        if here.run.manifest:
            return here.run.manifest
        tokenizer = load_tokenizer(policy.model, trust_remote_code=cfg.model.trust_remote_code)
        encoder = encoder_for(cfg, fresh_model(cfg, policy, pad_id=0), tokenizer)
        data = load_data(cfg, encoder)
        references, shifted_by = shift_references(cfg, encoder, data)
        stop = Stop(cfg.stage.max_hours)
        bench = Bench(here, cfg.stage, policy, inputs.get("reward_model"), encoder, data, references, stop)

        saved = latest_saved(here.run, here.log)
        done: dict[str, Any] = dict(saved.carried) if saved else {}  # what is known of each finished model
        with bench.stop.listening():
            for name, lesson in lessons(cfg, data.training_pairs, data.training_ratings).items():
                if name not in done:
                    trainer = make_trainer(bench, name, lesson, done)
                    trainer.run_course(saved if saved and saved.title == lesson.title else None)
                    shift(trainer, references)
                    publish(bench, trainer, name)
                    done[name] = assess(bench, trainer, lesson)

        quality = {name: result["quality"] for name, result in done.items()}
        here.run.write_json("quality.json", quality)
        here.run.write_json("data.json", data.report)
        here.log.close()
        return here.run.finish(
            "reward_model",
            metrics=headlines(quality),
            resolved=here.resolved
            | done["model"]["resolved"]
            | data.scale.resolved
            | {"shifted_by": shifted_by},
            seed=cfg.seed,
            base_model=policy.manifest.base_model if policy.manifest else policy.path,
            tokenizer_sha256=tokenizer_sha256(here.run.path / "model"),
            chat_template_sha256=encoder.template_sha256,
        )


def find_inputs(cfg: Config) -> dict[str, Artifact]:
    """The policy whose trunk it is; the reward models that go on learning are only ever named.

    Raises:
        InputError: one of them is not there, or reads other tokens than the policy.
    """
    experiment, trust = Experiment(cfg.runs_dir, cfg.name), cfg.model.trust_remote_code
    inputs = {"policy": experiment.resolve("policy", cfg.inputs.policy, stage="rm")}
    if named := cfg.inputs.reward_model:
        earlier = inputs["reward_model"] = experiment.resolve("reward_model", named, stage="rm")
        mine, its = (
            load_tokenizer(one.model, trust_remote_code=trust).get_vocab() for one in inputs.values()
        )
        if mine != its:
            raise InputError(
                f"inputs.reward_model={earlier.path} reads other tokens than {inputs['policy'].path}, so it "
                "cannot go on learning here; leave it out to begin anew"
            )
    return inputs


def begun_model(bench: Bench, name: str, seed: int) -> PreTrainedModel:
    """The earlier run's model of this name, or a fresh one where there is none."""
    cfg, earlier = bench.here.cfg, bench.earlier
    if earlier is not None:
        folder = Path(earlier.model) if name == "model" else Path(earlier.path) / name
        if name == "model" or folder.is_dir():
            return load_reward_model(str(folder), trust_remote_code=cfg.model.trust_remote_code)
        bench.here.say(f"{earlier.path} holds no {name}/: that one begins anew")
    return fresh_model(cfg, bench.policy, pad_id=bench.encoder.pad_id, seed=seed)


def fresh_model(cfg: Config, policy: Artifact, *, pad_id: int, seed: int | None = None) -> PreTrainedModel:
    """The policy's trunk under a new head, drawn from `seed` or that of the configuration."""
    trust, drawn_from = cfg.model.trust_remote_code, cfg.seed if seed is None else seed
    return new_reward_model(policy.model, pad_id=pad_id, seed=drawn_from, trust_remote_code=trust)


def make_trainer(bench: Bench, name: str, lesson: Lesson, done: dict[str, Any]) -> RewardTrainer:
    """A model before its pass over the rows."""
    cfg, stage, machine = bench.here.cfg, bench.stage, bench.here.machine
    plain = begun_model(bench, name, lesson.seed)
    rate = stage.learning_rate
    if rate == "auto":
        rate = auto_learning_rate("rm", parameter_count(plain), cfg.model.adapter)
    on_gpu, data, encoder = machine.device.type == "cuda", bench.data, bench.encoder
    pairs, ratings = pair_rows(lesson.pairs, encoder), rating_rows(lesson.ratings, encoder, data.scale)
    rows = [*pairs, *ratings]
    lengths = [row.length for row in rows]
    plan = make_plan(stage, lengths, learning_rate=rate, seed=lesson.seed, on_gpu=on_gpu)
    counted = [(len(pairs), "pairs"), (len(ratings), "rated answers")]
    what = " and ".join(f"{count} {name}" for count, name in counted if count)
    bench.here.say(f"{lesson.title}: {what}, {plan.steps} steps, learning rate {rate:g}")
    course = Course(
        run=bench.here.run,
        log=bench.here.log,
        stop=bench.stop,
        title=lesson.title,
        prefix="" if name == "model" else f"{name}/",
        plan=plan,
        save_every=stage.save_every,
        first_step=sum(result["resolved"]["steps"] for result in done.values()),
        carried=done,
    )
    arguments = common_arguments(course, stage, machine, seed=lesson.seed % 2**32) | {
        "adam_epsilon": stage.adam_eps
    }
    model = with_adapter(plain, cfg.model, TaskType.SEQ_CLS, lesson.seed)
    validation = pair_rows(data.pairs.validation, encoder)
    if data.ratings is None:
        return reward_trainer(model, pairs, validation, course, pad_id=encoder.pad_id, arguments=arguments)
    known = [rating for rating in data.ratings.validation if data.scale.knows(rating)]
    held_out = rating_rows(known, encoder, data.scale)
    return score_trainer(
        model,
        rows,
        course,
        validation=validation,
        validation_rows=[*(validation if data.learns_pairs else []), *held_out],
        prior=data.scale.prior,
        pad_id=encoder.pad_id,
        arguments=arguments,
    )


def shift(trainer: RewardTrainer, references: Sequence[list[int]]) -> None:
    """Sets what is taken off every score, so that the references average 0."""
    trainer.scorer.plain.config.reward_shift = 0.0
    trainer.scorer.plain.config.reward_shift = float(trainer.score(references).double().mean())


def assess(bench: Bench, trainer: RewardTrainer, lesson: Lesson) -> dict[str, Any]:
    """What becomes known of a model: quality on the test part's pairs, and its plan."""
    test = bench.data.pairs.test
    rows = pair_rows(test, bench.encoder)
    quality = reward_quality(
        trainer.score([row.chosen for row in rows]).tolist(),
        trainer.score([row.rejected for row in rows]).tolist(),
        test,
        length_rule=better_length_rule(lesson.pairs or bench.data.pairs.train),
    )
    if quality:
        bench.here.say(f"{trainer.course.title}: {quality.summary}")
    else:
        bench.here.say(
            f"{trainer.course.title}: no held-out pair tells how good it is; data.preferences=FILE"
        )
    return {
        "quality": quality.as_json() if quality else None,
        "resolved": trainer.course.plan.resolved,
    }


def publish(bench: Bench, trainer: RewardTrainer, name: str) -> None:
    """Writes the model, merged and plain; beside `model/` also `adapter/` where one was trained.

    Not of a model that went on learning: such an adapter belongs on no trunk that PPO has.
    """
    model, folder_of = trainer.scorer.model, bench.here.run.publish
    folder_of(name, lambda folder: save_plain(model, bench.encoder.tokenizer, folder))
    if name == "model" and bench.here.cfg.model.adapter != "none" and bench.earlier is None:
        base = bench.policy.model
        sha256 = weights_sha256(Path(base))
        folder_of("adapter", lambda folder: save_adapter(model, folder, base=base, base_sha256=sha256))
