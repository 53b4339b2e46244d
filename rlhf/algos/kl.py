"""Estimators of KL(policy || reference), and the coefficient that weighs it.

With d = log pi - log pi_ref on a token drawn from pi (Schulman, "Approximating KL divergence",
2020): k1 = d is unbiased, and negative at times; k2 = d^2 / 2 is biased and never negative;
k3 = exp(-d) - 1 + d is unbiased and never negative. Differentiated as a loss, only k2 has the
gradient of the KL in expectation: k1's is 0, and k3's is that of KL(reference || policy).

As a reward, where the gradient is E[estimate * grad log pi] and none flows through the estimate, it
is the other way round: k1 gives the gradient of KL(policy || reference), k3 that less the gradient of
KL(reference || policy). Near the reference the two gradients agree, so that a penalty of k3 hardly
pulls there, and pulls hard only from far away.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import torch
from torch import Tensor

from rlhf.algos.masks import masked, masked_sum
from rlhf.errors import TrainingError

KlEstimator = Literal["k1", "k3"]
"""Those that may be a penalty; k2's expectation is no KL."""


def k1(logprobs_BT: Tensor, ref_logprobs_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """d, in nats a token [B, T]; 0 where masked."""
    return masked(logprobs_BT, mask_BT) - masked(ref_logprobs_BT, mask_BT)


def k2(logprobs_BT: Tensor, ref_logprobs_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """d^2 / 2, in nats a token [B, T]; 0 where masked."""
    return k1(logprobs_BT, ref_logprobs_BT, mask_BT) ** 2 / 2


def k3(logprobs_BT: Tensor, ref_logprobs_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """exp(-d) - 1 + d, in nats a token [B, T]; 0 where masked. Infinite in float32 below d = -88."""
    d_BT = k1(logprobs_BT, ref_logprobs_BT, mask_BT)
    return torch.expm1(-d_BT) + d_BT


def token_kl(logprobs_BT: Tensor, ref_logprobs_BT: Tensor, mask_BT: Tensor, estimator: KlEstimator) -> Tensor:
    """The named estimate of each token, in nats [B, T]; 0 where masked."""
    return (k3 if estimator == "k3" else k1)(logprobs_BT, ref_logprobs_BT, mask_BT)


def sequence_kl(
    logprobs_BT: Tensor, ref_logprobs_BT: Tensor, mask_BT: Tensor, estimator: KlEstimator = "k1"
) -> Tensor:
    """Sum over each response's tokens, [B] in nats; by k1, its mean over responses is "the KL"."""
    return masked_sum(token_kl(logprobs_BT, ref_logprobs_BT, mask_BT, estimator), mask_BT, dim=-1)


class KlController(Protocol):
    """Gives the KL coefficient of the next iteration; `update` returns a new controller."""

    @property
    def coef(self) -> float: ...
    def update(self, kl_nats: float, episodes: int) -> "KlController": ...
    def state_dict(self) -> dict[str, float]: ...
    def with_state(self, state: Mapping[str, float]) -> "KlController": ...


@dataclass(frozen=True)
class FixedKl:
    """A coefficient that stays what it is."""

    coef: float

    def __post_init__(self) -> None:
        _require(self.coef >= 0, f"coef={self.coef} must not be negative")

    def update(self, kl_nats: float, episodes: int) -> "FixedKl":
        return self

    def state_dict(self) -> dict[str, float]:
        return {"coef": self.coef}

    def with_state(self, state: Mapping[str, float]) -> "FixedKl":
        return replace(self, coef=float(state["coef"]))


@dataclass(frozen=True)
class AdaptiveKl:
    """A coefficient that steers the KL to a target (Ziegler et al. 2019, section 2.2).

        error = clip(kl / target - 1, -clip, clip)
        coef' = coef * (1 + error * episodes / horizon)

    Departure: one update counts at most `horizon` episodes, so that no batch, however large, can
    drive the coefficient through 0.
    """

    coef: float
    target: float
    horizon: float = 10_000
    clip: float = 0.2

    def __post_init__(self) -> None:
        _require(self.coef > 0, f"coef={self.coef} must be positive: an update only multiplies it")
        _require(self.target > 0, f"target={self.target} must be positive nats")
        _require(self.horizon > 0, f"horizon={self.horizon} must be a positive number of episodes")
        _require(0 < self.clip < 1, f"clip={self.clip} must lie between 0 and 1")

    def update(self, kl_nats: float, episodes: int) -> "AdaptiveKl":
        """The controller after an iteration of `episodes` responses at mean sequence KL `kl_nats`."""
        if math.isnan(kl_nats):
            raise TrainingError("the KL to the reference is not a number, so its coefficient cannot adapt")
        error = min(max(kl_nats / self.target - 1, -self.clip), self.clip)
        return replace(self, coef=self.coef * (1 + error * min(episodes / self.horizon, 1)))

    def state_dict(self) -> dict[str, float]:
        return {"coef": self.coef}

    def with_state(self, state: Mapping[str, float]) -> "AdaptiveKl":
        return replace(self, coef=float(state["coef"]))


@dataclass(frozen=True)
class AnnealedKl:
    """A coefficient that falls in a straight line from `coef` to `final`, by `fall` each episode.

    While it is high, the policy stays broad: it finds all kinds of good answers before it is let go after the
    best of them. At once at a low coefficient it settles on those that it meets first, and samples too little
    of the others to come back to them.
    """

    coef: float
    final: float
    fall: float

    def __post_init__(self) -> None:
        _require(self.final >= 0, f"final={self.final} must not be negative")
        _require(self.coef >= self.final, f"coef={self.coef} must not be below final={self.final}")
        _require(self.fall > 0, f"fall={self.fall} must be positive")

    def update(self, kl_nats: float, episodes: int) -> "AnnealedKl":
        """The controller after an iteration of `episodes` responses, whatever their KL."""
        return replace(self, coef=max(self.final, self.coef - self.fall * episodes))

    def state_dict(self) -> dict[str, float]:
        return {"coef": self.coef}

    def with_state(self, state: Mapping[str, float]) -> "AnnealedKl":
        return replace(self, coef=float(state["coef"]))


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
