"""What PPO keeps of a look at the held-out prompts."""

import json
from pathlib import Path

import pytest
import torch
from ppo_parts import END, Words

from rlhf.config import PpoStage
from rlhf.data.encoding import make_encoder
from rlhf.demo.tokenizer import tokenizer
from rlhf.records import Message, Prompt
from rlhf.rollout.base import Rollout
from rlhf.runs import Experiment
from rlhf.training.experience import Episode, Forwards
from rlhf.training.looks import END_SHOWN, add_rows, episode_rows, token_texts

ASKED = Prompt((Message("user", "hello"),))


def episode(*ids: int, prompt: str = "5 2") -> Episode:
    finish = "eos" if ids[-1] == END else "length"
    tokens = torch.tensor(ids)
    rollout = Rollout(0, tokens, torch.zeros(len(ids)), finish, torch.zeros_like(tokens))
    return Episode(Prompt(prompt), (5, 2), rollout, Words().decode(list(ids)))


def test_a_token_pays_for_its_kl_and_the_last_one_earns_the_score() -> None:
    forwards = Forwards(
        mask_BT=torch.tensor([[True, True, False], [True, True, True]]),
        logprobs_BT=torch.tensor([[-1.0, -2.0, 9.0], [-1.0, -1.0, -1.0]]),
        ref_logprobs_BT=torch.tensor([[-3.0, -1.0, 0.0], [-1.0, -1.0, -2.0]]),
        values_BT=torch.tensor([[0.5, 0.25, 7.0], [0.0, 0.0, 0.0]]),
        entropy_BT=torch.zeros(2, 3),
    )
    stage = PpoStage(gamma=1.0, lam=1.0, missing_end="penalty", missing_end_score=1.0)
    episodes = [episode(7, END), episode(3, 4, 5)]
    one, other = episode_rows(episodes, forwards, torch.tensor([2.0, 2.0]), stage, Words(), kl_coef=0.1)  # type: ignore[arg-type]
    assert one["tokens"] == ["7", END_SHOWN]
    assert one["kl"] == pytest.approx([2.0, -1.0])  # log pi - log pi_ref
    assert one["reward"] == pytest.approx([-0.2, 2.1])  # -0.1 * 2, then the score + 0.1
    assert one["value"] == [0.5, 0.25]
    assert one["advantage"] == pytest.approx([1.9 - 0.5, 2.1 - 0.25])  # lambda 1: what is left less the value
    assert other["reward"] == pytest.approx([0.0, 0.0, 0.9])  # no end: the score of 2 less 1; 0.1 nat paid
    assert (one["prompt"], one["score"]) == ("5 2", 2.0)


@pytest.mark.parametrize("text", ["Of course: seven apples.", "好的，一共有七个苹果。😀 ok", ""])
def test_the_pieces_of_tokens_make_the_text(text: str) -> None:
    encoder = make_encoder(tokenizer(), 256)
    ids = encoder.response_ids(text, ASKED)
    pieces = token_texts(encoder, ids, ASKED)
    assert len(pieces) == len(ids)
    assert "".join(pieces) == text + END_SHOWN
    assert all("\ufffd" not in piece for piece in pieces)


def test_a_response_that_was_cut_shows_what_there_is() -> None:
    encoder = make_encoder(tokenizer(), 256)
    ids = encoder.response_ids("seven apples", ASKED)[:-1]
    assert "".join(token_texts(encoder, ids, ASKED)) == "seven apples"


def test_what_was_said_before_a_kill_is_replaced(tmp_path: Path) -> None:
    with Experiment(tmp_path, "t").open("ppo", identity="x", config={}) as run:
        for step, said in ((0, "first"), (4, "lost"), (8, "lost"), (4, "again"), (8, "line\u2028end")):
            add_rows(run, "looks.jsonl", step, [{"response": said, "score": 0.1}])
        lines = (run.path / "looks.jsonl").read_text("utf-8").split("\n")[:-1]
    rows = [json.loads(line) for line in lines]
    assert [(row["step"], row["response"]) for row in rows] == [
        (0, "first"),
        (4, "again"),
        (8, "line\u2028end"),
    ]
