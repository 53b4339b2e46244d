"""Differences by words in English, by characters in Chinese."""

import re

from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from rlhf.evaluation.page.differences import mark


def test_words_in_english() -> None:
    marked = mark("It is seven eggs.", "It is eight eggs, thanks.")
    assert marked.before == "It is <del>seven</del> eggs."
    assert marked.after == "It is <ins>eight</ins> eggs<ins>, thanks</ins>."


def test_characters_in_chinese() -> None:
    marked = mark("一共有八个鸡蛋。", "一共七个鸡蛋。")
    assert marked.before == "一共<del>有八</del>个鸡蛋。"
    assert marked.after == "一共<ins>七</ins>个鸡蛋。"


def test_nothing_is_marked_where_little_is_common() -> None:
    marked = mark("abc def", "uvw xyz klm")
    assert (marked.before, marked.after) == ("abc def", "uvw xyz klm")
    assert marked.common < 0.3
    assert mark("", "").common == 1.0
    assert mark("", "new").after == "new"


def test_the_same_is_the_same() -> None:
    marked = mark("<b>7</b> & so", "<b>7</b> & so")
    assert marked.before == marked.after == "&lt;b&gt;7&lt;/b&gt; &amp; so"
    assert marked.common == 1.0


@given(st.text(alphabet="ab 七八<&'\n", max_size=30), st.text(alphabet="ab 七八<&'\n", max_size=30))
def test_only_marks_are_added(before: str, after: str) -> None:
    marked = mark(before, after)
    for shown, text in ((marked.before, before), (marked.after, after)):
        assert Markup(re.sub("</?(?:ins|del)>", "", shown)).unescape() == text
    assert 0.0 <= marked.common <= 1.0
