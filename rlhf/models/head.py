"""Log-probabilities of chosen tokens from hidden states, in chunks: no [batch, time, vocabulary] tensor.

A chunk's logits are made again for the backward pass, so that memory holds one chunk of them at a time. On a
CPU a chunk is small enough for the passes of the softmax to find it in the cache. The forward pass takes some
tokens and all words at a time, for its sums are over words; the backward pass all tokens and some words, so
that each part of the weight's gradient is written once.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from rlhf.algos.logprobs import token_logprobs
from rlhf.data.rounding import TOKENS, rounded
from rlhf.errors import ModelError
from rlhf.models.gradients import kept_gradient
from rlhf.models.products import product

CHUNK_LOGITS = {"cpu": 1 << 22, "cuda": 1 << 27}  # logits at once
LEAST_ROWS = 64  # in a chunk; fewer make a slow product


class HeadOutput(NamedTuple):
    """For each token asked for: log-probability at the temperature, with gradient; entropy, without; nats.

    Float32 at least.
    """

    logprobs_N: Tensor
    entropy_N: Tensor


def language_head(
    model: PreTrainedModel, hidden_ND: Tensor, targets_N: Tensor, temperature: float
) -> HeadOutput:
    """Runs the output layer over chunks of tokens.

    log p = z_y - log sum exp z and H = log sum exp z - sum p z, z being logits over the temperature, less the
    largest of them.
    """
    head = model.get_output_embeddings()
    assert isinstance(head, nn.Linear)
    softcap = getattr(model.config.get_text_config(), "final_logit_softcapping", None)
    count = len(targets_N)
    missing = rounded(count, TOKENS) - count
    hidden_ND = nn.functional.pad(hidden_ND, (0, 0, 0, missing))
    targets_N = nn.functional.pad(targets_N, (0, missing))
    found = _Head.apply(hidden_ND, head.weight, head.bias, targets_N, temperature, softcap)
    assert isinstance(found, tuple)
    return HeadOutput(*(x_N[:count] for x_N in found))


def chunk_rows(columns: int, device: torch.device) -> int:
    """How many tokens have their logits at once, of `columns` words; or words, of so many tokens."""
    rows = CHUNK_LOGITS.get(device.type, CHUNK_LOGITS["cpu"]) // max(columns, 1)
    return max(rows // LEAST_ROWS * LEAST_ROWS, LEAST_ROWS)


class _Head(torch.autograd.Function):
    """Saves the log of the softmax's sum for each token, and nothing of the vocabulary's size."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor | None,
        targets_N: Tensor,
        temperature: float,
        softcap: float | None,
    ) -> tuple[Tensor, Tensor]:
        """Log-probabilities and entropy [N]."""
        device = hidden_ND.device.type
        mixed = torch.is_autocast_enabled(device)
        dtype = torch.get_autocast_dtype(device) if mixed else weight_VD.dtype
        ctx.options = (temperature, softcap, chunk_rows(len(weight_VD), hidden_ND.device), hidden_ND.dtype)
        ctx.weight = weight_VD  # as it is, for the gradient that it keeps
        hidden_ND, weight_VD = hidden_ND.to(dtype), weight_VD.to(dtype)
        logprobs, entropies, normalizers = list[Tensor](), list[Tensor](), list[Tensor]()
        for hidden, targets in _chunks(ctx, hidden_ND, targets_N):
            scaled_NV = _scaled(ctx, hidden, weight_VD, bias_V)[0]
            largest_N1 = scaled_NV.amax(-1, keepdim=True)
            scaled_NV = scaled_NV.sub_(largest_N1)
            exp_NV = scaled_NV.exp()
            sum_N = exp_NV.sum(-1)
            log_sum_N = sum_N.log()
            logprobs.append(scaled_NV.gather(-1, targets.unsqueeze(-1)).squeeze(-1) - log_sum_N)
            entropies.append(log_sum_N - exp_NV.mul_(scaled_NV).sum(-1) / sum_N)
            normalizers.append(largest_N1.squeeze(-1) + log_sum_N)
        ctx.save_for_backward(hidden_ND, weight_VD, bias_V, targets_N, torch.cat(normalizers))
        entropy_N = torch.cat(entropies)
        ctx.mark_non_differentiable(entropy_N)
        return torch.cat(logprobs), entropy_N

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """d log p_y / d z = 1_y - p."""
        hidden_ND, weight_VD, bias_V, targets_N, normalizer_N = ctx.saved_tensors
        grad_N, (temperature, softcap, _, hidden_dtype) = grads[0], ctx.options
        wants_hidden, wants_weight, wants_bias = ctx.needs_input_grad[:3]
        accurate = torch.promote_types(weight_VD.dtype, torch.float32)

        def room(wanted: bool, shape: torch.Size) -> Tensor | None:
            return torch.empty(shape, dtype=accurate, device=weight_VD.device) if wanted else None

        kept_VD = kept_gradient(ctx.weight) if wants_weight else None
        slope_VD = room(wants_weight and kept_VD is None, weight_VD.shape)
        slope_V = room(wants_bias, weight_VD.shape[:1])
        slope_ND = room(wants_hidden, hidden_ND.shape)
        if slope_ND is not None:
            slope_ND.zero_()
        block = chunk_rows(len(hidden_ND), hidden_ND.device)
        for start in range(0, len(weight_VD), block):
            part = slice(start, start + block)
            weight = weight_VD[part]
            scaled_Nv, capped_Nv = _scaled(ctx, hidden_ND, weight, None if bias_V is None else bias_V[part])
            slope_Nv = scaled_Nv.sub_(normalizer_N.unsqueeze(-1)).exp_().mul_(-grad_N.unsqueeze(-1))
            place_N = targets_N - start
            here_N = (place_N >= 0) & (place_N < len(weight))
            place_N1 = place_N.clamp(0, len(weight) - 1).unsqueeze(-1)
            slope_Nv.scatter_add_(-1, place_N1, torch.where(here_N, grad_N, 0.0).unsqueeze(-1))
            if capped_Nv is not None:  # d (c tanh(x / c)) / dx = 1 - tanh^2
                slope_Nv.mul_(1.0 - (capped_Nv / softcap).square())
            if temperature != 1.0:
                slope_Nv.div_(temperature)
            if slope_V is not None:
                slope_V[part] = slope_Nv.sum(0)
            slope_Nv = slope_Nv.to(weight.dtype)
            if slope_ND is not None:
                slope_ND += product(slope_Nv, weight.t())
            if kept_VD is not None:
                kept_VD[part] += product(hidden_ND.t(), slope_Nv.t()).t()
            elif slope_VD is not None:
                slope_VD[part] = product(hidden_ND.t(), slope_Nv.t()).t()
        slope_ND = None if slope_ND is None else slope_ND.to(hidden_dtype)
        return slope_ND, slope_VD, slope_V, None, None, None


def _chunks(ctx: Any, *tensors: Tensor) -> Any:
    """The tensors' rows, a chunk of each at a time."""
    return zip(*(x.split(ctx.options[2]) for x in tensors), strict=True)


def _scaled(
    ctx: Any, hidden_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Logits over the temperature [N, V], float32 at least; before that, where they are capped."""
    temperature, softcap, *_ = ctx.options
    bias = None if bias_V is None else bias_V.to(weight_VD.dtype)
    logits_NV = product(hidden_ND, weight_VD, bias)
    logits_NV = logits_NV.to(torch.promote_types(logits_NV.dtype, torch.float32))
    capped_NV = None
    if softcap:
        logits_NV = capped_NV = softcap * torch.tanh(logits_NV / softcap)
    if temperature != 1.0 or capped_NV is not None:
        logits_NV = logits_NV / temperature
    return logits_NV, capped_NV


@torch.no_grad()
def check_head(model: PreTrainedModel, trunk: nn.Module) -> None:
    """Makes sure that hidden states through `language_head` are the model's own logits.

    Raises:
        ModelError: the architecture does something else to its logits, which PPO would get wrong.
    """
    device = next(model.parameters()).device
    head = model.get_output_embeddings()
    ids_BS = torch.arange(1, 5, device=device).unsqueeze(0)
    own_SV = model(input_ids=ids_BS, use_cache=False).logits[0].float()
    ours = ModelError(
        f"{type(model).__name__}: its logits are not its output layer's; PPO does not support it"
    )
    if not isinstance(head, nn.Linear):
        raise ours
    hidden_SD = trunk(input_ids=ids_BS, use_cache=False)[0][0]
    got_N = language_head(model, hidden_SD, ids_BS[0], 1.0).logprobs_N
    expected_N = token_logprobs(own_SV, ids_BS[0], 1.0)
    if not torch.allclose(got_N, expected_N, atol=1e-3 if own_SV.dtype == torch.float32 else 5e-2):
        raise ours
