"""The reward model's score: of the sampled tokens, by row, whatever shares the batch."""

from dataclasses import replace

import pytest
import torch
from small_models import small_scorer
from transformers import LlamaForSequenceClassification

from rlhf.data.encoding import Encoder, make_encoder
from rlhf.demo.tokenizer import tokenizer
from rlhf.errors import ModelError, TrainingError
from rlhf.records import Message, Prompt
from rlhf.rewards import ModelReward, Scored, same_tokens


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return make_encoder(tokenizer(), 256)


@pytest.fixture(scope="module")
def model(encoder: Encoder) -> LlamaForSequenceClassification:
    return small_scorer(encoder.tokenizer, num_hidden_layers=1, max_position_embeddings=64)


def answered(encoder: Encoder, question: str, response: str, finish: str = "eos") -> Scored:
    prompt = Prompt((Message("user", question),))
    ids = encoder.response_ids(response)
    sampled = ids if finish == "eos" else ids[:-1]
    return Scored(prompt, response, tuple(encoder.prompt_ids(prompt)), tuple(sampled), finish)


def test_reads_sampled_tokens_where_they_are_shared(
    encoder: Encoder, model: LlamaForSequenceClassification
) -> None:
    scored = answered(encoder, "What is 2 + 3?", "Thanks. 5")
    other_cut = replace(scored, response_ids=(*encoder.response_ids("Than")[:-1], encoder.end_id))
    shared = ModelReward(model, encoder, policy_encoder=encoder)
    assert shared.ids_of(other_cut) == [*other_cut.prompt_ids, *other_cut.response_ids]
    anew = ModelReward(model, encoder)
    assert anew.ids_of(other_cut) == [*scored.prompt_ids, *scored.response_ids]
    assert shared([scored]).total.tolist() == pytest.approx(anew([scored]).total.tolist())
    assert shared([scored]).total.tolist() != pytest.approx(shared([other_cut]).total.tolist())


def test_leaves_the_end_token_out_where_the_policy_gave_none(
    encoder: Encoder, model: LlamaForSequenceClassification
) -> None:
    cut = answered(encoder, "Hi", "It never", finish="length")
    for reward in (ModelReward(model, encoder), ModelReward(model, encoder, policy_encoder=encoder)):
        assert reward.ids_of(cut)[-1] == encoder.response_ids("It never")[-2]


def test_puts_the_end_token_of_training_for_another_stop_token(
    encoder: Encoder, model: LlamaForSequenceClassification
) -> None:
    scored = answered(encoder, "Hi", "Yes")
    other_stop = replace(scored, response_ids=(*scored.response_ids[:-1], 7))
    reward = ModelReward(model, encoder, policy_encoder=encoder)
    assert reward.ids_of(other_stop) == [*scored.prompt_ids, *scored.response_ids]


def test_a_score_depends_on_its_row_alone(encoder: Encoder, model: LlamaForSequenceClassification) -> None:
    batch = [answered(encoder, "Hi" * n, "好" * (n % 3)) for n in (1, 5, 2, 4, 3)]
    whole = ModelReward(model, encoder, token_budget=10_000)(batch).total
    in_pieces = ModelReward(model, encoder, token_budget=20)(batch).total
    alone = torch.cat([ModelReward(model, encoder)([scored]).total for scored in batch])
    reverse = ModelReward(model, encoder)(batch[::-1]).total.flip(0)
    for other in (in_pieces, alone, reverse):
        torch.testing.assert_close(whole, other)
    assert len({round(score, 4) for score in whole.tolist()}) == 5


def test_an_empty_batch_has_no_scores(encoder: Encoder, model: LlamaForSequenceClassification) -> None:
    assert ModelReward(model, encoder)([]).total.shape == (0,)


def test_says_what_cannot_be_scored(encoder: Encoder, model: LlamaForSequenceClassification) -> None:
    with pytest.raises(ModelError, match="takes 64; lower"):
        ModelReward(model, encoder)([answered(encoder, "Hi", "好" * 80)])
    broken = ModelReward(model, encoder, score=lambda _model, ids, _mask: torch.full((len(ids),), torch.nan))
    with pytest.raises(TrainingError, match="NaN for the prompt 'Who are you"):
        broken([answered(encoder, "Who are you?", "x")])


def test_encoders_are_told_apart(encoder: Encoder) -> None:
    assert same_tokens(encoder, make_encoder(tokenizer(), 99))
    assert not same_tokens(encoder, replace(encoder, template_sha256="other"))
    assert not same_tokens(encoder, replace(encoder, end_id=9))
