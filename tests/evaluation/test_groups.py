"""Prompts by what they are."""

from evaluation_samples import answer

from rlhf.evaluation.answers import Answer
from rlhf.evaluation.groups import fields_of, groups_of, length_thirds, members
from rlhf.records import Prompt


def asked(tokens: int, **fields: object) -> Answer:
    one = answer(Prompt("x", fields), "y")
    return Answer(one.prompt, one.text, tuple(range(tokens)), one.response_ids, one.finish, one.seed)


def test_a_field_counts_where_every_prompt_has_it() -> None:
    prompts = [Prompt("a", {"family": "sums", "language": "en"}), Prompt("b", {"family": "colour"})]
    assert fields_of(prompts) == {"family": ["sums", "colour"]}
    assert fields_of([]) == {}
    assert fields_of([Prompt("a", {"family": None})]) == {}


def test_length_is_always_there() -> None:
    groups = groups_of([asked(3), asked(30), asked(9)])
    assert groups == {"length": ["short", "long", "middle"]}
    assert "held_out" in groups_of([asked(3, held_out="no")])


def test_thirds_keep_equal_lengths_together() -> None:
    assert length_thirds([1, 2, 3, 4, 5, 6]) == ["short", "short", "middle", "middle", "long", "long"]
    assert set(length_thirds([7] * 9)) == {"short"}
    parts = length_thirds([5, 5, 5, 5, 9])
    assert len({part for part, length in zip(parts, [5, 5, 5, 5, 9], strict=True) if length == 5}) == 1


def test_lengths_stand_from_short_to_long_and_names_by_the_alphabet() -> None:
    assert list(members(["long", "short", "middle", "long"])) == ["short", "middle", "long"]
    assert members(["zh", "en", "zh"]) == {"en": [1], "zh": [0, 2]}
