"""Gradients that are kept: the same numbers, and no tensor of the vocabulary's size."""

from typing import Any

import pytest
import torch
from role_models import CONFIGS, PAD, VOCABULARY, language_model
from small_models import configs
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import PreTrainedModel

from rlhf.models import gradients, head
from rlhf.models.gradients import Embedding, keep_gradients, zero_gradients
from rlhf.models.head import language_head
from rlhf.models.policy_value import decoder_of

IDS_BS = torch.tensor([[3, PAD, 7, 3, 1, PAD, 5, 3]])


@pytest.fixture(autouse=True)
def small_ones_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradients, "LEAST", 1)


def backward(model: PreTrainedModel, scale: float = 1.0) -> None:
    hidden_SD = decoder_of(model)(input_ids=IDS_BS, use_cache=False)[0][0]
    found = language_head(model, hidden_SD[:-1], IDS_BS[0, 1:], 0.7).logprobs_N
    (found * torch.linspace(-scale, 2 * scale, len(found))).sum().backward()


def taken(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


class Sizes(TorchDispatchMode):
    """The sizes of all tensors that are made."""

    def __init__(self) -> None:
        super().__init__()
        self.made: set[tuple[int, ...]] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        known = {id(x) for x in args if isinstance(x, Tensor)}
        if isinstance(found, Tensor) and id(found) not in known and not found._is_view():
            self.made.add(tuple(found.shape))
        return found


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("padding", [None, PAD])
def test_gradients_of_two_passes_are_those_that_autograd_adds(
    name: str, tied: bool, padding: int | None
) -> None:
    config = CONFIGS[name].__class__(
        **{**CONFIGS[name].to_dict(), "tie_word_embeddings": tied, "pad_token_id": padding}
    )
    usual, keeping = language_model(config), language_model(config)
    keep_gradients([keeping])
    zero_gradients(keeping.parameters())
    for model in (usual, keeping):
        backward(model)
        backward(model, scale=0.3)
    expected, found = taken(usual), taken(keeping)
    assert found.keys() == expected.keys()
    assert isinstance(keeping.get_input_embeddings(), Embedding)
    for key, gradient in found.items():
        torch.testing.assert_close(gradient, expected[key], rtol=1e-4, atol=1e-6, msg=key)


def test_a_backward_pass_makes_no_tensor_of_the_vocabularys_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head, "chunk_rows", lambda *_: 8)  # words at a time
    model = language_model(configs(96)["llama"])  # 32 are the rows that the head is given
    whole = tuple(model.get_input_embeddings().weight.shape)
    with Sizes() as usual:
        backward(model)
    assert whole in usual.made
    keep_gradients([model])
    zero_gradients(model.parameters())
    with Sizes() as kept:
        backward(model)
    assert whole not in kept.made


def test_zeros_in_the_same_memory_before_each_pass_and_nothing_for_the_others() -> None:
    model = language_model(CONFIGS["llama"])
    keep_gradients([model])
    zero_gradients(model.parameters())
    backward(model)
    kept = model.get_input_embeddings().weight.grad
    assert kept is not None
    assert kept.abs().sum() > 0
    zero_gradients(model.parameters())
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert {id(grad) for grad in grads} <= {id(p.grad) for p in (
        model.get_input_embeddings().weight, model.get_output_embeddings().weight)}  # fmt: skip
    assert kept.abs().sum() == 0


def test_where_no_gradient_is_kept_it_comes_as_ever() -> None:
    """Marked, but nobody has made room: as in a pass that is only timed."""
    usual, marked = language_model(CONFIGS["llama"]), language_model(CONFIGS["llama"])
    keep_gradients([marked])
    for model in (usual, marked):
        backward(model)
    for key, gradient in taken(marked).items():
        torch.testing.assert_close(gradient, taken(usual)[key], rtol=1e-5, atol=1e-7)


def test_embeddings_whose_gradient_is_no_plain_sum_stay_as_they_are() -> None:
    for options in ({"max_norm": 1.0}, {"scale_grad_by_freq": True}, {"sparse": True}):
        model = nn.Sequential(nn.Embedding(VOCABULARY, 4, **options))
        keep_gradients([model])
        assert type(model[0]) is nn.Embedding


def test_frozen_weights_and_other_precisions_keep_none() -> None:
    model = language_model(CONFIGS["llama"]).requires_grad_(False)
    keep_gradients([model])
    zero_gradients(model.parameters())
    assert taken(model) == {}
    assert decoder_of(model)(input_ids=IDS_BS, use_cache=False)[0].isfinite().all()
    double = language_model(CONFIGS["llama"]).double()
    keep_gradients([double])
    zero_gradients(double.parameters())
    assert taken(double) == {}
