"""Single answers with thumbs and scores: how rows are read, cleaned, divided and paired."""

import pytest

from rlhf.data.cleaning import clean_ratings
from rlhf.data.encoding import make_encoder
from rlhf.data.formats import to_preferences, to_ratings
from rlhf.data.scored import pair_ratings
from rlhf.data.sources import Rows
from rlhf.data.splits import split
from rlhf.demo.tokenizer import tokenizer
from rlhf.errors import DataError
from rlhf.records import Message, Prompt, Rating


def rows(*found: dict[str, object]) -> Rows:
    return Rows(list(found), [f"f:{number}" for number in range(1, len(found) + 1)])


def asked(**more: object) -> dict[str, object]:
    return {"prompt": "问？", "completion": "答。", **more}


def test_thumbs_and_scores_are_told_apart_by_their_column() -> None:
    read = to_ratings(
        rows(
            asked(label=True),
            asked(label=False, rater="甲"),
            asked(label="false", probability=0.9),
            asked(label=1, probability=0.75, weight=2),
            asked(score="3.5", item="7"),
            asked(score=4, label=True),
        )
    )
    said = [(rating.value, rating.is_thumb, rating.weight) for rating in read.records]
    # a label that is right with 0.9 and says "down" is a good answer with 0.1
    assert said == [
        (1.0, True, 1.0),
        (0.0, True, 1.0),
        (pytest.approx(0.1), True, 1.0),
        (0.75, True, 2.0),
        (3.5, False, 1.0),
        (4.0, False, 1.0),
    ]
    assert read.records[1].prompt.fields == {"rater": "甲"}
    assert read.records[4].prompt.fields == {"item": "7"}


def test_conversations_are_read_too() -> None:
    row = {
        "prompt": [{"role": "user", "content": "Hi"}],
        "completion": [{"role": "assistant", "content": "Hello!"}],
        "label": True,
    }
    (rating,) = to_ratings(rows(row)).records
    assert rating == Rating(Prompt((Message("user", "Hi"),)), "Hello!", 1.0, is_thumb=True)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (asked(label=3), "value"),
        (asked(label=0.5), "value"),
        (asked(label=""), "empty"),
        (asked(score="much"), "type"),
        (asked(score=float("nan")), "value"),
        (asked(), "columns"),
        ({"prompt": "p", "chosen": "a", "rejected": "b"}, "columns"),
        (asked(completion=" ", score=1), "empty"),
        (asked(label=True, weight=-1), "value"),
    ],
)
def test_what_is_no_rating_has_a_reason(row: dict[str, object], reason: str) -> None:
    read = to_ratings(rows(asked(score=1), row))
    assert [(problem.place, problem.reason) for problem in read.problems] == [("f:2", reason)]


def test_pairs_are_made_of_a_label_as_before() -> None:
    (pair,) = to_preferences(rows(asked(label=3), asked(completion="更好。", label=5))).records
    assert (pair.chosen, pair.rejected) == ("更好。", "答。")


def test_only_the_kinds_that_are_learnt_from_are_kept() -> None:
    encoder = make_encoder(tokenizer(), 128)
    read = to_ratings(
        rows(
            asked(label=True, rater="a"),
            asked(label=True, rater="b"),
            asked(label=True, rater="b"),
            asked(score=2),
            asked(completion="长" * 300, label=False),
        )
    )
    thumbs = clean_ratings(read, encoder, thumbs=True, scores=False)
    assert [rating.is_thumb for rating in thumbs.records] == [True, True]  # two raters, one of them twice
    assert [(problem.place, problem.reason) for problem in thumbs.problems] == [
        ("f:3", "duplicate"),
        ("f:4", "score"),
        ("f:5", "over-long"),
    ]
    scores = clean_ratings(read, encoder, thumbs=False, scores=True)
    assert [rating.value for rating in scores.records] == [2.0]
    assert scores.problems[0].reason == "thumb"
    assert "stage.objective=binary" in scores.problems[0].detail
    assert len(clean_ratings(read, encoder, thumbs=True, scores=True).records) == 3


def test_no_ratings_at_all_is_an_error_that_names_the_columns() -> None:
    with pytest.raises(DataError, match=r"label \(a thumb\)"):
        to_ratings(rows({"prompt": "p", "completion": "a"}))


def test_pairs_of_ratings_stay_within_a_prompt_and_a_kind() -> None:
    p, q = Prompt("p"), Prompt("q")
    found = pair_ratings(
        [
            Rating(p, "good", 1.0, True),
            Rating(p, "bad", 0.0, True),
            Rating(p, "five", 5.0, False),
            Rating(p, "two", 2.0, False),
            Rating(p, "three", 3.0, False),
            Rating(q, "alone", 1.0, True),
        ]
    )
    said = [(pair.chosen, pair.rejected, pair.weight) for pair in found.records]
    third = pytest.approx(1 / 3)
    assert said == [
        ("good", "bad", 1.0),
        ("five", "three", third),
        ("five", "two", third),
        ("three", "two", third),
    ]


def test_ratings_fall_into_the_part_of_their_prompt() -> None:
    prompts = [Prompt(f"prompt {number}", {"group": str(number // 2)}) for number in range(200)]
    shares = {"train": 0.5, "test": 0.5}
    ratings = [Rating(prompt, answer, 1.0, True) for prompt in prompts for answer in ("a", "b")]
    parts = split(ratings, shares, salt="part")
    by_prompt = split(prompts, shares, salt="part")
    assert {id(rating.prompt) for rating in parts["test"]} == {id(prompt) for prompt in by_prompt["test"]}
    assert 0 < len(parts["test"]) < len(ratings)
