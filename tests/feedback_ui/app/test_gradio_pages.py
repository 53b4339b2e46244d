"""The Gradio pages in their server: what they bring with them is shut to who may not, all of it tried."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsers import Browser
from people import campaign
from starlette.routing import Mount, Route

from feedback_ui.app.application import create_app
from feedback_ui.app.settings import Settings
from feedback_ui.database import Database, open_database
from feedback_ui.service import passwords
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.accounts import add_rater

OPEN = ("/assets/", "/theme.css", "/gradio_api/theme.css", "/manifest.json", "/favicon.ico", "/static/")
REFUSED = (303, 401, 403, 404, 405)
SECRETS = ("model-a", "model-b", "sample-1", "SECRET-CAMPAIGN", "SECRET-RATER", "good 1", "gold")
PASSWORD = "a long password"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    db = open_database(str(tmp_path_factory.mktemp("pages") / "feedback.db"))
    campaign(db, 3, name="SECRET-CAMPAIGN")
    yield db
    db.close()


@pytest.fixture(scope="module")
def pages(store: Database):
    return create_app(store, Settings())


@pytest.fixture
def people(store: Database, pages, _quick_passwords: None) -> dict[str, Browser]:
    """Nobody, a rater and a manager."""
    assert passwords.hasher().time_cost == 1
    found = {"nobody": Browser(pages)}
    for name, role in (("SECRET-RATER", "rater"), ("boss", "manager")):
        if not store.read(lambda session, name=name: _there(session, name)):
            add_rater(store, OPERATOR, name, role=role, password=PASSWORD)
        found[role] = Browser(pages).sign_in(name)
    return found


def _there(session, name: str) -> bool:
    from sqlalchemy import select

    from feedback_ui.schema import Rater

    return session.scalar(select(Rater.id).where(Rater.name == name)) is not None


def gradio_paths(app, mount: str) -> list[tuple[str, str]]:
    """Method and path, below the mount, of all that Gradio offers there."""
    (found,) = [
        one for one in app.routes if isinstance(one, Mount) and one.path == mount and not _is_ours(one)
    ]
    paths: list[tuple[str, str]] = []
    for included in found.app.routes:
        for route in getattr(included, "original_router", found.app.router).routes:
            if isinstance(route, Route):
                path = re.sub(r"\{(\w+)(:\w+)?\}", "x", route.path)
                paths += [(method, path) for method in route.methods or ()]
    paths += [("GET", "/gradio_api/mcp/sse"), ("GET", "/monitoring/x"), ("GET", "/logout")]
    assert len(paths) > 60
    return sorted(set(paths))


def _is_ours(mount: Mount) -> bool:
    return mount.path.startswith("/static")


@pytest.mark.parametrize("mount", ["", "/manage"])
def test_signed_out_nothing_but_the_pages_own_files_is_there(pages, people, mount: str) -> None:
    for method, path in gradio_paths(pages, mount):
        answer = people["nobody"].request(method, mount + path, json=None if method == "GET" else {})
        if answer.status_code in REFUSED:
            continue
        assert not mount, (method, path, answer.status_code)
        assert path.startswith(OPEN), (method, path, answer.status_code)
        assert not any(secret in answer.text for secret in SECRETS)


def test_the_board_is_not_there_for_a_rater(pages, people) -> None:
    for method, path in gradio_paths(pages, "/manage"):
        answer = people["rater"].request(method, f"/manage{path}", json=None if method == "GET" else {})
        assert answer.status_code in REFUSED, (method, path, answer.status_code)
        assert not any(secret in answer.text for secret in SECRETS)


def test_what_gradio_tells_a_rater_holds_nothing_of_others(pages, people) -> None:
    rater = people["rater"]
    for path in ("/", "/config", "/gradio_api/info", "/gradio_api/startup-events", "/gradio_api/app_id"):
        answer = rater.get(path)
        assert answer.status_code == 200, path
        told = answer.text.replace("SECRET-RATER", "")  # a person may read their own name
        assert not any(secret in told for secret in SECRETS), path


def test_a_rater_finds_no_function_to_call(people) -> None:
    for fn_index in range(4):
        body = {"fn_index": fn_index, "data": [], "session_hash": "abc"}
        joined = people["rater"].post("/gradio_api/queue/join", json=body)
        assert joined.status_code >= 400 or "event_id" not in joined.json(), joined.text
    for path in ("/gradio_api/call/x", "/gradio_api/api/x", "/gradio_api/upload", "/gradio_api/call/v2/x"):
        assert people["rater"].post(path, json={"data": []}).status_code == 404


def test_a_manager_reads_no_file_of_the_machine(people, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("SECRET")
    manager = people["boss"] if "boss" in people else people["manager"]
    assert manager.get("/manage/").status_code == 200
    files = (
        "/etc/passwd",
        str(tmp_path / "secret.txt"),
        "/proc/self/environ",
        "/../etc/passwd",
        "//etc/passwd",
    )
    for path in files:
        answer = manager.get(f"/manage/gradio_api/file={path}")
        assert answer.status_code in (403, 404), path
        assert "SECRET" not in answer.text
    for path in ("http://127.0.0.1:1/", "https://example.com/"):
        assert manager.get(f"/manage/gradio_api/file={path}").status_code == 404


def test_the_board_says_nothing_to_other_origins(people) -> None:
    answer = people["manager"].get("/manage/config", headers={"origin": "http://evil.example"})
    assert "access-control-allow-origin" not in answer.headers
    manager = people["manager"]
    manager.headers["origin"] = "http://evil.example"
    for path in ("/manage/gradio_api/queue/join", "/manage/gradio_api/upload", "/manage/gradio_api/run/x"):
        assert manager.post(path, json={}).status_code == 403


def test_pages_name_no_other_host(people) -> None:
    """Gradio's page names others for link previews; no script, style or font comes from them."""
    for who, path in (("rater", "/"), ("manager", "/manage/")):
        text = people[who].get(path).text
        loaded = re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"(https?:)?//[^\"]+", text)
        assert loaded == []
