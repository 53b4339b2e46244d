"""What a rater or a manager can be told went wrong is there in Chinese too."""

import ast
import json
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from people import campaign, rater

import feedback_ui
from feedback_ui.database import Database
from feedback_ui.errors import Conflict, FeedbackError, InvalidFeedback, Phrase, StoreError, listed
from feedback_ui.form import _CALLED, parse_given
from feedback_ui.problems import in_words
from feedback_ui.schema import CampaignStatus
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.campaigns import set_guidelines
from feedback_ui.store_errors import _POSTGRES, _SQLITE

ROOT = Path(feedback_ui.__file__).parent
CHINESE = json.loads((ROOT / "words" / "problems.zh.json").read_text("utf-8"))
ERRORS = {"InvalidFeedback", "Conflict", "NotAllowed", "NotFound", "TooManyTries", "SignedOut", "Phrase"}
ERRORS |= {"ModelUnavailable", "StoreError"}
# What is said at the terminal alone, before a page is served or in place of one.
TERMINAL = {"cli", "backup.py", "settings.py", "database.py", "migrate.py", "server.py"}
# Constants that stand for what they hold, and values that are told as words of ours.
CONSTANTS = {
    "_WRONG": "name or password is wrong",
    "_CLOSED": "this link is used up, or has ended; ask whoever gave it to you for another",
}
PHRASES = [
    *_CALLED.values(),
    *(meaning for _, meaning in (*_SQLITE, *_POSTGRES)),
    *("paused", "closed"),
    *("a test", "a pause"),
    *("the name", "the question", "the guidelines"),
]


def said() -> Iterator[tuple[str, ast.expr]]:
    """Where an error or phrase is made, and what it is made of."""
    for path in sorted(ROOT.rglob("*.py")):
        if TERMINAL & set(path.relative_to(ROOT).parts):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
                continue
            if node.func.id in ERRORS:
                yield f"{path.name}:{node.lineno}", node.args[0]
            elif node.func.id == "check_storable":
                yield f"{path.name}:{node.lineno}", node.args[1]


def names(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def test_all_that_is_said_in_english_is_there_in_chinese() -> None:
    found = {*PHRASES, *CONSTANTS.values()}
    whole: list[str] = []
    for place, expression in said():
        if isinstance(expression, ast.Constant):
            assert expression.value in CHINESE, (place, expression.value)
            found.add(expression.value)
        elif isinstance(expression, ast.JoinedStr):
            whole.append(place)
    # an f-string has no template; these are of addresses that are checked before the page is served
    assert {place.split(":")[0] for place in whole} <= {"policies.py"}, whole
    assert found == set(CHINESE)


@pytest.mark.parametrize("template", CHINESE)
def test_both_languages_say_the_same_values(template: str) -> None:
    assert names(CHINESE[template]) == names(template)
    assert CHINESE[template] != template


def test_values_are_filled_in_and_phrases_and_errors_among_them_said_too() -> None:
    taken = Conflict("there is a rater {name!r} already; choose another name", name="{韩}")
    assert str(taken) == "there is a rater '{韩}' already; choose another name"
    assert in_words(taken, "en") == str(taken)
    assert in_words(taken, "zh") == "已有名为“{韩}”的人员，请换一个名字"
    with pytest.raises(InvalidFeedback) as caught:
        parse_given({"strength": 0, "reason": "长" * 100_001})
    assert str(caught.value) == "the reason is longer than 100,000 characters"
    assert in_words(caught.value, "zh") == "理由超过 100,000 个字符"
    about = InvalidFeedback(
        "what {rater} said cannot be used: {error}", rater="the reason", error=caught.value
    )
    assert (
        in_words(about, "zh") == "the reason 给出的内容无法使用：理由超过 100,000 个字符"
    )  # a person's words stay


def test_what_has_no_values_may_hold_braces() -> None:
    said = '{"better": 0} and {'
    assert str(FeedbackError(said)) == in_words(FeedbackError(said), "zh") == said
    assert in_words(StoreError("/a/{b}"), "zh") == "/a/{b}"
    assert in_words(RuntimeError("other"), "zh") == "other"
    assert listed([]) == "none"
    assert in_words(Phrase("none"), "zh") == "无"


def test_states_that_are_told_are_words() -> None:
    assert {"paused", "closed"} <= set(CHINESE)
    assert set(CampaignStatus.__args__) == {"open", "paused", "closed"}


def test_text_that_no_database_can_hold_is_told_by_its_name(db: Database) -> None:
    name = campaign(db, 1)
    rater(db, "a")
    with pytest.raises(InvalidFeedback) as caught:
        set_guidelines(db, OPERATOR, name, "a\x00b")
    assert in_words(caught.value, "zh") == "评判说明含有数据库无法保存的空字符（NUL）"
