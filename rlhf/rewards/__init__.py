"""Rewards: reward models and ensembles of them, rules, a user's function, weighted sums, a constraint.

reward = build_reward(cfg.reward, models)      # models loads reward models where cfg asks for them
scores = reward(batch)      # Scores(total=[B], parts={"model": [B]})
"""

from rlhf.rewards.base import (
    Reward,
    Scored,
    Scores,
    StatefulReward,
    check_prompts,
    observe,
    restore,
    state_of,
)
from rlhf.rewards.build import (
    ModelRewards,
    build_reward,
    model_paths,
    needs_model,
    needs_validation,
    reward_files,
)
from rlhf.rewards.custom import CustomReward
from rlhf.rewards.ensemble import EnsembleReward
from rlhf.rewards.functions import load_function
from rlhf.rewards.model import ModelReward, same_tokens
from rlhf.rewards.rules import RulesReward
from rlhf.rewards.safe import HelpfulReward, SafeReward
from rlhf.rewards.weighted import WeightedReward

__all__ = [
    "CustomReward",
    "EnsembleReward",
    "HelpfulReward",
    "ModelReward",
    "ModelRewards",
    "Reward",
    "RulesReward",
    "SafeReward",
    "Scored",
    "Scores",
    "StatefulReward",
    "WeightedReward",
    "build_reward",
    "check_prompts",
    "load_function",
    "model_paths",
    "needs_model",
    "needs_validation",
    "observe",
    "restore",
    "reward_files",
    "same_tokens",
    "state_of",
]
