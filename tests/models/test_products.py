"""Float32 products by oneDNN: nn.Linear's values and gradients, and where they are not used."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from rlhf.models import products
from rlhf.models.loading import load_policy
from rlhf.models.products import Linear, onednn_is_faster, product, use_fast_products

ROWS, WIDTH, OUT = 96, 320, 256  # more multiply-adds than LEAST_WORK

faster = pytest.mark.skipif(not onednn_is_faster(), reason="torch's own products are as fast on this CPU")


def pair(bias: bool = True) -> tuple[nn.Linear, nn.Linear]:
    """An ordinary layer, and the same with fast products."""
    torch.manual_seed(0)
    one = nn.Linear(WIDTH, OUT, bias=bias)
    other = copy.deepcopy(one)
    other.__class__ = Linear
    return one, other


def gradients(layer: nn.Linear, x: Tensor) -> list[Tensor]:
    x = x.clone().requires_grad_()
    found = layer(x)
    (found * torch.linspace(-1, 2, found.numel()).view(found.shape)).sum().backward()
    assert x.grad is not None
    return [found, x.grad, *(p.grad for p in layer.parameters() if p.grad is not None)]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(ROWS, WIDTH), (3, ROWS // 3, WIDTH), (2, 1, WIDTH)])
def test_values_and_gradients_are_those_of_an_ordinary_layer(bias: bool, shape: tuple[int, ...]) -> None:
    one, other = pair(bias)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    for found, expected in zip(gradients(other, x), gradients(one, x), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3 * float(expected.detach().std()))


def test_a_product_by_hand() -> None:
    a, b = torch.ones(ROWS, WIDTH), torch.full((OUT, WIDTH), 0.5)
    assert product(a, b, torch.ones(OUT)).unique().tolist() == [WIDTH / 2 + 1]
    assert product(a.t(), torch.ones(OUT, ROWS)).unique().tolist() == [ROWS]


@faster
def test_only_plain_float32_of_some_size_goes_to_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[int] = []

    def fake(a: Tensor, *_: Any) -> Tensor:
        called.append(len(a))
        return torch.zeros(len(a), OUT)

    monkeypatch.setattr(torch.ops.mkldnn, "_linear_pointwise", fake)
    weight = torch.zeros(OUT, WIDTH)
    product(torch.zeros(ROWS, WIDTH), weight)
    assert called == [ROWS]
    product(torch.zeros(2, WIDTH), weight)  # small
    for dtype in (torch.float64, torch.bfloat16):
        product(torch.zeros(ROWS, WIDTH, dtype=dtype), weight.to(dtype))
    _, layer = pair()
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.zeros(ROWS, WIDTH)).dtype == torch.bfloat16
    layer(torch.zeros(0, WIDTH))
    assert called == [ROWS]


@pytest.mark.parametrize(
    ("has", "expected"),
    [
        ({"avx512_f": True, "cpu_name": "AMD EPYC"}, True),
        ({"avx512_f": True, "cpu_name": "Intel(R) Xeon(R) Platinum"}, False),  # MKL is as fast there
        ({"avx512_f": False, "cpu_name": "AMD EPYC"}, False),
        ({}, False),
    ],
)
def test_where_it_is_used(has: dict[str, object], expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    assert onednn_is_faster.__wrapped__() is (expected and torch.backends.mkldnn.is_available())


@faster
def test_a_loaded_model_multiplies_so_and_is_saved_as_ever(tmp_path: Path) -> None:
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    LlamaForCausalLM(LlamaConfig(**sizes, vocab_size=40)).save_pretrained(str(tmp_path / "before"))
    model = load_policy(str(tmp_path / "before"))
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    assert {type(layer) for layer in layers} == {Linear}
    assert {type(module) for module in copy.deepcopy(model).modules()} >= {Linear}
    model.save_pretrained(str(tmp_path / "after"))
    again = load_policy(str(tmp_path / "after")).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in model.state_dict().items())


def test_layers_of_another_kind_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    class Quantised(nn.Linear):
        """A kind of its own."""

    monkeypatch.setattr(products, "onednn_is_faster", lambda: True)
    model = nn.Sequential(nn.Linear(2, 2), Quantised(2, 2))
    use_fast_products(model)
    assert [type(layer) for layer in model] == [Linear, Quantised]
