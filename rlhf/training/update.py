"""The PPO update: forward passes over a batch, then epochs of minibatches in token-budgeted microbatches.

Sums over tokens are divided by the minibatch's token count over all processes, so neither the microbatch size
nor the number of processes changes the gradient. The first epoch's microbatches are the ones that the old
log-probabilities are computed in, so the first ratio is 1 in any precision.
"""

import math
from collections.abc import Sequence
from contextlib import nullcontext

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer

from rlhf.config import PpoStage
from rlhf.errors import TrainingError
from rlhf.models.policy_value import TokenOutputs
from rlhf.models.roles import Roles
from rlhf.training.experience import Episode, Experience, Forwards, microbatch, response_mask, to_columns
from rlhf.training.losses import ppo_losses
from rlhf.training.memory import TokenBudget

Order = list[list[int]]  # minibatches of row indices


def minibatch_orders(num_rows: int, minibatch_size: int, epochs: int, seed: int) -> list[Order]:
    """A permutation of the rows for each epoch, cut into minibatches; drawn from `seed` alone."""
    generator = torch.Generator().manual_seed(seed)
    orders: list[Order] = []
    for _ in range(epochs):
        rows = torch.randperm(num_rows, generator=generator).tolist()
        orders.append([rows[start : start + minibatch_size] for start in range(0, num_rows, minibatch_size)])
    return orders


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
        self._parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]

    def reduce(self, x: Tensor) -> Tensor:
        """Sums a small tensor over the processes."""
        summed = self._accelerator.reduce(x.to(self._accelerator.device), reduction="sum")
        assert isinstance(summed, Tensor)
        return summed.cpu()

    @torch.no_grad()
    def forwards(self, episodes: Sequence[Episode], order: Order) -> Forwards:
        """Log-probabilities, reference log-probabilities, values and entropy of every response token.

        Values are 0 without a critic.
        """
        mask_BT = response_mask(episodes)
        columns = [torch.zeros(mask_BT.shape) for _ in range(4)]

        def fill(parts: list[list[int]]) -> None:
            for rows in parts:
                batch = microbatch(episodes, rows, self._pad_id).to(self._accelerator.device)
                outputs: TokenOutputs = self._module(batch)
                with self._accelerator.autocast():
                    ref_logprobs_N = self._roles.reference_logprobs(batch)
                values_N = outputs.values_N if self._stage.has_critic else torch.zeros_like(ref_logprobs_N)
                flat = (outputs.logprobs_N, ref_logprobs_N, values_N, outputs.entropy_N)
                for column_BT, flat_N in zip(columns, flat, strict=True):
                    to_columns(flat_N, rows, column_BT, mask_BT)

        lengths = [episode.length for episode in episodes]
        for minibatch in order:
            self.budget.run(lengths, minibatch, fill)
        return Forwards(mask_BT, *columns)

    def update(self, experience: Experience, orders: Sequence[Order]) -> dict[str, float]:
        """All epochs over one batch; returns the iteration's statistics, means over tokens.

        Raises:
            TrainingError: the gradient is not a number, or memory is too small for one response.
        """
        lengths = [episode.length for episode in experience.episodes]
        sums: dict[str, float] = {}
        largest = {"ratio": 0.0, "gap": 0.0}
        first_gap: float | None = None
        for minibatch in (minibatch for order in orders for minibatch in order):
            local_tokens = experience.mask_BT[torch.tensor(minibatch)].sum()
            num_tokens = self.reduce(local_tokens.double().reshape(1)).item()

            def backward(parts: list[list[int]], num_tokens: float = num_tokens) -> dict[str, float]:
                self._optimizer.zero_grad(set_to_none=True)
                return self._backward(experience, parts, num_tokens, largest)

            largest["gap"] = 0.0
            _add(sums, self.budget.run(lengths, minibatch, backward))
            _add(sums, {"grad_norm": self._step(), "minibatches": 1.0})
            first_gap = largest["gap"] if first_gap is None else first_gap
        return self._statistics(sums, ratio_max=largest["ratio"], first_ratio_gap=first_gap or 0.0)

    def _backward(
        self,
        experience: Experience,
        parts: list[list[int]],
        num_tokens: float,
        largest: dict[str, float],
    ) -> dict[str, float]:
        """Accumulates the gradient of one minibatch; returns its statistics, summed over tokens."""
        accelerator = self._accelerator
        sums: dict[str, float] = {}
        for number, rows in enumerate(parts):
            batch = microbatch(experience.episodes, rows, self._pad_id).to(accelerator.device)
            last = number == len(parts) - 1
            with nullcontext() if last else accelerator.no_sync(self._module):
                out: TokenOutputs = self._module(batch)
                losses = ppo_losses(out, experience, rows, self._stage, num_tokens=num_tokens)
                # processes average their gradients, and the losses are parts of one sum
                accelerator.backward(losses.loss * accelerator.num_processes)
            largest["gap"] = max(largest["gap"], losses.gap_max.item())
            largest["ratio"] = max(largest["ratio"], losses.ratio_max.item())
            _add(sums, {name: float(value) for name, value in losses.sums.items()})
        return sums

    def _step(self) -> float:
        """Clips the gradient, applies it, and returns its norm before clipping."""
        norm = float(self._accelerator.clip_grad_norm_(self._parameters, self._stage.max_grad_norm) or 0.0)
        if not math.isfinite(norm):
            raise TrainingError(
                f"not-a-number: the norm of the gradient is {norm}; this step was not applied\n"
                "lower stage.learning_rate or set precision=fp32; the last saved state is untouched"
            )
        self._optimizer.step()
        return norm

    def _statistics(self, sums: dict[str, float], **largest: float) -> dict[str, float]:
        """Means over the tokens of all processes; losses and gradient norm are means over minibatches."""
        losses = [name for name in ("policy_loss", "value_loss") if name in sums]
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
        return statistics | {"grad_norm": sums["grad_norm"] / steps} | largest


def _add(sums: dict[str, float], more: dict[str, float]) -> None:
    for name, value in more.items():
        sums[name] = sums.get(name, 0.0) + value
