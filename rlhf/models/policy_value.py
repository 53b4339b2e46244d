"""The one module that PPO trains: token log-probabilities, entropy and values from one forward call.

A token's log-probability and value come from the position before it; what is asked for is flat.
"""

from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from rlhf.data.collation import Batch
from rlhf.data.packing import PackedBatch
from rlhf.models.head import language_head
from rlhf.models.reward_model import scalar


class TokenOutputs(NamedTuple):
    """For each response token, flat, float32 at least: nats, nats, score units; NaN for what there is not."""

    logprobs_N: Tensor
    entropy_N: Tensor
    values_N: Tensor


class AdapterSwitch(Protocol):
    """Turns one adapter on (None: all off) while it is entered."""

    def __call__(self, name: str | None) -> AbstractContextManager[None]: ...


class PolicyValue(nn.Module):
    """Policy and critic in one module, so that one `prepare` and one gradient norm cover both.

    `critic` is a transformer trunk of its own, or None where the critic is an adapter on the policy's.
    Without a `value_head` there is no critic at all, and values are NaN.
    """

    def __init__(
        self,
        policy: nn.Module,
        language_model: PreTrainedModel,
        critic: nn.Module | None,
        value_head: nn.Linear | None,
        *,
        value_shift: float,
        temperature: float,
        adapters: AdapterSwitch,
    ) -> None:
        super().__init__()
        self.policy = policy
        self.critic = critic
        self.value_head = value_head
        self._language_model = [language_model]  # in a list: part of `policy` already
        self._value_shift = value_shift
        self._temperature = temperature
        self._adapters = adapters

    @property
    def language_model(self) -> PreTrainedModel:
        """The causal language model, adapters inside where there are any."""
        return self._language_model[0]

    def critic_parameters(self) -> list[nn.Parameter]:
        """Those that only values depend on: the critic's trunk or adapter, and the value head."""
        return [
            parameter
            for name, parameter in self.named_parameters()
            if name.startswith(("critic.", "value_head.")) or ".critic." in name
        ]

    def forward(
        self,
        batch: Batch | PackedBatch,
        *,
        policy: bool = True,
        critic: bool = True,
        temperature: float | None = None,
    ) -> TokenOutputs:
        """Log-probability, entropy and value of every response token; NaN for what is not asked for.

        `temperature` takes the place of the module's own.
        """
        trunk = decoder_of(self.language_model)
        if policy:
            with self._adapters("policy"):
                logprobs_N, entropy_N = policy_outputs(
                    self.language_model, batch, temperature or self._temperature
                )
        else:
            logprobs_N = entropy_N = _nothing(batch)
        if critic and self.value_head is not None:
            with self._adapters("critic"):
                hidden_BSD = run_trunk(self.critic if self.critic is not None else trunk, batch)
                values_N = scalar(self.value_head, batch.before_response(hidden_BSD))
            values_N = values_N - self._value_shift
        else:
            values_N = _nothing(batch)
        return TokenOutputs(logprobs_N, entropy_N, values_N)


def _nothing(batch: Batch | PackedBatch) -> Tensor:
    return torch.full(batch.targets_N.shape, torch.nan, device=batch.targets_N.device)


def policy_outputs(
    model: PreTrainedModel, batch: Batch | PackedBatch, temperature: float
) -> tuple[Tensor, Tensor]:
    """Log-probabilities and entropy of the response tokens, flat, under the model as it is now."""
    hidden_BSD = run_trunk(decoder_of(model), batch)
    return language_head(model, batch.before_response(hidden_BSD), batch.targets_N, temperature)


def run_trunk(trunk: nn.Module, batch: Batch | PackedBatch) -> Tensor:
    """The last hidden state: [B, S, D] of a padded batch, [1, N, D] of a packed one."""
    return trunk(**batch.inputs, use_cache=False)[0]


def decoder_of(model: PreTrainedModel) -> nn.Module:
    """The transformer below the output layer."""
    return getattr(model, model.base_model_prefix)  # pyright: ignore[reportUnknownVariableType]
