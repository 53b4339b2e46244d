"""What the board refuses is said in the manager's language."""

import json
import warnings
from pathlib import Path

import pytest
from boards import Page
from people import campaign, rater

from feedback_ui.database import Database


def refused(page: Page, element: str, *values, campaign: str | None = None) -> str:
    """What is said where an action is not done."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        page.press(element, campaign, *values)
    (only,) = [str(one.message) for one in said if one.category is UserWarning]
    return only


@pytest.mark.parametrize(
    ("language", "taken"),
    [
        ("en", "there is a rater &#x27;李雷&#x27; already; choose another name"),
        ("zh", "已有名为“李雷”的人员，请换一个名字"),
    ],
)
def test_a_name_that_is_taken(db: Database, language: str, taken: str) -> None:
    rater(db, "李雷")
    page = Page(db, rater(db, "boss", role="manager"), language)
    assert refused(page, "add-rater", "李雷", "rater") == taken


def test_rows_that_cannot_be_used_and_why(db: Database, tmp_path: Path) -> None:
    name = campaign(db, 1)
    page = Page(db, rater(db, "boss", role="manager"), "zh")
    path = tmp_path / "rows.jsonl"
    rows = [{"prompt": "p", "responses": ["a", "a"]}, {"prompt": "p", "responses": ["a"]}, {"responses": []}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    _, shown = page.press("import", name, str(path))[:2]
    assert "有两个相同的回答" in shown
    assert "有 1 个回答；类型为 compare 的项目显示 2 个" in shown
    assert "没有提示（prompt）；现有的列：responses" in shown
    missing = tmp_path / "nothing.csv"
    assert refused(page, "import", str(missing), campaign=name).startswith(f"{missing} 无法读取：")


def test_a_signed_out_manager(db: Database) -> None:
    page = Page(db, None, "zh")
    assert "请先登录" in repr(page.opened())
