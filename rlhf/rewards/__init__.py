"""Rewards: a reward model, rules, a user's function, and weighted sums of these.

reward = build_reward(cfg.reward, load_model_reward=lambda: ModelReward(model, encoder))
scores = reward(batch)      # Scores(total=[B], parts={"model": [B]})
"""

from rlhf.rewards.base import Reward, Scored, Scores, check_prompts
from rlhf.rewards.build import build_reward, needs_model, reward_files
from rlhf.rewards.custom import CustomReward
from rlhf.rewards.functions import load_function
from rlhf.rewards.model import ModelReward, same_tokens
from rlhf.rewards.rules import RulesReward
from rlhf.rewards.weighted import WeightedReward

__all__ = [
    "CustomReward",
    "ModelReward",
    "Reward",
    "RulesReward",
    "Scored",
    "Scores",
    "WeightedReward",
    "build_reward",
    "check_prompts",
    "load_function",
    "needs_model",
    "reward_files",
    "same_tokens",
]
