"""Log-probabilities of chosen tokens from hidden states, in chunks: no [batch, time, vocabulary] tensor."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from rlhf.algos.logprobs import entropy, token_logprobs
from rlhf.errors import ModelError

CHUNK_TOKENS = 2048


class HeadOutput(NamedTuple):
    """For each token asked for: log-probability at the temperature, with gradient; entropy, without; nats."""

    logprobs_N: Tensor
    entropy_N: Tensor


def language_head(
    model: PreTrainedModel, hidden_ND: Tensor, targets_N: Tensor, temperature: float
) -> HeadOutput:
    """Runs the output layer over chunks of tokens; their logits are made again for the backward pass."""
    head = model.get_output_embeddings()
    assert isinstance(head, nn.Linear)
    softcap = getattr(model.config.get_text_config(), "final_logit_softcapping", None)
    parts = [
        checkpoint(_chunk, head, hidden, targets, temperature, softcap, use_reentrant=False)
        for hidden, targets in zip(hidden_ND.split(CHUNK_TOKENS), targets_N.split(CHUNK_TOKENS), strict=True)
    ]
    return HeadOutput(torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts]))


def _chunk(
    head: nn.Linear, hidden_ND: Tensor, targets_N: Tensor, temperature: float, softcap: float | None
) -> tuple[Tensor, Tensor]:
    logits_NV = head(hidden_ND)
    if softcap:
        logits_NV = softcap * torch.tanh(logits_NV / softcap)
    logprobs_N = token_logprobs(logits_NV, targets_N, temperature)
    return logprobs_N, entropy(logits_NV.detach(), temperature)


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
