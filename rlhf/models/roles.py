"""Policy, reference, critic and reward as one object, in two forms.

Separate: each is a model of its own (with LoRA, the reference is the policy's trunk with the adapter off).
Shared: one frozen trunk, the merged SFT model, carries an adapter and a head for policy, critic and reward;
the reference is the trunk with all adapters off, and the critic begins as a copy of the reward model.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from peft import LoraConfig, PeftModel, TaskType, inject_adapter_in_model
from peft.utils.save_and_load import load_peft_weights, set_peft_model_state_dict
from torch import Tensor, nn
from transformers import AutoConfig, PreTrainedModel

from rlhf.config import ModelConfig
from rlhf.data.collation import Batch
from rlhf.data.packing import PackedBatch
from rlhf.errors import ModelError
from rlhf.models.adapters import LoraSwitch, NoAdapters
from rlhf.models.head import check_head
from rlhf.models.loading import load_policy, lora_config, with_adapter, with_matrices_in
from rlhf.models.offload import Presence, freeze
from rlhf.models.policy_value import (
    AdapterSwitch,
    PolicyValue,
    decoder_of,
    policy_outputs,
    run_trunk,
)
from rlhf.models.reward_model import load_reward_model, scalar, score_head, sequence_scores, trunk_of

SCORE_KEYS = ("base_model.model.score.weight", "base_model.model.classifier.weight")


@dataclass(frozen=True)
class RoleSources:
    """Where each role's weights come from: folders or hub ids.

    `critic` is a sequence-classification model to begin the critic from, or None for the policy's trunk under
    a head of zeros. `reward_adapter` is the reward model's adapter folder where the trunk is to be shared.
    With `has_critic` False no critic is made at all.
    """

    policy: str
    reference: str
    reward_model: str | None
    critic: str | None
    reward_adapter: Path | None = None
    has_critic: bool = True


@dataclass(frozen=True)
class Roles:
    """What PPO works with; `policy_value` is what it trains.

    The two frozen models may lie in CPU memory: they can be used while their `..._present` is entered.
    """

    form: str  # "separate" or "shared"
    policy_value: PolicyValue
    reward_model: PreTrainedModel | None
    score: Callable[[PreTrainedModel, Tensor, Tensor], Tensor]  # (reward_model, ids, mask) -> scores [B]
    temperature: float
    adapters: AdapterSwitch
    reference_model: PreTrainedModel | None  # None: the policy's trunk, adapters off
    reference_present: Presence = nullcontext
    reward_present: Presence = nullcontext

    @property
    def trunks(self) -> list[nn.Module]:
        """The transformers that the update and its forward passes run, one of each kind."""
        models = [self.policy_value.language_model]
        models += [self.reference_model] if self.reference_model is not None else []
        critic = self.policy_value.critic
        trunks = [*(decoder_of(model) for model in models), *([critic] if critic is not None else [])]
        return list({type(trunk): trunk for trunk in reversed(trunks)}.values())

    @torch.no_grad()
    def reference_logprobs(self, batch: Batch | PackedBatch) -> Tensor:
        """Log-probabilities of the response tokens under the reference, flat, at the temperature.

        To be called while `reference_present` is entered.
        """
        if self.reference_model is not None:
            return policy_outputs(self.reference_model, batch, self.temperature)[0]
        with self.adapters(None):
            return policy_outputs(self.policy_value.language_model, batch, self.temperature)[0]

    def policy_active(self) -> AbstractContextManager[None]:
        """While entered, the language model generates as the policy."""
        return self.adapters("policy")


def build_roles(
    sources: RoleSources,
    cfg: ModelConfig,
    *,
    temperature: float,
    device: torch.device,
    seed: int,
    dtype: torch.dtype = torch.float32,
    offload: bool = False,
) -> Roles:
    """Loads every role, in the shared form where `sources.reward_adapter` is given.

    `dtype` is what autocast computes in; reference and reward model, where they are separate, hold their
    matrices in it, and with `offload` are on the device only while they are used.

    Raises:
        ModelError: a model cannot be loaded, or its logits are made in a way PPO does not know.
    """
    trust = cfg.trust_remote_code
    language_model = load_policy(sources.policy, trust_remote_code=trust)
    check_head(language_model, decoder_of(language_model))
    if sources.reward_adapter is not None:
        assert sources.reward_model is not None
        return _shared(sources, language_model, cfg, temperature=temperature, device=device, seed=seed)

    policy = _trained_policy(language_model, cfg, seed)
    lora = isinstance(policy, PeftModel)
    reference = None
    if not lora or sources.reference != sources.policy:
        reference = load_policy(sources.reference, trust_remote_code=trust)
    adapters = LoraSwitch(policy, {"policy": "default"}) if lora else NoAdapters()
    critic, head, shift = _critic(sources, cfg, seed) if sources.has_critic else (None, None, 0.0)
    reward_model = None
    if sources.reward_model is not None:
        reward_model = load_reward_model(sources.reward_model, trust_remote_code=trust)
    reference, reference_present = _frozen(reference, device, dtype, offload=offload)
    reward_model, reward_present = _frozen(reward_model, device, dtype, offload=offload)
    policy_value = PolicyValue(
        policy,
        language_model,
        critic,
        head,
        value_shift=shift,
        temperature=temperature,
        adapters=adapters,
    ).to(device)
    return Roles(
        form="separate",
        policy_value=policy_value,
        reward_model=reward_model,
        score=sequence_scores,
        temperature=temperature,
        adapters=adapters,
        reference_model=reference,
        reference_present=reference_present,
        reward_present=reward_present,
    )


def _trained_policy(language_model: PreTrainedModel, cfg: ModelConfig, seed: int) -> nn.Module:
    policy = with_adapter(language_model, cfg, TaskType.CAUSAL_LM, seed)
    if not isinstance(language_model.get_output_embeddings(), nn.Linear):
        raise ModelError(
            f"model.lora_targets={cfg.lora_targets}: PPO trains no adapter on the output layer; leave it out"
        )
    return policy


def _critic(sources: RoleSources, cfg: ModelConfig, seed: int) -> tuple[nn.Module, nn.Linear, float]:
    """The critic's trunk, its head and the shift of its values."""
    if sources.critic is None:
        trunk = decoder_of(load_policy(sources.policy, trust_remote_code=cfg.trust_remote_code))
        width = int(getattr(trunk, "config").get_text_config().hidden_size)  # noqa: B009
        head = nn.Linear(width, 1, bias=False)
        nn.init.zeros_(head.weight)
        shift = 0.0
    else:
        model = load_reward_model(sources.critic, trust_remote_code=cfg.trust_remote_code)
        trunk, head = trunk_of(model), score_head(model)
        shift = float(getattr(model.config, "reward_shift", 0.0))
    if cfg.adapter == "lora":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + 1)
            config = lora_config(cfg, TaskType.FEATURE_EXTRACTION)
            trunk = inject_adapter_in_model(config, trunk, adapter_name="critic")
        for name, parameter in trunk.named_parameters():
            parameter.requires_grad_("lora_" in name)
    return trunk, head.requires_grad_(True), shift


def _shared(
    sources: RoleSources,
    language_model: PreTrainedModel,
    cfg: ModelConfig,
    *,
    temperature: float,
    device: torch.device,
    seed: int,
) -> Roles:
    """One trunk: the reward adapter is read twice, once to stay and once to become the critic."""
    adapter = cast(Path, sources.reward_adapter)
    weights = load_peft_weights(str(adapter), device="cpu")
    head_weight = next((weights.pop(key) for key in SCORE_KEYS if key in weights), None)
    if head_weight is None:
        raise ModelError(f"{adapter}: holds no score head; set stage.roles=separate")
    policy = cast(PeftModel, _trained_policy(language_model, cfg, seed))
    reward_config = cast(Any, LoraConfig.from_pretrained(str(adapter)))
    reward_config.task_type = TaskType.CAUSAL_LM
    reward_config.modules_to_save = None
    for name in ("reward", "critic") if sources.has_critic else ("reward",):
        policy.add_adapter(name, reward_config)
        set_peft_model_state_dict(policy, dict(weights), adapter_name=name)
    for name, parameter in policy.named_parameters():
        parameter.requires_grad_("lora_" in name and (".default." in name or ".critic." in name))
    reward_head = _linear(head_weight)
    reward_head.requires_grad_(False).to(device)
    saved = AutoConfig.from_pretrained(cast(str, sources.reward_model))
    reward_shift = float(getattr(saved, "reward_shift", 0.0))
    adapters = LoraSwitch(policy, {"policy": "default", "critic": "critic", "reward": "reward"})
    policy_value = PolicyValue(
        policy,
        language_model,
        None,
        _linear(head_weight) if sources.has_critic else None,
        value_shift=reward_shift,
        temperature=temperature,
        adapters=adapters,
    ).to(device)

    def score(model: PreTrainedModel, ids_BS: Tensor, attention_mask_BS: Tensor) -> Tensor:
        batch = Batch(ids_BS, attention_mask_BS, attention_mask_BS)
        last_B = attention_mask_BS.long().sum(dim=1) - 1
        with adapters("reward"):
            hidden_BSD = run_trunk(decoder_of(model), batch)
        rows = torch.arange(len(last_B), device=last_B.device)
        return scalar(reward_head, hidden_BSD[rows, last_B]).float() - reward_shift

    return Roles("shared", policy_value, language_model, score, temperature, adapters, None)


def _linear(weight_1D: Tensor) -> nn.Linear:
    head = nn.Linear(weight_1D.shape[1], 1, bias=False)
    with torch.no_grad():
        head.weight.copy_(weight_1D.float())
    return head


def _frozen(
    model: PreTrainedModel | None, device: torch.device, dtype: torch.dtype, *, offload: bool
) -> tuple[PreTrainedModel | None, Presence]:
    if model is None:
        return None, nullcontext
    made = with_matrices_in(model, dtype)
    return made, freeze(made, device, offload=offload)
