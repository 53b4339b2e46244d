"""One process of several that share PPO's work: run by torch.multiprocessing."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from ppo_parts import answer, make_episodes, make_ppo, make_roles, make_updater, score, weights
from torch import Tensor
from torch.distributed.tensor import DTensor

from rlhf.algos.kl import AdaptiveKl
from rlhf.algos.running import RunningMoments
from rlhf.config import PpoStage
from rlhf.data.encoding import Encoded
from rlhf.rollout.base import Request, Rollout, Sampling
from rlhf.training.experience import make_experience
from rlhf.training.held_out import evaluate
from rlhf.training.ppo import Progress
from rlhf.training.processes import Processes, join
from rlhf.training.sharding import whole

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
    enter(rank, port)
    figures, trained = train(HALVES[rank], ORDERS, name, SHOWN[rank::2])
    torch.save((figures, trained), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def enter(rank: int, port: int, more: dict[str, str] | None = None) -> None:
    """What `accelerate launch` tells each of two processes."""
    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "ACCELERATE_USE_CPU": "true",
        **(more or {}),
    }


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


ITERATIONS = 20  # that a run is planned for
RUNS = {
    "gae": PpoStage(
        total_episodes=8 * ITERATIONS,
        batch_size=8,
        minibatch_size=4,
        epochs=2,
        response_length=9,
        microbatch_tokens=24,
    ),
    "rloo": PpoStage(
        total_episodes=8 * ITERATIONS,
        batch_size=8,
        minibatch_size=4,
        epochs=2,
        response_length=9,
        microbatch_tokens=24,
        advantage="rloo",
        samples_per_prompt=4,
        normalize_scores=True,
    ),
}
SHARDING = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}


class Replayed:
    """An engine that says of every prompt what it said before, one token longer for every next sample."""

    def generate(self, requests: Iterable[Request], sampling: Sampling) -> Iterator[Rollout]:
        for request in requests:
            ids = torch.tensor([*[2 + request.id % 29] * (request.id % 3), *answer(request.prompt_ids)])
            ids = ids[: sampling.max_new_tokens]
            finish = "eos" if int(ids[-1]) in sampling.stop_ids else "length"
            yield Rollout(request.id, ids, torch.full(ids.shape, -3.0), finish, torch.zeros_like(ids))

    def sync_weights(self, tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        for _name, _value in tensors:
            pass


def work_on_a_run(rank: int, port: int, folder: Path, name: str, sharded: bool, iterations: int) -> None:
    """Goes through the beginning of a run, one of two processes."""
    enter(rank, port, SHARDING if sharded else {})
    processes = join(torch.device("cpu"))
    assert processes == Processes(rank, 2, sharded)
    torch.save(go_through(name, iterations, processes), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def go_through(
    name: str,
    iterations: int,
    processes: Processes = Processes(),  # noqa: B008, frozen
) -> tuple[list[dict[str, float]], dict[str, Tensor], bool]:
    """The first iterations and a look; the figures of each, the weights, and whether those were sharded."""
    stage = RUNS[name]
    made = make_updater(
        stage, make_roles("llama", has_critic=stage.has_critic), learning_rate=1e-3, processes=processes
    )
    ppo = make_ppo(made, engine=Replayed(), learning_rate=1e-3, processes=processes)
    progress = Progress(iteration=0, kl=AdaptiveKl(coef=0.1, target=0.5, horizon=64))
    lines = [ppo.iterate(progress, iteration) for iteration in range(1, iterations + 1)]
    lines.append(evaluate(ppo, progress.kl.coef, progress.scores).figures)
    trained = ppo.trained_tensors()
    sharded = all(isinstance(value, DTensor) for value in trained.values())
    return lines, {name: whole(value.detach()).clone() for name, value in trained.items()}, sharded
