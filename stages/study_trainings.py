"""The trainings of a study, each on its course: DPO, SFT on chosen answers or fewer demonstrations, and a
reward model on fewer pairs. The last two repeat what the runs of sft and rm did, with those runs' options."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from peft import TaskType
from torch import nn
from transformers import PreTrainedModel

from rlhf.config import Config, RmStage, SftStage, TrainerStage
from rlhf.errors import DataError
from rlhf.models.loading import load_policy, parameter_count, with_adapter
from rlhf.records import Preference
from rlhf.training.course import common_arguments
from rlhf.training.dpo import DpoTrainer, dpo_rows, dpo_trainer, row_length
from rlhf.training.dpo import Row as PairOfAnswers
from rlhf.training.machine import auto_learning_rate
from rlhf.training.ordering import Plan, make_plan
from rlhf.training.reward_trainer import RewardTrainer, pair_rows, reward_trainer
from rlhf.training.sft import Row, SftTrainer, sft_trainer
from stages.rm import fresh_model
from stages.sft import plan_training
from stages.study_setup import Bench


def dpo_training(bench: Bench) -> tuple[DpoTrainer, list[PairOfAnswers]]:
    """DPO from the SFT policy on the reward model's own pairs, and the held-out pairs to measure it by.

    Raises:
        DataError: no pair is decided by its label.
    """
    stage, here, encoder = bench.stage, bench.here, bench.encoder
    rows = dpo_rows(bench.reward_pairs, encoder)
    if not rows:
        raise DataError(
            f"none of {len(bench.reward_pairs)} pairs says which answer is better; DPO needs some"
        )
    plain = load_policy(bench.policy.model, trust_remote_code=here.cfg.model.trust_remote_code)
    rate = stage.dpo_learning_rate
    if rate == "auto":
        rate = auto_learning_rate("dpo", parameter_count(plain), here.cfg.model.adapter)
    options = TrainerStage(
        epochs=stage.dpo_epochs, batch_size=stage.dpo_batch_size, max_steps=stage.max_steps
    )
    plan = _plan(bench, options, [row_length(row) for row in rows], rate)
    here.say(f"DPO: {len(rows)} pairs, {plan.steps} steps, beta {stage.dpo_beta:g}, learning rate {rate:g}")
    course = bench.course("dpo", plan, keep_best=True)
    trainer = dpo_trainer(
        with_adapter(plain, here.cfg.model, TaskType.CAUSAL_LM, here.cfg.seed),
        encoder,
        rows,
        dpo_rows(bench.preferences.validation, encoder),
        course,
        beta=stage.dpo_beta,
        arguments=common_arguments(course, options, here.machine, seed=here.cfg.seed),
    )
    return trainer, trainer.with_reference(dpo_rows(bench.preferences.test, encoder))


def best_of_training(bench: Bench, rows: list[Row]) -> SftTrainer:
    """SFT from the SFT policy on the chosen answers: as long as the SFT run had it, with nothing held out."""
    cfg = bench.here.cfg
    options = bench.sft_run.stage if bench.sft_run else SftStage()
    assert isinstance(options, SftStage)
    model = load_policy(bench.policy.model, trust_remote_code=cfg.model.trust_remote_code)
    sources = cfg.model.model_copy(update={"path": bench.policy.model})  # weights that are not random
    told = cfg.model_copy(update={"stage": options, "model": sources})
    return sft_training(bench, "best-of-n", told, model, rows, [])


def sft_training(
    bench: Bench,
    title: str,
    cfg: Config,
    plain: PreTrainedModel,
    rows: list[Row],
    validation: list[Row],
) -> SftTrainer:
    """SFT with the options of `cfg`; the best weights on the validation rows count, where there are any."""
    options = cfg.stage
    assert isinstance(options, SftStage)
    options = options.model_copy(update=_limits(bench))
    here = replace(bench.here, cfg=cfg.model_copy(update={"stage": options}))
    rows, plan = plan_training(here, rows, bench.encoder, parameter_count(plain))
    patience = options.patience if validation else None
    course = bench.course(title, plan, keep_best=bool(validation), patience=patience)
    model: nn.Module = with_adapter(plain, cfg.model, TaskType.CAUSAL_LM, cfg.seed)
    arguments = common_arguments(course, options, here.machine, seed=cfg.seed)
    return sft_trainer(model, bench.encoder, rows, validation, course, arguments)


def reward_training(bench: Bench, title: str, pairs: Sequence[Preference]) -> RewardTrainer:
    """A reward model on these pairs as the run of rm would train it."""
    cfg, here, encoder = bench.rm_run, bench.here, bench.encoder
    assert cfg is not None
    assert isinstance(cfg.stage, RmStage)
    options = cfg.stage.model_copy(update=_limits(bench))
    plain = fresh_model(here.cfg, bench.policy, pad_id=encoder.pad_id)
    rate = options.learning_rate
    if rate == "auto":
        rate = auto_learning_rate("rm", parameter_count(plain), cfg.model.adapter)
    rows = pair_rows(pairs, encoder)
    plan = _plan(bench, options, [row.length for row in rows], rate)
    here.say(f"{title}: {len(rows)} pairs, {plan.steps} steps, learning rate {rate:g}")
    course = bench.course(title, plan)
    arguments = common_arguments(course, options, here.machine, seed=here.cfg.seed)
    return reward_trainer(
        with_adapter(plain, cfg.model, TaskType.SEQ_CLS, here.cfg.seed),
        rows,
        pair_rows(bench.preferences.validation, encoder),
        course,
        pad_id=encoder.pad_id,
        arguments=arguments | {"adam_epsilon": options.adam_eps},
    )


def _plan(bench: Bench, options: TrainerStage, lengths: list[int], rate: float) -> Plan:
    on_gpu = bench.here.machine.device.type == "cuda"
    return make_plan(options, lengths, learning_rate=rate, seed=bench.here.cfg.seed, on_gpu=on_gpu)


def _limits(bench: Bench) -> Mapping[str, Any]:
    """What the study says of every training's length."""
    return {} if bench.stage.max_steps is None else {"max_steps": bench.stage.max_steps}
