"""What goes wrong is said in the page's language: the switch's, else the server's, else the browser's."""

import pytest
from people import campaign

from feedback_ui.app.settings import Settings
from feedback_ui.database import Database
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.accounts import add_rater, invite
from feedback_ui.service.campaigns import set_status

ACCEPTED = "zh-CN,zh;q=0.9,en;q=0.8"


def message(answer) -> str:
    return answer.json()["error"]["message"]


def test_the_switch_goes_before_what_the_browser_asks_for(db: Database, browser) -> None:
    campaign(db, 1)
    rater = browser("a", headers={"accept-language": ACCEPTED})
    task = rater.get(f"{rater.campaign('pairs')}/task").json()["task"]
    path = f"/api/assignments/{task['assignment']}/judge"
    assert message(rater.tell(path, given={}, key="k")) == "请选择哪个回答更好、两者相当，或两个都不好"
    rater.cookies.set("feedback_language", "en")
    assert message(rater.tell(path, given={}, key="k")).startswith("say which answer is better")
    rater.cookies.set("feedback_language", "zh")
    rater.headers["accept-language"] = "en"
    assert message(rater.tell(path, given={}, key="k")) == "请选择哪个回答更好、两者相当，或两个都不好"


def test_the_server_s_language_is_of_who_has_chosen_none(db: Database, build) -> None:
    from browsers import Browser

    app = build(Settings(accounts=True, language="zh"))
    wrong = Browser(app).tell("/api/sign-in", name="nobody", password="a long password")
    assert message(wrong) == "姓名或密码不正确"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"strength": 1, "reason": "长" * 100_001}, "理由超过 100,000 个字符"),
        ({"strength": 1, "reason": "\0"}, "理由含有数据库无法保存的空字符（NUL）"),
        ({"strength": 1, "edit": {"place": 0, "text": " "}}, "修改后的回答是空的；请写上内容，或放弃修改"),
        ({"strength": 1, "edit": {"place": 0, "text": "长" * 100_001}}, "修改后的回答超过 100,000 个字符"),
    ],
)
def test_what_a_rater_can_type_wrongly(db: Database, browser, given: dict, said: str) -> None:
    campaign(db, 1)
    rater = browser("a", headers={"accept-language": "zh"})
    task = rater.get(f"{rater.campaign('pairs')}/task").json()["task"]
    assert message(rater.tell(f"/api/assignments/{task['assignment']}/judge", given=given, key="k")) == said


def test_what_happened_meanwhile(db: Database, browser, clock) -> None:
    campaign(db, 2)
    late = browser("late", headers={"accept-language": "zh"})
    quick = browser("quick")
    path = late.campaign("pairs")
    own = f"/api/assignments/{late.get(f'{path}/task').json()['task']['assignment']}"
    clock.move(minutes=21)
    task = quick.get(f"{path}/task").json()["task"]
    judged = f"/api/assignments/{task['assignment']}"
    quick.tell(f"{judged}/judge", given={"strength": 1}, key="q")
    assert "保留为草稿" in message(late.tell(f"{own}/judge", given={"strength": 1}, key="l"))
    assert message(late.get(judged)) == "这里没有这样的内容，或它不属于您"
    assert message(late.get("/api/campaigns/cut-off")) == "这里没有这样的内容，或它不属于您"
    set_status(db, OPERATOR, "pairs", "closed")
    quick.headers["accept-language"] = "zh"
    closed = quick.tell(f"{judged}/revise", given={"strength": 2}, key="r")
    assert message(closed) == "项目“pairs”已关闭，其中的评判不再改动"


def test_who_comes_by_an_invitation_or_has_signed_out(db: Database, browser) -> None:
    token = invite(db, OPERATOR, add_rater(db, OPERATOR, "韩梅梅").id)
    guest = browser(headers={"accept-language": "zh"})
    short = guest.tell("/api/join", token=token, password="short")
    assert message(short) == "密码须为 10 至 1000 个字符"
    assert message(guest.get("/api/me")) == "请先登录"


def test_a_store_that_fails(db: Database, browser, monkeypatch) -> None:
    from feedback_ui.errors import StoreError

    campaign(db, 1)
    rater = browser("a", headers={"accept-language": "zh"})
    path = rater.campaign("pairs")

    def broken(*_args, **_options):
        raise StoreError("/srv/secret/feedback.db")

    monkeypatch.setattr(db, "write", broken)
    assert message(rater.get(f"{path}/task")) == "目前无法访问数据库；已确认的内容不会丢失，请重试"
