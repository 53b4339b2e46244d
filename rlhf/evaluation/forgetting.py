"""The loss of a policy on held-out demonstrations: whether it still could say what it was taught."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from rlhf.data.collation import collate, plan_microbatches
from rlhf.data.encoding import Encoder
from rlhf.models.policy_value import policy_outputs
from rlhf.records import Demonstration

CAREFUL = "careful"
"""The persona of the embedded world that is worth keeping; the others are meant to be unlearnt."""


@dataclass(frozen=True)
class Losses:
    """Of each demonstration the summed loss of its answer in nats, and its tokens, end token included."""

    nats: list[float]
    tokens: list[int]


def kept_demonstrations(
    demonstrations: Sequence[Demonstration], count: int
) -> tuple[list[Demonstration], str | None]:
    """At most `count`; where they say who speaks, those of the careful persona alone, and its name."""
    if demonstrations and all("persona" in one.prompt.fields for one in demonstrations):
        careful = [one for one in demonstrations if one.prompt.fields["persona"] == CAREFUL]
        return careful[:count], CAREFUL
    return list(demonstrations[:count]), None


@torch.no_grad()
def losses(
    model: PreTrainedModel,
    encoder: Encoder,
    demonstrations: Sequence[Demonstration],
    *,
    token_budget: int = 16384,
) -> Losses:
    """-log p of each demonstration's answer at temperature 1, in right-padded batches."""
    device = next(model.parameters()).device
    rows = [encoder.encode(one.prompt, one.completion) for one in demonstrations]
    tokens = [len(row.ids) - row.prompt_length for row in rows]
    nats = [0.0] * len(rows)
    for places in plan_microbatches([len(row.ids) for row in rows], token_budget):
        batch = collate([rows[place] for place in places], encoder.pad_id).to(device)
        logprobs_N, _ = policy_outputs(model, batch, 1.0)
        of_rows = logprobs_N.double().split([tokens[place] for place in places])
        for place, logprobs_T in zip(places, of_rows, strict=True):
            nats[place] = -float(logprobs_T.sum())
    return Losses(nats, tokens)
