"""The raters' API: a rater's way through a campaign, what is sent, and how errors are said."""

import json
from uuid import uuid4

import pytest
from people import campaign, pairs

from feedback_ui.database import Database
from feedback_ui.form import Form, Scale
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.campaigns import set_guidelines, set_status
from feedback_ui.service.progress import campaign_progress


def better_good(task: dict) -> dict:
    """The good answer is better, wherever it stands."""
    return {"strength": -2 if task["answers"][0]["text"].startswith("good") else 2}


def test_a_way_through_a_campaign(db: Database, browser) -> None:
    campaign(db, 3)
    rater = browser("韩梅梅")
    (listed,) = rater.get("/api/campaigns").json()
    assert {name: listed[name] for name in listed if name != "id"} == {
        "name": "pairs",
        "question": "Which answer is better?",
        "kind": "compare",
        "language": "any",
        "status": "open",
        "done": 0,
        "left": 3,
    }
    path = rater.campaign("pairs")
    told = rater.get(path).json()
    assert told["guidelines"]["version"] == 1
    assert told["guidelines"]["text"] == "Be kind. 请善待他人。"
    assert "<p>Be kind. 请善待他人。</p>" in told["guidelines"]["html"]
    assert told["form"] == {
        "kind": "compare",
        "scales": [],
        "flags": ["unsafe", "other"],
        "reason": "optional",
        "edit": True,
    }
    now = rater.get(f"{path}/task").json()
    seen: list[str] = []
    while now["task"]:
        task = now["task"]
        assert now["state"] == "open"
        assert set(task) == {
            "assignment", "question", "form", "language", "prompt", "answers", "draft", "guideline_version",
            "lease_s",
        }  # fmt: skip
        assert task["lease_s"] == 20 * 60
        (message,) = task["prompt"]
        assert message["role"] == "user"
        seen.append(message["text"])
        answer = rater.tell(
            f"/api/assignments/{task['assignment']}/judge", given=better_good(task), key=str(len(seen))
        ).json()
        assert answer["receipt"]["assignment"] == task["assignment"]
        assert (answer["receipt"]["revision"], answer["receipt"]["action"]) == (1, "judge")
        now = answer["next"]
        assert now["progress"] == {"done": len(seen), "skipped": 0, "left": 3 - len(seen)}
    assert now == {"task": None, "progress": {"done": 3, "skipped": 0, "left": 0}, "state": "finished"}
    assert seen == ["问题 0?", "问题 1?", "问题 2?"]
    past = rater.get(f"{path}/past?limit=2").json()
    assert [one["prompt"][0]["text"] for one in past] == ["问题 2?", "问题 1?"]
    assert abs(past[0]["given"]["strength"]) == 2
    assert campaign_progress(db, OPERATOR, "pairs").judgements == 3


def test_a_click_that_is_sent_twice_counts_once(db: Database, browser) -> None:
    campaign(db, 2)
    rater = browser("a")
    task = rater.get(f"{rater.campaign('pairs')}/task").json()["task"]
    path = f"/api/assignments/{task['assignment']}/judge"
    first = rater.tell(path, given={"strength": 1}, key="click").json()
    again = rater.tell(path, given={"strength": 1}, key="click").json()
    assert again["receipt"] == first["receipt"]
    assert again["next"]["task"]["assignment"] == first["next"]["task"]["assignment"]
    other = rater.tell(path, given={"strength": 1}, key="another")
    assert (other.status_code, other.json()["error"]["kind"]) == (409, "conflict")
    assert campaign_progress(db, OPERATOR, "pairs").judgements == 1


def test_skip_undo_revise_and_drafts(db: Database, browser) -> None:
    campaign(db, 3)
    rater = browser("a")
    path = rater.campaign("pairs")
    task = rater.get(f"{path}/task").json()["task"]
    own = f"/api/assignments/{task['assignment']}"
    assert rater.tell(f"{own}/draft", draft={"reason": "因为 ‮ <b>"}).json() == {"held": True}
    assert rater.get(f"{path}/task").json()["task"]["draft"] == {"reason": "因为 ‮ <b>"}
    assert rater.tell(f"{own}/heartbeat").json() == {"held": True}
    answer = rater.tell(f"{own}/skip", reason="unclear", text="what?", key="s").json()
    assert answer["receipt"]["action"] == "skip"
    assert answer["next"]["progress"]["skipped"] == 1
    second = answer["next"]["task"]["assignment"]
    assert second != task["assignment"]
    assert rater.tell(f"{own}/heartbeat").json() == {"held": False}
    undone = rater.tell(f"{own}/undo", key="u").json()["task"]
    assert (undone["assignment"], undone["draft"]) == (task["assignment"], None)
    rater.tell(f"{own}/judge", given={"strength": -3, "reason": "ok"}, key="j")
    looked = rater.get(own).json()
    assert looked["given"] == {"strength": -3, "reason": "ok"}
    assert looked["action"] == "judge"
    assert looked["task"]["answers"] == undone["answers"]
    receipt = rater.tell(f"{own}/revise", given={"strength": 2}, key="r", active_s=3.5).json()["receipt"]
    assert receipt["revision"] == looked["revision"] + 1
    assert rater.get(own).json()["given"] == {"strength": 2}


def test_a_late_answer_is_told_apart_and_kept_as_a_draft(db: Database, browser, clock) -> None:
    campaign(db, 1)
    late, quick = browser("late"), browser("quick")
    path = late.campaign("pairs")
    own = f"/api/assignments/{late.get(f'{path}/task').json()['task']['assignment']}"
    clock.move(minutes=21)
    task = quick.get(f"{path}/task").json()["task"]
    quick.tell(f"/api/assignments/{task['assignment']}/judge", given={"strength": 1}, key="q")
    answer = late.tell(f"{own}/judge", given={"strength": -1, "reason": "long thought"}, key="l")
    assert answer.status_code == 409
    assert "kept as its draft" in answer.json()["error"]["message"]
    assert late.get(own).json()["task"]["draft"] == {"strength": -1, "reason": "long thought"}
    assert late.tell(f"{own}/heartbeat").json() == {"held": False}


@pytest.mark.parametrize("status", ["paused", "closed"])
def test_a_campaign_that_is_not_open(db: Database, browser, status) -> None:
    campaign(db, 2)
    rater = browser("a")
    path = rater.campaign("pairs")
    task = rater.get(f"{path}/task").json()["task"]
    set_status(db, OPERATOR, "pairs", status)
    now = rater.get(f"{path}/task").json()
    assert (now["task"], now["state"]) == (None, status)
    answer = rater.tell(f"/api/assignments/{task['assignment']}/judge", given={"strength": 1}, key="k").json()
    assert answer["receipt"]["action"] == "judge"  # what is held may be finished
    assert answer["next"]["state"] == status
    assert rater.get("/api/campaigns").json() == []


def test_each_way_of_giving_feedback(db: Database, browser) -> None:
    rows = [("x:1", {"prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
                     "responses": ["a", "b", "c"]})]  # fmt: skip
    single = [("x:1", {"prompt": "u", "responses": ["a"]})]
    ways = {
        "rank": (Form(kind="rank"), rows, {"ranking": [[2], [0, 1]]}),
        "rate": (
            Form(kind="rate", scales=(Scale(name="真"),)),
            rows,
            {"ratings": {"0": {"真": 1}, "1": {"真": 5}, "2": {"真": 3}}, "reason": "r"},
        ),
        "score": (Form(kind="score", scales=(Scale(name="q", low=0, high=10),)), single, {"score": 7.5}),
        "thumb": (Form(kind="thumb", flags=("other",)), single, {"thumb": False, "flags": {"0": ["other"]}}),
        "write": (Form(kind="write"), [("x:1", {"prompt": "u"})], {"demonstration": "写"}),
    }
    rater = browser("a")
    for name, (form, items, given) in ways.items():
        campaign(db, name=name, form=form, rows=items)
        path = rater.campaign(name)
        task = rater.get(f"{path}/task").json()["task"]
        assert [message["role"] for message in task["prompt"]] == (
            ["system", "user"] if items is rows else ["user"]
        )
        own = f"/api/assignments/{task['assignment']}"
        answer = rater.tell(f"{own}/judge", given=given, key=name)
        assert answer.status_code == 200, answer.text
        assert rater.get(own).json()["given"] == given
        assert answer.json()["next"]["state"] == "finished"


def test_new_guidelines_are_told_with_their_version(db: Database, browser) -> None:
    campaign(db, 1)
    rater = browser("a")
    set_guidelines(db, OPERATOR, "pairs", "**new** <script>alert(1)</script>")
    told = rater.get(rater.campaign("pairs")).json()["guidelines"]
    assert told["version"] == 2
    assert told["text"] == "**new** <script>alert(1)</script>"
    assert "<strong>new</strong> &lt;script&gt;" in told["html"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b'{"given": {"strength": NaN}, "key": "k"}', "no JSON"),
        (b'{"given": {"strength": 1, "reason": "\\ud800"}, "key": "k"}', "no JSON"),
        (b"[1]", ""),
        (b'{"given": {"strength": 1}}', "key"),
        (b'{"given": {"strength": 9}, "key": "k"}', "strength"),
        (b'{"given": {"strength": 1}, "key": ""}', "key is 1 to 100"),
        (b'{"given": {"strength": 1}, "key": "k", "rater": "x"}', "rater"),
        (b'{"given": {"strength": 1, "better": "x"}, "key": "k"}', "better"),
        (b'{"given": {}, "key": "k"}', "say which answer is better"),
        (b'{"given": {"strength": 1, "reason": "\\u0000"}, "key": "k"}', "NUL"),
    ],
)
def test_what_cannot_be_taken_is_said_and_changes_nothing(
    db: Database, browser, body: bytes, said: str
) -> None:
    campaign(db, 1)
    rater = browser("a")
    task = rater.get(f"{rater.campaign('pairs')}/task").json()["task"]
    answer = rater.post(
        f"/api/assignments/{task['assignment']}/judge",
        content=body,
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 422
    assert answer.json()["error"]["kind"] == "invalid"
    assert said in answer.json()["error"]["message"]
    assert campaign_progress(db, OPERATOR, "pairs").judgements == 0


def test_what_is_not_there(db: Database, browser) -> None:
    campaign(db, 1)
    rater = browser("a")
    for path in (
        f"/api/campaigns/{uuid4()}",
        f"/api/campaigns/{uuid4()}/task",
        f"/api/assignments/{uuid4()}",
    ):
        answer = rater.get(path)
        assert (answer.status_code, answer.json()["error"]["kind"]) == (404, "not-found")
        assert "pairs" not in answer.text  # the names of others' campaigns are not told
    cut_off = rater.get("/api/campaigns/pairs")  # a link that has lost its end
    assert (cut_off.status_code, cut_off.json()["error"]["kind"]) == (404, "not-found")
    assert rater.get(f"{rater.campaign('pairs')}/past?limit=many").status_code == 422
    assert rater.get("/api/nothing").json()["error"]["kind"] == "not-found"


def test_a_store_that_fails_is_said_without_saying_where_it_is(db: Database, browser, monkeypatch) -> None:
    from feedback_ui.errors import StoreError

    campaign(db, 1)
    rater = browser("a")
    path = rater.campaign("pairs")

    def broken(*_args, **_options):
        raise StoreError("the database /srv/secret/feedback.db is read-only")

    monkeypatch.setattr(db, "write", broken)
    answer = rater.get(f"{path}/task")
    assert (answer.status_code, answer.json()["error"]["kind"]) == (503, "unavailable")
    assert "secret" not in answer.text
    assert answer.headers["content-security-policy"]


def test_a_bug_is_an_error_with_the_same_headers(db: Database, app, browser, monkeypatch, caplog) -> None:
    rater = browser("a")
    monkeypatch.setattr(db, "read", lambda *_: 1 / 0)
    answer = rater.get("/api/campaigns")
    assert (answer.status_code, answer.json()["error"]["kind"]) == (500, "unavailable")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "division by zero" in caplog.text
    assert "division" not in answer.text


def test_answers_hold_hostile_text_as_it_is_stored(db: Database, browser) -> None:
    hostile = "<script>alert(1)</script>\n![x](http://evil/x.png) <think>vector<int></think> \u202e"
    campaign(db, rows=[("x:1", {"prompt": hostile, "responses": [hostile + "1", hostile + "2"]})])
    rater = browser("a")
    task = rater.get(f"{rater.campaign('pairs')}/task").json()["task"]
    assert task["prompt"][0]["text"] == hostile
    assert sorted(answer["text"] for answer in task["answers"]) == [hostile + "1", hostile + "2"]
    for html in [task["prompt"][0]["html"], *(answer["html"] for answer in task["answers"])]:
        assert "<script" not in html
        assert "<img" not in html
        assert "&lt;think&gt;vector&lt;int&gt;" in html


def test_fifty_at_once_are_answered_in_threads(db: Database, browser) -> None:
    """All at once, each another item: none waits for the others on the event loop."""
    from concurrent.futures import ThreadPoolExecutor

    campaign(db, 12, rows=pairs(12))
    raters = [browser(f"r{number}") for number in range(12)]
    path = raters[0].campaign("pairs")
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda rater: rater.get(f"{path}/task").json(), raters))
    assert len({json.dumps(answer["task"]["prompt"]) for answer in answers}) == 12
