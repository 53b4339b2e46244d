"""From the configuration to a reward."""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

from rlhf.config import objective
from rlhf.rewards.base import Reward
from rlhf.rewards.custom import CustomReward
from rlhf.rewards.ensemble import EnsembleReward
from rlhf.rewards.functions import source_file
from rlhf.rewards.rules import RulesReward
from rlhf.rewards.safe import SafeReward
from rlhf.rewards.weighted import WeightedReward


class ModelRewards(Protocol):
    """Loads the rewards that are reward models: of `inputs.reward_model` where `path` is None, else of that
    one. `place` is where in the configuration it is asked for ("reward.cost"), for messages."""

    def model(self, place: str, path: str | None) -> Reward:
        """One model's score."""
        ...

    def members(self, place: str, path: str | None) -> Sequence[Reward]:
        """The scores of an ensemble's models. Raises InputError where there is one model alone."""
        ...


def build_reward(cfg: objective.Reward, models: ModelRewards) -> Reward:
    """The reward that `cfg` describes.

    `models` is asked once for each model, and only where `cfg` holds it, so that a reward of one's own needs
    no reward model.

    Raises:
        ConfigError: a function, a file or a regular expression in `cfg` is wrong.
        InputError: a reward model is not there.
    """
    return _Builder(models).build("reward", cfg)


def needs_model(cfg: objective.Reward) -> bool:
    """Whether `inputs.reward_model` has a part in this reward."""
    return any(
        isinstance(one, (objective.ModelReward, objective.EnsembleReward)) and one.path is None
        for _, one in singles(cfg)
    )


def model_paths(cfg: objective.Reward) -> dict[str, str]:
    """The reward models that the configuration names by path, by the place where it does."""
    return {
        place: one.path
        for place, one in singles(cfg)
        if isinstance(one, (objective.ModelReward, objective.EnsembleReward)) and one.path is not None
    }


def needs_validation(cfg: objective.Reward) -> bool:
    """Whether a checkpoint is to be chosen by another reward than PPO maximises: it holds reward models, or a
    multiplier that moves, so that its scores of two iterations do not compare."""
    return needs_model(cfg) or bool(model_paths(cfg)) or isinstance(cfg, objective.SafeReward)


def reward_files(cfg: objective.Reward) -> tuple[Path, ...]:
    """Files of the user's own that decide the reward: part of a run's identity."""
    found: list[Path] = []
    for _, one in singles(cfg):
        if isinstance(one, objective.CustomReward) and (file := source_file(one.path)):
            found.append(file)
        elif isinstance(one, objective.RulesReward) and one.json_schema:
            found.append(Path(one.json_schema).expanduser())
    return tuple(file for file in found if file.is_file())


def singles(cfg: objective.Reward, place: str = "reward") -> Iterator[tuple[str, objective.Single]]:
    """The rewards that hold no other, each with its place in the configuration."""
    if isinstance(cfg, objective.WeightedReward):
        for name, part in cfg.parts.items():
            yield f"{place}.parts.{name}.reward", part.reward
    elif isinstance(cfg, objective.SafeReward):
        yield from singles(cfg.helpful, f"{place}.helpful")
        yield from singles(cfg.cost, f"{place}.cost")
    else:
        yield place, cfg


class _Builder:
    def __init__(self, models: ModelRewards) -> None:
        self._of_inputs = cache(lambda place: models.model(place, None))
        self._models = models

    def build(self, place: str, cfg: objective.Reward) -> Reward:
        match cfg:
            case objective.ModelReward():
                # the one of the inputs is loaded once, wherever it stands
                return self._models.model(place, cfg.path) if cfg.path else self._of_inputs("reward")
            case objective.EnsembleReward():
                return EnsembleReward(self._models.members(place, cfg.path), cfg)
            case objective.CustomReward():
                return CustomReward(cfg)
            case objective.RulesReward():
                return RulesReward(cfg)
            case objective.WeightedReward():
                parts = {
                    name: (part.weight, self.build(f"{place}.parts.{name}.reward", part.reward))
                    for name, part in cfg.parts.items()
                }
                return WeightedReward(parts)
            case objective.SafeReward():
                helpful = self.build(f"{place}.helpful", cfg.helpful)
                return SafeReward(cfg, helpful, self.build(f"{place}.cost", cfg.cost))
