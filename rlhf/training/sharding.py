"""Fully sharded training: each process keeps a part of every trained weight, its gradient and its moments.

torch's own `fully_shard` on a CPU as on a GPU. Accelerate's would leave it to plain data parallelism on a CPU
without a word, and this is the one that is tested.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from rlhf.models.policy_value import PolicyValue


def shard(module: PolicyValue, device: torch.device, count: int) -> None:
    """Shards the module over `count` processes in place, a group a layer; before an optimiser is made.

    What is left, the embeddings, heads and last norms, is whole while `PolicyValue.forward` runs.
    """
    mesh = init_device_mesh(device.type, (count,))
    kinds = {kind for part in module.modules() for kind in getattr(part, "_no_split_modules", None) or ()}
    for part in list(module.modules()):
        if type(part).__name__ in kinds:
            fully_shard(part, mesh=mesh)
    fully_shard(module, mesh=mesh, reshard_after_forward=True)


def whole(x: Tensor) -> Tensor:
    """A tensor as one process would have it; all processes call this together where it is sharded."""
    return x.full_tensor() if isinstance(x, DTensor) else x


def placed_as(x: Tensor, like: Tensor) -> Tensor:
    """A whole tensor, the same on all processes, sharded as `like` is."""
    return distribute_tensor(x, like.device_mesh, like.placements) if isinstance(like, DTensor) else x


def whole_weights(model: nn.Module, *, keep: bool) -> dict[str, Tensor]:
    """A model's state dictionary, whole and on the CPU; shared tensors stay shared. Empty without `keep`."""
    found: dict[int, Tensor] = {}
    weights: dict[str, Tensor] = {}
    for name, value in model.state_dict(keep_vars=True).items():
        if id(value) not in found:
            gathered = whole(value.detach())
            found[id(value)] = gathered.cpu() if keep else torch.empty(0)
        if keep:
            weights[name] = found[id(value)]
    return weights


def whole_moments(optimizer: Optimizer, *, keep: bool) -> dict[str, Any]:
    """An optimiser's state dictionary with whole tensors, on the CPU where they were sharded."""
    state = optimizer.state_dict()

    def gathered(value: Any) -> Any:
        if not isinstance(value, DTensor):
            return value
        full = whole(value)
        return full.cpu() if keep else None

    moments = {
        number: {name: gathered(value) for name, value in kept.items()}
        for number, kept in state["state"].items()
    }
    return {**state, "state": moments}


def placed_moments(state: Mapping[str, Any], optimizer: Optimizer) -> dict[str, Any]:
    """What `whole_moments` gave, each tensor sharded as its parameter is now."""
    parameters: Iterator[Tensor] = (
        parameter for group in optimizer.param_groups for parameter in group["params"]
    )
    places = dict(enumerate(parameters))
    moments = {
        number: {
            name: placed_as(value.to(places[number].device), places[number])
            if isinstance(value, Tensor) and value.shape == places[number].shape
            else value
            for name, value in kept.items()
        }
        for number, kept in state["state"].items()
    }
    return {**state, "state": moments}
