"""What the work of a PPO iteration costs at least, and how long the machine needs for that.

N trunk weights, d width, L layers, V vocabulary; an episode has P prompt and R response tokens, S = P + R.
A product with a matrix of n weights is 2n FLOPs a token, its backward pass twice that; attention in which
each token looks at those before it is 2 L d S^2 for a sequence. No padding, no token computed twice, logits
for response tokens alone. docs/performance.md says the same in words.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scripts.bench.shapes import Shape

Episode = tuple[int, int]  # prompt tokens, response tokens
ADAM_BYTES = 28.0  # float32: parameter, gradient and two moments read, the first and the last two written
SAMPLING_PASSES = 3.0  # over batch times vocabulary in float32: logits written, normalised, drawn from


@dataclass(frozen=True)
class Rates:
    """What the machine was measured to do: FLOP/s of a matrix product in the precision, bytes a second."""

    flops: float
    bytes: float


@dataclass(frozen=True)
class Limit:
    """Seconds that an iteration's parts take at least at given rates."""

    generation: float
    scoring: float
    update: float

    @property
    def total(self) -> float:
        """The iteration's."""
        return self.generation + self.scoring + self.update


def trunk_flops(shape: Shape, tokens: int) -> float:
    """One sequence through the layers: 2 N S + 2 L d S^2."""
    return 2.0 * shape.trunk_matrices * tokens + 2.0 * shape.layers * shape.hidden * tokens**2


def head_flops(shape: Shape, tokens: int) -> float:
    """Logits of so many tokens: 2 d V each."""
    return 2.0 * shape.hidden * shape.vocabulary * tokens


def scoring_flops(shape: Shape, episodes: Iterable[Episode]) -> float:
    """Reference, reward model and critic, once: 6 N S + 6 L d S^2 + 2 d V R an episode.

    The policy's own log-probabilities cost nothing where they are kept from sampling.
    """
    return sum(3 * trunk_flops(shape, p + r) + head_flops(shape, r) for p, r in episodes)


def update_flops(shape: Shape, episodes: Iterable[Episode], epochs: int) -> float:
    """Policy and critic, forward and backward, each epoch: 3 E (4 N S + 4 L d S^2 + 2 d V R) an episode."""
    return 3.0 * epochs * sum(2 * trunk_flops(shape, p + r) + head_flops(shape, r) for p, r in episodes)


def adam_bytes(shape: Shape, steps: int) -> float:
    """What the optimiser steps move: 28 bytes for each parameter of policy and critic."""
    return ADAM_BYTES * steps * (2 * shape.parameters + shape.hidden)


def prefill_flops(shape: Shape, episodes: Iterable[Episode]) -> float:
    """All prompts through the layers, and the logits of each response's first token."""
    return sum(trunk_flops(shape, p) + head_flops(shape, 1) for p, _ in episodes)


def step_cost(shape: Shape, contexts: Sequence[int], element_bytes: int) -> tuple[float, float]:
    """FLOPs and bytes of one decoding step of rows that already hold so many tokens each.

    FLOPs 2 N + 2 d V + 4 L d c a row; bytes b (N + d V) for the weights once, b 2 L d_kv c for each row's
    keys and values, and the passes over batch times vocabulary that sampling needs.
    """
    rows, held = len(contexts), sum(contexts)
    flops = rows * (2.0 * shape.trunk_matrices + head_flops(shape, 1))
    flops += 4.0 * shape.layers * shape.hidden * held
    moved = element_bytes * (_weights(shape) + 2.0 * shape.layers * shape.kv_width * held)
    return flops, moved + _sampling_bytes(shape, rows)


def generation_seconds(shape: Shape, episodes: Sequence[Episode], rates: Rates, element_bytes: int) -> float:
    """All episodes decoded together, rows leaving as they end; a step takes the longer of its two costs.

    A response of R tokens costs R - 1 steps: its first token comes from the prefill.
    """
    moved = element_bytes * _weights(shape) + _sampling_bytes(shape, len(episodes))
    seconds = max(prefill_flops(shape, episodes) / rates.flops, moved / rates.bytes)
    for step in range(1, max(r for _, r in episodes)):
        contexts = [p + step for p, r in episodes if r > step]
        flops, moved = step_cost(shape, contexts, element_bytes)
        seconds += max(flops / rates.flops, moved / rates.bytes)
    return seconds


def limit(
    shape: Shape, episodes: Sequence[Episode], rates: Rates, *, epochs: int, steps: int, element_bytes: int
) -> Limit:
    """The least time of one iteration: `steps` optimiser steps over `epochs` passes of these episodes.

    `element_bytes` is of weights, keys and values while decoding. Products and Adam are one after the other.
    """
    return Limit(
        generation=generation_seconds(shape, episodes, rates, element_bytes),
        scoring=scoring_flops(shape, episodes) / rates.flops,
        update=update_flops(shape, episodes, epochs) / rates.flops + adam_bytes(shape, steps) / rates.bytes,
    )


def _weights(shape: Shape) -> float:
    return float(shape.trunk_matrices + shape.hidden * shape.vocabulary)


def _sampling_bytes(shape: Shape, rows: int) -> float:
    return SAMPLING_PASSES * 4.0 * rows * shape.vocabulary
