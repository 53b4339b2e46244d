"""The processes of a run, as `accelerate launch` or `torchrun` started them, and what they tell one another.

Each samples, scores and trains on a share of every batch. What is small, the responses with all figures of
their tokens, is brought together on each, so that statistics and advantages see the whole batch and are the
same numbers whatever the number of processes. The first process alone writes files.
"""

import atexit
import math
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor

from rlhf.errors import ConfigError, RlhfError, RunError
from rlhf.rewards.base import Reward, Scored, Scores
from rlhf.training.experience import Forwards

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """This process among `count`, the `rank`-th from 0."""

    rank: int = 0
    count: int = 1
    sharded: bool = False  # trained weights are: `sharding.py`

    @property
    def is_main(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def share(self, rows: Sequence[T]) -> list[T]:
        """Every `count`-th row from `rank` on; where the last round is not full, it begins again in front.

        So all shares have one length, and every process makes as many calls that the others wait for.
        """
        rounds = math.ceil(len(rows) / self.count)
        return [rows[(turn * self.count + self.rank) % len(rows)] for turn in range(rounds)]

    def whole(self, mine: Sequence[T], total: int) -> list[T]:
        """The rows of all processes in their order, from what each made of its share of `total` rows."""
        if self.count == 1:
            return list(mine)
        shares = self._everyones(list(mine))
        return [shares[row % self.count][row // self.count] for row in range(total)]

    def scores(self, reward: Reward, batch: Sequence[Scored]) -> Scores:
        """Scores of the whole batch, each row's given by one process."""
        if self.count == 1:
            return reward(batch)
        mine = reward(self.share(batch))
        columns = {"": mine.total, **{f".{name}": part for name, part in mine.parts.items()}}
        rows = self.whole(
            list(zip(*(column_B.tolist() for column_B in columns.values()), strict=True)), len(batch)
        )
        gathered = {
            name: torch.tensor(values, dtype=columns[name].dtype)
            for name, values in zip(columns, zip(*rows, strict=True), strict=True)
        }
        return Scores(gathered.pop(""), {name[1:]: part for name, part in gathered.items()})

    def forwards(self, made: Forwards, rows: Sequence[int]) -> Forwards:
        """What the models say of every row, from what this process has filled in of its own `rows`."""
        if self.count == 1:
            return made
        names = [column.name for column in fields(made)]
        index = torch.tensor(list(rows))
        columns: dict[str, Tensor] = {name: getattr(made, name).clone() for name in names}
        for theirs, filled in self._everyones((index, [columns[name][index] for name in names])):
            for name, values_BT in zip(names, filled, strict=True):
                columns[name][theirs] = values_BT
        return replace(made, **columns)

    def largest(self, number: int) -> int:
        """The largest of the numbers that the processes have."""
        return number if self.count == 1 else max(self._everyones(number))

    def any_reason(self, reason: str | None) -> str | None:
        """The first reason that a process has, or None: all stop where one is asked to."""
        return reason if self.count == 1 else next(filter(None, self._everyones(reason)), None)

    def from_main(self, make: Callable[[], T]) -> T:
        """What the main process makes, on every process; an error of ours is raised on every one too."""
        if self.count == 1:
            return make()
        made: list[Any] = [None, None]
        if self.is_main:
            try:
                made[0] = make()
            except RlhfError as error:
                made[1] = error
        dist.broadcast_object_list(made, src=0)
        if made[1] is not None:
            raise made[1]
        return cast(T, made[0])

    @contextmanager
    def ending_together(self) -> Generator[None]:
        """Says in an error of ours that another process is gone, where that is why this one cannot go on."""
        try:
            yield
        except RuntimeError as error:
            if self.count == 1 or not (isinstance(error, dist.DistError) or "gloo" in str(error)):
                raise
            raise RunError(
                "another process of this run has ended, so this one does too; what it said is above, or in "
                "its log\nthe same command goes on from the last saved state"
            ) from error

    def _everyones(self, mine: T) -> list[T]:
        theirs: list[Any] = [None] * self.count
        dist.all_gather_object(theirs, mine)
        return theirs


def join(device: torch.device) -> Processes:
    """Meets the other processes that a launcher started, if there are any.

    Raises:
        ConfigError: they were started for something that is not supported.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Processes()
    sharded = _wants_sharding()
    if not dist.is_initialized():
        if device.type == "cuda":
            torch.cuda.set_device(device)
        dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
        atexit.register(_leave)
    return Processes(dist.get_rank(), dist.get_world_size(), sharded)


@cache
def _wants_sharding() -> bool:
    """Whether the launcher was told to shard; takes what it says of it out of the environment.

    Accelerate would set up sharding of its own by it, and transformers would load no weights.
    """
    if os.environ.get("ACCELERATE_USE_DEEPSPEED", "false").lower() == "true":
        raise ConfigError("DeepSpeed is not supported; take configs/accelerate/fsdp2.yaml")
    wanted = os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"
    if wanted and os.environ.get("FSDP_VERSION", "1") != "2":
        raise ConfigError("fsdp_version: 1 is not supported; take configs/accelerate/fsdp2.yaml")
    os.environ.pop("ACCELERATE_USE_FSDP", None)
    return wanted


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
