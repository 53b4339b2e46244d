"""The engine on transformers: its steps, what a token attends to, in what precision it decodes."""

import functools
import gc
import weakref
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from rollout_models import PAD, SMALL, VOCABULARY, policy
from small_models import LLAMA_LIKE
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
)

from rlhf.errors import ModelError
from rlhf.models.loading import merged
from rlhf.rollout.base import Request, Rollout, Sampling
from rlhf.rollout.hf import HfEngine
from rlhf.rollout.rows import PREFILL_TOKENS, prefill_groups
from rlhf.rollout.slots import SlotCache
from rlhf.rollout.weights import plain_weights

STOP = 3
SAMPLING = Sampling(0.7, 12, frozenset({STOP}))
WINDOW = 5


def ask(engine: HfEngine, prompts: Sequence[Sequence[int]]) -> dict[int, Rollout]:
    requests = [Request(number, tuple(prompt), 5) for number, prompt in enumerate(prompts)]
    return {rollout.request_id: rollout for rollout in engine.generate(requests, SAMPLING)}


def some_prompts(count: int = 12, longest: int = 20) -> list[list[int]]:
    generator = torch.Generator().manual_seed(1)
    lengths = [1, longest, *torch.randint(1, longest + 1, (count - 2,), generator=generator).tolist()]
    return [torch.randint(0, VOCABULARY, (length,), generator=generator).tolist() for length in lengths]


def assert_logprobs_of(
    model: PreTrainedModel, prompts: list[list[int]], answers: dict[int, Rollout], off: float
) -> None:
    """Each answer's log-probabilities against one forward pass over the row alone, without a cache."""
    assert answers.keys() == set(range(len(prompts)))
    for number, answer in answers.items():
        ids = torch.tensor([[*prompts[number], *answer.response_ids.tolist()]])
        with torch.no_grad():
            logits_TV = model(input_ids=ids, use_cache=False).logits[0, len(prompts[number]) - 1 : -1]
        wanted_T = (logits_TV.double() / 0.7).log_softmax(-1).gather(1, answer.response_ids[:, None])[:, 0]
        torch.testing.assert_close(answer.logprobs.double(), wanted_T, atol=off, rtol=0)


def test_keys_and_values_are_gone_with_the_last_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are the largest thing that decoding holds, and an update comes next."""
    made: list[weakref.ref[SlotCache]] = []
    begin = SlotCache.__init__

    def begun(self: SlotCache, *arguments: int) -> None:
        begin(self, *arguments)
        made.append(weakref.ref(self))

    monkeypatch.setattr(SlotCache, "__init__", begun)
    gc.disable()
    try:
        ask(HfEngine(policy("llama"), pad_id=PAD, batch_size=4), some_prompts())
        assert [one() for one in made] == [None]
    finally:
        gc.enable()


def test_a_row_that_is_done_takes_the_next_prompt() -> None:
    """Rows of 4 that never wait take about as many row-steps as there are tokens."""
    model = policy("llama")
    steps = torch.randint(1, 13, (VOCABULARY,), generator=torch.Generator().manual_seed(3))
    own, rows = model.forward, list[int]()

    def echo(**inputs: Any) -> Any:
        """Repeats the prompt's one token and stops after as many as `steps` says for it."""
        output = own(**inputs)
        rows.append(len(inputs["input_ids"]))
        for row, place in enumerate(inputs["position_ids"][:, -1].tolist()):
            token = int(inputs["input_ids"][row, -1])
            ends = place + 1 == int(steps[token])
            output.logits[row] = -100.0
            output.logits[row, :, STOP if ends else token] = 100.0
        return output

    model.forward = echo  # type: ignore[method-assign]
    prompts = [[token] for token in range(VOCABULARY) if token != STOP]
    answers = ask(HfEngine(model, pad_id=PAD, batch_size=4), prompts)
    lengths = [len(answers[number].response_ids) for number in range(len(prompts))]
    assert lengths == [int(steps[prompt[0]]) for prompt in prompts]
    assert {answer.finish for answer in answers.values()} == {"eos"}
    in_batches = sum(4 * max(lengths[at : at + 4]) for at in range(0, len(lengths), 4))
    assert sum(lengths) <= sum(rows) <= 1.15 * sum(lengths)
    assert sum(rows) < 0.8 * in_batches
    assert max(rows) == 4
    assert rows[-1] == 1  # nobody waits any more: rows were let go


SLIDING: dict[str, PreTrainedConfig] = {
    "every layer": MistralConfig(**SMALL, **LLAMA_LIKE, sliding_window=WINDOW),
    "some layers": Qwen2Config(
        **SMALL, **LLAMA_LIKE, use_sliding_window=True, sliding_window=WINDOW, max_window_layers=1
    ),
    "a head of its own": Gemma3TextConfig(
        **SMALL,
        **LLAMA_LIKE,
        head_dim=8,
        sliding_window=WINDOW,
        layer_types=["sliding_attention", "full_attention"],
    ),
}


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", SLIDING)
def test_a_sliding_window_slides_over_each_row_alone(kind: str, attention: str) -> None:
    torch.manual_seed(2)
    model = AutoModelForCausalLM.from_config(SLIDING[kind], attn_implementation=attention).eval()
    prompts = some_prompts()
    answers = ask(HfEngine(model, pad_id=PAD, batch_size=5), prompts)
    assert_logprobs_of(model, prompts, answers, off=1e-5)


def test_layers_with_another_memory_are_refused() -> None:
    config = LlamaConfig(**SMALL, **LLAMA_LIKE, layer_types=["full_attention", "full_attention"])
    model = AutoModelForCausalLM.from_config(config)
    HfEngine(model, pad_id=PAD)
    model.config.layer_types = ["full_attention", "linear_attention"]
    with pytest.raises(ModelError, match="linear_attention"):
        HfEngine(model, pad_id=PAD)


def with_adapters(architecture: str) -> tuple[Any, PreTrainedModel]:
    """A peft model whose adapter says something, and the language model inside."""
    language_model = policy(architecture)
    peft = get_peft_model(language_model, LoraConfig(r=4, target_modules="all-linear", lora_alpha=8))
    for name, value in peft.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.3, generator=torch.Generator().manual_seed(len(name)))
    return peft, language_model


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gpt2"])
def test_plain_weights_are_those_of_the_merged_model(architecture: str) -> None:
    peft, language_model = with_adapters(architecture)
    wanted = dict(merged(peft).named_parameters())
    found = list(plain_weights(language_model))
    assert [name for name, _ in found] == list(wanted)
    for name, value in found:
        torch.testing.assert_close(value, wanted[name], atol=1e-6, rtol=0)
    with peft.disable_adapter():
        before = dict(policy(architecture).named_parameters())
        for name, value in plain_weights(language_model):
            torch.testing.assert_close(value, before[name], atol=0, rtol=0)


def test_a_copy_in_bf16_decodes_with_the_merged_weights() -> None:
    peft, language_model = with_adapters("llama")
    prompts = some_prompts()
    engine = HfEngine(language_model, pad_id=PAD, batch_size=5, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        answers = ask(engine, prompts)
    exact = merged(peft).eval()
    assert_logprobs_of(exact, prompts, answers, off=0.35)
    rounded = AutoModelForCausalLM.from_config(exact.config, dtype=torch.bfloat16).eval()
    rounded.load_state_dict({name: value.bfloat16() for name, value in exact.state_dict().items()})
    again = ask(HfEngine(rounded, pad_id=PAD, batch_size=5), prompts)
    for number, answer in answers.items():
        assert answer.response_ids.tolist() == again[number].response_ids.tolist()
        assert answer.logprobs.tolist() == again[number].logprobs.tolist()
    assert language_model.dtype == torch.float32
    assert all(value.grad_fn is None for value in language_model.parameters())


def test_a_copy_follows_when_it_is_synced_and_not_before() -> None:
    model = policy("llama")
    engine = HfEngine(model, pad_id=PAD, dtype=torch.bfloat16)
    prompts = some_prompts()
    before = ask(engine, prompts)
    with torch.no_grad():
        model.get_output_embeddings().weight.neg_()
    assert {n: a.response_ids.tolist() for n, a in ask(engine, prompts).items()} == {
        n: a.response_ids.tolist() for n, a in before.items()
    }
    engine.sync_weights(plain_weights(model), 1)
    after = ask(engine, prompts)
    assert_logprobs_of(model, prompts, after, off=0.35)
    assert {int(v) for answer in after.values() for v in answer.version_per_token} == {1}
    with pytest.raises(ValueError, match="did not come"):
        engine.sync_weights((), 2)
    with pytest.raises(ValueError, match="no such parameter"):
        engine.sync_weights([("model.nothing.weight", torch.zeros(1))], 2)


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_a_compiled_step_gives_the_same(monkeypatch: pytest.MonkeyPatch, architecture: str) -> None:
    model, prompts, said = policy(architecture), some_prompts(), list[str]()
    expected = ask(HfEngine(model, pad_id=PAD, batch_size=6), prompts)
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    engine = HfEngine(model, pad_id=PAD, batch_size=6, compile=True, say=said.append)
    for _ in range(2):  # the second time in the same memory, which holds the first one's sequences
        answers = ask(engine, prompts)
        assert answers.keys() == expected.keys()
        for number, answer in answers.items():
            assert answer.response_ids.tolist() == expected[number].response_ids.tolist()
            torch.testing.assert_close(answer.logprobs, expected[number].logprobs, atol=1e-5, rtol=0)
    assert said == []


def test_where_compiling_fails_it_says_so_once_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    model, prompts, said = policy("llama"), some_prompts(), list[str]()
    expected = ask(HfEngine(model, pad_id=PAD, batch_size=6), prompts)

    def no_compiler(*_args: Any, **_options: Any) -> Any:
        def call(**_inputs: Any) -> Any:
            raise RuntimeError("no C++ compiler here\nand much more")

        return call

    monkeypatch.setattr(torch, "compile", no_compiler)
    engine = HfEngine(model, pad_id=PAD, batch_size=6, compile=True, say=said.append)
    for _ in range(2):
        for number, answer in ask(engine, prompts).items():
            assert answer.response_ids.tolist() == expected[number].response_ids.tolist()
    assert said == ["rollout.compile: decoding goes on uncompiled, because no C++ compiler here"]


def test_prompts_of_like_length_are_run_together() -> None:
    def of_lengths(*lengths: int) -> list[Request]:
        return [Request(number, (1,) * length, 0) for number, length in enumerate(lengths)]

    # without their last tokens: 0, 2, 3, 10, 11, 40
    assert prefill_groups(of_lengths(12, 1, 4, 41, 3, 11)) == [[4, 2, 5], [0], [3]]
    assert prefill_groups(of_lengths(1, 1)) == []
    half = PREFILL_TOKENS // 2 + 1
    assert prefill_groups(of_lengths(half, half, half)) == [[0, 1], [2]]
