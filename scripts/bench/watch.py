"""What both are asked beside their times: whether weights moved, and in what precision. No rlhf."""

import torch
from torch import Tensor, nn

from scripts.bench.clock import Clock


def snapshot(model: nn.Module) -> list[Tensor]:
    """A copy of a few thousand weights of each parameter, on the CPU: small beside the model."""
    return [_some(parameter) for parameter in model.parameters()]


def movement(model: nn.Module, before: list[Tensor]) -> float:
    """|change| / |weights| over the weights of a snapshot; 0 is a model that was not trained."""
    now = snapshot(model)
    change = sum(float((one - other).square().sum()) for one, other in zip(now, before, strict=True))
    return (change / sum(float(tensor.square().sum()) for tensor in before)) ** 0.5


def product_types(model: nn.Module, clock: Clock) -> list[str]:
    """A list that fills with "part: dtype" of what the last layer's last product gives in that part."""
    seen: list[str] = []
    head = model.get_output_embeddings()  # pyright: ignore[reportCallIssue]
    products = [part for part in model.modules() if isinstance(part, nn.Linear) and part is not head]

    def note(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        said = f"{clock.part}: {output.dtype}"
        if said not in seen:
            seen.append(said)

    products[-1].register_forward_hook(note)
    return seen


def _some(parameter: Tensor, most: int = 4096) -> Tensor:
    flat = parameter.detach().reshape(-1)
    return flat[:: max(1, flat.numel() // most)].to("cpu", torch.float64, copy=True)
