"""Out of memory halves the microbatch and goes on; several processes take equally many microbatches."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from rlhf.data.collation import plan_microbatches
from rlhf.data.packing import plan_packs
from rlhf.errors import TrainingError
from rlhf.training.processes import Processes

T = TypeVar("T")


class TokenBudget:
    """How many tokens, padding included, go through the model at once; falls when memory runs out.

    With `packed` rows there is no padding: they go one after another.
    With several processes it stays, for none knows that another has begun again: TrainingError.
    """

    def __init__(
        self,
        tokens: int,
        warn: Callable[[str], None],
        processes: Processes = Processes(),  # noqa: B008, frozen
        *,
        packed: bool = False,
    ) -> None:
        self.tokens = tokens
        self.packed = packed
        self._warn = warn
        self._processes = processes

    def plan(self, lengths: Sequence[int], rows: Sequence[int]) -> list[list[int]]:
        """The microbatches of the chosen rows; `lengths` is of all rows.

        Sharded weights are brought together at every one of them, so each process has as many as the one
        that needs most: the fullest are halved.
        """
        plan = plan_packs if self.packed else plan_microbatches
        parts = plan([lengths[row] for row in rows], self.tokens)
        for _ in range(self._processes.largest(len(parts)) - len(parts)):
            fullest = max(range(len(parts)), key=lambda number: len(parts[number]))
            part = parts[fullest]
            parts[fullest : fullest + 1] = [part[: len(part) // 2], part[len(part) // 2 :]]
        return [[rows[index] for index in part] for part in parts]

    def taken(self, lengths: Sequence[int], part: Sequence[int]) -> int:
        """The tokens that a microbatch of these rows runs, padding included."""
        of_rows = [lengths[row] for row in part]
        return sum(of_rows) if self.packed else max(of_rows) * len(of_rows)

    def run(self, lengths: Sequence[int], rows: Sequence[int], work: Callable[[list[list[int]]], T]) -> T:
        """Calls `work` with the microbatches of the rows; again with smaller ones where memory runs out.

        Raises:
            TrainingError: a single row is too much.
        """
        while True:
            parts = self.plan(lengths, rows)
            try:
                return work(parts)
            except (torch.OutOfMemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
                if self._processes.count > 1:
                    raise TrainingError(
                        f"out of memory with microbatches of {self.tokens} tokens on one of several "
                        "processes; lower stage.microbatch_tokens"
                    ) from error
                if all(len(part) == 1 for part in parts):
                    raise TrainingError(
                        "out of memory with a single response at once; lower stage.response_length or "
                        "data.max_length, or set model.adapter=lora"
                    ) from error
            shared = [self.taken(lengths, part) for part in parts if len(part) > 1]
            self.tokens = max(max(shared) // 2, 1)
            self._warn(f"out of memory: microbatches now hold {self.tokens} tokens")
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def _is_out_of_memory(error: Exception) -> bool:
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or ("allocate" in text and "memory" in text)
