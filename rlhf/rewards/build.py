"""From the configuration to a reward."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from rlhf.config import objective
from rlhf.rewards.base import Reward
from rlhf.rewards.custom import CustomReward
from rlhf.rewards.functions import source_file
from rlhf.rewards.rules import RulesReward
from rlhf.rewards.weighted import WeightedReward


def build_reward(cfg: objective.Reward, load_model_reward: Callable[[], Reward]) -> Reward:
    """The reward that `cfg` describes.

    `load_model_reward` gives the reward of the reward model. It is called once, and only where `cfg` holds
    that reward (`needs_model`), so that a reward of one's own needs no reward model.

    Raises:
        ConfigError: a function, a file or a regular expression in `cfg` is wrong.
    """
    return _build(cfg, cache(load_model_reward))


def needs_model(cfg: objective.Reward) -> bool:
    """Whether a reward model has a part in this reward."""
    if isinstance(cfg, objective.WeightedReward):
        return any(needs_model(part.reward) for part in cfg.parts.values())
    return isinstance(cfg, objective.ModelReward)


def reward_files(cfg: objective.Reward) -> tuple[Path, ...]:
    """Files of the user's own that decide the reward: part of a run's identity."""
    if isinstance(cfg, objective.WeightedReward):
        return tuple(file for part in cfg.parts.values() for file in reward_files(part.reward))
    file = None
    if isinstance(cfg, objective.CustomReward):
        file = source_file(cfg.path)
    elif isinstance(cfg, objective.RulesReward) and cfg.json_schema:
        file = Path(cfg.json_schema).expanduser()
    return (file,) if file and file.is_file() else ()


def _build(cfg: objective.Reward, load_model_reward: Callable[[], Reward]) -> Reward:
    match cfg:
        case objective.ModelReward():
            return load_model_reward()
        case objective.CustomReward():
            return CustomReward(cfg)
        case objective.RulesReward():
            return RulesReward(cfg)
        case objective.WeightedReward():
            parts = {
                name: (part.weight, _build(part.reward, load_model_reward))
                for name, part in cfg.parts.items()
            }
            return WeightedReward(parts)
