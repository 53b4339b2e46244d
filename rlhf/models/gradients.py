"""Gradients of weights as large as the vocabulary, added up where they stay.

Autograd makes a tensor of the weight's size for each use of it in each backward pass, fills it, and adds it
to the last one: at a vocabulary of 152,000 and a width of 896, 0.5 GiB each time. An embedding and
`language_head` add to the one that is kept instead, and hand nothing back. A use of the weight that does not
know of this is added by autograd as ever.
"""

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn

LEAST = 1 << 20  # elements; smaller gradients are found in memory that is at hand anyway
_MARK = "_rlhf_keeps_gradient"


def keep_gradients(models: Iterable[nn.Module]) -> None:
    """Marks the large float32 embeddings, and output layers tied to them or not, of these models.

    Only for one process: others have gradients brought together by autograd's own hooks.
    """
    for model in models:
        for module in model.modules():
            if type(module) is nn.Embedding and _is_plain(module):
                module.__class__ = Embedding
            if isinstance(module, Embedding):
                _mark(module.weight)
        head = getattr(model, "get_output_embeddings", lambda: None)()
        if isinstance(head, nn.Linear):
            _mark(head.weight)


def zero_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Before a backward pass: zeros for what is kept, None for all others."""
    for parameter in parameters:
        if not hasattr(parameter, _MARK) or not parameter.requires_grad:
            parameter.grad = None
        elif parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        else:
            parameter.grad.zero_()


def kept_gradient(weight: Tensor) -> Tensor | None:
    """What a backward pass is to add to; None where it is to return the weight's gradient."""
    return weight.grad if hasattr(weight, _MARK) else None


class Embedding(nn.Embedding):
    """nn.Embedding whose backward pass adds to the rows of a gradient that is kept."""

    def forward(self, input: Tensor) -> Tensor:
        """[...] to [..., D]."""
        if torch.is_grad_enabled() and self.weight.requires_grad and hasattr(self.weight, _MARK):
            return cast(Tensor, _Embedding.apply(input, self.weight, self.padding_idx))
        return super().forward(input)


class _Embedding(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, ids: Tensor, weight_VD: Tensor, padding: int | None) -> Tensor:
        """ids: [...]; returns [..., D]."""
        ctx.save_for_backward(ids)
        ctx.weight, ctx.padding = weight_VD, padding
        return nn.functional.embedding(ids, weight_VD)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """The rows' gradients, added up over the places that hold them; padding has none."""
        (ids,) = ctx.saved_tensors
        kept = kept_gradient(ctx.weight)
        if kept is None:
            padding = -1 if ctx.padding is None else ctx.padding
            count = len(ctx.weight)
            return None, torch.ops.aten.embedding_dense_backward(grads[0], ids, count, padding, False), None
        grad_ND = grads[0].reshape(-1, kept.shape[1]).to(kept.dtype)
        if ctx.padding is not None:
            grad_ND = grad_ND.masked_fill((ids.reshape(-1, 1) == ctx.padding), 0.0)
        kept.index_add_(0, ids.reshape(-1), grad_ND)
        return None, None, None


def _is_plain(module: nn.Embedding) -> bool:
    """Whether a row's gradient is the sum over its places and nothing else."""
    return module.max_norm is None and not module.scale_grad_by_freq and not module.sparse


def _mark(weight: Tensor) -> None:
    if type(weight) is nn.Parameter and weight.dtype == torch.float32 and weight.numel() >= LEAST:
        setattr(weight, _MARK, True)
