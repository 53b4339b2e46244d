"""A helpful reward under a constraint on cost, by a Lagrange multiplier (Safe RLHF)."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from rlhf.config import objective
from rlhf.records import Prompt
from rlhf.rewards.base import (
    Reward,
    Scored,
    Scores,
    check_prompts,
    named_parts,
    observe,
    part_of,
    restore,
    state_of,
)


class SafeReward:
    """Maximises the helpful reward r while the mean cost c stays at `limit` or below:

        total = (r - lambda * c) / (1 + lambda)
        ln lambda <- ln lambda + rate * lambda * (mean c - limit)      once an iteration

    lambda is kept to `max_multiplier`: a limit that cannot be met would drive it to infinity. `Scores.parts`
    holds `helpful`, `cost` and `lagrange`, the multiplier that the total was made with.

    Source: Dai et al. 2023, "Safe RLHF", section 3.3 and appendix B; there the cost model's sign says harmful
    or not and the limit is called -d.
    """

    def __init__(self, cfg: objective.SafeReward, helpful: Reward, cost: Reward) -> None:
        """The rewards that `cfg` names, loaded; a high `cost` is bad."""
        self._cfg, self._rewards = cfg, {"helpful": helpful, "cost": cost}
        self._log_multiplier = math.log(cfg.multiplier)

    @property
    def multiplier(self) -> float:
        """lambda."""
        return math.exp(self._log_multiplier)

    def __call__(self, batch: Sequence[Scored]) -> Scores:
        """Scores of the batch at the present multiplier."""
        helpful, cost = (reward(batch) for reward in self._rewards.values())
        weight = self.multiplier
        total_B = (helpful.total - weight * cost.total) / (1 + weight)
        parts = {**named_parts("helpful", helpful), **named_parts("cost", cost)}
        return Scores(total_B, {**parts, "lagrange": torch.full((len(batch),), weight)})

    def check(self, prompts: Sequence[Prompt]) -> None:
        """Both rewards look at the rows. Raises as they do."""
        for reward in self._rewards.values():
            check_prompts(reward, prompts)

    def over_limit(self, scores: Scores) -> float:
        """How far the batch's mean cost is above the limit; 0.0 where it is not."""
        return max(0.0, _mean_cost(scores) - self._cfg.limit)

    def observe(self, scores: Scores) -> None:
        """Moves the multiplier by how far the batch's mean cost is above the limit, or below it."""
        over = _mean_cost(scores) - self._cfg.limit
        moved = self._log_multiplier + self._cfg.rate * self.multiplier * over
        self._log_multiplier = min(moved, math.log(self._cfg.max_multiplier))
        for name, reward in self._rewards.items():
            observe(reward, part_of(name, scores))

    def state_dict(self) -> dict[str, Any]:
        """ln lambda, and the states of the two rewards."""
        inner = {name: state_of(reward) for name, reward in self._rewards.items()}
        return {"log_multiplier": self._log_multiplier, **inner}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state_dict` gave."""
        self._log_multiplier = float(state["log_multiplier"])
        for name, reward in self._rewards.items():
            restore(reward, state[name])


class HelpfulReward:
    """The same two rewards without a price: what the checkpoint of a `SafeReward` is chosen by.

    total = r; `over_limit` says whether the cost is allowed. A multiplier that moves would make the scores of
    two checkpoints incomparable, and a fixed one would allow any cost that is paid for.
    """

    def __init__(self, safe: SafeReward) -> None:
        """Takes the rewards and the limit of `safe`."""
        self._safe = safe

    def __call__(self, batch: Sequence[Scored]) -> Scores:
        """Scores of the batch; `parts` are those of the safe reward without `lagrange`."""
        parts = {name: part for name, part in self._safe(batch).parts.items() if name != "lagrange"}
        return Scores(parts["helpful"], parts)

    def over_limit(self, scores: Scores) -> float:
        """How far the batch's mean cost is above the limit; 0.0 where it is not."""
        return self._safe.over_limit(scores)


def _mean_cost(scores: Scores) -> float:
    return scores.parts["cost"].double().mean().item()
