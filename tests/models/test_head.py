"""The chunked output layer against whole logits, and the models that it must not be used for."""

import math
from typing import Any

import pytest
import torch
from role_models import CONFIGS, SMALL, VOCABULARY, language_model
from small_models import LLAMA_LIKE
from torch import Tensor
from transformers import (
    CohereConfig,
    Gemma2Config,
    GraniteConfig,
    PhiConfig,
    PreTrainedConfig,
    PreTrainedModel,
)

from rlhf.errors import ModelError
from rlhf.models import head as head_module
from rlhf.models.head import check_head, chunk_rows, language_head
from rlhf.models.policy_value import decoder_of

GEMMA = Gemma2Config(**SMALL, **LLAMA_LIKE, head_dim=8, final_logit_softcapping=1.5)
PHI = PhiConfig(**SMALL, **LLAMA_LIKE, partial_rotary_factor=0.5)
SUPPORTED: dict[str, PreTrainedConfig] = {**CONFIGS, "gemma2, softcap": GEMMA, "phi, bias": PHI}
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
    monkeypatch.setattr(head_module, "chunk_rows", lambda *_: chunk)
    model = language_model(SUPPORTED[name]).double()
    scramble_bias(model)
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


def scramble_bias(model: PreTrainedModel) -> None:
    """A bias that begins at 0 would hide that it is left out."""
    bias = model.get_output_embeddings().bias
    if bias is not None:
        with torch.no_grad():
            bias.copy_(torch.linspace(-1, 1, len(bias)))


def test_gradients_of_many_chunks_add_up_in_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """400 tokens, one a chunk: a sum in bfloat16 stands still where it is 256 times its next term."""
    monkeypatch.setattr(head_module, "chunk_rows", lambda *_: 1)
    found: dict[torch.dtype, Tensor] = {}
    for dtype in (torch.float64, torch.bfloat16):
        model = Given(3, dtype)
        hidden = torch.tensor([[1.0, 0.5, -0.5]], dtype=dtype).repeat(400, 1)
        out = language_head(model, hidden, torch.zeros(400, dtype=torch.long), 1.0)  # type: ignore[arg-type]
        out.logprobs_N.sum().backward()
        assert model.head.weight.grad is not None
        found[dtype] = model.head.weight.grad.double()
    torch.testing.assert_close(found[torch.bfloat16], found[torch.float64], rtol=2e-2, atol=0)


@pytest.mark.parametrize(
    ("vocabulary", "device", "tokens"),
    [(1024, "cpu", 4096), (32_000, "cpu", 128), (152_000, "cpu", 64), (152_000, "cuda", 832)],
)
def test_a_chunk_holds_so_many_logits(vocabulary: int, device: str, tokens: int) -> None:
    """2^22 on a CPU, which its cache can hold, 2^27 on a GPU; a multiple of 64 tokens."""
    assert chunk_rows(vocabulary, torch.device(device)) == tokens


class Given(torch.nn.Module):
    """A model whose logits are its hidden states."""

    config = CONFIGS["llama"]

    def __init__(self, vocabulary: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.head = torch.nn.Linear(vocabulary, vocabulary, bias=False, dtype=dtype)
        with torch.no_grad():
            self.head.weight.copy_(torch.eye(vocabulary))

    def get_output_embeddings(self) -> torch.nn.Linear:
        return self.head


def of_logits(logits: list[list[float]], targets: list[int], temperature: float, dtype: torch.dtype) -> Any:
    hidden = torch.tensor(logits, dtype=dtype)
    return language_head(Given(hidden.shape[1], dtype), hidden, torch.tensor(targets), temperature)


def test_by_hand() -> None:
    """softmax of [0, log 3] is [1/4, 3/4]; at temperature 1/2 the odds are squared: [1/10, 9/10]."""
    for temperature, (low, high) in {1.0: (0.25, 0.75), 0.5: (0.1, 0.9)}.items():
        out = of_logits([[0.0, math.log(3)]] * 2, [0, 1], temperature, torch.float64)
        assert out.logprobs_N.tolist() == pytest.approx([math.log(low), math.log(high)])
        nats = -low * math.log(low) - high * math.log(high)
        assert out.entropy_N.tolist() == pytest.approx([nats, nats])


def test_far_logits_lose_nothing() -> None:
    """Logits 8192 higher are the same distribution; float32 holds 8192 + k/512 exactly."""
    near = [[0.0, 0.5, -1.25]]
    here = of_logits(near, [2], 1.0, torch.float32)
    far = of_logits([[z + 8192 for z in near[0]]], [2], 1.0, torch.float32)
    torch.testing.assert_close(far.logprobs_N, here.logprobs_N, rtol=1e-6, atol=0)
    torch.testing.assert_close(far.entropy_N, here.entropy_N, rtol=1e-6, atol=0)
    assert of_logits([[1e4, -1e4]], [1], 1.0, torch.float32).logprobs_N.item() == -2e4


def test_half_precision_is_lifted_and_what_is_no_number_stays_so() -> None:
    out = of_logits([[1.0, 2.5, -3.0]], [1], 0.7, torch.bfloat16)
    exact = of_logits([[1.0, 2.5, -3.0]], [1], 0.7, torch.float64)
    for found, expected in zip(out, exact, strict=True):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-6)
    for found in of_logits([[math.nan, 1.0]], [1], 1.0, torch.float32):
        assert found.isnan().all()


def taken_gradients(model: torch.nn.Module) -> dict[str, Tensor]:
    taken = {key: value.grad.clone() for key, value in model.named_parameters() if value.grad is not None}
    assert taken
    model.zero_grad()
    return taken


def is_refused(model: PreTrainedModel) -> bool:
    try:
        check_head(model, decoder_of(model))
    except ModelError as error:
        return "its logits are not its output layer's" in str(error)
    return False


@pytest.mark.parametrize("name", SUPPORTED)
def test_models_whose_logits_are_their_output_layers_are_let_through(name: str) -> None:
    assert not is_refused(language_model(SUPPORTED[name]))


@pytest.mark.parametrize("name", SCALED)
def test_models_that_scale_their_logits_are_refused(name: str) -> None:
    assert is_refused(language_model(SCALED[name]))


def test_a_head_that_is_not_linear_is_refused() -> None:
    model = language_model(CONFIGS["llama"])
    model.lm_head = torch.nn.Sequential(model.lm_head)
    with pytest.raises(ModelError, match="PPO does not support it"):
        check_head(model, decoder_of(model))
