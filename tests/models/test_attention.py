"""Attention of packed and of short sequences gives what transformers' own gives, and the same gradients."""

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
)

from rlhf.data.collation import collate
from rlhf.data.encoding import Encoded
from rlhf.data.packing import Packing, pack, plan_packs
from rlhf.errors import ModelError
from rlhf.models import attention
from rlhf.models.attention import attend, packs, use_own_attention
from rlhf.models.head import language_head
from rlhf.models.policy_value import decoder_of, run_trunk

SMALL: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
SHARED = {**SMALL, "num_key_value_heads": 2}
CONFIGS = {
    "llama": LlamaConfig(**SMALL),
    "shared-keys": LlamaConfig(**SHARED),
    "qwen2": Qwen2Config(**SHARED),
    "qwen3": Qwen3Config(**SHARED, head_dim=10),
    "sliding": MistralConfig(**SHARED, sliding_window=5),
    "sliding-and-full": Qwen2Config(**SHARED, use_sliding_window=True, sliding_window=4, max_window_layers=1),
    "neox": GPTNeoXConfig(**SMALL),
    "gpt2": GPT2Config(
        vocab_size=40, n_embd=24, n_layer=2, n_head=4, n_positions=64, initializer_range=0.3,
        bos_token_id=None, eos_token_id=None,
    ),
}  # fmt: skip
ROWS = [Encoded([5 + (7 * row + 3 * at) % 33 for at in range(length)], 1 + row % 3) for row, length in
        enumerate([9, 31, 4, 12, 30, 5])]  # fmt: skip


def model_of(config: Any, *, own: bool) -> PreTrainedModel:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").double().eval()
    if own:
        use_own_attention(model)
        assert model.config._attn_implementation == attention.NAME
    return model


def packing_of(*lengths: int) -> Packing:
    return Packing(lengths, torch.device("cpu"))


def figures(model: PreTrainedModel, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
    """Log-probabilities of the rows' tokens, and the gradient of a sum that weighs them differently."""
    hidden = run_trunk(decoder_of(model), batch)
    logprobs_N = language_head(model, batch.before_response(hidden), batch.targets_N, 0.9).logprobs_N
    (logprobs_N * torch.linspace(-1, 2, len(logprobs_N))).sum().backward()
    return logprobs_N, {n: v.grad for n, v in model.named_parameters() if v.grad is not None}


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("packed", [False, True], ids=["padded", "packed"])
def test_values_and_gradients_are_those_of_sdpa(name: str, packed: bool) -> None:
    expected, slopes = figures(model_of(CONFIGS[name], own=False), collate(ROWS, 0))
    model = model_of(CONFIGS[name], own=True)
    assert packs(decoder_of(model))
    found, their_slopes = figures(model, pack(ROWS) if packed else collate(ROWS, 0))
    torch.testing.assert_close(found, expected)
    assert slopes.keys() == their_slopes.keys()
    for key, slope in slopes.items():
        torch.testing.assert_close(their_slopes[key], slope, msg=key)


@pytest.mark.parametrize("limit", [8, 1 << 20], ids=["sdpa", "written out"])
def test_a_prompt_in_steps_gives_what_it_gives_at_once(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "SHORT", limit)
    model = model_of(CONFIGS["shared-keys"], own=True)
    ids = torch.tensor([ROWS[1].ids, [*ROWS[4].ids, 7]])
    with torch.no_grad():
        once = model(input_ids=ids).logits
        past = model(input_ids=ids[:, :-6], use_cache=True).past_key_values
        steps = [model(input_ids=ids[:, at : at + 1], past_key_values=past).logits for at in range(25, 31)]
    torch.testing.assert_close(torch.cat(steps, dim=1), once[:, -6:])


def test_a_chunk_after_a_past_sees_all_of_the_past() -> None:
    model = model_of(CONFIGS["llama"], own=True)
    ids = torch.tensor([ROWS[1].ids])
    with torch.no_grad():
        once = model(input_ids=ids).logits
        past = model(input_ids=ids[:, :20], use_cache=True).past_key_values
        rest = model(input_ids=ids[:, 20:], past_key_values=past).logits
    torch.testing.assert_close(rest, once[:, 20:])


def test_what_cannot_be_packed_is_found_out() -> None:
    sizes = {"vocab_size": 40, "hidden_size": 24, "num_hidden_layers": 2}
    torch.manual_seed(0)
    mamba = AutoModelForCausalLM.from_config(MambaConfig(**sizes, state_size=4)).eval()
    gemma = AutoModelForCausalLM.from_config(Gemma2Config(**SHARED, head_dim=6, sliding_window=4)).eval()
    plain = AutoModelForCausalLM.from_config(CONFIGS["llama"], attn_implementation="eager").eval()
    for model in (mamba, gemma, plain):  # recurrent; caps its scores; asked for another attention
        use_own_attention(model)
        assert not packs(decoder_of(model))


def test_a_saved_model_does_not_name_the_attention(tmp_path: Any) -> None:
    model = model_of(CONFIGS["llama"], own=True)
    model.save_pretrained(str(tmp_path))
    assert attention.NAME not in (tmp_path / "config.json").read_text().replace("rlhf_", "")
    assert AutoModelForCausalLM.from_pretrained(str(tmp_path)).config._attn_implementation == "sdpa"


def test_softmax_by_hand() -> None:
    """Two packed sequences of two and one token, head size 1: weights are e^(qk) over their sum."""
    query = torch.tensor([1.0, 2.0, 5.0]).view(1, 1, 3, 1)
    key = torch.tensor([0.0, 1.0, 3.0]).view(1, 1, 3, 1)
    value = torch.tensor([10.0, 20.0, 7.0]).view(1, 1, 3, 1)
    packing = packing_of(2, 1)
    found, _ = attend(torch.nn.Module(), query, key, value, None, scaling=0.5, packing=packing)
    e = torch.tensor(1.0).exp()  # the second query: 0.5 * 2 * (0, 1)
    assert found.flatten().tolist() == pytest.approx([10.0, ((10 + 20 * e) / (1 + e)).item(), 7.0])


def naive(query: Tensor, key: Tensor, value: Tensor, bias: Tensor, scale: float) -> Tensor:
    """softmax(q k^T scale + bias) v, head by head; query heads share key heads in turn."""
    group = query.shape[1] // key.shape[1]
    found = [
        ((query[:, head] @ key[:, head // group].mT) * scale + bias[:, head % bias.shape[1]]).softmax(-1)
        @ value[:, head // group]
        for head in range(query.shape[1])
    ]
    return torch.stack(found, dim=2)


def heads(count: int, length: int, seed: int) -> Tensor:
    return torch.randn(2, count, length, 6, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("biases", [1, 2, 4], ids=["for all heads", "for each key head", "for each head"])
def test_a_bias_is_added_to_the_scores(biases: int) -> None:
    """Four query heads on two key heads."""
    query, key, value = heads(4, 5, 0), heads(2, 5, 1), heads(2, 5, 2)
    bias = torch.randn(2, biases, 5, 5, generator=torch.Generator().manual_seed(3))
    of_head = bias if biases != 2 else bias.repeat_interleave(2, dim=1)
    found, _ = attend(torch.nn.Module(), query, key, value, bias, scaling=0.3)
    torch.testing.assert_close(found, naive(query, key, value, of_head, 0.3))


@pytest.mark.parametrize("told", ["by the call", "by the module"])
def test_what_is_not_causal_sees_all(told: str) -> None:
    query, key, value = (heads(2, 5, seed) for seed in range(3))
    module = torch.nn.Module()
    module.is_causal = told == "by the call"  # type: ignore[assignment]
    options = {"is_causal": False} if told == "by the call" else {}
    found, _ = attend(module, query, key, value, None, scaling=0.3, **options)
    torch.testing.assert_close(found, naive(query, key, value, torch.zeros(1, 1, 5, 5), 0.3))


def test_long_sequences_and_dropout_go_to_sdpa(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def sdpa(module: Any, query: Tensor, *_: Any, **__: Any) -> tuple[Tensor, None]:
        asked.append(query.shape[2])
        return query.transpose(1, 2), None

    monkeypatch.setattr(attention, "sdpa_attention_forward", sdpa)
    monkeypatch.setattr(attention, "SHORT", 7)
    for length in (1, 7, 8):
        attend(torch.nn.Module(), *(heads(2, length, seed) for seed in range(3)), None)
    assert asked == [8]
    attend(torch.nn.Module(), heads(2, 1, 0), heads(2, 30, 1), heads(2, 30, 2), None)  # one query is short
    assert asked == [8]
    attend(torch.nn.Module(), *(heads(2, 5, seed) for seed in range(3)), None, dropout=0.5)
    assert asked == [8, 5]


@pytest.mark.parametrize("option", ["softcap", "position_bias", "s_aux"])
def test_what_packed_attention_does_not_know_is_refused(option: str) -> None:
    packing = packing_of(2, 1)
    query, key, value = (heads(2, 3, seed)[:1] for seed in range(3))
    with pytest.raises(ModelError, match="Module: packed attention has no softcap, position bias or sinks"):
        attend(torch.nn.Module(), query, key, value, None, packing=packing, **{option: 1.0})


@pytest.mark.parametrize("packed", [False, True], ids=["padded", "packed"])
def test_under_autocast_all_is_multiplied_in_its_precision(packed: bool) -> None:
    """Rotated queries and keys come in float32 beside values in bfloat16."""
    query, key, value = (heads(2, 3, seed)[:1] for seed in range(3))
    packing = packing_of(3) if packed else None
    exact, _ = attend(torch.nn.Module(), query, key, value, None, packing=packing)
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = attend(torch.nn.Module(), query, key, value.bfloat16(), None, packing=packing)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), exact, atol=0.05, rtol=0.02)


def test_buckets_hold_every_token_once() -> None:
    packing = packing_of(40, 3, 35, 39, 4)
    assert [(bucket.rows, bucket.length) for bucket in packing.buckets] == [(3, 48), (2, 4)]
    assert sorted(packing.order_N.tolist()) == [
        *range(40), *range(48, 87), *range(96, 131), *range(144, 148), *range(148, 151)
    ]  # fmt: skip
    assert [len(bucket.padding_P) for bucket in packing.buckets] == [8 + 9 + 13, 0 + 1]


def test_the_shapes_of_products_are_few() -> None:
    """Lengths become 4, 8, 12, 16, 24, 32, 48, ... in attention, the tokens of a pack a multiple of 32."""
    packing = packing_of(40, 33, 32, 25, 24, 17, 16, 5)
    found = [(bucket.rows, bucket.length) for bucket in packing.buckets]
    assert found == [(2, 48), (2, 32), (2, 24), (1, 16), (1, 8)]
    batches = [pack([Encoded([1] * length, 1), Encoded([1], 1)]) for length in range(1, 96)]
    sizes = {batch.ids_1N.shape[1] for batch in batches}
    assert sizes == {32, 64, 96}


def test_the_filler_of_a_pack_is_nobodys() -> None:
    batch = pack([Encoded([5, 6, 7], 1), Encoded([8, 9], 1)])
    assert (batch.ids_1N.shape, batch.packing.lengths) == ((1, 32), (3, 2, 27))
    assert batch.targets_N.tolist() == [6, 7, 9]


def test_no_rows_are_no_batch() -> None:
    with pytest.raises(ValueError, match="a batch has at least one"):
        pack([])


def test_packs_hold_what_the_budget_allows() -> None:
    assert plan_packs([5, 9, 2, 30, 4], 12) == [[3], [1], [0, 4, 2]]
    assert plan_packs([5, 5, 5, 5], 10) == [[0, 1], [2, 3]]


def test_packed_targets_are_those_of_the_padded_batch() -> None:
    packed, padded = pack(ROWS), collate(ROWS, 0)
    assert packed.targets_N.tolist() == padded.targets_N.tolist()
    assert packed.before_response(packed.ids_1N).tolist() == padded.before_response(padded.ids_BS).tolist()
    assert packed.positions_1N[0, :11].tolist() == [*range(9), 0, 1]
