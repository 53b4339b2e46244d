"""The PPO update: forward passes over a batch, then epochs of minibatches in token-budgeted microbatches.

Sums over tokens are divided by the minibatch's token count over all processes, so neither the microbatch size
nor the number of processes changes the gradient. The first epoch's microbatches are the ones that the old
log-probabilities are computed in, so the first ratio is 1 in any precision.
"""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer

from rlhf.config import PpoStage
from rlhf.data.collation import Batch, collate
from rlhf.data.encoding import Encoded
from rlhf.data.packing import PackedBatch, pack
from rlhf.errors import TrainingError
from rlhf.models.gradients import keep_gradients, zero_gradients
from rlhf.models.policy_value import PolicyValue, TokenOutputs
from rlhf.models.roles import Roles
from rlhf.training.experience import (
    Episode,
    Experience,
    Forwards,
    engine_logprobs,
    response_mask,
    to_columns,
)
from rlhf.training.losses import ppo_losses
from rlhf.training.memory import TokenBudget
from rlhf.training.sharding import whole

Order = list[list[int]]  # minibatches of row indices


def minibatch_orders(num_rows: int, minibatch_size: int, epochs: int, seed: int) -> list[Order]:
    """A permutation of the rows for each epoch, cut into minibatches; drawn from `seed` alone."""
    generator = torch.Generator().manual_seed(seed)
    orders: list[Order] = []
    for _ in range(epochs):
        rows = torch.randperm(num_rows, generator=generator).tolist()
        orders.append([rows[start : start + minibatch_size] for start in range(0, num_rows, minibatch_size)])
    return orders


def parameter_groups(module: PolicyValue) -> list[dict[str, Any]]:
    """What is trained, for an optimiser: the policy's and, where there is one, the critic's."""
    critic = {id(parameter) for parameter in module.critic_parameters()}
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    roles = {
        "policy": [parameter for parameter in trained if id(parameter) not in critic],
        "critic": [parameter for parameter in trained if id(parameter) in critic],
    }
    return [{"params": parameters, "role": role} for role, parameters in roles.items() if parameters]


class PpoUpdater:
    """Forward passes and optimiser steps of one `PolicyValue`, prepared by `accelerator`."""

    def __init__(
        self,
        accelerator: Accelerator,
        module: nn.Module,
        optimizer: Optimizer,
        roles: Roles,
        stage: PpoStage,
        budget: TokenBudget,
        *,
        pad_id: int,
    ) -> None:
        self._accelerator = accelerator
        self._module = module
        self._optimizer = optimizer
        self._roles = roles
        self._stage = stage
        self.budget = budget
        self._pad_id = pad_id
        # one after the other, memory holds the activations of one; several processes bring all gradients
        # together in one backward pass
        apart = stage.has_critic and accelerator.num_processes == 1
        self._at_once: list[dict[str, bool]] = [{"critic": False}, {"policy": False}] if apart else [{}]
        self._parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        if accelerator.num_processes == 1:
            policy_value = roles.policy_value
            critic = [] if policy_value.critic is None else [policy_value.critic]
            keep_gradients([policy_value.language_model, *critic])

    def batch(self, rows: Sequence[Encoded]) -> Batch | PackedBatch:
        """The rows as the models take them: packed where they can, padded on the right where not."""
        batch = pack(rows) if self.budget.packed else collate(rows, self._pad_id)
        return batch.to(self._accelerator.device)

    def reduce(self, x: Tensor) -> Tensor:
        """Sums a small tensor over the processes."""
        summed = self._accelerator.reduce(x.to(self._accelerator.device), reduction="sum")
        assert isinstance(summed, Tensor)
        return summed.cpu()

    @torch.no_grad()
    def forwards(
        self, episodes: Sequence[Episode], order: Order, *, reuse_logprobs: bool = False
    ) -> Forwards:
        """Log-probabilities, reference log-probabilities, values and entropy of every response token.

        Values are 0 without a critic. With `reuse_logprobs` the policy is not run: its log-probabilities are
        those that the engine gave, and -log pi of the token drawn stands for the entropy, whose mean it is.
        """
        mask_BT = response_mask(episodes)
        logprobs_BT, ref_logprobs_BT, values_BT, entropy_BT = (torch.zeros(mask_BT.shape) for _ in range(4))
        if reuse_logprobs:
            logprobs_BT = engine_logprobs(episodes, mask_BT)
            entropy_BT = -logprobs_BT

        def fill(parts: list[list[int]]) -> None:
            for rows in parts:
                batch = self.batch([episodes[row].encoded for row in rows])
                if not reuse_logprobs or self._stage.has_critic:
                    found: TokenOutputs = self._module(batch, **({"policy": False} if reuse_logprobs else {}))
                    if not reuse_logprobs:
                        to_columns(found.logprobs_N, rows, logprobs_BT, mask_BT)
                        to_columns(found.entropy_N, rows, entropy_BT, mask_BT)
                    if self._stage.has_critic:
                        to_columns(found.values_N, rows, values_BT, mask_BT)
                with self._accelerator.autocast():
                    ref_logprobs_N = self._roles.reference_logprobs(batch)
                to_columns(ref_logprobs_N, rows, ref_logprobs_BT, mask_BT)

        lengths = [episode.length for episode in episodes]
        with self._roles.reference_present():
            for minibatch in order:
                self.budget.run(lengths, minibatch, fill)
        return Forwards(mask_BT, logprobs_BT, ref_logprobs_BT, values_BT, entropy_BT)

    def update(
        self,
        experience: Experience,
        orders: Sequence[Order],
        *,
        critic_only: bool = False,
        mix: Sequence[Sequence[Encoded]] = (),
    ) -> dict[str, float]:
        """All epochs over one batch; returns the iteration's statistics, means over tokens.

        With `critic_only` the policy stays as it is. `mix` holds the demonstrations of each minibatch,
        weighed by `stage.ptx_coef`. Once a minibatch finds the policy further than `stage.target_kl` from the
        one that sampled, it and all that follow are left out.

        Raises:
            TrainingError: the gradient is not a number, or memory is too small for one response.
        """
        lengths = [episode.length for episode in experience.episodes]
        sums: dict[str, float] = {}
        seen = {"ratio": 0.0, "gap": 0.0, "gap_sum": 0.0}
        first: dict[str, float] = {}
        for number, minibatch in enumerate(minibatch for order in orders for minibatch in order):
            num_tokens = self._total(experience.mask_BT[torch.tensor(minibatch)].sum())
            shown = mix[number] if mix else ()

            def backward(
                parts: list[list[int]],
                num_tokens: float = num_tokens,
                shown: Sequence[Encoded] = shown,
            ) -> dict[str, float]:
                zero_gradients(self._parameters)
                seen["gap"] = seen["gap_sum"] = 0.0
                mixed = self._backward_mix(shown)
                return mixed | self._backward(experience, parts, num_tokens, seen)

            found = self.budget.run(lengths, minibatch, backward)
            if number and self._too_far(found["approx_kl"], num_tokens):
                break
            _add(sums, found)
            _add(sums, {"grad_norm": self._step(critic_only=critic_only), "minibatches": 1.0})
            first = first or {"max": seen["gap"], "sum": seen["gap_sum"], "tokens": found["tokens"]}
        return self._statistics(sums) | {
            "ratio_max": self._largest(seen["ratio"]),
            "first_ratio_gap": self._largest(first["max"]),
            "first_ratio_gap_mean": self._total(torch.tensor(first["sum"], dtype=torch.float64))
            / self._total(torch.tensor(first["tokens"], dtype=torch.float64)),
            "epochs_done": sums["minibatches"] / len(orders[0]),
        }

    def _backward(
        self,
        experience: Experience,
        parts: list[list[int]],
        num_tokens: float,
        seen: dict[str, float],
    ) -> dict[str, float]:
        """Accumulates the gradient of one minibatch; returns its statistics, summed over tokens."""
        accelerator = self._accelerator
        sums: dict[str, float] = {}
        for number, rows in enumerate(parts):
            batch = self.batch([experience.episodes[row].encoded for row in rows])
            last = number == len(parts) - 1
            for models in self._at_once:
                with nullcontext() if last else accelerator.no_sync(self._module):
                    out: TokenOutputs = self._module(batch, **models)
                    losses = ppo_losses(out, experience, rows, self._stage, num_tokens=num_tokens, **models)
                    # processes average their gradients, and the losses are parts of one sum
                    accelerator.backward(losses.loss * accelerator.num_processes)
                seen["gap"] = max(seen["gap"], losses.gap_max.item())
                seen["gap_sum"] += losses.gap_sum.item()
                seen["ratio"] = max(seen["ratio"], losses.ratio_max.item())
                _add(sums, {name: float(value) for name, value in losses.sums.items()})
        return sums

    def _backward_mix(self, shown: Sequence[Encoded]) -> dict[str, float]:
        """The gradient of stage.ptx_coef * E[-log pi] of the answers' tokens, at temperature 1 as in SFT.

        Goes before the minibatch's own parts, the last of which brings the processes' gradients together.
        """
        if not shown:
            return {}
        accelerator = self._accelerator
        lengths = [len(row.ids) for row in shown]
        num_tokens = self._total(torch.tensor(sum(len(row.ids) - row.prompt_length for row in shown)))
        total = 0.0
        for rows in self.budget.plan(lengths, range(len(shown))):
            batch = self.batch([shown[row] for row in rows])
            with accelerator.no_sync(self._module):
                out: TokenOutputs = self._module(batch, critic=False, temperature=1.0)
                loss = -out.logprobs_N.sum() / num_tokens
                accelerator.backward(self._stage.ptx_coef * loss * accelerator.num_processes)
            total += loss.item()
        return {"ptx_loss": total}

    def _too_far(self, approx_kl_sum: float, num_tokens: float) -> bool:
        """Whether the approximate KL from the policy that sampled, in nats a token, is past the target."""
        target = self._stage.target_kl
        return target is not None and self._total(torch.tensor(approx_kl_sum)) / num_tokens > target

    def _total(self, x: Tensor) -> float:
        """A number summed over the processes."""
        return self.reduce(x.double().reshape(1)).item()

    def _largest(self, x: float) -> float:
        """The largest of the processes' numbers."""
        x_1 = torch.tensor([x], dtype=torch.float64, device=self._accelerator.device)
        largest = self._accelerator.reduce(x_1, reduction="max")
        assert isinstance(largest, Tensor)
        return largest.item()

    def _step(self, *, critic_only: bool) -> float:
        """Clips the gradient, applies it, and returns its norm before clipping."""
        if critic_only:
            for group in self._optimizer.param_groups:
                for parameter in group["params"] if group["role"] == "policy" else ():
                    parameter.grad = None  # not 0: Adam would count the step
        clipped = self._accelerator.clip_grad_norm_(self._parameters, self._stage.max_grad_norm)
        norm = 0.0 if clipped is None else float(whole(clipped))
        if not math.isfinite(norm):
            raise TrainingError(
                f"not-a-number: the norm of the gradient is {norm}; this step was not applied\n"
                "lower stage.learning_rate or set precision=fp32; the last saved state is untouched"
            )
        self._optimizer.step()
        return norm

    def _statistics(self, sums: dict[str, float]) -> dict[str, float]:
        """Means over the tokens of all processes; losses and gradient norm are means over minibatches."""
        losses = [name for name in sums if name.endswith("_loss")]
        names = sorted(sums)
        summed = self.reduce(torch.tensor([sums[name] for name in names], dtype=torch.float64))
        total = dict(zip(names, summed.tolist(), strict=True))
        statistics = {
            name: value / total["tokens"]
            for name, value in total.items()
            if name not in (*losses, "grad_norm", "tokens", "minibatches")
        }
        # a loss is a part of a sum over processes, the gradient norm is the same on each
        steps = sums["minibatches"]
        statistics |= {name: total[name] / steps for name in losses}
        return statistics | {"grad_norm": sums["grad_norm"] / steps}


def _add(sums: dict[str, float], more: dict[str, float]) -> None:
    for name, value in more.items():
        sums[name] = sums.get(name, 0.0) + value
