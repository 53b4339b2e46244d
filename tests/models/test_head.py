"""The chunked output layer against whole logits, and the models that it must not be used for."""

import pytest
import torch
from role_models import CONFIGS, LLAMA_LIKE, SMALL, VOCABULARY, language_model
from torch import Tensor
from transformers import CohereConfig, Gemma2Config, GraniteConfig, PreTrainedConfig

from rlhf.errors import ModelError
from rlhf.models import head as head_module
from rlhf.models.head import check_head, language_head
from rlhf.models.policy_value import decoder_of

GEMMA = Gemma2Config(**SMALL, **LLAMA_LIKE, head_dim=8, final_logit_softcapping=1.5)
SUPPORTED: dict[str, PreTrainedConfig] = {**CONFIGS, "gemma2, softcap": GEMMA}
SCALED: dict[str, PreTrainedConfig] = {
    "cohere": CohereConfig(**SMALL, **LLAMA_LIKE, logit_scale=0.25),
    "granite": GraniteConfig(**SMALL, **LLAMA_LIKE, logits_scaling=4.0),
}
TEMPERATURE = 0.7


@pytest.mark.parametrize("name", SUPPORTED)
@pytest.mark.parametrize("chunk", [1, 4, 7, 20, 64])
def test_chunks_equal_whole_logits_in_values_and_gradients(
    name: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head_module, "chunk_tokens", lambda *_: chunk)
    model = language_model(SUPPORTED[name]).double()
    generator = torch.Generator().manual_seed(1)
    ids_BS = torch.randint(0, VOCABULARY, (1, 21), generator=generator)
    weights_N = torch.randn(20, generator=generator, dtype=torch.float64)

    hidden_SD = decoder_of(model)(input_ids=ids_BS, use_cache=False)[0][0]
    out = language_head(model, hidden_SD[:-1], ids_BS[0, 1:], TEMPERATURE)
    (weights_N * out.logprobs_N).sum().backward()
    chunked = taken_gradients(model)

    logits_NV = model(input_ids=ids_BS, use_cache=False).logits[0, :-1] / TEMPERATURE
    whole_NV = logits_NV - logits_NV.exp().sum(-1, keepdim=True).log()
    whole_N = whole_NV[torch.arange(20), ids_BS[0, 1:]]
    (weights_N * whole_N).sum().backward()
    torch.testing.assert_close(out.logprobs_N, whole_N, rtol=1e-10, atol=1e-12)
    entropy_N = -(whole_NV.exp() * whole_NV).sum(-1)
    torch.testing.assert_close(out.entropy_N, entropy_N, rtol=1e-10, atol=1e-12)
    assert not out.entropy_N.requires_grad
    for key, gradient in taken_gradients(model).items():
        torch.testing.assert_close(chunked[key], gradient, rtol=1e-10, atol=1e-12, msg=key)


def taken_gradients(model: torch.nn.Module) -> dict[str, Tensor]:
    taken = {key: value.grad.clone() for key, value in model.named_parameters() if value.grad is not None}
    assert taken
    model.zero_grad()
    return taken


@pytest.mark.parametrize("name", SUPPORTED)
def test_models_whose_logits_are_their_output_layers_are_let_through(name: str) -> None:
    model = language_model(SUPPORTED[name])
    check_head(model, decoder_of(model))


@pytest.mark.parametrize("name", SCALED)
def test_models_that_scale_their_logits_are_refused(name: str) -> None:
    model = language_model(SCALED[name])
    with pytest.raises(ModelError, match="its logits are not its output layer's"):
        check_head(model, decoder_of(model))


def test_a_head_that_is_not_linear_is_refused() -> None:
    model = language_model(CONFIGS["llama"])
    model.lm_head = torch.nn.Sequential(model.lm_head)
    with pytest.raises(ModelError, match="PPO does not support it"):
        check_head(model, decoder_of(model))
