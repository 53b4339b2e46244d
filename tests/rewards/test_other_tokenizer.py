"""A reward model of another tokenizer, template or architecture than the policy's is shown the text."""

from dataclasses import replace

import pytest
import torch
from small_models import small_scorer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertTokenizerFast,
    PreTrainedTokenizerFast,
)

from rlhf.data.encoding import Encoder, make_encoder
from rlhf.demo.tokenizer import tokenizer
from rlhf.records import Message, Prompt
from rlhf.rewards import ModelReward, Scored
from rlhf.rewards.model import reward_encoder

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
TURNS = (
    Message("system", "Be brief. 请简短。"),
    Message("user", "北京有多大？"),
    Message("assistant", "很大。"),
    Message("user", "And Paris?"),
)
ANSWERS = ("It is smaller, 小一些。", "不知道", "")


def other_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE of 300 pieces with start and end tokens and a chat template of its own."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([f"{m.role} {m.content}" for m in TURNS] * 20 + list(ANSWERS), trainer)
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    whole = PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )
    whole.chat_template = TEMPLATE
    return whole


@pytest.fixture(scope="module")
def policy() -> Encoder:
    return make_encoder(tokenizer(), 256)


@pytest.fixture(scope="module")
def judge() -> tuple[ModelReward, PreTrainedTokenizerFast]:
    own = other_tokenizer()
    model = small_scorer(own, max_position_embeddings=512)
    encoder = reward_encoder(other_tokenizer(), 512, "plain")
    return ModelReward(model, encoder, policy_encoder=make_encoder(tokenizer(), 256)), own


def answered(policy: Encoder, prompt: Prompt, response: str, finish: str = "eos") -> Scored:
    ids = policy.response_ids(response, prompt)
    sampled = ids if finish == "eos" else ids[:-1]
    return Scored(prompt, response, tuple(policy.prompt_ids(prompt)), tuple(sampled), finish)


def test_text_is_encoded_anew_by_its_own_template(
    policy: Encoder, judge: tuple[ModelReward, PreTrainedTokenizerFast]
) -> None:
    reward, own = judge
    assert not reward.shares_tokens
    rendered = (
        "[system]Be brief. 请简短。\n[user]北京有多大？\n[assistant]很大。\n[user]And Paris?\n[assistant]"
    )
    ids_of = lambda text: own(text, add_special_tokens=False)["input_ids"]  # noqa: E731
    for answer in ANSWERS:
        whole = reward.ids_of(answered(policy, Prompt(TURNS), answer))
        assert whole == [own.bos_token_id, *ids_of(rendered), *ids_of(answer), own.eos_token_id]
        assert own.decode(whole) == f"<s>{rendered}{answer}</s>"
        cut = reward.ids_of(answered(policy, Prompt(TURNS), answer, finish="length"))
        assert cut == whole[:-1]
        plain = reward.ids_of(answered(policy, Prompt("续写：从前"), answer))
        assert own.decode(plain) == f"<s>续写：从前{answer}</s>"


def test_the_score_is_that_of_the_text_whatever_the_policys_tokens(
    policy: Encoder, judge: tuple[ModelReward, PreTrainedTokenizerFast]
) -> None:
    reward, _ = judge
    batch = [answered(policy, Prompt(TURNS), answer) for answer in ANSWERS]
    batch += [answered(policy, Prompt("续写：" * n), "从前有座山") for n in (1, 9)]
    expected = []
    for scored in batch:
        ids = torch.tensor([reward.ids_of(scored)])
        with torch.no_grad():
            expected.append(reward.model(ids, attention_mask=torch.ones_like(ids)).logits.item())
    scores = reward(batch).total
    assert scores.tolist() == pytest.approx(expected, abs=1e-5)
    assert len({round(score, 4) for score in expected}) == len(batch)
    foreign = [replace(scored, prompt_ids=(7,) * 400, response_ids=(9,)) for scored in batch]
    assert torch.equal(reward(foreign).total, scores)


def test_a_template_for_the_policy_is_not_the_reward_models(policy: Encoder) -> None:
    """`data.template` renders for the policy; this tokenizer has its own and no tokens for chatml."""
    text = Prompt((Message("user", "嗨"),))
    own = reward_encoder(other_tokenizer(), 512, "chatml")
    assert own.tokenizer.decode(own.prompt_ids(text)) == "<s>[user]嗨\n[assistant]"
    bare = other_tokenizer()
    bare.chat_template = None
    assert bare.decode(reward_encoder(bare, 512, "plain").prompt_ids(text)) == "<s>User:\n嗨\n\nAssistant:\n"


@pytest.fixture(scope="module")
def pair_reward() -> ModelReward:
    letters = "abcdefghijklmnopqrstuvwxyz"
    characters = [*letters, *(f"##{x}" for x in letters), *"北京有多大很。？：,.?小一些不知道"]
    vocab = {name: at for at, name in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters])}
    own = BertTokenizerFast(vocab=vocab)
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(vocab),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=128,
        num_labels=1,
        initializer_range=0.5,
    )
    model = BertForSequenceClassification(config).eval()
    model.config.reward_shift = 0.25
    return ModelReward(model, reward_encoder(own, 128, "auto"), policy_encoder=make_encoder(tokenizer(), 256))


class TestPairs:
    """A model that pools by itself reads a pair of texts, as it was trained."""

    def test_prompt_and_response_stand_apart(self, policy: Encoder, pair_reward: ModelReward) -> None:
        own = pair_reward.encoder.tokenizer
        ids = pair_reward.ids_of(answered(policy, Prompt("北京有多大？"), "很大。"))
        pieces = ["[CLS]", "北", "京", "有", "多", "大", "？", "[SEP]", "很", "大", "。", "[SEP]"]
        assert own.convert_ids_to_tokens(ids) == pieces
        turns = (Message("user", "北京"), Message("assistant", "大"), Message("user", "多大？"))
        ids = pair_reward.ids_of(answered(policy, Prompt(turns), "小"))
        said = own.convert_ids_to_tokens(ids)
        assert said.count("[SEP]") == 2
        assert said[-2:] == ["小", "[SEP]"]
        assert "多" in said[: said.index("[SEP]")]

    def test_scores_are_the_models_own(self, policy: Encoder, pair_reward: ModelReward) -> None:
        batch = [
            answered(policy, Prompt(q), a)
            for q, a in (("北京有多大？", "很大。"), ("a?", "不知道"), ("b", ""))
        ]
        expected = []
        for scored in batch:
            encoded = pair_reward.encoder.tokenizer(
                [scored.prompt.text], [scored.response], return_tensors="pt"
            )
            assert encoded["token_type_ids"].sum() == (encoded["token_type_ids"][0] == 1).sum() > 0
            with torch.no_grad():
                expected.append(pair_reward.model(**encoded).logits.item() - 0.25)
        assert pair_reward(batch).total.tolist() == pytest.approx(expected, abs=1e-5)
        assert len({round(score, 4) for score in expected}) == 3
