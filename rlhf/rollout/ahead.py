"""The next rollouts made while the present ones are trained on.

    trainer   | sample 1 | train 1        | train 2        | train 3
    engine    | 1        | 2 (weights 0)  | 3 (weights 1)  | 4 (weights 2)

A batch is asked for before it is needed; a thread hands requests and weights to the engine in the order of
asking. So the engine is never given weights in the middle of a batch, and the version of a token says
how old they were. What the trainer does about it is importance weights.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from rlhf.rollout.base import Request, Rollout, RolloutEngine, Sampling


class AheadEngine:
    """An engine that works ahead: `depth` batches, which is how many updates a batch may be behind.

    The engine inside must have weights of its own: the trainer changes its own meanwhile.
    """

    def __init__(self, engine: RolloutEngine, depth: int) -> None:
        self.depth = depth
        self._engine = engine
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rollouts")
        self._prepared: dict[tuple[Request, ...], Future[list[Rollout]]] = {}
        self._trouble: Exception | None = None  # weights that did not arrive

    def sync_weights(self, tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        """Copies the weights and has the engine take them after the batches that were asked for before."""
        copied = [(name, value.detach().clone()) for name, value in tensors]
        self._raise_trouble()
        self._thread.submit(self._sync, copied, version)

    def prepare(self, requests: Sequence[Request], sampling: Sampling) -> None:
        """Has the engine begin with a batch that `generate` will be asked for later."""
        key = tuple(requests)
        if key not in self._prepared:
            self._prepared[key] = self._thread.submit(self._all, key, sampling)

    def generate(self, requests: Iterable[Request], sampling: Sampling) -> Iterator[Rollout]:
        """The rollouts of a batch, made already or now; what the engine raised is raised here."""
        key = tuple(requests)
        self.prepare(key, sampling)
        rollouts = self._prepared.pop(key).result()
        yield from rollouts

    @torch.no_grad()
    def _all(self, requests: Sequence[Request], sampling: Sampling) -> list[Rollout]:
        self._raise_trouble()
        return list(self._engine.generate(requests, sampling))

    def _sync(self, tensors: Sequence[tuple[str, Tensor]], version: int) -> None:
        self._raise_trouble()
        try:
            self._engine.sync_weights(tensors, version)
        except Exception as error:
            self._trouble = error

    def _raise_trouble(self) -> None:
        """Weights that did not arrive: nothing is generated with those before, now or later."""
        if self._trouble is not None:
            raise self._trouble
