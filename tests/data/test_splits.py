import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlhf.data.splits import part_of, split
from rlhf.errors import ConfigError
from rlhf.records import Demonstration, Preference, Prompt

SHARES = {"train": 0.9, "validation": 0.05, "test": 0.05}


@settings(max_examples=50, deadline=None)
@given(old=st.lists(st.text(min_size=1)), new=st.lists(st.text(min_size=1)), at=st.integers(min_value=0))
def test_a_prompt_never_crosses_over_when_the_data_grows(old: list[str], new: list[str], at: int):
    before = [Preference(Prompt(text), "a", "b") for text in old]
    more = [Preference(Prompt(f" {text}"), "c", "d") for text in new]
    at = at % (len(before) + 1)
    parts, grown = split(before, SHARES, "s"), split(before[:at] + more + before[at:], SHARES, "s")
    for name, records in parts.items():
        assert [record for record in grown[name] if record.chosen == "a"] == records
    where = {record.prompt.key: name for name, records in grown.items() for record in records}
    assert all(where[record.prompt.key] == name for name, records in grown.items() for record in records)


def test_shares_are_met_and_the_salt_matters():
    keys = [str(number) for number in range(20_000)]
    parts = split(keys, SHARES, "a", key=str)
    assert len(parts["train"]) == pytest.approx(18_000, abs=200)
    assert len(parts["test"]) == pytest.approx(1_000, abs=150)
    moved = sum(part_of(key, SHARES, "a") != part_of(key, SHARES, "b") for key in keys)
    assert moved / len(keys) == pytest.approx(1 - (0.9**2 + 2 * 0.05**2), abs=0.02)


def test_the_part_of_a_key_is_fixed_for_ever():
    # SHA-256 of "s\0x" begins with 49b2c3ba: 0.2879 of the interval
    assert part_of("x", {"a": 0.2878, "b": 0.7122}, "s") == "b"
    assert part_of("x", {"a": 0.288, "b": 0.712}, "s") == "a"
    assert part_of("x", {"a": 0.0, "b": 1.0, "c": 0.0}, "s") == "b"


def test_raw_text_is_divided_by_its_own_words():
    texts = [Demonstration(Prompt(""), f"story {number}") for number in range(200)]
    parts = split(texts, {"train": 0.5, "test": 0.5}, "s")
    assert 60 < len(parts["train"]) < 140


@pytest.mark.parametrize("shares", [{}, {"a": 0.5}, {"a": 1.5, "b": -0.5}])
def test_shares_that_do_not_sum_to_one_are_an_error(shares: dict[str, float]):
    with pytest.raises(ConfigError, match="sum to"):
        split(["x"], shares, "s", key=str)


def test_what_shares_a_group_stays_together_whatever_it_says():
    shares = {"train": 0.5, "test": 0.5}
    families = [
        [Prompt(f"{number}, put {how}", {"group": number}) for how in range(8)] for number in range(60)
    ]
    parts = split([prompt for family in families for prompt in family], shares, "s")
    for number in range(60):
        assert (
            len({name for name, kept in parts.items() if any(p.fields["group"] == number for p in kept)}) == 1
        )
    apart = split([Prompt(prompt.content) for family in families for prompt in family], shares, "s")
    first = {prompt.text for prompt in families[0]}
    assert 0 < sum(prompt.text in first for prompt in apart["test"]) < 8
