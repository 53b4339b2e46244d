"""In what order a training sees its examples, laid out before it begins.

The whole course is one list of row numbers, `batch_size` of them an optimiser step. It depends on the rows'
lengths and the seed alone, so a resumed run finds its place by counting.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rlhf.config import TrainerStage

LOOKS = 10  # at the validation part, where eval_every is auto
GROUP = 16  # batches among which rows are exchanged, so that rows of a batch are of similar length
CPU_TOKENS, GPU_TOKENS = 4096, 16384  # in a microbatch, padding included


@dataclass(frozen=True)
class Plan:
    """How a training goes through its rows: `order` has `batch_size` of them an optimiser step."""

    order: list[int]
    steps: int
    batch_size: int
    microbatch_size: int
    learning_rate: float
    eval_every: int

    @property
    def accumulation(self) -> int:
        """Microbatches an optimiser step."""
        return self.batch_size // self.microbatch_size

    @property
    def resolved(self) -> dict[str, Any]:
        """What `auto` became, for the manifest."""
        return {
            "learning_rate": self.learning_rate,
            "microbatch_size": self.microbatch_size,
            "steps": self.steps,
            "eval_every": self.eval_every,
        }


def make_plan(
    stage: TrainerStage, lengths: Sequence[int], *, learning_rate: float, seed: int, on_gpu: bool
) -> Plan:
    """The plan that a stage's options make for rows of these lengths (tokens; at least one row)."""
    micro = stage.microbatch_size
    if micro == "auto":
        tokens = GPU_TOKENS if on_gpu else CPU_TOKENS
        micro = auto_microbatch(stage.batch_size, max(lengths), tokens=tokens)
    steps = num_steps(len(lengths), stage.batch_size, epochs=stage.epochs, max_steps=stage.max_steps)
    return Plan(
        order=lay_out(lengths, stage.batch_size, epochs=stage.epochs, max_steps=stage.max_steps, seed=seed),
        steps=steps,
        batch_size=stage.batch_size,
        microbatch_size=micro,
        learning_rate=learning_rate,
        eval_every=-(-steps // LOOKS) if stage.eval_every == "auto" else stage.eval_every,
    )


def num_steps(rows: int, batch_size: int, *, epochs: int, max_steps: int | None) -> int:
    """Optimiser steps of a course: `max_steps`, or as many as show every row `epochs` times."""
    return max_steps or -(-epochs * rows // batch_size)


def lay_out(
    lengths: Sequence[int], batch_size: int, *, epochs: int, max_steps: int | None, seed: int
) -> list[int]:
    """Row numbers in the order of training; the last batch may be smaller when no `max_steps` is set.

    Every epoch is a permutation of its own. Within `GROUP` batches the rows are sorted by length and cut into
    batches, and the batches are shuffled: little padding, and every row still comes once an epoch.
    """
    steps = num_steps(len(lengths), batch_size, epochs=epochs, max_steps=max_steps)
    wanted = steps * batch_size if max_steps else epochs * len(lengths)
    rng = random.Random(f"{seed}/order")
    order: list[int] = []
    while len(order) < wanted:
        order += rng.sample(range(len(lengths)), len(lengths))
    order = order[:wanted]
    laid_out: list[int] = []
    for start in range(0, wanted, GROUP * batch_size):
        group = sorted(order[start : start + GROUP * batch_size], key=lambda row: lengths[row], reverse=True)
        batches = [group[at : at + batch_size] for at in range(0, len(group), batch_size)]
        last = [batches.pop()] if len(batches[-1]) < batch_size else []
        rng.shuffle(batches)
        laid_out += [row for batch in [*batches, *last] for row in batch]
    return laid_out


def auto_microbatch(batch_size: int, longest: int, *, tokens: int) -> int:
    """The largest divisor of `batch_size` whose rows, padded to the longest, stay within `tokens`."""
    fitting = [d for d in range(1, batch_size + 1) if batch_size % d == 0 and d * longest <= tokens]
    return max(fitting, default=1)
