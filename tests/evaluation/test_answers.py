"""Answers: which prompt, which seed, in which order."""

from collections.abc import Iterable, Iterator

import pytest
import torch
from evaluation_samples import answer

from rlhf.data.encoding import Encoder, make_encoder
from rlhf.demo.tokenizer import tokenizer
from rlhf.evaluation.answers import answer_row, request_seed, sample_answers
from rlhf.records import Message, Prompt
from rlhf.rewards import Scored
from rlhf.rollout.base import Request, Rollout, Sampling
from rlhf.rollout.scripted import ScriptedEngine

PROMPTS = [Prompt((Message("user", text),), {"language": "en"}) for text in ("one", "two", "三")]


class Backwards:
    """A scripted engine that gives its rollouts in the opposite order, as a real one may."""

    def __init__(self, inner: ScriptedEngine) -> None:
        self.inner = inner
        self.requests: list[Request] = []

    def generate(self, requests: Iterable[Request], sampling: Sampling) -> Iterator[Rollout]:
        self.requests = list(requests)
        yield from list(self.inner.generate(self.requests, sampling))[::-1]

    def sync_weights(self, tensors: Iterable[tuple[str, torch.Tensor]], version: int) -> None: ...


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return make_encoder(tokenizer(), 256)


def test_answers_stand_in_the_order_of_the_prompts(encoder: Encoder) -> None:
    said = {tuple(encoder.prompt_ids(p)): encoder.response_ids(f"to {p.text}") for p in PROMPTS}
    engine = Backwards(ScriptedEngine(said.__getitem__))
    sampling = Sampling(0.7, 20, encoder.stop_ids)
    done: list[int] = []
    answers = sample_answers(engine, encoder, PROMPTS, sampling, seed=1, per_prompt=2, advance=done.append)
    assert [one.text for one in answers] == ["to one", "to one", "to two", "to two", "to 三", "to 三"]
    assert [one.prompt.text for one in answers[::2]] == ["one", "two", "三"]
    assert {one.finish for one in answers} == {"eos"}
    assert answers[0].response_ids[-1] == encoder.end_id
    assert done == [1, 2, 3, 4, 5, 6]
    assert len({request.seed for request in engine.requests}) == 6


def test_a_cut_answer_has_no_end(encoder: Encoder) -> None:
    long = encoder.response_ids("so many words that they do not fit")
    engine = ScriptedEngine(lambda _prompt: long)
    (cut,) = sample_answers(engine, encoder, PROMPTS[:1], Sampling(0.7, 4, encoder.stop_ids), seed=1)
    assert (cut.finish, len(cut.response_ids)) == ("length", 4)
    assert cut.scored == Scored(cut.prompt, cut.text, cut.prompt_ids, cut.response_ids, "length")


def test_a_seed_belongs_to_prompt_and_number() -> None:
    seeds = [request_seed(0, prompt, number) for prompt in PROMPTS for number in range(3)]
    assert len(set(seeds)) == 9
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert request_seed(0, PROMPTS[0], 1) == request_seed(0, Prompt(PROMPTS[0].content), 1)
    assert request_seed(1, PROMPTS[0], 1) != request_seed(0, PROMPTS[0], 1)


def test_rows_keep_text_and_prompt_as_they_are() -> None:
    row = answer_row(answer(Prompt((Message("user", "你好 <think>"),), {"x": 1}), "<b>好\n"))
    assert row["prompt"] == [{"role": "user", "content": "你好 <think>"}]
    assert (row["response"], row["fields"], row["tokens"]) == ("<b>好\n", {"x": 1}, 3)
    assert answer_row(answer("as written ", "x"))["prompt"] == "as written "
