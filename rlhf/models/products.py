"""Matrix products in float32 on CPUs where torch's own choice leaves half of the speed unused.

torch multiplies float32 with MKL, which uses AVX-512 on Intel's CPUs alone. oneDNN, which torch brings along
for bf16, uses it on others too: on an AMD EPYC it was measured to be twice as fast, forward and backward. The
operator that reaches it with ordinary tensors is the one that torch's compiler calls.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

LEAST_WORK = 1 << 20  # multiply-adds; below, calling costs more than the product


@cache
def onednn_is_faster() -> bool:
    """Whether this CPU has AVX-512, is not Intel's, and torch has the operator; the same for a whole run."""
    has: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older ones do not tell
    wide = bool(has.get("avx512_f")) and "intel" not in str(has.get("cpu_name", "intel")).lower()
    return wide and torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def product(a_MK: Tensor, b_NK: Tensor, bias_N: Tensor | None = None) -> Tensor:
    """a b^T + bias, [M, N], without gradient; in float32 by oneDNN where that is faster."""
    work = a_MK.shape[0] * b_NK.shape[0] * b_NK.shape[1]
    if work < LEAST_WORK or not _suits(a_MK, b_NK):
        return nn.functional.linear(a_MK, b_NK, bias_N)
    return torch.ops.mkldnn._linear_pointwise(a_MK, b_NK, bias_N, "none", [], "")


class Linear(nn.Linear):
    """nn.Linear through `product`; what is not plain float32 on a CPU is nn.Linear's."""

    def forward(self, input: Tensor) -> Tensor:
        """[..., K] to [..., N]."""
        if torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"):
            return super().forward(input)
        if not _suits(input, self.weight) or input.numel() == 0:
            return super().forward(input)
        if not torch.is_grad_enabled():
            rows_MK = input.reshape(-1, input.shape[-1])
            return product(rows_MK, self.weight, self.bias).view(*input.shape[:-1], -1)
        found = _Linear.apply(input, self.weight, self.bias)
        assert isinstance(found, Tensor)
        return found


def use_fast_products(model: nn.Module) -> None:
    """Has the model's linear layers multiply by `product`, where oneDNN is faster here."""
    if onednn_is_faster():
        for module in model.modules():
            if type(module) is nn.Linear:  # not of a quantised or an adapter's kind
                module.__class__ = Linear


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_NK: Tensor, bias_N: Tensor | None) -> Tensor:
        """x: [..., K]; returns [..., N]."""
        ctx.save_for_backward(x, weight_NK)
        return product(x.reshape(-1, x.shape[-1]), weight_NK, bias_N).view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """d (x w^T) = g w for x, g^T x for w."""
        x, weight_NK = ctx.saved_tensors
        grad_MN = grads[0].reshape(-1, grads[0].shape[-1])
        wants_x, wants_weight, wants_bias = ctx.needs_input_grad
        return (
            product(grad_MN, weight_NK.t()).view(x.shape) if wants_x else None,
            product(grad_MN.t(), x.reshape(-1, x.shape[-1]).t()) if wants_weight else None,
            grad_MN.sum(0) if wants_bias else None,
        )


def _suits(a: Tensor, b: Tensor) -> bool:
    """Whether both are plain float32 on a CPU that oneDNN is faster on: no shards, no other precision."""
    return (
        onednn_is_faster()
        and a.dtype == b.dtype == torch.float32
        and a.device.type == "cpu"
        and type(a) is Tensor
        and type(b) in (Tensor, nn.Parameter)
    )
