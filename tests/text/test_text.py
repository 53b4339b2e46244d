import pytest

from rlhf.text import distinct_n, guess_language, normalise, repetition_rate, words


def test_normalise_composes_accents_and_unifies_newlines():
    assert normalise("cafe\u0301\r\nb\rc\n") == "caf\u00e9\nb\nc\n"


def test_words_of_chinese_are_characters_and_of_others_words():
    assert words("It's 很好, a well-known GPT4模型!") == [
        "It's",
        "很",
        "好",
        "a",
        "well-known",
        "GPT4",
        "模",
        "型",
    ]
    assert words("  ...！ ") == []


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Hello there, friend.", "en"),
        ("布洛芬和对乙酰氨基酚的区别是？", "zh"),
        ("请用 Python 写一个函数", "zh"),
        ("The word 你 means you", "en"),
        ("これは日本語の文章です", "other"),
        ("Привет, мир", "other"),
        ("123 !?", "other"),
        ("", "other"),
    ],
)
def test_language_is_guessed_by_script(text: str, language: str):
    assert guess_language(text) == language


def test_distinct_n_counts_over_all_texts():
    # bigrams: (a b) (b a) (a b) | (a b): 2 different of 4
    assert distinct_n(["a b a b", "a b"], 2) == 0.5
    assert distinct_n(["a b a b", "a b"], 1) == pytest.approx(2 / 6)
    assert distinct_n(["很好很好"], 1) == 0.5
    assert distinct_n(["a"], 2) == 0.0


def test_repetition_rate_is_the_share_of_ngrams_seen_before():
    # bigrams: (a b) (b a) (a b) (b a): 2 of 4 are new
    assert repetition_rate("a b a b a", 2) == 0.5
    assert repetition_rate("one two three four five") == 0.0
    assert repetition_rate("a b") == 0.0
    with pytest.raises(ValueError, match="n=0"):
        repetition_rate("a", 0)
