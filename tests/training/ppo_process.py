"""One process of a PPO iteration that others share: run by torch.multiprocessing."""

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from ppo_parts import make_episodes, make_roles, make_updater, score, weights

from rlhf.algos.running import RunningMoments
from rlhf.config import PpoStage
from rlhf.data.encoding import Encoded
from rlhf.training.experience import make_experience

STAGE = PpoStage(
    total_episodes=8, batch_size=8, minibatch_size=4, epochs=2, response_length=9, microbatch_tokens=24
)
STAGES = {
    "gae": STAGE,
    # nothing here but an average over all processes is the same on each
    "reinforce": STAGE.model_copy(
        update={"advantage": "reinforce", "ptx_coef": 0.5, "normalize_scores": True, "target_kl": 0.4}
    ),
}
SHOWN = [Encoded([5 + n, *range(3, 4 + n), 1], 1) for n in range(8)]  # demonstrations, 2 to 9 tokens each
HALVES = [[0, 2, 4, 6], [1, 3, 5, 7]]  # with unequal numbers of tokens, and of microbatches
ORDERS = [[[0, 3], [2, 1]], [[1, 2], [3, 0]]]  # of a half's own rows, for each of two epochs


def work(rank: int, port: int, folder: Path, name: str) -> None:
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
    figures, trained = train(HALVES[rank], ORDERS, name, SHOWN[rank::2])
    torch.save((figures, trained), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def train(
    rows: list[int], orders: list[list[list[int]]], name: str, shown: Sequence[Encoded]
) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
    """One iteration on the chosen rows and the demonstrations; figures, and the weights after it."""
    stage = STAGES[name]
    roles = make_roles("gpt2", has_critic=stage.has_critic)
    made = make_updater(stage, roles)
    every = make_episodes(8)
    episodes = [every[row] for row in rows]
    forwards = made.updater.forwards(episodes, orders[0])
    total_B = score([episode.scored for episode in episodes]).total
    reduce = made.updater.reduce
    seen = RunningMoments().seen(total_B, reduce)
    experience = make_experience(
        episodes, forwards, total_B, stage, kl_coef=0.2, scores_seen=seen, reduce=reduce
    )
    mix = [shown] * 4 if stage.ptx_coef else ()
    figures = made.updater.update(experience, orders, mix=mix)
    return figures | {"processes": float(made.accelerator.num_processes)}, weights(roles.policy_value)
