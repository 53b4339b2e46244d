"""The KL-regularised optimum where every response can be enumerated, exactly, in two ways.

A response is L of V symbols; nothing ends it early. For a prompt x, a reward r and a reference pi_ref,

    J(pi) = E_pi[r(x, y)] - beta KL(pi || pi_ref)

is largest at pi*(y|x) = pi_ref(y|x) exp(r(x, y) / beta) / Z(x), where it is J* = beta log Z(x); for any other
policy J* - J(pi) = beta KL(pi || pi*) (Rafailov et al. 2023, appendix A.1). The same optimum comes symbol by
symbol from soft value iteration, backwards from the whole responses (Haarnoja et al. 2017, with a prior):

    V(x, y) = r(x, y)           V(s) = beta log sum_a pi_ref(a|s) exp(V(s a) / beta)
    pi*(a|s) = pi_ref(a|s) exp((V(s a) - V(s)) / beta)

Shapes: P prompts, Y = V^L responses in lexicographic order. All is float64, KL in nats, J in the reward's
unit.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Level = Tensor
"""Log-probabilities [P, V^t, V] of the symbol after each prefix of t symbols; a policy is L levels."""


@dataclass(frozen=True)
class Space:
    """All responses of `length` out of `symbols` symbols, whose token ids are 0 ... symbols - 1."""

    symbols: int
    length: int

    @property
    def size(self) -> int:
        """How many responses there are."""
        return self.symbols**self.length

    def strings(self, length: int) -> Tensor:
        """All strings [V^length, length], in lexicographic order."""
        rows = list(itertools.product(range(self.symbols), repeat=length))
        return torch.tensor(rows, dtype=torch.long).reshape(-1, length)


@dataclass(frozen=True)
class Objective:
    """What is maximised; prompts count alike."""

    ref_logprobs_PY: Tensor
    rewards_PY: Tensor
    beta: float

    @property
    def optimum_PY(self) -> Tensor:
        """log pi* of every response."""
        return self.ref_logprobs_PY + self.rewards_PY / self.beta - self._log_partition_P[:, None]

    @property
    def best(self) -> float:
        """J*, mean over prompts."""
        return float(self.beta * self._log_partition_P.mean())

    def value(self, logprobs_PY: Tensor) -> float:
        """J of a policy, mean over prompts."""
        gain_PY = self.rewards_PY - self.beta * (logprobs_PY - self.ref_logprobs_PY)
        return float((logprobs_PY.exp() * gain_PY).sum(dim=1).mean())

    @property
    def _log_partition_P(self) -> Tensor:
        return torch.logsumexp(self.ref_logprobs_PY + self.rewards_PY / self.beta, dim=1)


@dataclass(frozen=True)
class Nearness:
    """How near a policy is to the optimum."""

    share: float  # f = (J - J_ref) / (J* - J_ref): 0 at the reference, 1 at the optimum
    value: float  # J
    kl_to_optimum: float  # KL(pi || pi*), nats a response
    kl_to_reference: float  # KL(pi || pi_ref), nats a response
    identity_error: float  # |J* - J - beta KL(pi || pi*)|: rounding alone, where all is right


def nearness(objective: Objective, logprobs_PY: Tensor) -> Nearness:
    """J, its share and the divergences of a policy, given by its log-probability of every response."""
    start, value = objective.value(objective.ref_logprobs_PY), objective.value(logprobs_PY)
    kl = divergence(logprobs_PY, objective.optimum_PY)
    return Nearness(
        share=(value - start) / (objective.best - start),
        value=value,
        kl_to_optimum=kl,
        kl_to_reference=divergence(logprobs_PY, objective.ref_logprobs_PY),
        identity_error=abs(objective.best - value - objective.beta * kl),
    )


def divergence(logprobs_PY: Tensor, other_PY: Tensor) -> float:
    """KL(one || other) in nats, mean over prompts."""
    return float((logprobs_PY.exp() * (logprobs_PY - other_PY)).sum(dim=1).mean())


def soft_value_iteration(
    ref_levels: Sequence[Level], rewards_PY: Tensor, beta: float
) -> tuple[Tensor, list[Level]]:
    """V [P] of the prompts alone, which is each one's J*, and the optimal policy."""
    value_PS = rewards_PY
    optimal: list[Level] = []
    for level in reversed(ref_levels):
        after_PSV = value_PS.reshape(level.shape)
        value_PS = beta * torch.logsumexp(level + after_PSV / beta, dim=-1)
        optimal.append(level + (after_PSV - value_PS[..., None]) / beta)
    return value_PS[:, 0], optimal[::-1]


def response_logprobs(levels: Sequence[Level]) -> Tensor:
    """The log-probability [P, Y] of every response, the sum over its symbols."""
    total_PS = torch.zeros_like(levels[0][:, :, 0])
    for level in levels:
        total_PS = (total_PS[..., None] + level).flatten(start_dim=1)
    return total_PS


def prefix_rows(prompts: Sequence[Sequence[int]], space: Space) -> Tensor:
    """Every prompt before every prefix of L - 1 symbols, [P * V^(L-1), W + L - 1] token ids.

    One pass over them says all there is to know of a policy. `prompts` are W token ids each.
    """
    prefixes = space.strings(space.length - 1)
    prompts_PW = torch.tensor([list(prompt) for prompt in prompts])
    before = prompts_PW.repeat_interleave(len(prefixes), dim=0)
    return torch.cat([before, prefixes.repeat(len(prompts_PW), 1)], dim=1)


def next_symbols(model: nn.Module, rows: Tensor, length: int) -> Tensor:
    """Log-probabilities [N, L, V] of the symbol after 0 ... L - 1 symbols of each row, with gradient."""
    logits = model(input_ids=rows, use_cache=False).logits
    return torch.log_softmax(logits[:, -length:], dim=-1)


@torch.no_grad()
def levels_of(model: nn.Module, prompts: Sequence[Sequence[int]], space: Space) -> list[Level]:
    """What a causal language model says after every prefix, computed in the model's own precision."""
    logprobs_NLV = next_symbols(model, prefix_rows(prompts, space), space.length).double()
    shape = (len(prompts), -1, space.length, space.symbols)
    # rows that begin alike say the same after it: the first of them speaks for the prefix
    return [
        logprobs_NLV.reshape(shape)[:, :: space.symbols ** (space.length - 1 - t), t]
        for t in range(space.length)
    ]


def rows_of(levels: Sequence[Level]) -> Tensor:
    """The reverse: what `next_symbols` would say of `prefix_rows`, [P * V^(L-1), L, V]."""
    last = levels[-1].shape[1]
    spread = [level.repeat_interleave(last // level.shape[1], dim=1) for level in levels]
    return torch.stack(spread, dim=2).flatten(end_dim=1)
