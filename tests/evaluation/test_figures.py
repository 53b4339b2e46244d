"""Figures of answers, and the KL against a computation of its own."""

import pytest
import torch
from evaluation_samples import answer
from transformers import LlamaConfig, LlamaForCausalLM

from rlhf.evaluation.answers import Answer
from rlhf.evaluation.figures import figures, sequence_kl_nats
from rlhf.records import Prompt


def tiny(seed: int) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=20,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=32,
        initializer_range=0.8,
    )
    return LlamaForCausalLM(config).eval()


def test_figures_by_hand() -> None:
    answers = [
        answer("a", "the cat sat", tokens=4),
        answer("b", "the cat", tokens=2),
        answer("c", "", tokens=6, finish="length"),
    ]
    result = figures(answers, seed=0, resamples=100)
    assert result.length_tokens.estimate == 4.0
    assert result.end_rate.estimate == pytest.approx(2 / 3)
    assert result.distinct_1 == 3 / 5  # the, cat, sat of five words
    assert result.distinct_2 == 2 / 3  # "the cat" twice, "cat sat"


def ids(prompt: tuple[int, ...], response: tuple[int, ...]) -> Answer:
    return Answer(Prompt("x"), "", prompt, response, "eos", 0)


def by_hand(policy: LlamaForCausalLM, baseline: LlamaForCausalLM, one: Answer, temperature: float) -> float:
    """One unpadded row, token by token, through the models' own logits."""
    row = torch.tensor([[*one.prompt_ids, *one.response_ids]])
    total = 0.0
    with torch.no_grad():
        for place in range(len(one.prompt_ids), row.shape[1]):
            for model, sign in ((policy, 1.0), (baseline, -1.0)):
                logits_V = model(row[:, :place]).logits[0, -1].double() / temperature
                total += sign * float(logits_V.log_softmax(-1)[row[0, place]])
    return total


@pytest.mark.parametrize("token_budget", [1000, 8])
def test_kl_is_the_sum_over_tokens_at_the_temperature(token_budget: int) -> None:
    policy, baseline = tiny(0), tiny(1)
    answers = [ids((1, 2), (3, 4, 5, 6)), ids((7,), (8,)), ids((9, 10, 11), (12, 13))]
    nats = sequence_kl_nats(policy, baseline, answers, temperature=0.5, pad_id=0, token_budget=token_budget)
    assert nats == pytest.approx([by_hand(policy, baseline, one, 0.5) for one in answers], abs=1e-4)
    assert nats != pytest.approx([by_hand(policy, baseline, one, 1.0) for one in answers], abs=1e-2)


def test_a_policy_is_no_distance_from_itself() -> None:
    policy = tiny(0)
    assert sequence_kl_nats(policy, policy, [ids((1, 2), (3, 4))], temperature=0.7, pad_id=0) == [0.0]
