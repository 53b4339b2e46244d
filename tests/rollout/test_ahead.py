"""Rollouts made ahead: how old their weights are, in what order the engine is used, what errors do."""

import threading
from collections.abc import Iterable, Iterator

import pytest
import torch
from torch import Tensor

from rlhf.rollout.ahead import AheadEngine
from rlhf.rollout.base import Request, Rollout, Sampling
from rlhf.rollout.scripted import ScriptedEngine

SAMPLING = Sampling(1.0, 2, frozenset())
ITERATIONS = 8


class Watched(ScriptedEngine):
    """Waits with each batch until it is let go, and notes what it does and in which thread."""

    def __init__(self) -> None:
        super().__init__(lambda prompt: [prompt[0], prompt[0]])
        self.done = list[str]()
        self.threads = set[str]()
        self.weights = list[list[float]]()
        self.go = threading.Event()
        self.go.set()
        self.fails_at: int | None = None

    def generate(self, requests: Iterable[Request], sampling: Sampling) -> Iterator[Rollout]:
        asked = list(requests)
        assert self.go.wait(30)
        self.threads.add(threading.current_thread().name)
        self.done.append(f"batch {asked[0].prompt_ids[0]}")
        return super().generate(asked, sampling)

    def sync_weights(self, tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        if version == self.fails_at:
            raise OSError("the server is away")
        self.weights.append([float(value) for _, value in tensors])
        self.done.append(f"weights {version}")
        super().sync_weights((), version)


def batch(iteration: int) -> list[Request]:
    return [Request(2 * iteration + number, (iteration,), 0) for number in range(2)]


def versions(rollouts: Iterable[Rollout]) -> set[int]:
    return {int(version) for rollout in rollouts for version in rollout.version_per_token}


def train(engine: AheadEngine) -> list[int]:
    """The order of a PPO run; the version of each iteration's weights."""
    seen = list[int]()
    for iteration in range(1, ITERATIONS + 1):
        engine.sync_weights([("w", torch.tensor(float(iteration - 1)))], iteration - 1)
        rollouts = list(engine.generate(batch(iteration), SAMPLING))
        assert {int(rollout.response_ids[0]) for rollout in rollouts} == {iteration}
        for coming in range(iteration + 1, min(iteration + engine.depth, ITERATIONS) + 1):
            engine.prepare(batch(coming), SAMPLING)
        (version,) = versions(rollouts)
        seen.append(version)
    return seen


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_batch_is_no_more_updates_behind_than_the_depth(depth: int) -> None:
    """In the steady state exactly so many: the trainer's version at iteration i is i - 1."""
    watched = Watched()
    seen = train(AheadEngine(watched, depth))
    staleness = [iteration - 1 - version for iteration, version in enumerate(seen, start=1)]
    assert staleness == [min(depth, iteration - 1) for iteration in range(1, ITERATIONS + 1)]
    assert len(watched.threads) == 1
    assert threading.current_thread().name not in watched.threads


def test_the_engine_is_used_in_the_order_asked() -> None:
    watched = Watched()
    train(AheadEngine(watched, 1))
    assert watched.done[:7] == [
        "weights 0", "batch 1", "batch 2", "weights 1", "batch 3", "weights 2", "batch 4",
    ]  # fmt: skip
    assert watched.done.count("batch 5") == 1


def test_weights_are_those_of_the_moment_they_were_handed_over() -> None:
    """The trainer goes on changing its own while the engine is still at a batch."""
    watched = Watched()
    engine = AheadEngine(watched, 1)
    own = torch.tensor(1.0)
    watched.go.clear()
    engine.prepare(batch(1), SAMPLING)
    engine.sync_weights([("w", own)], 1)
    own.fill_(2.0)
    watched.go.set()
    assert versions(engine.generate(batch(1), SAMPLING)) == {0}
    assert versions(engine.generate(batch(2), SAMPLING)) == {1}
    assert watched.weights == [[1.0]]


def test_a_batch_that_was_not_prepared_is_made_with_the_newest_weights() -> None:
    """As a look at held-out prompts is."""
    engine = AheadEngine(Watched(), 1)
    engine.prepare(batch(2), SAMPLING)
    engine.sync_weights([], 5)
    assert versions(engine.generate(batch(7), SAMPLING)) == {5}
    assert versions(engine.generate(batch(2), SAMPLING)) == {0}


def test_weights_that_do_not_arrive_stop_everything() -> None:
    watched = Watched()
    watched.fails_at = 3
    engine = AheadEngine(watched, 1)
    with pytest.raises(OSError, match="the server is away"):
        train(engine)
    assert "batch 5" not in watched.done  # the first that would have had the weights before
    with pytest.raises(OSError, match="the server is away"):
        list(engine.generate(batch(7), SAMPLING))
