"""Exact and numeric matches, in English and Chinese."""

import pytest

from rlhf.text.matching import exact_match, numeric_match
from rlhf.text.numbers import last_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("It costs 1,234.5 dollars, not 7.", 7),
        ("It is -3.", -3),
        ("5-3", 3),
        ("一共 １２ 个", 12),
        ("答案是42，是一个整数", 42),
        ("1e3 people", 1000),
        ("three is 3/4", 0.75),
        ("about 50%", 50),
        ("3.5万元", 35_000),
        ("2 亿", 2e8),
        ("3千米", 3),
        ("\\boxed{1,000}", 1000),
        ("答案是三百零五", 305),
        ("十二", 12),
        ("二十", 20),
        ("一万零三十", 10_030),
        ("三亿五千万", 350_000_000),
        ("一万亿", 10**12),
        ("负二点五", -2.5),
        ("二〇二六", 2026),
        ("The answer is forty-two.", 42),
        ("minus one hundred and five", -105),
        ("two million three hundred thousand", 2_300_000),
        ("hundred " * 300, float("inf")),
        ("7/" + "1" * 5000, 0.0),
        ("nobody knows", None),
        ("someone", None),
        ("", None),
    ],
)
def test_last_number(text: str, number: float | None) -> None:
    assert last_number(text) == number


def test_numbers_are_compared_as_numbers() -> None:
    assert numeric_match("So there are 1,200 of them.", ["1200"])
    assert numeric_match("一共有一千二百个", ["1200"])
    assert numeric_match("0.3333333333", ["1/3"])
    assert numeric_match("six", ["7", "6"])
    assert not numeric_match("12000", ["1200"])
    assert not numeric_match("0.333", ["1/3"])
    assert not numeric_match("none", ["0"])
    with pytest.raises(ValueError, match="'Paris' holds no number"):
        numeric_match("7", ["Paris"])


def test_exact_matches_fold_what_means_nothing() -> None:
    assert exact_match(" “Paris”. ", ["paris"])
    assert exact_match("**北京**。", ["北京"])
    assert exact_match("ＡＢＣ　１２", ["abc 12"])
    assert exact_match("Rome", ["Paris", "Rome"])
    assert not exact_match("It is Paris", ["Paris"])
    assert not exact_match("-5", ["5"])
    assert not exact_match("C#", ["C"])
    assert exact_match("!", ["!"])
    assert not exact_match("", ["!"])
