"""Where answers stand among others: the mean of a policy's own hidden states over each answer's tokens."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from rlhf.data.collation import collate, plan_microbatches
from rlhf.data.encoding import Encoded
from rlhf.models.reward_model import trunk_of

TOKENS = 16384  # in a batch, padding included


@torch.no_grad()
def embeddings(model: PreTrainedModel, rows: Sequence[Encoded], pad_id: int) -> Tensor:
    """Last hidden states, averaged over the tokens after the prompt: [N, D], float32, on the CPU.

    A row does not depend on those beside it, but for rounding.
    """
    device = next(model.parameters()).device
    found_ND = torch.zeros(len(rows), model.config.get_text_config().hidden_size)
    for indices in plan_microbatches([len(row.ids) for row in rows], TOKENS):
        batch = collate([rows[index] for index in indices], pad_id).to(device)
        hidden_BSD = trunk_of(model)(
            input_ids=batch.ids_BS, attention_mask=batch.attention_BS, use_cache=False
        )[0].float()
        for place, index in enumerate(indices):
            row = rows[index]
            found_ND[index] = hidden_BSD[place, row.prompt_length : len(row.ids)].mean(dim=0).cpu()
    return found_ND
