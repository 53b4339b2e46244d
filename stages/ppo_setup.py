"""Everything that a PPO run holds, from its inputs: models, prompts, rewards, optimiser."""

from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs
from torch import nn
from torch.optim import Optimizer
from transformers import PreTrainedModel

from rlhf.config import Config, PpoStage
from rlhf.data.encoding import Encoder
from rlhf.errors import ConfigError, DataError
from rlhf.models.attention import packs
from rlhf.models.loading import (
    adapter_base_sha256,
    load_tokenizer,
    parameter_count,
    weights_sha256,
)
from rlhf.models.offload import offloads
from rlhf.models.roles import Roles, RoleSources, build_roles
from rlhf.rewards import build_reward, check_prompts
from rlhf.rollout.build import build_engine
from rlhf.rollout.weights import copy_in
from rlhf.runs import Artifact
from rlhf.training.machine import Machine, auto_learning_rate
from rlhf.training.memory import TokenBudget
from rlhf.training.old_logprobs import importance_cap, reuses_logprobs
from rlhf.training.ppo import Ppo
from rlhf.training.pretraining_mix import PretrainingMix, encode_demonstrations
from rlhf.training.profile import product_flops
from rlhf.training.prompt_order import ppo_seed
from rlhf.training.seeds import sub_seed
from rlhf.training.sharding import shard
from rlhf.training.update import PpoUpdater, parameter_groups
from stages.datasets import load_demonstrations, load_prompts, source_of
from stages.reward_models import Maximised, validation_reward
from stages.shared import Session, encoder_for


def set_up(here: Session) -> Ppo:
    """Loads and prepares all that PPO needs.

    Raises:
        RlhfError: a model, the prompts or the reward cannot be used; says what to do.
    """
    cfg, machine = here.cfg, here.machine
    stage = cfg.stage
    assert isinstance(stage, PpoStage)
    sources = find_sources(here)
    offload = offloads(stage.offload_frozen, machine.device)
    roles = build_roles(
        sources,
        cfg.model,
        temperature=stage.temperature,
        device=machine.device,
        seed=cfg.seed,
        dtype=machine.dtype,
        offload=offload,
    )
    model = roles.policy_value.language_model
    tokenizer = load_tokenizer(sources.policy, trust_remote_code=cfg.model.trust_remote_code)
    encoder = encoder_for(cfg, model, tokenizer)
    begins = f"the critic begins as {'the reward model' if sources.critic else 'zero'}"
    here.say(f"roles are {roles.form}; {begins if stage.has_critic else 'there is no critic'}")

    parts = load_prompts(cfg, encoder, stage.response_length)
    if not parts.train or not parts.validation:
        raise DataError(
            f"{len(parts.train)} prompts to train on and {len(parts.validation)} held out are too few; "
            "give more prompts, or raise data.validation_fraction"
        )
    maximised = Maximised(here, roles, encoder, offload)
    reward = build_reward(cfg.reward, maximised)
    check_prompts(reward, [*parts.train, *parts.validation])

    check_processes(here)
    trained = prepare(here, roles, pad_id=encoder.pad_id)
    with roles.policy_active():
        engine = build_engine(
            cfg.rollout,
            trained.decoder or model,
            encoder,
            source=sources.policy,
            dtype=machine.dtype,
            trust_remote_code=cfg.model.trust_remote_code,
            say=here.say,
        )
    return Ppo(
        stage=stage,
        rollout=cfg.rollout,
        seed=ppo_seed(cfg.seed),
        encoder=encoder,
        prompts=parts.train,
        held_out=parts.validation[: stage.eval_prompts],
        roles=roles,
        engine=engine,
        reward=reward,
        validation_reward=validation_reward(cfg, reward, maximised),
        accelerator=trained.accelerator,
        module=trained.module,
        optimizer=trained.optimizer,
        updater=trained.updater,
        learning_rate=trained.learning_rate,
        critic_learning_rate=stage.critic_learning_rate,
        kl_estimator=cfg.kl.estimator,
        mix=find_mix(here, encoder) if stage.ptx_coef else None,
        reuse_logprobs=reuses_logprobs(stage, cfg.rollout, machine.dtype),
        importance_cap=importance_cap(cfg.rollout),
        processes=here.processes,
        decoder=trained.decoder,
        product_flops=product_flops(machine.dtype, machine.device),
    )


@dataclass(frozen=True)
class Trained:
    """What trains policy and critic, on as many processes as there are."""

    accelerator: Accelerator
    module: nn.Module
    optimizer: Optimizer
    updater: PpoUpdater
    learning_rate: float
    decoder: PreTrainedModel | None
    """A whole copy of a policy that is sharded."""


def prepare(here: Session, roles: Roles, *, pad_id: int) -> Trained:
    """Policy and critic made ready to train: sharded where asked for, with their optimiser."""
    stage, machine = here.cfg.stage, here.machine
    assert isinstance(stage, PpoStage)
    accelerator = new_accelerator(machine)
    model, decoder = roles.policy_value.language_model, None
    with roles.reference_present():
        packed = all(packs(trunk) for trunk in roles.trunks)
    if not packed:
        here.say("sequences are padded: this architecture cannot take them one after another")
    if here.processes.sharded:
        decoder = copy_in(model, machine.dtype)
        shard(roles.policy_value, machine.device, here.processes.count)
    rate = stage.learning_rate
    if rate == "auto":
        rate = auto_learning_rate("ppo", parameter_count(model), here.cfg.model.adapter)
    groups = parameter_groups(roles.policy_value)
    optimizer = torch.optim.AdamW(groups, lr=rate, eps=stage.adam_eps, weight_decay=0.0, fused=True)
    # a module that is sharded is only given its precision
    module = accelerator.prepare_model(roles.policy_value, evaluation_mode=here.processes.sharded)
    prepared = accelerator.prepare(optimizer)
    budget = TokenBudget(stage.microbatch_tokens, here.say, here.processes, packed=packed)
    updater = PpoUpdater(accelerator, module, prepared, roles, stage, budget, pad_id=pad_id)
    return Trained(accelerator, module, prepared, updater, rate, decoder)


def check_processes(here: Session) -> None:
    """ConfigError where the work cannot be shared by as many processes as were started."""
    count, stage = here.processes.count, here.cfg.stage
    assert isinstance(stage, PpoStage)
    if stage.minibatch_size % count:
        raise ConfigError(
            f"stage.minibatch_size={stage.minibatch_size} cannot be shared by {count} processes; take a "
            f"multiple of {count}, such as stage.minibatch_size={-(-stage.minibatch_size // count) * count}, "
            "that divides stage.batch_size"
        )
    if count > 1 and here.cfg.rollout.kind != "hf":
        raise ConfigError(f"rollout={here.cfg.rollout.kind} works with one process, not {count}; rollout=hf")
    if here.processes.sharded and here.cfg.model.adapter != "none":
        raise ConfigError(
            f"model.adapter={here.cfg.model.adapter} trains few weights, which are not sharded; take "
            "configs/accelerate/ddp.yaml, or model.adapter=none"
        )


def find_mix(here: Session, encoder: Encoder) -> PretrainingMix:
    """The training part of the demonstrations, for `stage.ptx_coef`; no embedded ones beside a user's data.

    Raises:
        ConfigError: the prompts are the user's own, and no demonstrations are named.
        DataError: there are none to train on.
    """
    cfg = here.cfg
    if source_of(cfg, "prompts") and not source_of(cfg, "demonstrations"):
        raise ConfigError(
            "stage.ptx_coef mixes in demonstrations, and there are none beside your prompts; add "
            "data.demonstrations=..., or set stage.ptx_coef=0"
        )
    rows = encode_demonstrations(load_demonstrations(cfg, encoder).train, encoder)
    if not rows:
        raise DataError("no demonstrations are left to train on for stage.ptx_coef; give more of them")
    return PretrainingMix(rows, sub_seed(ppo_seed(cfg.seed), "pretraining mix"))


def new_accelerator(machine: Machine) -> Accelerator:
    """An accelerator of this run's own: a sweep's jobs share a process, and may differ in precision."""
    AcceleratorState._reset_state(reset_partial_state=True)  # pyright: ignore[reportPrivateUsage]
    mixed = "bf16" if machine.dtype == torch.bfloat16 else "no"
    return Accelerator(
        mixed_precision=mixed,
        cpu=machine.device.type == "cpu",
        kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)],  # which are constants
    )


def find_sources(here: Session) -> RoleSources:
    """Which weights each role begins from, and whether one trunk carries them all."""
    inputs, stage = here.inputs, here.cfg.stage
    assert isinstance(stage, PpoStage)
    if "critic" in inputs and not stage.has_critic:
        raise ConfigError(
            f"inputs.critic={inputs['critic'].path}: stage.advantage={stage.advantage} has no critic; leave "
            "inputs.critic out, or take stage.advantage=gae"
        )
    policy = inputs["policy"]
    reward_model = inputs.get("reward_model")
    critic = inputs["critic"].model if "critic" in inputs else None
    if stage.has_critic and critic is None and reward_model:  # which is a critic if it reads the same tokens
        critic = reward_model.model if _same_vocabulary(here.cfg, policy, reward_model) else None
    return RoleSources(
        policy=policy.model,
        reference=inputs.get("reference", policy).model,
        reward_model=reward_model.model if reward_model else None,
        critic=critic,
        reward_adapter=_shared_adapter(here, policy, reward_model),
        has_critic=stage.has_critic,
    )


def _shared_adapter(here: Session, policy: Artifact, reward_model: Artifact | None) -> Path | None:
    """The reward model's adapter where all roles can share one trunk, else None; says why not."""
    stage = here.cfg.stage
    assert isinstance(stage, PpoStage)
    if stage.roles == "separate" or (stage.roles == "auto" and here.cfg.model.adapter != "lora"):
        return None
    adapter = Path(reward_model.path) / "adapter" if reward_model else None
    if here.cfg.model.adapter != "lora":
        why = "model.adapter=lora is needed"
    elif {"reference", "critic"} & set(here.inputs):
        why = "inputs.reference and inputs.critic have weights of their own"
    elif adapter is None or not adapter.is_dir():
        why = "the reward model is no adapter; train it with model.adapter=lora"
    elif adapter_base_sha256(adapter) != weights_sha256(Path(policy.model)):
        why = "the reward model's adapter was trained on another policy"
    else:
        return adapter
    if stage.roles == "shared":
        raise ConfigError(f"stage.roles=shared: cannot share one trunk, {why}; or set stage.roles=separate")
    here.say(f"roles are separate models: {why}")
    return None


def _same_vocabulary(cfg: Config, policy: Artifact, reward_model: Artifact) -> bool:
    trust = cfg.model.trust_remote_code
    one = load_tokenizer(policy.model, trust_remote_code=trust)
    other = load_tokenizer(reward_model.model, trust_remote_code=trust)
    return one.get_vocab() == other.get_vocab()
