"""What an iteration spends its time on, and how much of what the machine can do it uses.

A product with a matrix of n weights is 2n FLOPs a token; its backward pass is as much again for the input,
and once more for the weights where they are trained. Attention in which each token looks at those before it
is 2 L d S^2 for a sequence of S tokens, forward, and twice that backward. `docs/performance.md` has it whole.
"""

import resource
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from rlhf.models.policy_value import PolicyValue, decoder_of
from rlhf.models.products import product
from rlhf.training.memory import TokenBudget

PRODUCT = {"cpu": 1024, "cuda": 8192}  # rows and columns of the measured product
PARTS = ("generate", "score", "update")
PREFIX = "profile/"
GIB = float(1 << 30)


class Clock:
    """Seconds by part since the last reading. On a GPU a part ends when its work has."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._began: float | None = None
        self._parts: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Generator[None]:
        """Counts what runs inside to `name`."""
        began = self._now()
        if self._began is None:
            self._began = began
        yield
        self._parts[name] = self._parts.get(name, 0.0) + self._now() - began

    def read(self) -> dict[str, float]:
        """Seconds of each part, `other` for what belonged to none; begins anew."""
        now = self._now()
        parts = dict.fromkeys(PARTS, 0.0) | self._parts
        whole = now - (now if self._began is None else self._began)
        self._began, self._parts = now, {}
        return parts | {"other": max(whole - sum(parts.values()), 0.0)}

    def _now(self) -> float:
        wait(self._device)
        return time.perf_counter()


def profile(
    seconds: dict[str, float],
    *,
    response_tokens: float,
    padding: float,
    update_flops: float,
    product_flops: float | None,
    device: torch.device,
) -> dict[str, float]:
    """An iteration's figures, their names begin with `profile/`.

    Seconds of each part; response tokens a second of all of it; share of padding among the tokens that the
    update ran; the update's FLOPs over those that `product_flops` (FLOP/s) would have allowed in its time;
    the most memory held so far, GiB.
    """
    figures = {f"{part}_s": taken for part, taken in seconds.items()}
    figures["tokens_per_s"] = response_tokens / max(sum(seconds.values()), 1e-9)
    figures["padding"] = padding
    if product_flops is not None:
        figures["flop_utilization"] = update_flops / (product_flops * max(seconds["update"], 1e-9))
    figures["peak_memory_gib"] = peak_bytes(device) / GIB
    return {f"{PREFIX}{name}": value for name, value in figures.items()}


def update_flops(module: PolicyValue, episodes: Sequence[tuple[int, int]], epochs: float) -> float:
    """What `epochs` passes of policy and critic over the episodes take, forward and backward.

    `episodes` holds (tokens in all, tokens of the response). No padding, nothing computed twice, logits of
    response tokens alone. Of an architecture with experts, all of them count.
    """
    trunk = decoder_of(module.language_model)
    critic = module.critic if module.critic is not None else trunk
    head = module.language_model.get_output_embeddings()
    assert isinstance(head, nn.Linear)
    tokens = sum(length for length, _ in episodes)
    squares = sum(length * length for length, _ in episodes)
    passes = [trunk, critic] if module.value_head is not None else [trunk]
    in_trunks = _products(passes, head.weight) * tokens
    in_trunks += 3.0 * len(passes) * _attention(module.language_model) * squares
    responses = sum(length for _, length in episodes)
    in_head = (6.0 if head.weight.requires_grad else 4.0) * head.weight.numel() * responses
    return epochs * (in_trunks + in_head)


def padding_share(lengths: Sequence[int], parts: Sequence[Sequence[int]], budget: TokenBudget) -> float:
    """The share of padding in what the microbatches run."""
    run = sum(budget.taken(lengths, part) for part in parts)
    return 1.0 - sum(lengths[row] for part in parts for row in part) / run


def product_flops(dtype: torch.dtype, device: torch.device, patience_s: float = 0.3) -> float:
    """FLOP/s of a square matrix product as the models multiply, 2 n^3 of them in each."""
    size = PRODUCT[device.type]
    one, other = (torch.randn(size, size).to(device, dtype) for _ in range(2))
    return 2.0 * size**3 / best_seconds(lambda: product(one, other), device, patience_s)


def best_seconds(work: Callable[[], object], device: torch.device, patience_s: float) -> float:
    """The shortest of repeated runs, at least three; the first is not counted."""
    work()
    times: list[float] = []
    end = time.perf_counter() + patience_s
    while len(times) < 3 or time.perf_counter() < end:
        wait(device)
        began = time.perf_counter()
        work()
        wait(device)
        times.append(time.perf_counter() - began)
    return min(times)


def wait(device: torch.device) -> None:
    """Until a GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_bytes(device: torch.device) -> float:
    """The most memory held so far: of tensors on a GPU, else of the process, resident."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(most if sys.platform == "darwin" else most * 1024)


def _products(passes: Sequence[nn.Module], head_weight: Tensor) -> float:
    """FLOPs a token of the trunks' matrices, forward and backward; embeddings are looked up.

    A trunk that serves twice runs its frozen weights twice; each adapter that is trained runs in one of them.
    """
    looked_up = {
        id(part.weight) for one in passes for part in one.modules() if isinstance(part, nn.Embedding)
    }
    matrices = [
        (name, weight)
        for one in passes
        for name, weight in one.named_parameters()
        if weight.dim() > 1 and id(weight) not in looked_up and weight is not head_weight
    ]
    trained = {id(weight): weight.numel() for _, weight in matrices if weight.requires_grad}
    frozen = sum(
        weight.numel() for name, weight in matrices if not weight.requires_grad and "lora_" not in name
    )
    return 6.0 * sum(trained.values()) + 4.0 * frozen


def _attention(model: PreTrainedModel) -> float:
    """2 L d: FLOPs of all layers' attention, forward, over the square of a sequence's length."""
    config = model.config.get_text_config()
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return 2.0 * config.num_hidden_layers * config.num_attention_heads * width
