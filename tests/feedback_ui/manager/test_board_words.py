"""The board's words: both languages say the same keys, and every key that is asked for is there."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from feedback_ui.language import language_of
from feedback_ui.views.board_words import words_in

VIEWS = Path(__file__).resolve().parents[3] / "feedback_ui" / "views"
SAID = re.compile(r"\{(\w+)\}")


def keys(language: str) -> dict[str, str]:
    return words_in(language)._words


def test_both_languages_say_the_same_with_the_same_values():
    english, chinese = keys("en"), keys("zh")
    assert list(english) == list(chinese)
    for key, said in english.items():
        assert sorted(SAID.findall(said)) == sorted(SAID.findall(chinese[key])), key
        assert chinese[key].strip()
        assert said.strip()


def test_chinese_is_chinese():
    others = {key for key, said in keys("zh").items() if not re.search(r"[一-鿿]", said)}
    assert others <= {"export.hash", "export.parquet", "trust.alpha", "trust.fleiss"} | {
        key for key in others if not re.search(r"[A-Za-z]{3}", SAID.sub("", keys("zh")[key]))
    }


def test_no_word_is_there_for_nothing():
    code = "\n".join(path.read_text("utf-8") for path in VIEWS.glob("*.py"))
    whole = set(re.findall(r'"([a-z_]+\.[a-z0-9_-]+)"', code)) | set(
        re.findall(r"'([a-z_]+\.[a-z0-9_-]+)'", code)
    )
    begun = tuple(re.findall(r'f"([a-z_]+\.[a-z_]*)\{', code))
    for key in keys("en"):
        assert key in whole or key.startswith(begun), key
    assert {key for key in whole if key.partition(".")[0] in ("people", "trust", "dispute")} <= set(
        keys("en")
    )


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [
        ("zh", "en-US,en", "zh"),
        (None, "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        (None, "fr-FR,zh;q=0.5", "zh"),
        (None, "fr", "en"),
        ("../../x", "", "en"),
    ],
)
def test_the_language_is_the_switch_s_then_the_browser_s(cookie, accepted, language):
    cookies = {"feedback_language": cookie} if cookie else {}
    assert language_of(SimpleNamespace(cookies=cookies, headers={"accept-language": accepted})) == language


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(3.14, "3.1 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s"), (12_000, "3 h 20 min")],
)
def test_spans_of_time(seconds, said):
    assert words_in("en").seconds(seconds) == said
