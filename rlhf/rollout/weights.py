"""A policy's weights by the names of a plain model, adapters merged; and a copy of it to decode with."""

import copy
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn
from transformers import PreTrainedModel

INSIDE = "base_layer"  # what peft calls the layer that an adapter is on


@torch.no_grad()
def plain_weights(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Each parameter by its name without adapters, with what the active ones add; shared ones once.

    A tensor without an adapter is the model's own, not a copy. Nothing is computed before it is asked for.
    """
    seen = set[int]()
    adapted = {path: layer for path, layer in model.named_modules() if isinstance(layer, BaseTunerLayer)}
    for path, module in model.named_modules():
        owner = next((outer for outer in adapted if path == outer or path.startswith(f"{outer}.")), None)
        if owner is not None and path != f"{owner}.{INSIDE}":
            continue
        for name, value in module.named_parameters(recurse=False):
            if id(value) in seen:
                continue
            seen.add(id(value))
            plain = f"{owner if owner is not None else path}.{name}".lstrip(".")
            yield plain, _with_adapters(adapted[owner], value) if owner and name == "weight" else value


def copy_in(model: PreTrainedModel, dtype: torch.dtype) -> PreTrainedModel:
    """A copy of the model in this precision, adapters merged, without gradients; buffers keep theirs.

    The weights are converted one by one: at no time is there a second set in the model's own precision.
    """
    memo: dict[int, Any] = {
        id(value): nn.Parameter(value.detach().to(dtype, copy=True), requires_grad=False)
        for value in model.parameters()
    }
    plain = copy.deepcopy(model, memo)
    for path, layer in list(plain.named_modules()):
        if isinstance(layer, BaseTunerLayer):
            parent, _, name = path.rpartition(".")
            setattr(plain.get_submodule(parent), name, layer.get_base_layer())
    copy_weights(plain_weights(model), plain)
    return plain


@torch.no_grad()
def copy_weights(tensors: Iterable[tuple[str, Tensor]], into: nn.Module) -> None:
    """Writes every parameter of a model anew, each in its own precision.

    Raises:
        ValueError: a tensor that the model does not have, or one that is missing.
    """
    missing = dict(into.named_parameters())
    for name, value in tensors:
        if name not in missing:
            raise ValueError(f"{name}: the model has no such parameter, or it came twice")
        missing.pop(name).copy_(value)
    if missing:
        raise ValueError(f"{len(missing)} parameters did not come, {next(iter(missing))} among them")


def _with_adapters(layer: BaseTunerLayer, weight: Tensor) -> Tensor:
    adapted: Any = layer
    if adapted.disable_adapters:
        return weight
    for name in adapted.active_adapters:
        if name in adapted.lora_A or name in adapted.lora_embedding_A:
            weight = weight + adapted.get_delta_weight(name)
    return weight
