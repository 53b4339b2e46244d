"""BLEU, ROUGE and chrF: worked by hand, and the same for Chinese by character as for English by word."""

import math

import pytest

from rlhf.text.overlap import bleu, chrf, rouge_l, rouge_n


def test_rouge_counts_shared_words_as_often_as_both_have_them() -> None:
    # "the" twice and "cat" once are shared: 3 of 4 words of the one and 3 of 6 of the other
    text, reference = "The the the cat", "the cat sat on the mat"
    assert rouge_n(text, [reference], 1) == pytest.approx(2 * 3 / (4 + 6))
    # bigrams: "the cat" alone, of 3 and of 5
    assert rouge_n(text, [reference], 2) == pytest.approx(2 * 1 / (3 + 5))
    assert rouge_l("mat the sat cat", [reference]) == pytest.approx(2 * 2 / (4 + 6))  # "the sat"


def test_rouge_takes_chinese_by_character() -> None:
    # 我爱北京 and 我们爱北京: four characters of four and of five; bigrams 爱北 and 北京 of three and of four
    assert rouge_n("我爱北京。", ["我们爱北京"], 1) == pytest.approx(8 / 9)
    assert rouge_n("我爱北京", ["我们爱北京！"], 2) == pytest.approx(4 / 7)
    assert rouge_l("京北爱我", ["我们爱北京"]) == pytest.approx(2 * 1 / 9)


@pytest.mark.parametrize("reference", ["the quick brown fox jumps", "敏捷的棕色狐狸跳"])
def test_the_same_text_is_1_and_another_0(reference: str) -> None:
    for score in (bleu, chrf, rouge_l, lambda a, b: rouge_n(a, b, 1), lambda a, b: rouge_n(a, b, 2)):
        assert score(reference, [reference]) == pytest.approx(1.0)
        assert score(reference, ["@@@", reference]) == pytest.approx(1.0)
        assert score("zzzz", [reference]) < 0.05
        assert score("", [reference]) == 0.0


def test_bleu_is_the_geometric_mean_of_precisions_and_shorter_is_punished() -> None:
    # "a b c d" of "a b c d e": all precisions 1, brevity exp(1 - 5/4)
    assert bleu("a b c d", ["a b c d e"]) == pytest.approx(math.exp(-0.25))
    assert bleu("一二三四", ["一二三四五"]) == pytest.approx(math.exp(-0.25))
    # "a b x": 2/3 and 1/2, the third of none is smoothed to 1/2 of 1/1; three orders, no brevity penalty
    assert bleu("a b x", ["a b c"]) == pytest.approx((2 / 3 * 1 / 2 * 1 / 2) ** (1 / 3))


def test_chrf_by_hand() -> None:
    # "abc" and "abd": of 1-grams 2/3 both ways, of 2-grams 1/2, of 3-grams 0; averaged over the three orders
    average = (2 / 3 + 1 / 2) / 3
    assert chrf("abc", ["abd"]) == pytest.approx(average)
    assert chrf("a b c", ["ab d"]) == pytest.approx(average)
    assert chrf("一二三", ["一二四"]) == pytest.approx(average)
