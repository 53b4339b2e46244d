"""The embedded world's tokenizer and model."""

import hashlib
import subprocess
import sys
from random import Random

import pytest
import torch

from rlhf.data.encoding import make_encoder
from rlhf.demo.base_model import base_folder
from rlhf.demo.courtesy import PLAIN, join
from rlhf.demo.model import new_model
from rlhf.demo.tasks import draw_task, is_training
from rlhf.demo.tokenizer import CHAT_TEMPLATE, tokenizer
from rlhf.demo.world import demonstrations
from rlhf.models.loading import load_policy

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
        assert len(prompt) <= 75
        assert len(answer) <= 50


def test_special_tokens_differ_and_are_whole() -> None:
    special = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
    assert [ids(token) for token in special] == [[number] for number in range(5)]
    assert tokenizer().pad_token_id == 0
    assert tokenizer().eos_token_id == 1
    assert 1400 <= len(tokenizer()) <= 2048


def test_chat_template_by_hand() -> None:
    rendered = tokenizer().apply_chat_template(TURNS, tokenize=False, add_generation_prompt=True)
    assert rendered == (
        "<|system|>Be brief.<|user|>你好 there<|assistant|>Sure! 好的。<|end|><|user|>- a\n- b<|assistant|>"
    )
    closed = tokenizer().apply_chat_template(TURNS[:3], tokenize=False)
    assert isinstance(closed, str)
    assert closed.endswith("Sure! 好的。<|end|>")


def test_a_chinese_character_has_the_same_tokens_wherever_it_stands() -> None:
    for text in ("小美把帽子带到了巴黎。", "很高兴帮忙！", "红色的杯子和蓝色的帽子。"):
        assert ids(text) == [number for character in text for number in ids(character)]
        assert len(ids(text)) == len(text)


def test_what_ships_is_what_training_the_tokenizer_gives_in_any_process() -> None:
    script = (
        "import hashlib; from rlhf.demo.tokenizer import train_tokenizer;"
        "print(hashlib.sha256(train_tokenizer().backend_tokenizer.to_str().encode()).hexdigest())"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == hashlib.sha256(tokenizer().backend_tokenizer.to_str().encode()).hexdigest()
    assert tokenizer().chat_template == CHAT_TEMPLATE


def test_it_is_read_once() -> None:
    assert tokenizer() is tokenizer()


def test_the_base_is_small_answers_right_and_does_not_know_when_to_stop() -> None:
    files = [path.stat().st_size for path in base_folder().iterdir()]
    assert sum(files) < 8e6
    model = load_policy(str(base_folder()))
    encoder = make_encoder(tokenizer(), 256)
    tasks = [draw_task(Random(number)) for number in range(1200)]
    held_out = [task for task in tasks if task.kind != "task" and not is_training(task.family, task.spec)]
    right: list[bool] = []
    for task in held_out:
        opening = PLAIN[task.language].openings[0]
        before = [*encoder.prompt_ids(task.prompt()), *ids(opening)]
        said = join(opening, task.render(task.right), language=task.language) + "\n"
        answer = ids(said)[len(ids(opening)) :]
        logits = model(input_ids=torch.tensor([before + answer[:-1]])).logits[0, -len(answer) :]
        right.append(logits.argmax(dim=-1).tolist() == answer)  # a line ends, the text goes on
    assert len(right) > 50
    assert sum(right) / len(right) > 0.9


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
    assert 2.7e6 < model.num_parameters() < 3.1e6
    assert model.dtype == torch.float32
    assert model.config.attention_dropout == 0.0
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert (model.config.pad_token_id, model.config.eos_token_id) == (0, 1)
    logits = model(input_ids=torch.tensor([ids("Sure!")])).logits
    assert logits.shape[-1] == len(tokenizer())
