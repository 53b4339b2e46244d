"""Attention as this project's models run it: packed sequences, and short ones on a CPU.

Registered with transformers under a name of its own. On a CPU, torch's scaled_dot_product_attention was
measured to take half of a training step on sequences of a hundred tokens, most of it in its backward pass,
and five times what two batched products take on a single query; those are written out here. What is neither
packed nor short goes to transformers' `sdpa`.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from rlhf.data.encoding import Encoded
from rlhf.data.packing import Packing, pack
from rlhf.errors import ModelError

NAME = "rlhf"
SHORT = 512  # keys; beyond, products of all queries with all keys take too much memory


def use_own_attention(model: PreTrainedModel) -> None:
    """Has a model that would use `sdpa` use this attention; others keep what they need."""
    if getattr(model.config, "_attn_implementation", None) == "sdpa":
        model.set_attn_implementation(NAME)


@torch.no_grad()
def packs(trunk: nn.Module) -> bool:
    """Whether packed sequences come out of a transformer as they do one by one, found by trying it.

    No for layers that mix tokens in another way than by attention, and for attention that needs what is not
    known here, such as a bias by position.
    """
    device = next(trunk.parameters()).device
    ids = [[2, 3, 4, 5, 6], [7, 3, 2], [6, 5, 2, 4]]
    batch = pack([Encoded(row, 1) for row in ids]).to(device)
    try:
        packed_ND = trunk(**batch.inputs, use_cache=False)[0][0]
    except Exception:  # an architecture may refuse packed input in any way; then it is padded
        return False
    one_by_one = [trunk(input_ids=torch.tensor([row], device=device), use_cache=False)[0][0] for row in ids]
    expected_ND = torch.cat(one_by_one)
    tolerance = 1e-4 if packed_ND.dtype == torch.float32 else 5e-2
    return torch.allclose(packed_ND[: len(expected_ND)], expected_ND, rtol=tolerance, atol=tolerance)


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    packing: Packing | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """softmax(q k^T scaling) v over what each query may see, [B, T, heads, head size].

    query: [B, heads, T, head size]; key, value: [B, key heads, S, head size]. With `packing` B is 1, and
    each sequence attends to itself alone, causally.
    """
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    window = options.get("sliding_window")
    plain = all(options.get(name) is None for name in ("softcap", "position_bias", "s_aux", "cache"))
    if packing is not None:
        if not plain:
            raise ModelError(
                f"{type(module).__name__}: packed attention has no softcap, position bias or sinks"
            )
        return _packed(query, key, value, packing, scale, window), None
    short = not query.is_cuda and not dropout and query.shape[1] % key.shape[1] == 0
    if short and plain and (query.shape[2] == 1 or key.shape[2] <= SHORT):
        causal = options.get("is_causal")
        causal = getattr(module, "is_causal", True) if causal is None else causal
        if attention_mask is None and causal and query.shape[2] > 1:
            attention_mask = _causal(query.shape[2], None, query.device)[:, : key.shape[2]]
        return _short(query, key, value, attention_mask, scale), None
    return sdpa_attention_forward(
        module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **options
    )


def _short(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """Written out; query heads that share a key head are further rows of its product."""
    batch, heads, length, width = query.shape
    shared = key.shape[1]
    query, key, value = _one_precision(query, key, value)
    rows = query.reshape(batch, shared, heads // shared * length, width)
    scores = torch.matmul(rows * scale, key.transpose(2, 3))
    scores = scores.view(batch, shared, heads // shared, length, -1)
    if mask is not None:
        scores = _masked(scores, mask if mask.dim() == 2 else mask.unsqueeze(2), shared)
    weights = scores.softmax(-1).view(batch, shared, heads // shared * length, -1)
    return torch.matmul(weights, value).view(batch, heads, length, -1).transpose(1, 2)


def _masked(scores: Tensor, mask: Tensor, shared: int) -> Tensor:
    """Scores [B, key heads, group, T, S] where the mask, True or 0 for what is seen, allows them."""
    if mask.dim() == 5 and mask.shape[1] not in (1, shared):  # a mask for each query head
        mask = mask.view(mask.shape[0], shared, -1, *mask.shape[3:])
    if mask.dtype == torch.bool:
        return scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return scores + mask.to(scores.dtype)


def _packed(
    query: Tensor, key: Tensor, value: Tensor, packing: Packing, scale: float, window: int | None
) -> Tensor:
    groups = query.shape[1] // key.shape[1]
    query, key, value = _one_precision(query, key, value)
    if query.is_cuda:
        longest = max(packing.lengths)
        seen = (-1 if window is None else window - 1, 0)
        found = varlen_attn(
            query[0].transpose(0, 1).contiguous(),
            key[0].transpose(0, 1).contiguous(),
            value[0].transpose(0, 1).contiguous(),
            packing.ends,
            packing.ends,
            longest,
            longest,
            scale=scale,
            window_size=seen,
            enable_gqa=groups > 1,
        )
        assert isinstance(found, Tensor)
        return found.unsqueeze(0)
    if groups > 1:
        key, value = (x.repeat_interleave(groups, dim=1) for x in (key, value))
    return _BucketAttention.apply(query, key, value, packing, scale, window)  # pyright: ignore


def _one_precision(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Autocast's, where it is on: rotated queries and keys come in float32."""
    device = tensors[0].device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else tensors[0].dtype
    return tuple(x.to(dtype) for x in tensors)


def _causal(length: int, window: int | None, device: torch.device) -> Tensor:
    """[T, T], True where the query of a row may see the key of a column."""
    seen = torch.ones(length, length, dtype=torch.bool, device=device).tril()
    return seen if window is None else seen.triu(1 - window)


class _BucketAttention(torch.autograd.Function):
    """Causal attention of packed sequences, bucket by bucket. Each token is in one bucket at one place, so
    gradients are gathered as the results are, and never added up."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        packing: Packing,
        scale: float,
        window: int | None,
    ) -> Tensor:
        """query, key, value: [1, heads, N, head size]; returns [1, N, heads, head size]."""
        saved: list[Tensor] = []
        found: list[Tensor] = []
        for bucket in packing.buckets:
            q, k, v = (_gather(x[0], bucket.index_bL, bucket.length) for x in (query, key, value))
            hidden = ~_causal(bucket.length, window, q.device)
            mask = torch.zeros(hidden.shape, dtype=q.dtype, device=q.device)
            mask.masked_fill_(hidden, torch.finfo(q.dtype).min)
            weights = torch.baddbmm(mask, q, k.transpose(1, 2), alpha=scale).softmax(-1)
            found.append(torch.bmm(weights, v).view(query.shape[1], -1, v.shape[-1]))
            saved += [q, k, v, weights]
        ctx.save_for_backward(*saved)
        ctx.packing, ctx.scale = packing, scale
        return _scatter(found, packing.order_N).transpose(0, 1).unsqueeze(0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """softmax's gradient is p (g - sum p g)."""
        packing: Packing = ctx.packing
        grad = grads[0][0].transpose(0, 1)
        parts: tuple[list[Tensor], ...] = ([], [], [])
        saved = iter(ctx.saved_tensors)
        for bucket in packing.buckets:
            q, k, v, weights = (next(saved) for _ in range(4))
            g = grad.index_select(1, bucket.index_bL).index_fill_(1, bucket.padding_P, 0.0)
            g = g.reshape(-1, bucket.length, g.shape[-1])
            g_weights = torch.bmm(g, v.transpose(1, 2))
            g_scores = torch._softmax_backward_data(g_weights, weights, -1, weights.dtype)  # pyright: ignore
            g_scores.mul_(ctx.scale)
            found = (torch.bmm(g_scores, k), torch.bmm(g_scores.mT, q), torch.bmm(weights.mT, g))
            for part, x in zip(parts, found, strict=True):
                part.append(x.view(grad.shape[0], -1, x.shape[-1]))
        query, key, value = (_scatter(part, packing.order_N).unsqueeze(0) for part in parts)
        return query, key, value, None, None, None


def _gather(x_HND: Tensor, index_bL: Tensor, length: int) -> Tensor:
    """[heads, N, D] as the bucket's [heads * b, L, D]."""
    return x_HND.index_select(1, index_bL).view(-1, length, x_HND.shape[-1])


def _scatter(parts: list[Tensor], order_N: Tensor) -> Tensor:
    """The buckets' [heads, b * L, D] as [heads, N, D]."""
    return torch.cat(parts, dim=1).index_select(1, order_N)


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)
