"""Supervised fine-tuning: the base model learns to answer as the demonstrations do.

Demonstrations become rows of tokens; TRL's SFTTrainer trains on them, the loss on the answers alone; the
weights that did best on the validation part are published as `model/`.
"""

from pathlib import Path

from peft import TaskType
from torch import nn

from rlhf.config import Config, SftStage
from rlhf.data.encoding import Encoder
from rlhf.models.loading import (
    parameter_count,
    save_adapter,
    save_plain,
    tokenizer_sha256,
    weights_sha256,
    with_adapter,
)
from rlhf.runs import Artifact, Manifest
from rlhf.runs.artifact import from_hub, from_plain_data
from rlhf.training.course import Course, common_arguments, latest_saved
from rlhf.training.machine import Stop, auto_learning_rate
from rlhf.training.ordering import Plan, make_plan
from rlhf.training.sft import Row, SftTrainer, packed, rows_of, sft_trainer
from stages.datasets import load_demonstrations
from stages.shared import Session, base_of, encoder_for, load_base, session


def run(cfg: Config) -> Manifest:
    """Fine-tunes `model.path`, or the embedded model; returns the manifest of the policy."""
    with session(cfg, find_base(cfg), ("demonstrations",)) as here:
        if here.run.manifest:
            return here.run.manifest
        base, tokenizer, base_name = load_base(cfg, here.machine)
        encoder = encoder_for(cfg, base, tokenizer)
        data = load_demonstrations(cfg, encoder)
        train, validation, test = (
            rows_of(part, encoder) for part in (data.train, data.validation, data.test)
        )
        rows, plan = plan_training(here, train, encoder, parameter_count(base))

        model = with_adapter(base, cfg.model, TaskType.CAUSAL_LM, cfg.seed)
        trainer = build_trainer(here, plan, rows, validation, model, encoder)
        with trainer.course.stop.listening():
            trainer.run_course(latest_saved(here.run, here.log))

        metrics = trainer.summary() | {f"test_{name}": value for name, value in trainer.measure(test).items()}
        publish(here, model, encoder, base_name)
        here.run.write_json("data.json", {"demonstrations": data.report})
        here.log.close()
        return here.run.finish(
            "policy",
            metrics=metrics,
            resolved=here.resolved | plan.resolved | {"packing": len(rows) < len(train)},
            seed=cfg.seed,
            base_model=base_name,
            tokenizer_sha256=tokenizer_sha256(here.run.path / "model"),
            chat_template_sha256=encoder.template_sha256,
        )


def find_base(cfg: Config) -> dict[str, Artifact]:
    """The base model by what it holds: other weights under the same name are another input."""
    path = base_of(cfg)
    folder = Path(path)
    return {
        "base": from_plain_data("base", folder, "policy")
        if folder.is_dir()
        else from_hub("base", path, "policy")
    }


def plan_training(
    here: Session, train: list[Row], encoder: Encoder, parameters: int
) -> tuple[list[Row], Plan]:
    """The rows as they are trained on, packed or not, and the way through them."""
    stage, cfg = sft_stage(here.cfg), here.cfg
    on_gpu = here.machine.device.type == "cuda"
    rows = train
    if stage.packing is True or (stage.packing == "auto" and on_gpu and stage.microbatch_size == "auto"):
        rows = packed(train, encoder.max_length)
        packed_size = max(round(stage.batch_size * len(rows) / len(train)), 1)  # rows with as many examples
        stage = stage.model_copy(update={"batch_size": packed_size, "microbatch_size": 1})
    rate = stage.learning_rate
    if rate == "auto":
        rate = auto_learning_rate("sft", parameters, cfg.model.adapter)
    lengths = [len(row["input_ids"]) for row in rows]
    plan = make_plan(stage, lengths, learning_rate=rate, seed=cfg.seed, on_gpu=on_gpu)
    here.say(
        f"{len(train)} demonstrations, {plan.steps} steps of {plan.batch_size} rows, learning rate {rate:g}"
    )
    return rows, plan


def build_trainer(
    here: Session, plan: Plan, rows: list[Row], validation: list[Row], model: nn.Module, encoder: Encoder
) -> SftTrainer:
    """TRL's trainer on its course."""
    stage = sft_stage(here.cfg)
    course = Course(
        run=here.run,
        log=here.log,
        stop=Stop(stage.max_hours),
        title="SFT",
        plan=plan,
        save_every=stage.save_every,
        patience=stage.patience,
        keep_best=True,
    )
    arguments = common_arguments(course, stage, here.machine, seed=here.cfg.seed)
    return sft_trainer(model, encoder, rows, validation, course, arguments)


def publish(here: Session, model: nn.Module, encoder: Encoder, base_name: str) -> None:
    """Writes `model/`, merged and plain, and beside it `adapter/` where one was trained."""
    here.run.publish(
        "model", lambda folder: save_plain(model, encoder.tokenizer, folder, stop_ids=encoder.stop_ids)
    )
    if here.cfg.model.adapter != "none":
        base_sha256 = weights_sha256(Path(base_name))
        here.run.publish(
            "adapter", lambda folder: save_adapter(model, folder, base=base_name, base_sha256=base_sha256)
        )


def sft_stage(cfg: Config) -> SftStage:
    """The stage's options."""
    assert isinstance(cfg.stage, SftStage)
    return cfg.stage
