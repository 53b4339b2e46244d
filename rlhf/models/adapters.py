"""Which LoRA adapter is on. Switching never changes what is trainable, as peft's own methods do."""

from collections.abc import Generator
from contextlib import contextmanager

from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn


class NoAdapters:
    """The switch of a model without adapters: every role is its own model."""

    @contextmanager
    def __call__(self, name: str | None) -> Generator[None]:
        """Does nothing."""
        yield


class LoraSwitch:
    """Switches among the adapters of one model; None turns all off. Roles without an adapter are left alone.

    `names` maps a role to peft's adapter name; a role that is absent is another model's.
    """

    def __init__(self, model: nn.Module, names: dict[str, str]) -> None:
        self._layers = [module for module in model.modules() if isinstance(module, BaseTunerLayer)]
        self._parameters = list(model.parameters())
        self._names = names

    @contextmanager
    def __call__(self, name: str | None) -> Generator[None]:
        """While entered, only the role's adapter counts."""
        if name is not None and name not in self._names:
            yield
            return
        trainable = [parameter.requires_grad for parameter in self._parameters]
        before = [(layer.active_adapters, layer.disable_adapters) for layer in self._layers]
        self._set(None if name is None else [self._names[name]])
        self._restore_trainable(trainable)
        try:
            yield
        finally:
            for layer, (active, disabled) in zip(self._layers, before, strict=True):
                layer.set_adapter(active)
                layer.enable_adapters(not disabled)
            self._restore_trainable(trainable)

    def _set(self, adapters: list[str] | None) -> None:
        for layer in self._layers:
            if adapters is None:
                layer.enable_adapters(False)
            else:
                layer.enable_adapters(True)
                layer.set_adapter(adapters)

    def _restore_trainable(self, trainable: list[bool]) -> None:
        for parameter, flag in zip(self._parameters, trainable, strict=True):
            if parameter.requires_grad != flag:
                parameter.requires_grad_(flag)
