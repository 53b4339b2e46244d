"""Continuous batching answers each request as the rollout engine does, whoever else is there."""

import queue
import threading
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from rlhf.rollout.base import Request, Sampling
from rlhf.rollout.hf import HfEngine
from rlhf.serving.decoder import BusyError, Decoder, Failed, Ticket, Token

WARM = Sampling(temperature=1.0, max_new_tokens=12, stop_ids=frozenset(range(0, 1454, 12)))
GREEDY = replace(WARM, temperature=0.0, max_new_tokens=5)
NARROW = replace(WARM, temperature=0.7, top_k=20, top_p=0.9, max_new_tokens=20)
PROMPTS = [(11, 12, 13), (14,), (15, 16, 17, 18, 19, 20, 21), (22, 23), (24, 25, 26, 27), (28, 29)]


class Heard:
    """What a ticket tells, from another thread."""

    def __init__(self) -> None:
        self._events: queue.Queue[Token | Failed] = queue.Queue()
        self.tell = self._events.put

    def answer(self) -> tuple[list[int], str]:
        """All tokens, and why the last one was the last."""
        ids: list[int] = []
        while True:
            event = self._events.get(timeout=60)
            if isinstance(event, Failed):
                return ids, event.reason
            ids.append(event.id)
            if event.finish:
                return ids, event.finish

    def first(self) -> Token | Failed:
        return self._events.get(timeout=60)

    @property
    def is_quiet(self) -> bool:
        return self._events.empty()


@pytest.fixture(scope="module")
def model(policies: tuple[Path, Path]) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(policies[0]).eval()


@pytest.fixture
def decoder(model: PreTrainedModel) -> Generator[Decoder]:
    made = Decoder(model, pad_id=0, rows=3, capacity=32, max_waiting=8)
    yield made
    made.close()


def by_engine(model: PreTrainedModel, request: Request, sampling: Sampling) -> tuple[list[int], str]:
    (rollout,) = HfEngine(model, pad_id=0, batch_size=1).generate([request], sampling)
    return rollout.response_ids.tolist(), rollout.finish


def test_each_request_is_answered_as_in_a_rollout(model: PreTrainedModel, decoder: Decoder) -> None:
    """Six requests over three rows, three ways of drawing, all at once and one at a time."""
    asked = [
        (Request(number % 2, prompt, seed=100 + number), (WARM, GREEDY, NARROW)[number % 3])
        for number, prompt in enumerate(PROMPTS)
    ]
    alone = [by_engine(model, request, sampling) for request, sampling in asked]
    assert {finish for _, finish in alone} == {"eos", "length"}
    heard = [Heard() for _ in asked]
    decoder.submit([Ticket(*one, each.tell) for one, each in zip(asked, heard, strict=True)])
    assert [each.answer() for each in heard] == alone
    for one, expected in zip(asked, alone, strict=True):
        later = Heard()
        decoder.submit([Ticket(*one, later.tell)])
        assert later.answer() == expected


def test_one_may_join_while_another_is_decoded(model: PreTrainedModel, decoder: Decoder) -> None:
    long = replace(WARM, stop_ids=frozenset(), max_new_tokens=24)
    one, other, joined = Heard(), Heard(), threading.Event()
    later = Ticket(Request(0, PROMPTS[2], 6), NARROW, other.tell)

    def join_at_the_third(event: Token | Failed) -> None:
        one.tell(event)
        if first.drawn == 3:
            decoder.submit([later])
            joined.set()

    first = Ticket(Request(0, PROMPTS[0], 5), long, join_at_the_third)
    decoder.submit([first])
    assert joined.wait(60)
    assert one.answer() == by_engine(model, first.request, long)
    assert other.answer() == by_engine(model, later.request, NARROW)


def test_a_cancelled_one_makes_room(model: PreTrainedModel) -> None:
    decoder = Decoder(model, pad_id=0, rows=1, capacity=32, max_waiting=1)
    endless = replace(WARM, stop_ids=frozenset(), max_new_tokens=28)
    holding, gone, held = threading.Event(), Heard(), threading.Event()

    def wait_there(event: Token | Failed) -> None:
        gone.tell(event)
        held.set()
        holding.wait(60)

    first = Ticket(Request(0, PROMPTS[0], 1), endless, wait_there)
    decoder.submit([first])
    assert held.wait(60)
    next_one = Heard()
    second = Ticket(Request(0, PROMPTS[3], 2), GREEDY, next_one.tell)
    decoder.submit([second])
    first.cancel()
    holding.set()
    assert next_one.answer() == by_engine(model, second.request, GREEDY)
    assert first.drawn < endless.max_new_tokens
    decoder.close()


def test_too_many_are_refused_all_or_none(model: PreTrainedModel) -> None:
    decoder = Decoder(model, pad_id=0, rows=1, capacity=32, max_waiting=1)
    heard = [Heard() for _ in range(3)]
    tickets = [Ticket(Request(0, PROMPTS[1], seed), GREEDY, one.tell) for seed, one in enumerate(heard)]
    with pytest.raises(BusyError):
        decoder.submit(tickets)
    assert all(one.is_quiet for one in heard)
    decoder.submit(tickets[:2])
    assert [one.answer()[1] for one in heard[:2]] == [
        by_engine(model, t.request, GREEDY)[1] for t in tickets[:2]
    ]
    decoder.close()
    with pytest.raises(BusyError):
        decoder.submit(tickets[2:])


def test_a_failing_step_loses_its_requests_and_no_more(
    model: PreTrainedModel, decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward, broken = model.forward, [True]

    def fails_once(*args: object, **kwargs: object) -> object:
        if broken:
            broken.clear()
            raise torch.OutOfMemoryError("no memory left")
        return forward(*args, **kwargs)

    monkeypatch.setattr(model, "forward", fails_once)
    lost, next_one = Heard(), Heard()
    decoder.submit([Ticket(Request(0, PROMPTS[0], 3), WARM, lost.tell)])
    assert lost.answer() == ([], "OutOfMemoryError: no memory left")
    request = Request(0, PROMPTS[0], 3)
    decoder.submit([Ticket(request, WARM, next_one.tell)])
    assert next_one.answer() == by_engine(model, request, WARM)


def test_closing_tells_those_who_wait(model: PreTrainedModel) -> None:
    decoder = Decoder(model, pad_id=0, rows=1, capacity=32, max_waiting=4)
    closing, heard = threading.Event(), [Heard(), Heard()]

    def wait_there(event: Token | Failed) -> None:
        heard[0].tell(event)
        closing.wait(60)

    decoder.submit(
        [
            Ticket(Request(0, PROMPTS[0], 1), WARM, wait_there),
            Ticket(Request(0, PROMPTS[0], 2), WARM, heard[1].tell),
        ]
    )
    assert isinstance(heard[0].first(), Token)
    thread = threading.Thread(target=decoder.close)
    thread.start()
    closing.set()
    thread.join(60)
    assert heard[1].answer()[1] == "the server stops"
