"""Every endpoint tried signed out, as another rater and from elsewhere: nothing of others is readable."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from browsers import PASSWORD, Browser
from people import campaign, pairs
from starlette.routing import Route

from feedback_ui.app.limits import MAX_FAILURES, WITHIN_S, FailureLimit
from feedback_ui.app.settings import Settings, check_address, is_loopback
from feedback_ui.database import Database
from feedback_ui.errors import InvalidFeedback, TooManyTries
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.accounts import add_rater, disable_rater, invite
from feedback_ui.service.joining import open_link

OPEN = {"/api/sign-in", "/api/join", "/api/sign-out", "/api/{path:path}"}
GRADIO = (
    "/config", "/gradio_api/info", "/gradio_api/queue/data?session_hash=x", "/gradio_api/app_id", "/user",
    "/gradio_api/startup-events", "/gradio_api/token", "/gradio_api/file=/etc/passwd", "/monitoring",
    "/gradio_api/proxy=http://127.0.0.1/", "/gradio_api/upload_progress?upload_id=x", "/logout", "/login",
    "/gradio_api/heartbeat/x", "/gradio_api/openapi.json", "/monitoring/summary", "/gradio_api/dev/reload",
    "/gradio_api/runs", "/gradio_api/vibe-code", "/gradio_api/deep_link?session_hash=x", "/svelte/x",
    "/gradio_api/call/f/x", "/gradio_api/stream/a/1/2/playlist.m3u8",
)  # fmt: skip


def endpoints(app) -> list[tuple[str, str]]:
    """Method and path of all that is below /api and not open to everybody."""
    found = [
        (method, route.path)
        for included in app.routes
        for route in getattr(included, "original_router", app.router).routes
        if isinstance(route, Route) and route.path.startswith("/api/") and route.path not in OPEN
        for method in route.methods or ()
        if method != "HEAD"
    ]
    assert len(found) >= 12
    return found


def filled(path: str, **ids: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: ids.get(found[1], str(uuid4())), path)


BODIES = {
    "judge": {"given": {"strength": 1}, "key": "k"},
    "revise": {"given": {"strength": 1}, "key": "r"},
    "skip": {"reason": "unclear", "key": "s"},
    "undo": {"key": "u"},
    "draft": {"draft": {"reason": "mine now"}},
    "chat": {"message": "hello"},
    "heartbeat": {},
}


def ask(browser: Browser, method: str, path: str):
    body = BODIES.get(path.rpartition("/")[2], {})
    return browser.get(path) if method == "GET" else browser.tell(path, **body)


def test_signed_out_every_endpoint_says_so(app, browser) -> None:
    nobody, forger = browser(), browser()
    forger.cookies.set("feedback_session", "x" * 43)
    for method, path in endpoints(app):
        for one in (nobody, forger):
            answer = ask(one, method, filled(path))
            assert answer.status_code == 401, (method, path, answer.text)
            assert answer.json()["error"]["kind"] == "signed-out"


def test_a_session_ends_by_signing_out_by_age_and_with_its_owner(db: Database, browser, clock) -> None:
    first, second, third = browser("a"), browser("a"), browser("b")
    stolen = Browser(first.app, cookies=dict(first.cookies))
    assert first.tell("/api/sign-out").status_code == 200
    assert "feedback_session" not in first.cookies
    assert stolen.get("/api/me").status_code == 401
    assert second.get("/api/me").json()["name"] == "a"
    disable_rater(db, OPERATOR, "b")
    assert third.get("/api/me").status_code == 401
    clock.move(days=8)
    assert second.get("/api/me").status_code == 401


def test_another_raters_items_are_not_there(db: Database, app, browser) -> None:
    campaign(db, 4)
    owner, other = browser("owner"), browser("other")
    path = owner.campaign("pairs")
    mine = owner.get(f"{path}/task").json()["task"]["assignment"]
    owner.tell(f"/api/assignments/{mine}/judge", given={"strength": 3, "reason": "secret"}, key="k")
    held = owner.get(f"{path}/task").json()["task"]["assignment"]
    owner.tell(f"/api/assignments/{held}/draft", draft={"reason": "my draft"})
    for method, template in endpoints(app):
        if "{assignment}" not in template:
            continue
        for assignment in (mine, held):
            answer = ask(other, method, filled(template, assignment=assignment))
            assert answer.status_code == 404, (method, template, answer.text)
            assert "secret" not in answer.text
            assert "draft" not in answer.text
    chat = other.tell(f"{path}/chat", message="go on", assignment=mine)
    assert chat.status_code in (404, 422)
    assert "secret" not in chat.text
    assert owner.get(f"/api/assignments/{held}").json()["task"]["draft"] == {"reason": "my draft"}
    assert other.get(f"{path}/past").json() == []


def test_nothing_tells_who_wrote_what_or_what_is_right(db: Database, app, browser) -> None:
    """Names that stand nowhere but in the columns that a rater must not see are in no answer."""
    rows = [
        (place, {**row, "source": "COLUMN", **({"gold": {"better": 0}} if number % 2 else {})})
        for number, (place, row) in enumerate(pairs(6))
    ]
    campaign(db, rows=rows, gold_share=0.5)
    rater = browser("a")
    path = rater.campaign("pairs")
    said: list[str] = [rater.get("/api/campaigns").text, rater.get(path).text, rater.get("/api/me").text]
    now = rater.get(f"{path}/task")
    number = 0
    while (task := now.json()["task"] if "task" in now.json() else now.json()["next"]["task"]) is not None:
        said += [now.text, rater.get(f"/api/assignments/{task['assignment']}").text]
        number += 1
        own = f"/api/assignments/{task['assignment']}"
        now = rater.tell(f"{own}/judge", given={"strength": 1}, key=f"k{number}")
        said.append(rater.tell(f"{own}/revise", given={"strength": 2}, key=f"r{number}").text)
    said += [now.text, rater.get(f"{path}/past").text]
    assert number >= 3  # items with a known answer come by chance
    for secret in (
        "model-a",
        "model-b",
        "sample-1",
        "runs/",
        "gold",
        "COLUMN",
        "temperature",
        "seed",
        "worse",
    ):
        told = [text for text in said if secret in text.replace("Which answer is better?", "")]
        assert not told, (secret, told[:1])


def test_raters_of_one_campaign_do_not_see_each_other(db: Database, browser) -> None:
    campaign(db, 2, raters_per_item=2)
    first, second = browser("first-rater"), browser("second-rater")
    path = first.campaign("pairs")
    task = first.get(f"{path}/task").json()["task"]
    first.tell(f"/api/assignments/{task['assignment']}/judge", given={"strength": 3, "reason": "R1"}, key="k")
    for page in ("/api/campaigns", path, f"{path}/task", f"{path}/past"):
        text = second.get(page).text
        assert "first-rater" not in text
        assert "R1" not in text


@pytest.mark.parametrize("origin", ["http://evil.example", "http://page.example.evil", "null", "", None])
def test_other_sites_change_nothing(db: Database, browser, origin) -> None:
    campaign(db, 1)
    rater = browser("a")
    task = rater.get(f"{rater.campaign('pairs')}/task").json()["task"]
    if origin is None:
        del rater.headers["origin"]
    else:
        rater.headers["origin"] = origin
    for path in (f"/api/assignments/{task['assignment']}/judge", "/api/sign-out", "/gradio_api/queue/join"):
        answer = rater.post(path, json={"given": {"strength": 1}, "key": "k"})
        assert (answer.status_code, answer.json()["error"]["kind"]) == (403, "forbidden")
        assert "access-control-allow-origin" not in answer.headers
    assert rater.get("/api/me").status_code == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_forms_of_other_pages_are_no_json(browser, kind: str) -> None:
    rater = browser("a")
    answer = rater.post("/api/sign-out", content=b"{}", headers={"content-type": kind})
    assert answer.status_code == 415
    assert rater.get("/api/me").status_code == 200


def test_other_sites_do_not_even_ask(browser) -> None:
    rater = browser("a")
    elsewhere = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    assert rater.get("/api/campaigns", headers=elsewhere).status_code == 403
    followed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert browser().get("/sign-in", headers=followed).status_code == 200


def test_a_preflight_from_elsewhere_allows_nothing(browser) -> None:
    asked = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    answer = browser().options("/api/sign-in", headers=asked)
    assert answer.status_code >= 400
    assert "access-control-allow-origin" not in answer.headers


def test_every_response_has_the_safety_headers(app, browser) -> None:
    one = browser()
    for path in ("/", "/sign-in", "/join/x", "/api/me", "/static/entry.js", "/static/nothing", "/nothing"):
        headers = one.get(path).headers
        policy = headers["content-security-policy"]
        assert "object-src 'none'" in policy or "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "form-action 'self'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == ("no-cache" if path.startswith("/static/") else "no-store")
    assert "'unsafe-inline'" not in one.get("/sign-in").headers["content-security-policy"]


def test_a_large_body_is_refused(browser) -> None:
    answer = browser().tell("/api/sign-in", name="a", password="x" * (5 * 2**20))
    assert answer.status_code == 413
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_cookie_is_for_the_browser_alone(app, browser) -> None:
    add = browser("a")
    for scheme in ("http", "https"):
        answer = Browser(app, scheme=scheme).tell("/api/sign-in", name="a", password=PASSWORD)
        said = answer.headers["set-cookie"].lower()
        assert "httponly" in said
        assert "samesite=strict" in said
        assert ("secure" in said) == (scheme == "https")
        assert f"max-age={timedelta(days=7).total_seconds():.0f}" in said
    assert add.get("/api/me").json() == {"name": "a", "role": "rater", "single_person": False}


def test_pages_want_a_session_and_the_board_a_manager(browser) -> None:
    nobody, rater, manager = browser(), browser("a"), browser("m", role="manager")
    answer = nobody.get("/?campaign=x&y=1")
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        "/sign-in?next=%2F%3Fcampaign%3Dx%26y%3D1",
    )
    assert nobody.get("/manage/").headers["location"] == "/sign-in?next=%2Fmanage%2F"
    assert rater.get("/manage/").headers["location"] == "/"
    assert rater.get("/manage").headers["location"] == "/manage/"
    for path in GRADIO:
        assert nobody.get(path).status_code in (401, 404), path
        assert rater.get(f"/manage{path}").status_code in (403, 404), path
        assert nobody.get(f"/manage{path}").status_code in (401, 404), path
    for path in ("/gradio_api/proxy=x", "/gradio_api/file=http://x/", "/gradio_api/file=//x/", "/monitoring"):
        assert manager.get(f"/manage{path}").status_code == 404, path
        assert rater.get(path).status_code == 404, path
    assert rater.tell("/gradio_api/upload").status_code == 404


def test_failed_sign_ins_of_a_name_and_of_an_address_are_limited(db: Database, build, clock) -> None:
    app = build()
    add_rater(db, OPERATOR, "a", password=PASSWORD)
    here = Browser(app, client=("10.0.0.1", 1))
    kinds = [
        here.tell("/api/sign-in", name="a", password="wrong password").json()["error"]["kind"]
        for _ in range(11)
    ]
    assert kinds == ["forbidden"] * 10 + ["too-many"]
    there = Browser(app, client=("10.0.0.2", 1))
    answer = there.tell("/api/sign-in", name="a", password=PASSWORD)  # of the name, wherever from
    assert (answer.status_code, answer.json()["error"]["kind"]) == (429, "too-many")
    for number in range(MAX_FAILURES - 11):
        assert here.tell("/api/sign-in", name=f"b{number}", password="wrong password").status_code == 403
    add_rater(db, OPERATOR, "c", password=PASSWORD)
    assert here.tell("/api/sign-in", name="c", password=PASSWORD).status_code == 429
    assert there.tell("/api/sign-in", name="c", password=PASSWORD).status_code == 200
    clock.move(minutes=16)
    assert there.tell("/api/sign-in", name="a", password=PASSWORD).status_code == 200


def test_many_successes_from_one_address_are_no_failures() -> None:
    limit = FailureLimit(clock=lambda: 0.0)
    for _ in range(10 * MAX_FAILURES):
        limit.begin("10.0.0.1")
        limit.succeeded("10.0.0.1")
    for _ in range(MAX_FAILURES):  # all of what an address may fail is left to it
        limit.begin("10.0.0.1")
    with pytest.raises(TooManyTries):
        limit.begin("10.0.0.1")


def test_a_limit_forgets_and_counts_a_network_of_ipv6_as_one() -> None:
    now = [0.0]
    limit = FailureLimit(clock=lambda: now[0])
    for number in range(MAX_FAILURES):
        limit.begin(f"2001:db8::{number:x}")
    with pytest.raises(TooManyTries, match="from this address; try again in 15 minutes"):
        limit.begin("2001:db8::ffff")
    limit.begin("2001:db8:0:1::1")
    limit.begin("10.0.0.1")
    now[0] = WITHIN_S
    limit.begin("2001:db8::ffff")


def test_joining_by_an_invitation(db: Database, browser, app) -> None:
    account = add_rater(db, OPERATOR, "<b>韩</b>")
    token = invite(db, OPERATOR, account.id)
    one = browser()
    page = one.get(f"/join/{token}?language=zh")
    assert page.status_code == 200
    assert "欢迎，&lt;b&gt;韩&lt;/b&gt;" in page.text
    assert "<b>韩" not in page.text
    assert "feedback_language=zh" in page.headers["set-cookie"]
    assert "referrer" not in page.text
    short = one.tell("/api/join", token=token, password="short")
    assert (short.status_code, short.json()["error"]["kind"]) == (422, "invalid")
    assert one.tell("/api/join", token=token).status_code == 422
    joined = one.tell("/api/join", token=token, password=PASSWORD)
    assert joined.json()["name"] == "<b>韩</b>"
    assert one.get("/api/me").status_code == 200
    again = browser().tell("/api/join", token=token, password="another password")
    assert (again.status_code, again.json()["error"]["kind"]) == (403, "forbidden")
    assert browser().get(f"/join/{token}").status_code == 404
    assert Browser(app).sign_in("<b>韩</b>").get("/api/me").status_code == 200


def test_joining_by_an_open_link(db: Database, browser) -> None:
    campaign(db, 2)
    campaign(db, 2, name="others", guidelines="not for guests")
    token = open_link(db, OPERATOR, "pairs")
    by_name, worker = browser(), browser()
    assert 'name="name"' in by_name.get(f"/join/{token}").text
    assert by_name.tell("/api/join", token=token, name="guest").json()["role"] == "rater"
    assert [one["name"] for one in by_name.get("/api/campaigns").json()] == ["pairs"]
    page = worker.get(f"/join/{token}?worker=W%22%3E1").text
    assert 'name="worker" value="W&quot;&gt;1"' in page
    assert worker.tell("/api/join", token=token, worker="W1").status_code == 200
    path = worker.campaign("pairs")
    now = worker.get(f"{path}/task").json()
    for number in range(2):
        task = now["task"]
        own = f"/api/assignments/{task['assignment']}"
        now = worker.tell(f"{own}/judge", given={"strength": 0}, key=str(number)).json()["next"]
    assert now["state"] == "finished"
    assert len(now["completion_code"]) == 10
    others = browser("a").campaign("others")
    for path in (others, f"{others}/task", f"{others}/past"):
        assert worker.get(path).status_code in (403, 404)
        assert "not for guests" not in worker.get(path).text


def test_the_language_of_who_has_chosen_none(build) -> None:
    chinese = Browser(build(Settings(language="zh")))
    assert 'lang="zh"' in chinese.get("/sign-in").text
    assert chinese.cookies["feedback_language"] == "zh"
    auto = Browser(build(Settings()))
    asks = {"accept-language": "zh-CN,zh;q=0.9,en;q=0.8"}
    assert 'lang="zh"' in auto.get("/sign-in", headers=asks).text
    assert 'lang="en"' in auto.get("/sign-in").text
    assert 'lang="en"' in auto.get("/sign-in?language=en", headers=asks).text
    assert 'lang="en"' in auto.get("/sign-in", headers=asks).text  # what was chosen is kept
    assert auto.cookies["feedback_language"] == "en"


class TestOnePerson:
    """Without accounts: whoever sits at the machine, and nobody else."""

    def test_is_signed_in_by_itself_as_a_manager(self, db: Database, build) -> None:
        campaign(db, 1)
        app = build(Settings(accounts=False))
        for host in ("127.0.0.1:7860", "localhost:7860", "[::1]:7860", "localhost", "a.localhost:1"):
            one = Browser(app, host=host)
            assert one.get("/api/me").json() == {"name": "me", "role": "manager", "single_person": True}
        task = one.get(f"{one.campaign('pairs')}/task").json()["task"]
        own = f"/api/assignments/{task['assignment']}"
        assert one.tell(f"{own}/judge", given={"strength": 1}, key="k").status_code == 200
        assert one.get("/sign-in").headers["location"] == "/"

    @pytest.mark.parametrize(
        "host", ["page.example", "10.0.0.1:7860", "127.0.0.1.evil.example", "localhost.e"]
    )
    def test_no_other_name_leads_here(self, build, host: str) -> None:
        one = Browser(build(Settings(accounts=False)), host=host)
        for path in ("/", "/api/me", "/static/entry.js", "/manage/"):
            assert one.get(path).status_code == 403

    @pytest.mark.parametrize(
        "header", ["x-forwarded-for", "forwarded", "via", "x-real-ip", "x-forwarded-host"]
    )
    def test_no_proxy_brings_others_in(self, build, header: str) -> None:
        one = Browser(build(Settings(accounts=False)), host="127.0.0.1:7860")
        assert one.get("/api/me", headers={header: "10.0.0.1"}).status_code == 403

    def test_no_other_page_on_this_machine_acts(self, build) -> None:
        one = Browser(build(Settings(accounts=False)), host="127.0.0.1:7860")
        one.headers["origin"] = "http://127.0.0.1:8080"
        assert one.tell("/api/sign-out").status_code == 403

    def test_it_listens_at_this_machine_alone(self) -> None:
        for host in ("127.0.0.1", "::1", "localhost", "127.3.4.5"):
            check_address(host, accounts=False)
        for host in ("0.0.0.0", "10.0.0.1", "::", "page.example"):
            with pytest.raises(InvalidFeedback, match="add --accounts"):
                check_address(host, accounts=False)
            check_address(host, accounts=True)
        assert not is_loopback("")
