"""Text of a stream: whole characters, stop strings, and together what is said at once."""

import random

import pytest

from rlhf.data.encoding import Encoder, make_encoder
from rlhf.demo.tokenizer import tokenizer
from rlhf.records import Message, Prompt
from rlhf.serving.spoken import Spoken

PROMPT = Prompt((Message("user", "你好"),))
RARE = "饕餮🙂𠮷é한"  # characters that take several tokens of a small vocabulary


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return make_encoder(tokenizer(), 256)


def said(encoder: Encoder, ids: list[int], *stops: str) -> tuple[list[str], bool]:
    """The pieces, the rest as the last, and whether a stop string came."""
    spoken, pieces = Spoken(encoder, PROMPT, stops), []
    for token in ids:
        pieces.append(spoken.push(token))
        if spoken.stopped:
            return pieces, True
    return [*pieces, spoken.rest()], False


def test_characters_are_never_cut(encoder: Encoder) -> None:
    ids = encoder.response_ids(RARE, PROMPT)
    assert len(ids) > len(RARE) + 1
    pieces, _ = said(encoder, ids)
    assert "�" not in "".join(pieces)
    assert "".join(pieces) == RARE
    assert [piece for piece in pieces if piece] == list(RARE)


def test_an_unfinished_character_is_shown_as_such_at_the_end(encoder: Encoder) -> None:
    ids = encoder.response_ids("好🙂", PROMPT)[:-1]
    half = ids[:-1]  # the last byte of the second character is missing
    pieces, _ = said(encoder, half)
    assert "".join(pieces[:-1]) == "好"
    assert "".join(pieces) == encoder.decode(half, PROMPT)
    assert pieces[-1].strip("�") == ""
    assert pieces[-1] != ""


def test_pieces_are_the_whole_whatever_the_tokens(encoder: Encoder) -> None:
    rng = random.Random(0)
    words = len(encoder.tokenizer)
    for _ in range(200):
        ids = [rng.randrange(words) for _ in range(rng.randrange(1, 30))]
        pieces, _ = said(encoder, ids)
        assert "".join(pieces) == encoder.decode(ids, PROMPT)


def test_a_stop_string_ends_the_text_before_it(encoder: Encoder) -> None:
    ids = encoder.response_ids("one two, three. 第四 five", PROMPT)
    assert "".join(said(encoder, ids, "thr")[0]) == "one two, "
    assert said(encoder, ids, "thr")[1]
    assert "".join(said(encoder, ids, "四", "three")[0]) == "one two, "
    assert "".join(said(encoder, ids, " 第四 f")[0]) == "one two, three."
    pieces, stopped = said(encoder, ids, "six")
    assert not stopped
    assert "".join(pieces) == "one two, three. 第四 five"


def test_nothing_of_a_stop_string_is_said_before_it_is_whole(encoder: Encoder) -> None:
    """'aab' may begin at either a of 'aaab'; what was held back for 'five six' is said when it is not one."""
    ids = [token for letter in "xaaab" for token in encoder.response_ids(letter, PROMPT)[:-1]]
    assert said(encoder, ids, "aab") == (["x", "", "", "a", ""], True)
    assert said(encoder, ids[:4], "aab") == (["x", "", "", "a", "aa"], False)


def test_what_follows_the_end_token_is_not_said(encoder: Encoder) -> None:
    ids = encoder.response_ids("yes", PROMPT) + encoder.response_ids("no", PROMPT)
    assert "".join(said(encoder, ids)[0]) == "yes"
