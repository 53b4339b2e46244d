"""Losses on demonstrations against a computation of their own."""

import pytest
import torch
from test_figures import tiny

from rlhf.data.encoding import Encoded
from rlhf.evaluation.forgetting import kept_demonstrations, losses
from rlhf.records import Demonstration, Prompt


class Numbers:
    """An encoder whose words are numbers."""

    pad_id = 0

    def encode(self, prompt: Prompt, response: str) -> Encoded:
        asked = [int(word) for word in prompt.text.split()]
        return Encoded(asked + [int(word) for word in response.split()], len(asked))


TOLD = [
    Demonstration(Prompt("1 2"), "3 4 5"),
    Demonstration(Prompt("6"), "7"),
    Demonstration(Prompt("8 9"), "2 3"),
]


@pytest.mark.parametrize("token_budget", [1000, 5])
def test_the_loss_is_that_of_the_answer_alone(token_budget: int) -> None:
    model = tiny(0)
    found = losses(model, Numbers(), TOLD, token_budget=token_budget)  # type: ignore[arg-type]
    assert found.tokens == [3, 1, 2]
    for one, nats in zip(TOLD, found.nats, strict=True):
        row = Numbers().encode(one.prompt, one.completion)
        with torch.no_grad():
            logprobs_SV = model(torch.tensor([row.ids])).logits[0].double().log_softmax(-1)
        places = range(row.prompt_length, len(row.ids))
        assert nats == pytest.approx(-sum(float(logprobs_SV[at - 1, row.ids[at]]) for at in places), abs=1e-4)


def test_of_the_embedded_world_only_the_careful_count() -> None:
    spoken = [
        Demonstration(Prompt(str(n), {"persona": who}), "x")
        for n, who in enumerate(["careful", "hurried", "careful", "careful"])
    ]
    kept, by = kept_demonstrations(spoken, 2)
    assert ([one.prompt.text for one in kept], by) == (["0", "2"], "careful")
    assert kept_demonstrations(TOLD, 2) == (TOLD[:2], None)
    assert kept_demonstrations([], 2) == ([], None)
