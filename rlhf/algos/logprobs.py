"""Log-probabilities of tokens at one temperature."""

import torch
from torch import Tensor


def token_logprobs(logits_BTV: Tensor, ids_BT: Tensor, temperature: float) -> Tensor:
    """log softmax(logits / temperature) at each token, [B, T] in nats.

    The same temperature serves sampling, old, new and reference log-probabilities: a ratio of two
    temperatures is no importance ratio. Any leading shape is taken, so packed [N, V] too. Half
    precision is lifted to float32 first; float64 stays. Ids, those of padding included, must lie in
    the vocabulary.
    """
    if not temperature > 0:
        raise ValueError(
            f"temperature={temperature} must be positive; greedy decoding has no log-probability"
        )
    logprobs_BTV = (at_least_float32(logits_BTV) / temperature).log_softmax(-1)
    return logprobs_BTV.gather(-1, ids_BT.unsqueeze(-1)).squeeze(-1)


def at_least_float32(x: Tensor) -> Tensor:
    """Half precision lifted to float32; float32 and float64 as they are."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
