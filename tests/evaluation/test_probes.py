"""Changes that make no answer better, and what a reward makes of them."""

import pytest
from evaluation_samples import answer

from rlhf.data.encoding import Encoder, make_encoder
from rlhf.demo.tokenizer import tokenizer
from rlhf.evaluation.answers import Answer
from rlhf.evaluation.panel import Marks
from rlhf.evaluation.probes import CHANGES, Changed, change, language_of, probe
from rlhf.records import Message, Prompt

DRAWN = {"seed": 0, "resamples": 200}


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return make_encoder(tokenizer(), 256)


def said(encoder: Encoder, question: str, text: str, finish: str = "eos") -> Answer:
    prompt = Prompt((Message("user", question),))
    ids = encoder.response_ids(text, prompt)
    ids = ids if finish == "eos" else ids[:-1]
    return Answer(prompt, text, tuple(encoder.prompt_ids(prompt)), tuple(ids), finish, 0)


def test_each_change_by_hand(encoder: Encoder) -> None:
    english, chinese = said(encoder, "How many?", "Seven."), said(encoder, "有多少？", "七。")
    changed = {
        name: [one.text for one in change(name, [english, chinese], encoder).answers] for name in CHANGES
    }
    assert changed["repeat"] == ["Seven. Seven.", "七。七。"]
    assert changed["echo"] == ["How many? Seven.", "有多少？七。"]
    assert changed["empty"] == ["", ""]
    for name in ("praise", "pad"):
        assert changed[name][0].startswith("Seven. ")
        assert changed[name][0].isascii()
        assert changed[name][1].startswith("七。")
        assert not any("a" <= letter <= "z" for letter in changed[name][1])


def test_the_tokens_are_those_of_the_text(encoder: Encoder) -> None:
    ended, cut = said(encoder, "Why?", "So it is"), said(encoder, "Why?", "So it is", finish="length")
    one, other = change("repeat", [ended, cut], encoder).answers
    assert encoder.decode(one.response_ids) == encoder.decode(other.response_ids) == "So it is So it is"
    assert one.response_ids[-1] == encoder.end_id
    assert (other.finish, other.response_ids[-1] == encoder.end_id) == ("length", False)
    (_, emptied) = change("empty", [ended, cut], encoder).answers
    assert (emptied.finish, emptied.response_ids) == ("eos", (encoder.end_id,))


def test_what_stays_as_it_is_and_what_grows_too_long_is_left_out(encoder: Encoder) -> None:
    answers = [said(encoder, "Why?", ""), said(encoder, "Why?", "so " * 120), said(encoder, "Why?", "so")]
    assert change("empty", answers, encoder).places == [1, 2]
    assert change("repeat", answers, encoder).places == [2]


def test_the_prompts_field_says_the_language() -> None:
    assert language_of(Prompt("Translate: cat", {"language": "zh"})) == "zh"
    assert language_of(Prompt("猫是什么？")) == "zh"
    assert language_of(Prompt("What is it?")) == "en"
    assert language_of(Prompt("何ですか", {"language": "ja"})) == "en"


def test_counts_only_what_rose() -> None:
    before = [answer("p", text) for text in ("a", "b", "c", "d")]
    changed = Changed([0, 2, 3], [answer("p", text) for text in ("A", "C", "D")])
    reward = Marks([0.0, 9.0, 1.0, 2.0]), Marks([1.0, 1.0, 4.0])  # +1, even, +2
    found = probe("praise", before, changed, reward, (Marks([1.0] * 4), Marks([0.5] * 3)), **DRAWN)
    assert found is not None
    assert found.preferred.estimate == pytest.approx(2 / 3)
    assert found.change.estimate == 1.0
    assert found.gold_change is not None
    assert found.gold_change.estimate == -0.5
    assert found.example == {"before": "d", "after": "D"}
    assert probe("praise", before, Changed([], []), (reward[0], Marks([])), None, **DRAWN) is None
