"""One process of a PPO iteration that others share: run by torch.multiprocessing."""

import os
from pathlib import Path

import torch
from ppo_parts import make_episodes, make_roles, make_updater, score, weights

from rlhf.config import PpoStage
from rlhf.training.experience import make_experience

STAGE = PpoStage(
    total_episodes=8, batch_size=8, minibatch_size=4, epochs=2, response_length=9, microbatch_tokens=24
)
HALVES = [[0, 2, 4, 6], [1, 3, 5, 7]]  # with unequal numbers of tokens, and of microbatches
ORDERS = [[[0, 3], [2, 1]], [[1, 2], [3, 0]]]  # of a half's own rows, for each of two epochs


def work(rank: int, port: int, folder: Path) -> None:
    """Trains on one half of the batch."""
    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "ACCELERATE_USE_CPU": "true",
    }
    figures, trained = train(HALVES[rank], ORDERS)
    torch.save((figures, trained), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def train(rows: list[int], orders: list[list[list[int]]]) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
    """One iteration on the chosen rows of the batch; figures, and the weights after it."""
    roles = make_roles("gpt2")
    made = make_updater(STAGE, roles)
    every = make_episodes(8)
    episodes = [every[row] for row in rows]
    forwards = made.updater.forwards(episodes, orders[0])
    total_B = score([episode.scored for episode in episodes]).total
    experience = make_experience(episodes, forwards, total_B, STAGE, kl_coef=0.2, reduce=made.updater.reduce)
    figures = made.updater.update(experience, orders)
    return figures | {"processes": float(made.accelerator.num_processes)}, weights(roles.policy_value)
