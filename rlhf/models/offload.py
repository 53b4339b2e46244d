"""Frozen models that lie in CPU memory and are on the device only while they are used.

A frozen model's weights never change, so nothing is copied back: they are brought, and what was brought is
let go. On a GPU the CPU memory is pinned, which makes the way there as fast as the bus is.
"""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal

import torch
from torch import Tensor, nn

from rlhf.errors import ConfigError

Presence = Callable[[], AbstractContextManager[None]]
"""While entered, a model's weights are on the device."""


class Visits:
    """A frozen model's weights visit the device: `with visits():` they are there, else in CPU memory.

    Entering it inside of itself brings nothing anew. Buffers are small, and stay on the device.
    """

    def __init__(
        self, model: nn.Module, device: torch.device, bring: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        """Puts the weights into CPU memory.

        Args:
            model: frozen; wherever it is.
            device: where it is used.
            bring: a tensor from CPU memory to a copy of it on the device; None: torch's own.
        """
        self._bring = bring or (lambda x: x.to(device, non_blocking=True))
        self._weights = list(model.parameters())
        pinned = device.type == "cuda"
        self._at_home = [_in_cpu_memory(weight.data, pinned) for weight in self._weights]
        self._depth = 0
        self._leave()
        for buffer in model.buffers():
            buffer.data = buffer.data.to(device)

    @contextmanager
    def __call__(self) -> Generator[None]:
        """While entered, the weights are on the device."""
        self._depth += 1
        try:
            if self._depth == 1:
                for weight, at_home in zip(self._weights, self._at_home, strict=True):
                    weight.data = self._bring(at_home)
            yield
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._leave()

    def _leave(self) -> None:
        for weight, at_home in zip(self._weights, self._at_home, strict=True):
            weight.data = at_home


def freeze(model: nn.Module, device: torch.device, *, offload: bool) -> Presence:
    """Freezes a model and puts it on the device, or with `offload` into CPU memory until it is used.

    Returns what to enter around each use.
    """
    model.requires_grad_(False).eval()
    if offload:
        return Visits(model, device)
    model.to(device)
    return nullcontext


def offloads(choice: bool | Literal["auto"], device: torch.device) -> bool:
    """Whether frozen models leave the device while they are not used; `auto`: wherever it is no CPU.

    Raises:
        ConfigError: it is asked for on a CPU, whose memory they are in already.
    """
    if choice is True and device.type == "cpu":
        raise ConfigError(
            "stage.offload_frozen=true: on a CPU there is no other memory to put frozen models into; leave "
            "stage.offload_frozen=auto"
        )
    return device.type != "cpu" if choice == "auto" else choice


def _in_cpu_memory(x: Tensor, pinned: bool) -> Tensor:
    return x.cpu().pin_memory() if pinned else x.cpu()
