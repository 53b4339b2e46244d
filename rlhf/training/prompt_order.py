"""Which prompt each episode of a PPO run takes: also for the evaluation, which asks what was seen."""

from collections.abc import Sequence

import numpy as np

from rlhf.training.seeds import sub_seed


def prompt_order(seed: int, count: int, numbers: Sequence[int]) -> list[int]:
    """The place of each numbered episode's prompt; every pass over the `count` prompts is a new permutation.

    `seed` is the PPO run's (`ppo_seed`), from which nothing else about the order comes.
    """
    passes = {
        epoch: np.random.default_rng(sub_seed(seed, "prompts", epoch)).permutation(count)
        for epoch in {number // count for number in numbers}
    }
    return [int(passes[number // count][number % count]) for number in numbers]


def ppo_seed(seed: int) -> int:
    """What a PPO run makes of the seed of the configuration."""
    return sub_seed(seed, "ppo")
