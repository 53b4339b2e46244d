"""What the one trained module says of each response token, against a forward pass over each row alone."""

import math
from dataclasses import replace

import pytest
import torch
from role_models import CONFIGS, batch, language_model, rows
from torch import Tensor, nn

from rlhf.data.collation import Batch
from rlhf.data.encoding import Encoded
from rlhf.models.adapters import NoAdapters
from rlhf.models.policy_value import PolicyValue, decoder_of

TEMPERATURE = 0.7
SHIFT = 0.25


def module_of(architecture: str) -> PolicyValue:
    model = language_model(CONFIGS[architecture], seed=1)
    critic = decoder_of(language_model(CONFIGS[architecture], seed=2))
    head = nn.Linear(16, 1, bias=False)
    with torch.no_grad():
        head.weight.copy_(torch.linspace(-1, 1, 16)[None])
    made = PolicyValue(
        model,
        model,
        critic,
        head,
        value_shift=SHIFT,
        temperature=TEMPERATURE,
        adapters=NoAdapters(),
    )
    return made.double()


@torch.no_grad()
def row_alone(module: PolicyValue, row: Encoded) -> list[tuple[float, float, float]]:
    """Log-probability, entropy and value of each response token: all read one position before it."""
    ids = torch.tensor([row.ids])
    logits_SV = module.language_model(input_ids=ids, use_cache=False).logits[0]
    assert module.critic is not None
    hidden_SD = module.critic(input_ids=ids, use_cache=False)[0][0]
    weight_D = module.value_head.weight[0]
    found: list[tuple[float, float, float]] = []
    for place in range(row.prompt_length, len(row.ids)):
        scaled = [logit / TEMPERATURE for logit in logits_SV[place - 1].tolist()]
        total = math.log(sum(math.exp(logit) for logit in scaled))
        entropy = -sum(math.exp(logit - total) * (logit - total) for logit in scaled)
        value = sum((hidden_SD[place - 1] * weight_D).tolist()) - SHIFT
        found.append((scaled[row.ids[place]] - total, entropy, value))
    return found


@pytest.mark.parametrize("architecture", CONFIGS)
def test_each_token_is_read_one_position_before_it(architecture: str) -> None:
    module, encoded = module_of(architecture), rows()
    out = module(batch(encoded))
    expected_N3 = torch.tensor(
        [figures for row in encoded for figures in row_alone(module, row)], dtype=torch.float64
    )
    torch.testing.assert_close(torch.stack(list(out), dim=1), expected_N3, rtol=1e-10, atol=1e-10)
    assert out.values_N.dtype == torch.float64


@pytest.mark.parametrize("architecture", CONFIGS)
def test_nothing_depends_on_what_stands_in_padding(architecture: str) -> None:
    module, plain = module_of(architecture), batch(rows())
    filled = replace(plain, ids_BS=torch.where(plain.attention_BS, plain.ids_BS, 17))
    for one, other in zip(module(plain), module(filled), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("architecture", CONFIGS)
def test_two_more_columns_and_another_order_change_nothing(architecture: str) -> None:
    module, encoded = module_of(architecture), rows()
    out = module(batch(encoded))
    wide = module(widened(batch(encoded), 2))
    order = [3, 0, 5, 1, 4, 2]
    permuted = module(batch([encoded[row] for row in order]))
    lengths = [len(row.ids) - row.prompt_length for row in encoded]
    for one, two, three in zip(out, wide, permuted, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-12)
        by_row = one.split(lengths)
        torch.testing.assert_close(torch.cat([by_row[row] for row in order]), three, rtol=1e-10, atol=1e-12)


def widened(narrow: Batch, columns: int) -> Batch:
    def pad(x_BS: Tensor, value: int) -> Tensor:
        return nn.functional.pad(x_BS, (0, columns), value=value)

    return Batch(pad(narrow.ids_BS, 9), pad(narrow.attention_BS, 0), pad(narrow.response_mask_BS, 0))
