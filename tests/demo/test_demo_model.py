"""The embedded world's tokenizer and model."""

import hashlib
import subprocess
import sys

import pytest
import torch

from rlhf.demo.model import new_model
from rlhf.demo.tokenizer import tokenizer
from rlhf.demo.world import demonstrations

TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "你好 there"},
    {"role": "assistant", "content": "Sure! 好的。"},
    {"role": "user", "content": "- a\n- b"},
]


def ids(text: str) -> list[int]:
    return tokenizer().encode(text, add_special_tokens=False)


@pytest.mark.parametrize(
    "text", ["Sure!\n- ant\n- cat", "小明把帽子带到了北京。", " two  spaces ", "naïve 😀 ﷺ\t", ""]
)
def test_every_text_survives(text: str) -> None:
    assert tokenizer().decode(ids(text)) == text


def test_the_worlds_own_text_survives_and_is_short() -> None:
    for record in demonstrations(1000, 123):
        prompt, answer = ids(record.prompt.text), ids(record.completion)
        assert tokenizer().decode(prompt) == record.prompt.text
        assert tokenizer().decode(answer) == record.completion
        assert len(prompt) <= 38  # with the two markers and the end of turn at most 40 or so
        assert len(answer) <= 40


def test_special_tokens_differ_and_are_whole() -> None:
    special = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
    assert [ids(token) for token in special] == [[number] for number in range(5)]
    assert tokenizer().pad_token_id == 0
    assert tokenizer().eos_token_id == 1
    assert 1000 <= len(tokenizer()) <= 1152


def test_chat_template_by_hand() -> None:
    rendered = tokenizer().apply_chat_template(TURNS, tokenize=False, add_generation_prompt=True)
    assert rendered == (
        "<|system|>Be brief.<|end|><|user|>你好 there<|end|><|assistant|>Sure! 好的。<|end|>"
        "<|user|>- a\n- b<|end|><|assistant|>"
    )
    closed = tokenizer().apply_chat_template(TURNS[:3], tokenize=False)
    assert isinstance(closed, str)
    assert closed.endswith("Sure! 好的。<|end|>")


def test_a_chinese_character_has_the_same_tokens_wherever_it_stands() -> None:
    for text in ("小美把帽子带到了巴黎。", "很高兴帮忙！", "红色的杯子和蓝色的帽子。"):
        assert ids(text) == [number for character in text for number in ids(character)]
        assert len(ids(text)) == len(text)


def test_trained_to_the_byte_in_every_process() -> None:
    script = (
        "import hashlib; from rlhf.demo.tokenizer import tokenizer;"
        "print(hashlib.sha256(tokenizer().backend_tokenizer.to_str().encode()).hexdigest())"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    here = hashlib.sha256(tokenizer().backend_tokenizer.to_str().encode()).hexdigest()
    assert run.stdout.strip() == here


def test_it_is_trained_once() -> None:
    assert tokenizer() is tokenizer()


def test_the_model_is_fixed_by_its_seed_and_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, same, other = (new_model(tokenizer(), seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    weights = [model.model.embed_tokens.weight for model in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_the_model_is_small_in_float32_without_dropout() -> None:
    model = new_model(tokenizer(), 0)
    assert 0.8e6 < model.num_parameters() < 1.2e6
    assert model.dtype == torch.float32
    assert model.config.attention_dropout == 0.0
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert (model.config.pad_token_id, model.config.eos_token_id) == (0, 1)
    logits = model(input_ids=torch.tensor([ids("Sure!")])).logits
    assert logits.shape[-1] == len(tokenizer())
