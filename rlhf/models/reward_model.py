"""The reward model: a plain sequence-classification model with one label, its score read by mask.

`config.reward_shift` is what is taken off every score so that demonstrations average 0.
"""

from typing import cast

import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from rlhf.errors import ModelError
from rlhf.models.loading import load_model, refuse_other_kind


def new_reward_model(
    policy: str, *, pad_id: int, seed: int, trust_remote_code: bool = False
) -> PreTrainedModel:
    """The trunk of a policy under a fresh scalar head, drawn from N(0, 1/sqrt(d + 1)) with no bias.

    Source: lm-human-preference-details, "reward model's head". Raises ModelError as `load_policy` does.
    """
    refuse_other_kind(policy, "ForCausalLM", "a policy", trust_remote_code=trust_remote_code)
    model = load_model(
        AutoModelForSequenceClassification,
        policy,
        dtype=torch.float32,
        trust_remote_code=trust_remote_code,
        num_labels=1,
        pad_token_id=pad_id,
    )
    head = score_head(model)
    width = head.weight.shape[1]
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        head.weight.copy_(torch.randn(head.weight.shape, generator=generator) / (width + 1) ** 0.5)
    model.config.reward_shift = 0.0
    return model


def load_reward_model(
    source: str, *, dtype: torch.dtype = torch.float32, trust_remote_code: bool = False
) -> PreTrainedModel:
    """A trained reward model of a folder or hub id, dropout off, on the CPU.

    Raises:
        ModelError: it is a policy, has more than one label, or cannot be read.
    """
    refuse_other_kind(
        source, "ForSequenceClassification", "a reward model", trust_remote_code=trust_remote_code
    )
    model = load_model(
        AutoModelForSequenceClassification, source, dtype=dtype, trust_remote_code=trust_remote_code
    )
    if model.config.num_labels != 1:
        raise ModelError(f"{source}: has {model.config.num_labels} labels; a reward model has one")
    return model


def score_head(model: nn.Module) -> nn.Linear:
    """The scalar head of a sequence-classification model.

    Raises:
        ModelError: the architecture names its head otherwise.
    """
    for name in ("score", "classifier"):
        head = getattr(model, name, None)
        if isinstance(head, nn.Linear):
            return head
        inner = getattr(getattr(head, "modules_to_save", None), "default", None)
        if isinstance(inner, nn.Linear):
            return inner
    raise ModelError(f"{type(model).__name__}: has no linear head named score or classifier")


def trunk_of(model: nn.Module) -> nn.Module:
    """The transformer below the head: maps ids to the last hidden state."""
    return getattr(model, model.base_model_prefix)  # pyright: ignore[reportArgumentType, reportUnknownVariableType]


def scalar(head: nn.Linear, hidden: Tensor) -> Tensor:
    """A scalar head's output, the last dimension gone; float32 at least, whatever autocast is on.

    In bf16 a score of 1 would be rounded to a 128th.
    """
    dtype = torch.promote_types(hidden.dtype, torch.float32)
    with torch.autocast(hidden.device.type, enabled=False):
        bias = cast("Tensor | None", head.bias)
        bias = bias if bias is None else bias.to(dtype)
        return nn.functional.linear(hidden.to(dtype), head.weight.to(dtype), bias).squeeze(-1)


def token_scores(model: PreTrainedModel, ids_BS: Tensor, attention_mask_BS: Tensor) -> Tensor:
    """Scores at every position [B, S], shift taken off; right-padded input."""
    hidden_BSD = trunk_of(model)(input_ids=ids_BS, attention_mask=attention_mask_BS, use_cache=False)[0]
    scores_BS = scalar(score_head(model), hidden_BSD).float()
    return scores_BS - float(getattr(model.config, "reward_shift", 0.0))


def sequence_scores(model: PreTrainedModel, ids_BS: Tensor, attention_mask_BS: Tensor) -> Tensor:
    """Scores [B] at the last real token of each row, found by mask; shift taken off."""
    last_B = attention_mask_BS.long().sum(dim=1) - 1
    return token_scores(model, ids_BS, attention_mask_BS).gather(1, last_B.unsqueeze(1)).squeeze(1)
