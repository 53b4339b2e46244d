from typing import Any

import pytest

from rlhf.data.formats import to_demonstrations, to_preferences, to_prompts
from rlhf.data.sources import Rows
from rlhf.errors import DataError
from rlhf.records import Message, Preference, Prompt

HI, HELLO, BYE = Message("user", "hi"), Message("assistant", "hello"), Message("user", "bye")


def rows(*given: dict[str, Any]) -> Rows:
    return Rows(list(given), [f"f:{number}" for number in range(1, len(given) + 1)])


def turns(*given: Message) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in given]


def problems(converted: Any) -> list[tuple[str, str]]:
    return [(problem.place, problem.reason) for problem in converted.problems]


@pytest.mark.parametrize(
    ("row", "content", "completion"),
    [
        ({"prompt": "a ", "completion": " b"}, "a ", " b"),
        ({"prompt": turns(HI), "completion": turns(HELLO)}, (HI,), "hello"),
        ({"messages": turns(HI, HELLO, BYE, Message("assistant", "x"))}, (HI, HELLO, BYE), "x"),
        ({"messages": turns(HI, HELLO, BYE)}, (HI,), "hello"),
        ({"instruction": "hi", "input": "", "output": "hello"}, (HI,), "hello"),
        ({"instruction": "add", "input": "1 2", "output": "3"}, (Message("user", "add\n\n1 2"),), "3"),
        (
            {"instruction": "bye", "output": "x", "history": [["hi", "hello"]], "system": "be"},
            (Message("system", "be"), HI, HELLO, BYE),
            "x",
        ),
        (
            {
                "conversations": [
                    {"from": "system", "value": "be"},
                    {"from": "human", "value": "hi"},
                    {"from": "gpt", "value": "hello"},
                ]
            },
            (Message("system", "be"), HI),
            "hello",
        ),
        ({"text": "once"}, "", "once"),
    ],
)
def test_demonstration_formats(row: dict[str, Any], content: object, completion: str):
    converted = to_demonstrations(rows({**row, "id": 7}))
    assert [(d.prompt.content, d.completion) for d in converted.records] == [(content, completion)]
    assert converted.records[0].prompt.fields == {"id": 7}
    assert converted.places == ["f:1"]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"prompt": "p", "chosen": "a", "rejected": "b"}, ("p", "a", "b")),
        (
            {"prompt": turns(HI), "chosen": turns(HELLO), "rejected": turns(Message("assistant", "no"))},
            ((HI,), "hello", "no"),
        ),
        (
            {"prompt": "hi", "chosen": turns(HI, HELLO), "rejected": turns(HI, Message("assistant", "no"))},
            ((HI,), "hello", "no"),
        ),
        (
            {"chosen": turns(HI, HELLO), "rejected": turns(HI, Message("assistant", "no"))},
            ((HI,), "hello", "no"),
        ),
        ({"chosen": "The sky is blue", "rejected": "The sky is green"}, ("The sky is", " blue", " green")),
        (
            {
                "chosen": "\n\nHuman: hi\n\nAssistant: hello",
                "rejected": "\n\nHuman: hi\n\nAssistant: no\n\nnever",
            },
            ((HI,), "hello", "no\n\nnever"),
        ),
        (  # two turns of the assistant in a row are one answer
            {
                "chosen": "\n\nHuman: hi\n\nAssistant: one\n\nAssistant: two",
                "rejected": "\n\nHuman: hi\n\nAssistant: one",
            },
            ((HI,), "one\n\ntwo", "one"),
        ),
        (
            {
                "instruction": "hi",
                "chosen": {"from": "gpt", "value": "a"},
                "rejected": {"from": "gpt", "value": "b"},
            },
            ((HI,), "a", "b"),
        ),
    ],
)
def test_preference_formats(row: dict[str, Any], expected: tuple[object, str, str]):
    (found,) = to_preferences(rows(row)).records
    assert (found.prompt.content, found.chosen, found.rejected) == expected


def test_preference_numbers_may_be_text_and_have_bounds():
    pair = {"prompt": "p", "chosen": "a", "rejected": "b"}
    converted = to_preferences(
        rows(
            {**pair, "margin": "0.5", "weight": 0, "probability": "1"},
            {**pair, "margin": "", "weight": None},
            {**pair, "probability": 1.5},
            {**pair, "weight": -1},
            {**pair, "margin": float("nan")},
            {**pair, "margin": "much"},
        )
    )
    prompt = Prompt("p")
    assert converted.records == [
        Preference(prompt, "a", "b", probability=1.0, margin=0.5, weight=0.0),
        Preference(prompt, "a", "b"),
    ]
    assert problems(converted) == [("f:3", "value"), ("f:4", "value"), ("f:5", "value"), ("f:6", "type")]


def test_every_pair_of_a_ranked_list_and_they_weigh_one_together():
    converted = to_preferences(rows({"instruction": "hi", "output": ["a", "b", "c"]}))
    assert [(p.chosen, p.rejected) for p in converted.records] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [p.weight for p in converted.records] == pytest.approx([1 / 3] * 3)
    assert converted.places == ["f:1"] * 3


def test_scored_answers_to_one_prompt_become_pairs():
    converted = to_preferences(
        rows(
            {"prompt": "p", "completion": "bad", "score": 1},
            {"prompt": "q", "completion": "alone", "label": True},
            {"prompt": "p ", "completion": "good", "score": "2.5", "rater": "r"},
            {"prompt": "p", "completion": "bad too", "score": 1},
        )
    )
    assert [(p.chosen, p.rejected, p.weight) for p in converted.records] == [
        ("good", "bad", 0.5),
        ("good", "bad too", 0.5),
    ]
    assert converted.records[0].prompt.fields == {"rater": "r"}
    assert converted.places == ["f:3 and f:1", "f:3 and f:4"]
    assert problems(converted) == [("f:2", "unpaired")]


def test_what_a_row_may_lack_is_reported_by_reason():
    good = {"prompt": "p", "chosen": "a", "rejected": "b"}
    converted = to_preferences(
        rows(
            good,
            {"question": "x", "rejected": None},
            {"prompt": "p", "chosen": "a", "rejected": None},
            {"prompt": "p", "chosen": "a", "rejected": 3},
            {"prompt": "p", "chosen": "a", "rejected": " "},
            {"prompt": "", "chosen": "a", "rejected": "b"},
            {"prompt": [{"role": "wizard", "content": "x"}], "chosen": "a", "rejected": "b"},
            {"chosen": "abc", "rejected": "xyz"},
            {"chosen": "same", "rejected": "same"},
            {"chosen": turns(HELLO), "rejected": turns(Message("assistant", "no"))},
            {
                "chosen": "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: d",
                "rejected": "\n\nHuman: a\n\nAssistant: x\n\nHuman: c\n\nAssistant: d",
            },
        )
    )
    assert len(converted.records) == 1
    assert problems(converted) == [
        ("f:2", "columns"),
        ("f:3", "columns"),
        ("f:4", "type"),
        ("f:5", "empty"),
        ("f:6", "empty"),
        ("f:7", "role"),
        ("f:8", "no-shared-prompt"),
        ("f:9", "identical"),
        ("f:10", "no-shared-prompt"),
        ("f:11", "no-shared-prompt"),
    ]
    assert "found question, rejected (missing)" in converted.problems[0].detail


def test_prompts_come_from_any_format_once_each_with_the_other_columns_as_fields():
    converted = to_prompts(
        rows(
            {"prompt": "p", "answer": "42"},
            {"prompt": " p "},
            {"instruction": "hi", "output": "hello"},
            {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]},
            {"messages": turns(HI, HELLO, BYE)},
            {"chosen": "\n\nHuman: bye\n\nAssistant: a", "rejected": "\n\nHuman: bye\n\nAssistant: b"},
            {"text": "no prompt"},
        )
    )
    assert [prompt.content for prompt in converted.records] == ["p", (HI,), (HI, HELLO, BYE), (BYE,)]
    assert [dict(prompt.fields) for prompt in converted.records] == [
        {"answer": "42"},
        {"output": "hello"},
        {},
        {},
    ]
    assert problems(converted) == [("f:7", "columns"), ("f:2", "duplicate"), ("f:4", "duplicate")]


def test_no_usable_row_is_an_error_that_names_columns_and_formats():
    with pytest.raises(DataError) as error:
        to_demonstrations(rows({"question": "a", "answer": "b"}, {"question": "c"}))
    said = str(error.value)
    assert "columns found: question, answer" in said
    assert "prompt + completion; messages; instruction + output; conversations; text" in said
    assert "2 rows read; left out: 2 columns" in said
    assert len(said.splitlines()) <= 10
