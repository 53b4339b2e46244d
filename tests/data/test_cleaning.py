from typing import Any

import pytest
from small_tokenizer import byte_level

from rlhf.data.cleaning import (
    Converted,
    Problem,
    clean_demonstrations,
    clean_preferences,
    clean_prompts,
    usable,
)
from rlhf.data.collation import collate
from rlhf.data.encoding import Encoded, Encoder, make_encoder
from rlhf.errors import DataError
from rlhf.records import Demonstration, Message, Preference, Prompt


@pytest.fixture
def encoder() -> Encoder:
    """Eight tokens at most; "abc" and the like are one token a letter."""
    return make_encoder(byte_level(pad_token="<|pad|>"), 8)


def converted(*records: Any) -> Converted[Any]:
    places = [f"f:{number}" for number in range(1, len(records) + 1)]
    return Converted(list(records), places, [Problem("f:0", "json", "broken")])


def test_demonstrations_are_cleaned_and_each_loss_is_reported(encoder: Encoder):
    p = Prompt("abc")
    kept = Demonstration(p, "wxyz")  # 3 + 4 + the end token: 8
    cleaned = clean_demonstrations(
        converted(
            kept, Demonstration(p, " "), Demonstration(Prompt(" abc"), "wxyz"), Demonstration(p, "vwxyz")
        ),
        encoder,
    )
    assert cleaned.records == [kept]
    assert cleaned.places == ["f:1"]
    assert [str(problem) for problem in cleaned.problems] == [
        "f:0: json (broken)",
        "f:2: empty (completion is empty)",
        "f:3: duplicate (as f:1)",
        "f:4: over-long (9 tokens, and max_length is 8)",
    ]


def test_preferences_need_two_answers_that_differ_and_fit(encoder: Encoder):
    p, q = Prompt("abc"), Prompt("abc", {"rater": "q"})
    first, other_rater = Preference(p, "x", "y"), Preference(q, "x", "y")
    cleaned = clean_preferences(
        converted(
            first,
            other_rater,
            first,
            first.swap(),
            Preference(p, " x", "x "),
            Preference(p, "x", "vwxyz"),
            Preference(p, "", "y"),
        ),
        encoder,
    )
    assert cleaned.records == [first, other_rater, first.swap()]
    assert [(problem.place, problem.reason) for problem in cleaned.problems[1:]] == [
        ("f:3", "duplicate"),
        ("f:5", "identical"),
        ("f:6", "over-long"),
        ("f:7", "empty"),
    ]


def test_prompts_leave_room_for_the_response(encoder: Encoder):
    cleaned = clean_prompts(converted(Prompt("abc"), Prompt("abcd"), Prompt("abc "), Prompt("")), encoder, 5)
    assert cleaned.records == [Prompt("abc")]
    assert [str(problem) for problem in cleaned.problems[1:]] == [
        "f:2: over-long (4 tokens and 5 for the response, and max_length is 8)",
        "f:3: duplicate (as f:1)",
        "f:4: empty (prompt is empty)",
    ]


def test_a_conversation_that_the_template_refuses_is_reported():
    strict = make_encoder(byte_level(pad_token="<|pad|>", chat_template="{{ raise_exception('no') }}"), 99)
    cleaned = clean_demonstrations(converted(Demonstration(Prompt((Message("user", "hi"),)), "a")), strict)
    assert [problem.reason for problem in cleaned.problems] == ["json", "template"]


def test_report_counts_by_reason_with_the_first_places():
    problems = [Problem(f"f:{line}", "empty") for line in range(1, 8)] + [Problem("f:9", "json", "broken")]
    result = Converted([1, 2], ["a", "b"], problems)
    assert result.report() == {
        "kept": 2,
        "left_out": 8,
        "reasons": {
            "empty": {"count": 7, "first": [f"f:{line}: empty" for line in range(1, 6)]},
            "json": {"count": 1, "first": ["f:9: json (broken)"]},
        },
    }
    assert result.text("pairs") == (
        "pairs: 2 kept, 8 rows left out\n  7 empty (first f:1)\n  1 json (first f:9: broken)"
    )


def test_nothing_left_is_an_error_with_the_reasons():
    problems = [Problem(f"f:{at}", f"reason-{at % 9}") for at in range(20)]
    with pytest.raises(DataError, match=r"data.prompts=x: no row can be used; 20 were left out") as error:
        usable(Converted([], [], problems), "data.prompts=x")
    assert len(str(error.value).splitlines()) <= 10
    some = Converted([1], ["f:1"])
    assert usable(some, "x") is some


def test_collation_pads_on_the_right_and_masks_the_response():
    batch = collate([Encoded([5, 6, 7, 2], 2), Encoded([8, 2], 1)], pad_id=9)
    assert batch.ids_BS.tolist() == [[5, 6, 7, 2], [8, 2, 9, 9]]
    assert batch.attention_BS.tolist() == [[True] * 4, [True, True, False, False]]
    assert batch.response_mask_BS.tolist() == [[False, False, True, True], [False, True, False, False]]
    with pytest.raises(ValueError, match="at least one"):
        collate([], pad_id=9)
